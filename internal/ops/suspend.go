package ops

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/internal/waitpoint"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// suspendScope is the scope of remembered suspends.
const suspendScope = "suspend"

// timeoutSlack is how far in the past the deadline of a suspend may be.
const timeoutSlack = 10 * time.Minute

// Suspend parks an execution; key signs tokens, out gets the answer.
func (r Rules) Suspend(cmd ff.Suspend, key Key, out *ff.Suspended) (*Op, error) {
	if err := firstError(r.checkID(cmd.ExecutionID), cmd.Validate()); err != nil {
		return nil, named("suspend", err)
	}
	s := suspend{Rules: r, cmd: cmd, key: key, out: out, digest: suspendDigest(cmd)}
	op := r.onMember("suspend", cmd.ExecutionID, false, s.decide).yielding()
	op.Reads.Records = s.reads()
	op.Absent = func(key record.Key) bool { return s.isNew(op, key) }
	return op, nil
}

// suspend is a suspend under way.
type suspend struct {
	Rules
	cmd    ff.Suspend
	key    Key
	digest []byte
	out    *ff.Suspended
}

// suspendDigest is of what must be equal for a repeat: all but what identifies the call and its caller.
func suspendDigest(cmd ff.Suspend) []byte {
	cmd.Fence, cmd.SuspensionID, cmd.IdempotencyKey = ff.Fence{}, ff.SuspensionID{}, ""
	bindings := make([]string, len(cmd.Waitpoints))
	for i, b := range cmd.Waitpoints {
		bindings[i] = b.Key
		if b.Pending {
			bindings[i] = b.WaitpointID.String()
		}
		if b.Key == "wpk:"+b.WaitpointID.String() { // minted
			bindings[i] = ""
		}
	}
	cmd.Waitpoints = nil
	text, _ := json.Marshal(struct { // validated: cannot fail
		ff.Suspend
		Bindings []string
	}{cmd, bindings})
	sum := sha256.Sum256(text)
	return sum[:]
}

func (s *suspend) replyKey() record.ReplyKey {
	return record.ReplyKey{ExecutionID: s.cmd.ExecutionID, Scope: suspendScope, Key: s.cmd.IdempotencyKey}
}

func (s *suspend) reads() []record.Key {
	keys := []record.Key{suspensionKey(s.cmd.ExecutionID)}
	for _, b := range s.cmd.Waitpoints {
		keys = append(keys, record.WaitpointKey{ExecutionID: s.cmd.ExecutionID, WaitpointID: b.WaitpointID})
	}
	if s.cmd.IdempotencyKey != "" {
		keys = append(keys, s.replyKey())
	}
	return keys
}

// isNew reports whether a record that the suspend reads can be taken to be absent: it is not if this is a repeat.
func (s *suspend) isNew(op *Op, key record.Key) bool {
	switch key := key.(type) {
	case record.SuspensionKey:
		if op.Assume == nil {
			return false
		}
		e, known := op.Assume(key.ExecutionID)
		return known && e != nil && e.SuspensionID.IsZero()
	case record.WaitpointKey:
		return slices.ContainsFunc(s.cmd.Waitpoints, func(b ff.WaitpointBinding) bool { return b.WaitpointID == key.WaitpointID && !b.Pending })
	default: // the remembered answer
		return true
	}
}

func (s *suspend) decide(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
	none := lifecycle.Change{}
	if done, err := s.remembered(tx); done || err != nil {
		return none, err
	}
	repeats := s.repeats(tx)
	if repeats && !s.out.AlreadySatisfied {
		return none, nil
	}
	now := tx.Now() // that a lease is still held is said to its holder alone
	if err := lifecycle.CheckHolder(e, s.cmd.Fence, now); err != nil || repeats {
		return none, err
	}
	cmd := s.cmd
	until, err := s.deadline(e, &cmd, now)
	if err != nil {
		return none, err
	}
	bound := s.bound(tx)
	opened, err := waitpoint.Open(s.key, store.Get[*record.Suspension](tx, suspensionKey(e.ID)), bound, &cmd, e.AttemptIndex, until, now)
	if err != nil {
		return none, err
	}
	for _, w := range opened.Waitpoints {
		tx.Put(w)
	}
	*s.out = ff.Suspended{AlreadySatisfied: opened.Suspension == nil, SuspensionID: cmd.SuspensionID, Waitpoints: grants(opened.Waitpoints)}
	s.remember(tx, until)
	if opened.Suspension == nil {
		tx.GuardExecution(e.ID)
		return none, nil
	}
	tx.Put(opened.Suspension)
	return lifecycle.Suspend(e, lifecycle.Suspension{
		ID: cmd.SuspensionID, Waitpoint: cmd.Waitpoints[0].WaitpointID, Reason: cmd.Reason, Until: until, OnTimeout: cmd.TimeoutBehavior,
	}, now)
}

// bound are the records of the bindings as they are stored.
func (s *suspend) bound(tx *store.Tx) []*record.Waitpoint {
	list := make([]*record.Waitpoint, len(s.cmd.Waitpoints))
	for i, b := range s.cmd.Waitpoints {
		list[i] = store.Get[*record.Waitpoint](tx, record.WaitpointKey{ExecutionID: s.cmd.ExecutionID, WaitpointID: b.WaitpointID})
	}
	return list
}

// deadline is when the suspension ends by itself; what is left open is as the policy says.
func (s *suspend) deadline(e *record.Execution, cmd *ff.Suspend, now ff.Timestamp) (ff.Timestamp, error) {
	span, behavior := e.Policy.SuspensionTimeout()
	cmd.TimeoutBehavior = cmp.Or(cmd.TimeoutBehavior, behavior)
	switch {
	case cmd.TimeoutAt != 0 && cmd.TimeoutAt.Add(timeoutSlack) < now:
		return 0, &ff.Error{Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("timeout_at_in_past: %d; now is %d", cmd.TimeoutAt, now)}
	case cmd.TimeoutAt != 0:
		return cmd.TimeoutAt, nil
	case cmd.Timeout != 0:
		return now.Add(cmd.Timeout), nil
	case span != 0:
		return now.Add(span), nil
	default:
		return 0, nil
	}
}

// remembered gives the first answer again to a repeat with the same idempotency key.
func (s *suspend) remembered(tx *store.Tx) (bool, error) {
	if s.cmd.IdempotencyKey == "" {
		return false, nil
	}
	reply := store.Get[*record.Reply](tx, s.replyKey())
	if reply == nil || reply.ExpiresAt <= tx.Now() {
		return false, nil
	}
	if string(reply.Digest) != string(s.digest) {
		return false, &ff.Error{Code: ff.CodeIdempotencyConflict, Detail: "another suspend had the same idempotency key"}
	}
	return true, json.Unmarshal(reply.Outcome, s.out)
}

// repeats recognises a repeat by the id of the suspension, to which its waitpoints are bound, and gives the first answer
// again. If that suspension is not the last, it was satisfied at once, or it is long over.
func (s *suspend) repeats(tx *store.Tx) bool {
	bound := s.bound(tx)
	for _, w := range bound {
		if w == nil || w.SuspensionID != s.cmd.SuspensionID {
			return false
		}
	}
	last := store.Get[*record.Suspension](tx, suspensionKey(s.cmd.ExecutionID))
	*s.out = ff.Suspended{
		AlreadySatisfied: last == nil || last.SuspensionID != s.cmd.SuspensionID, SuspensionID: s.cmd.SuspensionID, Waitpoints: grants(bound),
	}
	return true
}

// remember keeps the answer for repeats with the same idempotency key.
func (s *suspend) remember(tx *store.Tx, until ff.Timestamp) {
	if s.cmd.IdempotencyKey == "" {
		return
	}
	text, _ := json.Marshal(s.out) // texts and ids: cannot fail
	keep := ff.MaxDedup
	if until != 0 {
		keep = min(max(until.Sub(tx.Now()), 0)+time.Minute, keep)
	}
	reply := &record.Reply{ReplyKey: s.replyKey(), Digest: s.digest, Outcome: text, CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(keep)}
	tx.Put(reply)
}

func grants(list []*record.Waitpoint) []ff.WaitpointGrant {
	out := make([]ff.WaitpointGrant, len(list))
	for i, w := range list {
		out[i] = ff.WaitpointGrant{WaitpointID: w.WaitpointID, Key: w.Name, Token: w.Token}
	}
	return out
}

// CreateWaitpoint makes a waitpoint for a later suspend; key signs its token, out gets it.
func (r Rules) CreateWaitpoint(cmd ff.CreateWaitpoint, key Key, out *ff.WaitpointGrant) (*Op, error) {
	minted := cmd.WaitpointID.IsZero()
	if minted {
		cmd.WaitpointID = ff.NewWaitpointID()
	}
	cmd.Key = cmp.Or(cmd.Key, "wpk:"+cmd.WaitpointID.String())
	if err := firstError(
		r.checkID(cmd.ExecutionID), ff.ValidateName("waitpoint_key", cmd.Key), checkSpan("expires_in", cmd.ExpiresIn, time.Millisecond, maxSpan),
	); err != nil {
		return nil, named("create waitpoint", err)
	}
	id := record.WaitpointKey{ExecutionID: cmd.ExecutionID, WaitpointID: cmd.WaitpointID}
	op := r.onMember("create waitpoint", cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		if err := lifecycle.CheckHolder(e, cmd.Fence, tx.Now()); err != nil {
			return lifecycle.Change{}, err
		}
		w := store.Get[*record.Waitpoint](tx, id)
		switch {
		case w != nil && (w.Name != cmd.Key):
			return lifecycle.Change{}, &ff.Error{Code: ff.CodeWaitpointAlreadyExists, Detail: fmt.Sprintf("%s has the key %q", w.WaitpointID, w.Name)}
		case w == nil:
			w = waitpoint.New(key, id, cmd.Key, e.AttemptIndex, tx.Now().Add(cmd.ExpiresIn), tx.Now())
			tx.Put(w)
		}
		tx.GuardExecution(e.ID)
		*out = grants([]*record.Waitpoint{w})[0]
		return lifecycle.Change{}, nil
	})
	op.Reads.Records = []record.Key{id}
	return op, nil
}

// CloseWaitpoint closes a waitpoint.
func (r Rules) CloseWaitpoint(cmd ff.CloseWaitpoint, out *ff.CloseResult) (*Op, error) {
	cmd.Reason = cmp.Or(cmd.Reason, ff.ClosedProactively)
	if err := firstError(
		r.checkID(cmd.ExecutionID), ff.ValidateText("reason", cmd.Reason, ff.MaxReasonBytes), ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes),
	); err != nil {
		return nil, named("close waitpoint", err)
	}
	id := record.WaitpointKey{ExecutionID: cmd.ExecutionID, WaitpointID: cmd.WaitpointID}
	op := &Op{name: "close waitpoint"}
	op.Partition, op.Order = cmd.ExecutionID.Partition(), orderOf(cmd.ExecutionID)
	op.Reads.Records = []record.Key{id}
	op.Decide = func(tx *store.Tx) error {
		w := store.Get[*record.Waitpoint](tx, id)
		if w == nil {
			return waitpoint.NotFound(cmd.WaitpointID)
		}
		if *out = (ff.CloseResult{AlreadyClosed: w.State == ff.WaitpointClosed}); !out.AlreadyClosed {
			tx.Put(waitpoint.CloseOne(w, cmd.Reason, tx.Now()))
		}
		return nil
	}
	return op, nil
}

// Resume resumes a suspended execution for an operator; out gets its public state.
func (r Rules) Resume(cmd ff.ResumeExecution, out *ff.ResumeResult) (*Op, error) {
	cmd.Trigger = cmp.Or(cmd.Trigger, ff.TriggerOperator)
	if err := firstError(
		r.checkID(cmd.ExecutionID), checkSpan("resume_delay", cmd.Delay, 0, maxSpan),
		ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes), ff.ValidateText("reason", cmd.Reason, ff.MaxReasonBytes),
	); err != nil {
		return nil, named("resume", err)
	}
	switch cmd.Trigger {
	case ff.TriggerOperator, ff.TriggerSignal, ff.TriggerAutoResume:
	default:
		return nil, named("resume", invalid("trigger", "is not known"))
	}
	op := r.onMember("resume", cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		ch, err := lifecycle.Resume(e, cmd.Delay, "", tx.Now())
		if err != nil {
			return ch, err
		}
		if err := needWaits(tx, []*record.Execution{e}); err != nil {
			return ch, err
		}
		if s := store.Get[*record.Suspension](tx, suspensionKey(e.ID)); s.Open() {
			n := *s
			n.Matched = nil // an operator's word stands for them: the worker is told of no signals
			closeSuspension(tx, &n, waitpoint.Closing{Reason: ff.ClosedResumed, Trigger: cmd.Trigger, Actor: cmd.Actor, Detail: cmd.Reason})
		}
		*out = ff.ResumeResult{PublicState: ch.Execution.Public}
		ch.Events = append(ch.Events, lifecycle.Resumed(ch.Execution, &cmd, tx.Now()))
		return ch, nil
	})
	op.Reads.Records = []record.Key{suspensionKey(cmd.ExecutionID)}
	op.Once = true // a repeat finds it resumed
	return op, nil
}
