package machine

import (
	"errors"
	"testing"
	"time"
)

func TestParseProcess(t *testing.T) {
	// pid, name, state, ppid, eight fields, then utime, stime, cutime, cstime in hundredths of a second.
	got, err := parseProcess("77 (postgres: a) b) S 12 77 77 0 -1 4194624 100 200 0 0 11 22 33 44 20 0 1 0 500 1000 5 6\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.parent != 12 || got.cpu != 1100*time.Millisecond {
		t.Errorf("parseProcess = %+v; want parent 12 and 1.1s", got)
	}
	for _, text := range []string{"", "77 (sh) S 12", "77 (sh) S x 77 77 0 -1 0 1 2 0 0 11 22 33 44"} {
		if _, err := parseProcess(text); err == nil {
			t.Errorf("parseProcess(%q) succeeds", text)
		}
	}
}

func TestFindServer_ProcessOfAnotherProgramIsNoServer(t *testing.T) {
	s, err := FindServer(1, "ff_bench_0123456789abcdef", true)
	if !errors.Is(err, ErrHidden) || s.CPU() != 0 {
		t.Errorf("FindServer = %+v, %v; want %v and no CPU", s, err, ErrHidden)
	}
}
