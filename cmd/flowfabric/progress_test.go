package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/internal/clock"
)

func TestProgress_WithoutATerminalIsALineASecond(t *testing.T) {
	var out bytes.Buffer
	sim := clock.NewSim(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	p := &progress{out: &out, clock: sim}
	for i := range 5 {
		p.Progress(i, 5)
		sim.Advance(400 * time.Millisecond)
	}
	p.Note("killed")
	p.Progress(5, 5)
	if diff := cmp.Diff("1 of 5 files\n4 of 5 files\nkilled\n5 of 5 files\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgress_OnATerminalIsABar(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, terminal: true, clock: clock.NewSim(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	p.Progress(1, 4)
	p.Note("killed")
	p.Progress(4, 4)
	p.end()
	want := "\r[##########..............................] 1 of 4 files\nkilled\n\r[########################################] 4 of 4 files\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
