package machine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat_CountsAllButIdleAndWaiting(t *testing.T) {
	got, err := parseStat("cpu  100 20 3 5000 600 7 8 90 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Usage{Busy: 1380 * time.Millisecond, Steal: 900 * time.Millisecond, Known: true}, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "cpu 1 2 3", "mem 1 2 3 4 5 6 7 8", "cpu 1 2 x 4 5 6 7 8"} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("parseStat(%q) succeeds", text)
		}
	}
}

func TestParseStatm_ReadsResidentPages(t *testing.T) {
	if got, err := parseStatm("5000 1234 800 10 0 600 0\n"); got != 1234 || err != nil {
		t.Errorf("parseStatm = %d, %v; want 1234", got, err)
	}
	for _, text := range []string{"", "5000", "5000 x"} {
		if _, err := parseStatm(text); err == nil {
			t.Errorf("parseStatm(%q) succeeds", text)
		}
	}
}

func TestProcess_OfThisMachineHasUsedCPU(t *testing.T) {
	for deadline := ProcessCPU() + 30*time.Millisecond; ProcessCPU() < deadline; { // three ticks: a reading of /proc shows them
	}
	if CPU().Busy == 0 || ResidentBytes() == 0 {
		t.Errorf("CPU = %+v, ResidentBytes = %d; want both above 0", CPU(), ResidentBytes())
	}
}
