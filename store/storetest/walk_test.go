package storetest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

// walk applies random rules to random executions of a store.
type walk struct {
	*testing.T
	rand  *rand.Rand
	now   ff.Timestamp
	store *memory.Store
	done  map[string]int
}

// TestAudit_WhatTheRulesMakeIsSound walks at random through the rules of executions and audits after every step.
func TestAudit_WhatTheRulesMakeIsSound(t *testing.T) {
	done := make(map[string]int)
	for seed := range uint64(20) {
		w := &walk{T: t, rand: rand.New(rand.NewPCG(seed, 1)), now: now, done: done}
		w.store = memory.New(memory.Config{Shards: 2, Clock: func() ff.Timestamp { return w.now }})
		for step := range 150 {
			what := w.step()
			d, err := w.store.Dump(t.Context())
			if err != nil {
				t.Fatalf("dump: %v", err)
			}
			if v := storetest.Violations(d); len(v) > 0 {
				t.Fatalf("seed %d, step %d, after %s: %q", seed, step, what, v)
			}
		}
		if err := w.store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for _, want := range []string{"submit", "claim", "complete", "fail", "delay", "release", "cancel", "revoke", "replay", "tick", "trim"} {
		if done[want] < 10 {
			t.Errorf("the walk did %s %d times; it must go everywhere", want, done[want])
		}
	}
}

// step runs one rule on one execution. A rule that refuses writes nothing.
func (w *walk) step() string {
	w.now += ff.Timestamp(w.rand.IntN(40))
	n := byte(w.rand.IntN(6))
	x := ff.ExecutionIDFrom(uint16(n%2), uuid.UUID{15: n + 1})
	rule := []string{"trim", "submit", "claim", "claim", "claim", "complete", "fail", "fail", "delay", "release", "cancel", "revoke", "replay", "tick", "tick", "renew", "priority"}[w.rand.IntN(17)]
	if rule == "trim" {
		return w.trim()
	}
	u := &store.Unit{Partition: x.Partition(), Reads: store.Reads{Executions: []ff.ExecutionID{x}}}
	u.Decide = func(tx *store.Tx) error {
		e := tx.Execution(x)
		if e == nil || rule == "submit" {
			return w.submit(tx, x)
		}
		key := record.AttemptKey{ExecutionID: x, Index: e.AttemptIndex}
		if !tx.HasAttempt(key) {
			return tx.Need(store.Reads{Attempts: []record.AttemptKey{key}})
		}
		ch, err := w.decide(rule, e, tx.Attempt(key))
		if err != nil || ch.Execution == nil {
			return err
		}
		lifecycle.Retain(&ch, 100*time.Millisecond)
		tx.PutExecution(ch.Execution)
		if ch.Attempt != nil {
			tx.PutAttempt(ch.Attempt)
		}
		tx.Append(ch.Events...)
		return nil
	}
	if err := w.store.Apply(w.Context(), []*store.Unit{u}); err != nil {
		w.Fatalf("apply: %v", err)
	}
	if len(u.Wrote) > 0 {
		w.done[rule]++
	}
	return fmt.Sprintf("%s of %s (%v)", rule, x, u.Err)
}

func (w *walk) trim() string {
	gone, err := w.store.Trim(w.Context(), store.Trim{Limit: 1})
	if err != nil {
		w.Fatalf("trim: %v", err)
	}
	w.done["trim"] += gone.Executions
	return "trim"
}

func (w *walk) submit(tx *store.Tx, id ff.ExecutionID) error {
	if tx.Execution(id) != nil {
		return nil
	}
	cmd := &ff.Submit{ID: id, Lane: "mail", Kind: "send", Policy: ff.Retry(2, ff.FixedBackoff(30*time.Millisecond))}
	cmd.Policy.MaxReclaims = new(uint32(2))
	if w.rand.IntN(2) == 0 {
		cmd.Delay = 20 * time.Millisecond
	}
	if w.rand.IntN(2) == 0 {
		cmd.Policy.Routing = &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu"}}
	}
	if w.rand.IntN(2) == 0 {
		cmd.Policy.Timeouts = &ff.TimeoutPolicy{AttemptTimeoutMS: 50, OnAttemptTimeout: ff.TimeoutRetries, ExecutionDeadlineMS: 500}
	}
	if w.rand.IntN(2) == 0 {
		cmd.Policy.Aging = &ff.AgingPolicy{EveryMS: 10, Step: 5}
	}
	e := lifecycle.Submit(cmd, tx.Now())
	tx.PutExecution(e)
	if e.Route != 0 {
		tx.PutRoute(&record.Route{Lane: e.Lane, ID: e.Route, Capabilities: e.Capabilities, Partition: id.Partition()})
	}
	return nil
}

func (w *walk) decide(rule string, e *record.Execution, att *record.Attempt) (lifecycle.Change, error) {
	fence := ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex}
	var ch lifecycle.Change
	var err error
	switch rule {
	case "claim":
		if !lifecycle.Claimable(e, []string{"gpu"}, w.now) {
			return ch, nil
		}
		return lifecycle.Claim(e, lifecycle.Grant{
			WorkerID: "w", WorkerInstanceID: "w-1", Capabilities: []string{"gpu"}, LeaseID: ff.NewLeaseID(), AttemptID: ff.NewAttemptID(),
			TTL: 60 * time.Millisecond, Slot: w.rand.IntN(2) == 0,
		}, w.now)
	case "complete":
		return lifecycle.Complete(e, &ff.Complete{Fence: fence, Source: ff.SourceLeaseHolder}, w.now)
	case "fail":
		ch, _, err = lifecycle.Fail(e, &ff.Fail{Fence: fence, Source: ff.SourceLeaseHolder, Reason: "no", Category: ff.FailureTransient}, w.now)
	case "delay":
		ch, _, err = lifecycle.Delay(e, &ff.Delay{Fence: fence, Source: ff.SourceLeaseHolder, For: 30 * time.Millisecond}, w.now)
	case "release":
		return lifecycle.Release(e, &ff.Release{Fence: fence}, w.now)
	case "cancel":
		source := []ff.Source{ff.SourceWorker, ff.SourceOperatorOverride}[w.rand.IntN(2)]
		return lifecycle.Cancel(e, att, &ff.Cancel{Fence: fence, Source: source, Reason: "enough"}, w.now)
	case "revoke":
		ch, _, err = lifecycle.RevokeLease(e, att, &ff.RevokeLease{Reason: "operator"}, w.now)
	case "replay":
		return lifecycle.Replay(e, att, 0, &ff.Replay{Reason: "again"}, w.now)
	case "renew":
		return lifecycle.Renew(e, &ff.Renew{Fence: fence, TTL: 60 * time.Millisecond}, w.now)
	case "priority":
		ch, _, err = lifecycle.ChangePriority(e, &ff.ChangePriority{NewPriority: w.rand.IntN(20000) - 5000}, w.now)
	default:
		return lifecycle.Tick(e, att, w.now)
	}
	return ch, err
}
