package simulation

import (
	"errors"
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/waitpoint"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// point is a waitpoint somebody was given the token of.
type point struct {
	execution ff.ExecutionID
	ff.WaitpointGrant
}

// signingKey signs all tokens of a world.
var signingKey = waitpoint.Key{Kid: "k1", Secret: []byte("thirty-two bytes, known to anyone")}

func signingKeys(kid string) (secret []byte, expired bool) {
	if kid == signingKey.Kid {
		return signingKey.Secret, false
	}
	return nil, false
}

// holds reports whether a claim is the lease its execution is under.
func (w *world) holds(c ff.Claimed) bool {
	e := w.member(c.ExecutionID)
	return e != nil && e.State.Ownership == ff.Leased && e.LeaseID == c.Fence.LeaseID && e.Epoch == c.Fence.Epoch && w.now() < e.LeaseExpiresAt
}

// suspend parks an execution for its holder, or for somebody who was that once.
func (w *world) suspend() {
	c, ok := w.grant()
	if !ok {
		return
	}
	cmd := ff.Suspend{ExecutionID: c.ExecutionID, Fence: c.Fence, Waitpoints: w.bindings(c.ExecutionID)}
	cmd.Condition = w.condition(cmd.Waitpoints)
	if w.rng.IntN(2) == 0 || cmd.Condition.Kind == ff.ConditionTimeoutOnly {
		cmd.Timeout, _ = pick(w, []time.Duration{time.Millisecond, 400 * time.Millisecond, 5 * time.Second})
		cmd.TimeoutBehavior, _ = pick(w, []ff.TimeoutBehavior{"", ff.TimeoutFails, ff.TimeoutCancels, ff.TimeoutExpired, ff.TimeoutResumes, ff.TimeoutEscalate})
	}
	if w.rng.IntN(3) == 0 {
		cmd.ResumeDelay = 300 * time.Millisecond
	}
	if w.rng.IntN(3) == 0 {
		cmd.IdempotencyKey = fmt.Sprint(w.rng.IntN(3))
	}
	before, held := w.member(c.ExecutionID), w.holds(c)
	var res ff.Suspended
	op, err := w.rules.Suspend(cmd, signingKey, &res)
	if err != nil {
		w.broken("suspend: %v", err)
	}
	err = w.try(op, &res)
	w.note("suspend %s on %s: %v", c.ExecutionID, cmd.Condition.Kind, err)
	if err != nil {
		return
	}
	after := w.member(c.ExecutionID)
	if !held && cmd.IdempotencyKey == "" && before.State.Phase != ff.PhaseSuspended && after.State.Phase == ff.PhaseSuspended {
		w.broken("somebody without the lease suspended %s", c.ExecutionID)
	}
	for _, p := range res.Waitpoints {
		w.points = append(w.points, point{c.ExecutionID, p})
	}
}

// bindings are fresh ones, or a pending waitpoint that was made before.
func (w *world) bindings(id ff.ExecutionID) []ff.WaitpointBinding {
	if p, ok := pick(w, w.points); ok && p.execution == id && w.rng.IntN(4) > 0 {
		return []ff.WaitpointBinding{{WaitpointID: p.WaitpointID, Key: p.Key, Pending: true}}
	}
	list := make([]ff.WaitpointBinding, 1+w.rng.IntN(3))
	for i := range list {
		list[i] = ff.WaitpointBinding{WaitpointID: ff.NewWaitpointID(), Key: fmt.Sprint("k", i)}
	}
	return list
}

// condition names every one of the bindings.
func (w *world) condition(bound []ff.WaitpointBinding) ff.Condition {
	keys := make([]string, len(bound))
	var each []ff.Condition
	for i, b := range bound {
		keys[i] = b.Key
		each = append(each, ff.OnNamed(b.Key, "a"))
	}
	switch w.rng.IntN(6) {
	case 0:
		return ff.OnAll(append(each, ff.OnSignal(keys[0]))...)
	case 1:
		by, _ := pick(w, []ff.CountKind{ff.DistinctSignals, ff.DistinctSources})
		return ff.OnCount(1+w.rng.IntN(3), by, keys...)
	case 2:
		if len(keys) == 1 {
			c, _ := pick(w, []ff.Condition{ff.OnOperator(), ff.OnTimeout(), ff.OnNamed(keys[0], "a")})
			return c
		}
	}
	return ff.OnAny(keys...)
}

func (w *world) createWaitpoint() {
	c, ok := w.grant()
	if !ok {
		return
	}
	held := w.holds(c)
	var res ff.WaitpointGrant
	op, err := w.rules.CreateWaitpoint(ff.CreateWaitpoint{
		ExecutionID: c.ExecutionID, Fence: c.Fence, WaitpointID: ff.NewWaitpointID(), Key: "k0", ExpiresIn: time.Duration(1+w.rng.IntN(4)) * time.Second,
	}, signingKey, &res)
	if err == nil {
		err = w.try(op, &res)
	}
	w.note("create a waitpoint of %s: %v", c.ExecutionID, err)
	if err == nil {
		if !held {
			w.broken("somebody without the lease made a waitpoint of %s", c.ExecutionID)
		}
		w.points = append(w.points, point{c.ExecutionID, res})
	}
}

// somePoint picks a waitpoint, the latest more often than others.
func (w *world) somePoint() (point, bool) {
	if n := len(w.points); n > 0 && w.rng.IntN(2) == 0 {
		return w.points[n-1], true
	}
	return pick(w, w.points)
}

// deliver sends a signal, with its token or a forged one, to a waitpoint that may be closed, or gone.
func (w *world) deliver() {
	p, ok := w.somePoint()
	if !ok {
		return
	}
	s := ff.Signal{ExecutionID: p.execution, WaitpointID: p.WaitpointID, Token: p.Token, SignalID: ff.NewSignalID()}
	s.Name, _ = pick(w, []string{"a", "b"})
	s.SourceIdentity, _ = pick(w, []string{"ann", "bob"})
	if w.rng.IntN(3) == 0 {
		s.IdempotencyKey, s.DedupTTL = fmt.Sprint(w.rng.IntN(3)), time.Second
	}
	forged := w.rng.IntN(5) == 0
	if forged {
		s.Token = ff.WaitpointToken("k1:" + strings.Repeat("0", 64))
	}
	before, was := w.member(p.execution), w.point(p)
	var res ff.SignalResult
	op, err := w.rules.DeliverSignal(s, signingKeys, &res)
	if err != nil {
		w.broken("deliver: %v", err)
	}
	err = w.try(op, nil) // a repeat is told that it is one
	w.note("signal %s of %s, forged: %t: %+v %v", s.Name, p.execution, forged, res, err)
	switch {
	case err != nil:
		return
	case forged:
		w.broken("a forged token was accepted")
	case was.State == ff.WaitpointClosed && !res.Duplicate:
		w.broken("a closed waitpoint took a signal: %+v", was)
	case res.Effect == ff.EffectResumed && (before.State.Phase != ff.PhaseSuspended || w.member(p.execution).State.Phase != ff.PhaseRunnable):
		w.broken("the signal resumed what was %s and is %s", before.State, w.member(p.execution).State)
	}
}

// point reads a waitpoint; nil for none.
func (w *world) point(p point) *record.Waitpoint {
	key := record.WaitpointKey{ExecutionID: p.execution, WaitpointID: p.WaitpointID}
	tx, err := w.disk.View(w.Context(), store.Reads{Records: []record.Key{key}})
	if err != nil {
		w.broken("view: %v", err)
	}
	return store.Get[*record.Waitpoint](tx, key)
}

func (w *world) closeWaitpoint() {
	p, ok := w.somePoint()
	if !ok {
		return
	}
	var res ff.CloseResult
	op, err := w.rules.CloseWaitpoint(ff.CloseWaitpoint{ExecutionID: p.execution, WaitpointID: p.WaitpointID}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("close a waitpoint of %s: %v", p.execution, err)
}

func (w *world) resume() {
	if id, ok := pick(w, w.members); ok {
		w.note("resume %s: %v", id, w.wake(id))
	}
}

// wake resumes an execution as an operator does.
func (w *world) wake(id ff.ExecutionID) error {
	var res ff.ResumeResult
	op, err := w.rules.Resume(ff.ResumeExecution{ExecutionID: id, Delay: time.Duration(w.rng.IntN(2)) * 300 * time.Millisecond}, &res)
	if err != nil {
		return err
	}
	return w.try(op, nil)
}

func (w *world) recordStep() {
	c, ok := w.grant()
	if !ok {
		return
	}
	cmd := ff.RecordStep{ExecutionID: c.ExecutionID, Fence: c.Fence, Name: fmt.Sprint("s", w.rng.IntN(3)), Result: []byte("x")}
	if w.rng.IntN(3) == 0 {
		cmd.Result, cmd.Error, cmd.Category = nil, "no", ff.FailureTransient
	}
	held := w.holds(c)
	var memo ff.StepMemo
	op, err := w.rules.RecordStep(cmd, &memo)
	if err != nil {
		w.broken("record step: %v", err)
	}
	err = w.try(op, nil) // a repeat is told that it is one
	w.note("record step %s of %s: %v", cmd.Name, c.ExecutionID, err)
	if held == (err != nil) && !errors.Is(err, errLost) {
		w.broken("who records a step holds the lease: %t; the answer is %v", held, err)
	}
}
