//go:build unix

package crashtest

import (
	"testing"
	"time"
)

// A server is restarted under load as a crash would, at once and after it was away for a while. What is called meanwhile
// waits or fails with an error that may be tried again; work goes on by itself within five seconds of the server being
// back, and nothing acknowledged is lost.
func TestPostgresRestart_WorkResumesByItself(t *testing.T) {
	beside(t)
	s := startServer(t)
	url := freshDatabase(t, s.url())
	f := &fleet{url: url}
	f.add(t, node{Callers: 4, Pause: 2 * time.Millisecond})
	f.add(t, node{Slots: 16, Work: 2 * time.Millisecond, Flaky: true})
	f.awaitReady(t)
	away := either([]time.Duration{0, 4 * time.Second}, []time.Duration{0, 0, time.Second, 4 * time.Second, 10 * time.Second, 30 * time.Second})
	for _, d := range away {
		f.awaitProgress(t, time.Minute, 50)
		if d == 0 {
			s.ctl(t, "restart", "-m", "immediate")
		} else {
			s.ctl(t, "stop", "-m", "immediate")
			let(t, d)
			s.ctl(t, "start")
		}
		back := wall.Now()
		f.awaitProgress(t, 5*time.Second, 10)
		t.Logf("%s away: work went on %s after the server was back", d, wall.Now().Sub(back).Round(time.Millisecond))
	}
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	st := opened(t, url)
	awaitEnd(t, st, time.Minute)
	f.stop(t, func(*process) bool { return true })
	f.judge(t, dump(t, st))
	refused := map[refusal]int{}
	for _, p := range f.all {
		for _, r := range p.refused() {
			refused[r]++
		}
	}
	t.Logf("refused: %v", refused)
}
