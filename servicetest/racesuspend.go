package servicetest

import (
	"sync/atomic"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// The races of chapter 40: whatever comes first ends the suspension, and the other is told so.
var suspendRaceTests = []behaviour{
	{"I7_OneSignalOfManyResumes", raceSignals},
	{"I9_OneKeyIsOneSignal", raceSignalKeys},
	{"SignalAgainstTimeout", raceSignalTimeout},
	{"SignalAgainstCancel", raceSignalCancel},
	{"SignalAgainstClose", raceSignalClose},
	{"SignalAgainstResume", raceSignalResume},
	{"SignalAgainstSuspend", raceSignalSuspend},
	{"ResumeAgainstResume", raceResumes},
	{"SuspendAgainstSuspend", raceSuspends},
	{"SuspendAgainstCancel", raceSuspendCancel},
	{"StepAgainstStep", raceSteps},
}

// raceSignals: of signals at once, on all waitpoints of a count, exactly the one that completes it says so.
func raceSignals(e *env) {
	engines := e.engines()
	for range raceRounds {
		c := e.running(ff.Submit{})
		points := e.suspend(c, ff.Suspend{Condition: ff.OnCount(3, ff.DistinctSignals, "a", "b"), Waitpoints: bindings("a", "b")}).Waitpoints
		var resumed, appended, late atomic.Int32
		together(8, func(i int) {
			res, err := engines[i%2].DeliverSignal(e.Context(), signal(c.ExecutionID, points[i/2%2], "go"))
			switch {
			case codeOf(err) == "target_not_signalable":
				late.Add(1)
			case err != nil:
				e.Error(err)
			case res.Effect == "resume_condition_satisfied":
				resumed.Add(1)
			case res.Effect == "appended_to_waitpoint":
				appended.Add(1)
			}
		})
		e.equal("resumed, appended, too late", []int32{resumed.Load(), appended.Load(), late.Load()}, []int32{1, 2, 5})
		e.closed(c.ExecutionID, "resumed", points...)
		e.equal("resumed by", e.resumeSignals(c.ExecutionID), "resumed go go go")
		e.complete(e.claim())
	}
}

func raceSignalKeys(e *env) {
	engines := e.engines()
	for range raceRounds {
		c, p := e.parked(ff.Suspend{Condition: ff.OnCount(2, ff.DistinctSignals, approvalKey)})
		var results [6]ff.SignalResult
		together(len(results), func(i int) {
			s := signal(c.ExecutionID, p, "go")
			s.IdempotencyKey = "k"
			var err error
			if results[i], err = engines[i%2].DeliverSignal(e.Context(), s); err != nil {
				e.Error(err)
			}
		})
		accepted := 0
		for _, r := range results {
			if !r.Duplicate {
				accepted++
			}
			e.equal("signal", r.SignalID, results[0].SignalID)
		}
		e.equal("accepted", accepted, 1)
		e.equal("signals", e.suspension(c.ExecutionID).SignalCount, 1)
		e.cancel(c.ExecutionID, "enough")
	}
}

// raceWith has a signal and another call compete for a suspension. Both orders are possible; wins says, for each error of the
// signal, how the suspension closed.
func (e *env) raceWith(cmd ff.Suspend, other func(svc ff.Service, c ff.Claimed, p ff.WaitpointGrant) error, pairs map[[2]ff.Code]string) {
	e.Helper()
	engines := e.engines()
	for range raceRounds {
		c, p := e.parked(cmd)
		signalled, done := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go")))
			},
			func(svc ff.Service) error { return other(svc, c, p) },
		)
		got := [2]ff.Code{codeOf(signalled), codeOf(done)}
		want, ok := pairs[got]
		if !ok {
			e.Errorf("answers %q: %v; %v", got, signalled, done)
		}
		e.eventually("the suspension is over", func() bool {
			e.pace.nudge()
			return want == "" || e.suspension(c.ExecutionID).ClosedAt != 0
		})
		e.equal("closed", e.suspension(c.ExecutionID).CloseReason, want)
		if !e.describe(c.ExecutionID).State.Finished() {
			e.cancel(c.ExecutionID, "enough")
		}
	}
}

func raceSignalTimeout(e *env) {
	cmd := ff.Suspend{Timeout: time.Minute, TimeoutBehavior: ff.TimeoutFails}
	e.raceWith(cmd, func(ff.Service, ff.Claimed, ff.WaitpointGrant) error {
		e.pace.Advance(time.Minute)
		return nil
	}, map[[2]ff.Code]string{{"", ""}: "resumed", {"target_not_signalable", ""}: "timed_out_fail"})
}

func raceSignalCancel(e *env) {
	e.raceWith(ff.Suspend{}, func(svc ff.Service, c ff.Claimed, _ ff.WaitpointGrant) error {
		return errOf(svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID}))
	}, map[[2]ff.Code]string{{"", ""}: "resumed", {"target_not_signalable", ""}: "cancelled"})
}

func raceSignalClose(e *env) {
	e.raceWith(ff.Suspend{}, func(svc ff.Service, c ff.Claimed, p ff.WaitpointGrant) error {
		return errOf(svc.CloseWaitpoint(e.Context(), ff.CloseWaitpoint{ExecutionID: c.ExecutionID, WaitpointID: p.WaitpointID}))
	}, map[[2]ff.Code]string{{"", ""}: "resumed", {"waitpoint_closed", ""}: ""})
}

func raceSignalResume(e *env) {
	e.raceWith(ff.Suspend{}, func(svc ff.Service, c ff.Claimed, _ ff.WaitpointGrant) error {
		return errOf(svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID}))
	}, map[[2]ff.Code]string{{"", "execution_not_suspended"}: "resumed", {"target_not_signalable", ""}: "resumed"})
}

// raceSignalSuspend: a signal to a pending waitpoint is not lost, whether it comes before its suspension or after.
func raceSignalSuspend(e *env) {
	engines := e.engines()
	for range 2 * raceRounds {
		c := e.running(ff.Submit{})
		p := e.createWaitpoint(c, approvalKey)
		var res ff.Suspended
		var got ff.SignalResult
		signalled, suspended := race(engines,
			func(svc ff.Service) (err error) {
				got, err = svc.DeliverSignal(e.Context(), signal(c.ExecutionID, p, "go"))
				return err
			},
			func(svc ff.Service) (err error) {
				res, err = svc.Suspend(e.Context(), ff.Suspend{
					ExecutionID: c.ExecutionID, Fence: c.Fence, Waitpoints: pendingBinding(p), Condition: ff.OnSignal(approvalKey),
				})
				return err
			})
		e.oneOf("signal and suspend", signalled, suspended, [2]ff.Code{"", ""})
		want := ff.EffectResumed
		if res.AlreadySatisfied {
			want = ff.EffectBuffered
		} else {
			c = e.claim()
		}
		e.equal("effect", got.Effect, want)
		e.complete(c)
	}
}

func raceResumes(e *env) {
	engines := e.engines()
	for range raceRounds {
		c, _ := e.parked(ff.Suspend{})
		resume := func(svc ff.Service) error {
			return errOf(svc.Resume(e.Context(), ff.ResumeExecution{ExecutionID: c.ExecutionID}))
		}
		left, right := race(engines, resume, resume)
		e.oneOf("resumes", left, right, [2]ff.Code{"", ff.CodeExecutionNotSuspended}, [2]ff.Code{ff.CodeExecutionNotSuspended, ""})
		e.complete(e.claim())
	}
}

// raceSuspends: I1; and with one key both have the answer of the first (I10).
func raceSuspends(e *env) {
	engines := e.engines()
	for _, key := range []string{"", "k"} {
		for range raceRounds {
			c := e.running(ff.Submit{})
			var res [2]ff.Suspended
			suspend := func(i int) func(ff.Service) error {
				return func(svc ff.Service) (err error) {
					res[i], err = svc.Suspend(e.Context(), ff.Suspend{
						ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: ff.OnSignal(approvalKey), IdempotencyKey: key,
					})
					return err
				}
			}
			left, right := race(engines, suspend(0), suspend(1))
			if key == "" {
				e.oneOf("suspends", left, right, [2]ff.Code{"", ff.CodeAlreadySuspended}, [2]ff.Code{ff.CodeAlreadySuspended, ""})
			} else {
				e.oneOf("suspends", left, right, [2]ff.Code{"", ""})
				e.equal("answers", res[0], res[1])
			}
			e.cancel(c.ExecutionID, "enough")
		}
	}
}

func raceSuspendCancel(e *env) {
	engines := e.engines()
	for range raceRounds {
		c := e.running(ff.Submit{})
		suspended, stopped := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.Suspend(e.Context(), ff.Suspend{ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: ff.OnSignal(approvalKey)}))
			},
			func(svc ff.Service) error {
				return errOf(svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID}))
			})
		e.oneOf("suspend and cancel", suspended, stopped, [2]ff.Code{"", ""}, [2]ff.Code{ff.CodeExecutionNotActive, ""})
		e.inState(c.ExecutionID, cancelled)
	}
}

func raceSteps(e *env) {
	engines := e.engines()
	c := e.running(ff.Submit{})
	for range raceRounds {
		name := ff.NewSignalID().String()
		var memos [2]ff.StepMemo
		record := func(i int) func(ff.Service) error {
			return func(svc ff.Service) (err error) {
				memos[i], err = svc.RecordStep(e.Context(), ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: name, Result: []byte{byte(i)}})
				return err
			}
		}
		left, right := race(engines, record(0), record(1))
		e.oneOf("records", left, right, [2]ff.Code{"", ""})
		e.equal("one is a repeat", memos[0].Repeated, !memos[1].Repeated)
		memos[0].Repeated = memos[1].Repeated
		e.equal("what counts", memos[0], memos[1])
	}
	e.complete(c)
}
