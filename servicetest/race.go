package servicetest

import (
	"fmt"
	"sync"
	"sync/atomic"

	ff "github.com/flowfabric/flowfabric"
)

var raceTests = []behaviour{
	{"I23_OneKeyIsOneExecution", testRaceKeys},
	{"OneIDIsOneExecution", testRaceIDs},
	{"OneEndWins", testRaceEnds},
	{"OneReplayWins", testRaceReplays},
	{"CancelsAgree", testRaceCancels},
	{"EveryExecutionIsClaimedOnce", testRaceClaims}, // last: it leaves much for the audit to read
}

// together runs n goroutines and waits for them.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
}

// engines are the env's engine and another one over the same store.
func (e *env) engines() [2]ff.Service { return [2]ff.Service{e.svc, e.engine()} }

func testRaceClaims(e *env) {
	ids := make(map[ff.ExecutionID]bool)
	for _, r := range e.submitMany(make([]ff.Submit, 500)) {
		ids[r.ID] = true
	}
	var mu sync.Mutex
	var claims []ff.Claimed
	engines := e.engines()
	together(50, func(i int) {
		for {
			cmd := e.wants(1 + i%4)
			cmd.WorkerInstanceID = ff.WorkerInstanceID(fmt.Sprintf("worker-%d", i))
			got, err := engines[i%2].Claim(e.Context(), cmd)
			if err != nil {
				e.Error(err)
				return
			}
			if len(got) == 0 {
				return
			}
			mu.Lock()
			claims = append(claims, got...)
			mu.Unlock()
			for _, c := range got {
				if err := engines[(i+1)%2].Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
					e.Error(err)
				}
			}
		}
	})
	for _, c := range claims {
		if !ids[c.ExecutionID] {
			e.Errorf("%s was claimed twice", c.ExecutionID)
		}
		delete(ids, c.ExecutionID)
	}
	// A claim without wait may come back empty while others hold the rest in locks; nothing may be left when all are done.
	left := e.claimUpTo(1000)
	e.equal("claimed or left", len(claims)+len(left), 500)
}

// testRaceKeys is I23 under concurrency.
func testRaceKeys(e *env) {
	engines := e.engines()
	for n := range 10 {
		results := make([]ff.SubmitResult, 20)
		together(len(results), func(i int) {
			res, err := engines[i%2].Submit(e.Context(), e.command(ff.Submit{IdempotencyKey: fmt.Sprintf("%s %d", e.Name(), n)}))
			if err != nil {
				e.Error(err)
			}
			results[i] = res
		})
		created := 0
		for _, r := range results {
			if r.Outcome == ff.Created {
				created++
			}
			e.equal("id", r.ID, results[0].ID)
		}
		e.equal("created", created, 1)
	}
	e.equal("executions", len(e.claimUpTo(1000)), 10)
}

func testRaceIDs(e *env) {
	engines := e.engines()
	for range 10 {
		id := ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
		var created atomic.Int32
		together(20, func(i int) {
			res, err := engines[i%2].Submit(e.Context(), e.command(ff.Submit{ID: id}))
			if err != nil {
				e.Error(err)
			}
			if res.Outcome == ff.Created {
				created.Add(1)
			}
		})
		e.equal("created", created.Load(), int32(1))
	}
}

// testRaceEnds lets every end compete: one happens, the others are told (chapter 30, section 30.11).
func testRaceEnds(e *env) {
	engines := e.engines()
	for range 20 {
		c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
		var wins atomic.Int32
		together(6, func(i int) {
			svc := engines[i/3]
			var err error
			switch i % 3 {
			case 0:
				err = svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
			case 1:
				_, err = svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Category: "permanent"})
			case 2:
				_, err = svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID})
			}
			switch code := codeOf(err); code {
			case "":
				wins.Add(1)
			case ff.CodeExecutionNotActive, ff.CodeInvalidInput:
			default:
				e.Errorf("call %d: %v", i, err)
			}
		})
		// The winner and its like: each call is made twice.
		e.equal("wins", wins.Load(), int32(2))
	}
}

func testRaceReplays(e *env) {
	engines := e.engines()
	for range 10 {
		c := e.running(ff.Submit{})
		e.complete(c)
		var wins atomic.Int32
		together(6, func(i int) {
			_, err := engines[i%2].Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID})
			switch codeOf(err) {
			case "":
				wins.Add(1)
			case ff.CodeExecutionNotTerminal:
			default:
				e.Error(err)
			}
		})
		e.equal("replays", wins.Load(), int32(1))
		e.equal("count", e.describe(c.ExecutionID).ReplayCount, 1)
		e.complete(e.claim())
	}
}

// testRaceCancels: all succeed, one acts (O8).
func testRaceCancels(e *env) {
	engines := e.engines()
	for range 10 {
		c := e.running(ff.Submit{})
		together(6, func(i int) {
			if _, err := engines[i%2].Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Reason: fmt.Sprint(i)}); err != nil {
				e.Error(err)
			}
		})
		e.equal("events", len(e.events(c.ExecutionID)), 4)
	}
}
