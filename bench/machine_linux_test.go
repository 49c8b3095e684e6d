package bench

import (
	"testing"
	"time"
)

func TestParseMachineStat_CountsAllButIdleAndWaiting(t *testing.T) {
	got, err := parseMachineStat("cpu  100 20 3 5000 600 7 8 90 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
	if want := 1380 * time.Millisecond; got != want || err != nil {
		t.Errorf("parseMachineStat = %s, %v; want %s", got, err, want)
	}
	for _, text := range []string{"", "cpu 1 2 3", "mem 1 2 3 4 5 6 7 8", "cpu 1 2 x 4 5 6 7 8"} {
		if _, err := parseMachineStat(text); err == nil {
			t.Errorf("parseMachineStat(%q) succeeds", text)
		}
	}
}
