package crashtest

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Processes are killed at random instants under load, one after the other; each is replaced at once. Some only submit, some
// only work, one does both. At the end every execution has ended once, what was acknowledged is there, and the leases of
// the dead were taken back in time.
func TestKill9_LosesNothingAcknowledged(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { kill9(t, freshSQLite(t)) })
	t.Run("Postgres", func(t *testing.T) { kill9(t, freshPostgres(t)) })
}

func kill9(t *testing.T, url string) {
	beside(t)
	kills := either(3, 50)
	st := opened(t, url)
	f := &fleet{url: url}
	submitter := node{Callers: 4, Flows: 1, Pause: 4 * time.Millisecond}
	works := node{Slots: 16, Work: 5 * time.Millisecond, Flaky: true}
	both := node{Callers: 2, Flows: 1, Pause: 4 * time.Millisecond, Slots: 8, Work: 5 * time.Millisecond, Flaky: true}
	for _, n := range []node{submitter, submitter, works, works, both} {
		f.add(t, n)
	}
	f.awaitReady(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for round := range kills {
		f.awaitProgress(t, time.Minute, 20) // the replacement of the last victim has the load going again, or others have
		let(t, time.Duration(random.IntN(600))*time.Millisecond)
		if round%10 == 9 { // a power cut
			for i := range f.running {
				f.replace(t, i)
			}
			continue
		}
		victim := random.IntN(len(f.running))
		if round == 0 {
			victim = 2 // at least one that works
		}
		f.replace(t, victim)
	}
	f.awaitProgress(t, time.Minute, 20)
	f.stop(t, func(p *process) bool { return p.Callers > 0 })
	awaitEnd(t, st, time.Minute)
	f.stop(t, func(*process) bool { return true })
	d := dump(t, st)
	f.judge(t, d)
	f.judgeLeases(t, d)
	f.judgePace(t)
}
