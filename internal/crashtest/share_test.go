package crashtest

import (
	"testing"
	"time"
)

// Two processes on one database share the work; when one is killed the other carries on, and takes over what the dead one
// held.
func TestTwoProcesses_ShareTheWorkAndCarryOn(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { share(t, freshSQLite(t)) })
	t.Run("Postgres", func(t *testing.T) { share(t, freshPostgres(t)) })
}

func share(t *testing.T, url string) {
	beside(t)
	st := opened(t, url)
	f := &fleet{url: url}
	f.add(t, node{Callers: 8, Pause: 4 * time.Millisecond})
	one, other := f.add(t, node{Slots: 8, Work: 5 * time.Millisecond}), f.add(t, node{Slots: 8, Work: 5 * time.Millisecond})
	f.awaitReady(t)
	begun := [2]int{len(one.completed()), len(other.completed())}
	f.awaitProgress(t, time.Minute, either(1000, 10_000))
	done := [2]int{len(one.completed()) - begun[0], len(other.completed()) - begun[1]}
	t.Logf("they completed %d and %d", done[0], done[1])
	if least := (done[0] + done[1]) / 5; done[0] < least || done[1] < least {
		t.Errorf("they completed %d and %d: one did less than a fifth", done[0], done[1])
	}

	one.kill(t)
	f.running = []*process{f.running[0], other}
	before := len(other.completed())
	until(t, leaseTTL+2*time.Second, "the other carries on", func() bool { return len(other.completed()) >= before+100 })
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	awaitEnd(t, st, time.Minute)
	other.stop(t)
	d := dump(t, st)
	f.judge(t, d)
	f.judgeLeases(t, d)
}
