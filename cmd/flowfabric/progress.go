package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// progress shows how far a run is: a bar where a person watches, else a line now and then.
type progress struct {
	out      io.Writer
	terminal bool
	clock    clock.Clock
	shownAt  time.Time
	drawn    bool // a bar stands in the current line
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: isTerminal(out), clock: clock.Real()}
}

// isTerminal reports whether what is written to out is seen at once by a person.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Note implements [demo.Watcher].
func (p *progress) Note(text string) {
	p.end()
	fmt.Fprintln(p.out, text)
}

// Progress implements [demo.Watcher].
func (p *progress) Progress(done, total int) {
	pause := time.Second
	if p.terminal {
		pause = 50 * time.Millisecond
	}
	now := p.clock.Now()
	if done == 0 || done < total && now.Sub(p.shownAt) < pause {
		return
	}
	p.shownAt = now
	if !p.terminal {
		fmt.Fprintf(p.out, "%d of %d files\n", done, total)
		return
	}
	const width = 40
	full := width * done / max(total, 1)
	fmt.Fprintf(p.out, "\r[%s%s] %d of %d files", strings.Repeat("#", full), strings.Repeat(".", width-full), done, total)
	p.drawn = true
}

// end leaves the line in which the bar stands.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}
