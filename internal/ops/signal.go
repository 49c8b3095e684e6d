package ops

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/internal/waitpoint"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// maxSignalDelay bounds the delay a sender may ask for.
const maxSignalDelay = time.Hour

// DeliverSignal takes a signal in whose token is verified with keys; out gets the answer.
func (r Rules) DeliverSignal(cmd ff.Signal, keys Keys, out *ff.SignalResult) (*Op, error) {
	authorise := func(w *record.Waitpoint, _ *record.Execution) error { return waitpoint.Verify(keys, cmd.Token, w) }
	return r.deliver("deliver signal", cmd, authorise, out)
}

// Approve takes the signal of a person in whom the caller vouches for; out gets the answer.
func (r Rules) Approve(cmd ff.Approval, out *ff.SignalResult) (*Op, error) {
	const op = "approve"
	if err := firstError(ff.ValidateName("approver", cmd.Approver), cmd.Lane.Validate()); err != nil {
		return nil, named(op, err)
	}
	authorise := func(w *record.Waitpoint, e *record.Execution) error {
		if e.Lane != cmd.Lane {
			return invalid("lane_id", fmt.Sprintf("lane_mismatch: args.lane_id=%s exec_core.lane_id=%s", cmd.Lane, e.Lane))
		}
		if w == nil {
			return waitpoint.NotFound(cmd.WaitpointID)
		}
		return nil
	}
	return r.deliver(op, ff.Signal{
		ExecutionID: cmd.ExecutionID, WaitpointID: cmd.WaitpointID, Name: cmd.Name, Category: "approval", SourceType: "operator",
		SourceIdentity: cmd.Approver, Payload: cmd.Payload, DedupTTL: cmd.DedupTTL, TargetScope: "execution",
		IdempotencyKey: "approval:" + cmd.Name + ":" + cmp.Or(cmd.IdempotencySuffix, cmd.Approver),
	}, authorise, out)
}

type (
	// Key signs tokens and links.
	Key = waitpoint.Key
	// Keys finds the secrets that verify them.
	Keys = waitpoint.Keys
)

// TokenKid is the name of the key a token says it was signed with; empty for a malformed one.
func TokenKid(t ff.WaitpointToken) string { return waitpoint.KidOf(t) }

// LinkKid is the name of the key a link says it was signed with; empty for a malformed one.
func LinkKid(l ff.SignalLink) string { return waitpoint.LinkKid(l) }

// SignalByLink takes in the signal a link stands for, if it verifies with keys; now is about the storage time, out gets the
// answer.
func (r Rules) SignalByLink(cmd ff.SignalByLink, keys Keys, now ff.Timestamp, out *ff.SignalResult) (*Op, error) {
	const op = "follow link"
	l, err := waitpoint.OpenLink(keys, cmd.Link, now)
	if err != nil {
		return nil, named(op, err)
	}
	s := ff.Signal{
		ExecutionID: l.ExecutionID, WaitpointID: l.WaitpointID, Name: l.SignalName, Category: "approval", SourceType: "link",
		SourceIdentity: l.Source, Payload: cmd.Payload, Encoding: cmd.Encoding,
	}
	if l.SingleUse {
		s.IdempotencyKey, s.DedupTTL = "link:"+l.ID, ff.MaxDedup
		if l.ExpiresAt != 0 {
			s.DedupTTL = min(ff.MaxDedup, max(l.ExpiresAt.Sub(now), 0)+time.Minute)
		}
	}
	authorise := func(w *record.Waitpoint, _ *record.Execution) error {
		if w == nil {
			return &ff.Error{Code: ff.CodeInvalidToken, Detail: "the link's waitpoint is not there"}
		}
		return nil
	}
	return r.deliver(op, s, authorise, out)
}

func (r Rules) checkSignal(c *ff.Signal) error {
	c.Category, c.SourceType = cmp.Or(c.Category, "custom"), cmp.Or(c.SourceType, "external_api")
	c.Encoding, c.TargetScope = cmp.Or(c.Encoding, "json"), cmp.Or(c.TargetScope, "waitpoint")
	c.DedupTTL = cmp.Or(c.DedupTTL, ff.SignalDedup)
	if c.SignalID.IsZero() {
		c.SignalID = ff.NewSignalID()
	}
	for _, text := range []struct{ field, text string }{
		{"signal_category", c.Category},
		{"source_type", c.SourceType},
		{"source_identity", c.SourceIdentity},
		{"correlation_id", c.CorrelationID},
		{"idempotency_key", c.IdempotencyKey},
		{"payload_encoding", c.Encoding},
	} {
		if err := ff.ValidateText(text.field, text.text, ff.MaxNameBytes+len("approval:")+ff.MaxNameBytes); err != nil {
			return err
		}
	}
	if err := firstError(
		r.checkID(c.ExecutionID), ff.ValidateName("signal_name", c.Name), checkBytes("payload", c.Payload, ff.MaxSignalBytes),
		checkSpan("dedup_ttl", c.DedupTTL, time.Millisecond, ff.MaxDedup), checkInstant("created_at", c.CreatedAt),
	); err != nil {
		return err
	}
	switch {
	case c.Name == ff.OperatorOnlyName || c.Name == ff.TimeoutOnlyName:
		return invalid("signal_name", "is reserved")
	case c.TargetScope != "waitpoint" && c.TargetScope != "execution":
		return invalid("target_scope", "must be waitpoint or execution")
	case c.ResumeDelay != nil:
		return checkSpan("resume_delay", *c.ResumeDelay, 0, maxSignalDelay)
	}
	return nil
}

// deliver takes a signal in from whom authorise lets through.
func (r Rules) deliver(name string, cmd ff.Signal, authorise func(*record.Waitpoint, *record.Execution) error, out *ff.SignalResult) (*Op, error) {
	minted := cmd.SignalID.IsZero()
	if err := r.checkSignal(&cmd); err != nil {
		return nil, named(name, err)
	}
	cmd.Payload = bytes.Clone(cmd.Payload) // the record outlives the call
	d := delivery{cmd: cmd, authorise: authorise, out: out}
	op := r.onMember(name, cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		d.failed = nil
		return d.decide(tx, e)
	})
	op.Reads.Records = d.reads()
	if minted {
		op.Absent = func(key record.Key) bool { return key == record.Key(d.signalKey()) }
	}
	decide := op.Decide
	op.Decide = func(tx *store.Tx) error {
		err := decide(tx)
		if err == nil && d.failed != nil {
			op.refused = d.failed
		}
		return err
	}
	return op, nil
}

// delivery is a signal on its way.
type delivery struct {
	cmd       ff.Signal
	authorise func(*record.Waitpoint, *record.Execution) error
	out       *ff.SignalResult
	failed    error // its authority, which is noted with a commit
}

func (d *delivery) waitpointKey() record.WaitpointKey {
	return record.WaitpointKey{ExecutionID: d.cmd.ExecutionID, WaitpointID: d.cmd.WaitpointID}
}

func (d *delivery) signalKey() record.SignalKey {
	return record.SignalKey{ExecutionID: d.cmd.ExecutionID, SignalID: d.cmd.SignalID}
}

func (d *delivery) replyKey() record.ReplyKey {
	return record.ReplyKey{ExecutionID: d.cmd.ExecutionID, Scope: d.cmd.WaitpointID.String(), Key: d.cmd.IdempotencyKey}
}

func (d *delivery) reads() []record.Key {
	keys := []record.Key{suspensionKey(d.cmd.ExecutionID), d.waitpointKey(), d.signalKey()}
	if d.cmd.IdempotencyKey != "" {
		keys = append(keys, d.replyKey())
	}
	return keys
}

func (d *delivery) decide(tx *store.Tx, e *record.Execution) (lifecycle.Change, error) {
	none, now := lifecycle.Change{}, tx.Now()
	s, w := store.Get[*record.Suspension](tx, suspensionKey(e.ID)), store.Get[*record.Waitpoint](tx, d.waitpointKey())
	if err := d.authorise(w, e); err != nil {
		mark := waitpoint.AuthFailed(s, now)
		if mark == nil || !badToken(err) {
			return none, err
		}
		tx.Put(mark)
		d.failed = err
		return none, nil
	}
	if done, err := d.repeated(tx); done || err != nil {
		return none, err
	}
	got, err := waitpoint.Deliver(e, s, w, d.signal(now), e.Policy.MaxSignalsOrDefault(), now)
	if err != nil {
		return none, err
	}
	*d.out = ff.SignalResult{SignalID: got.Signal.SignalID, Effect: got.Signal.Effect}
	ch := none
	if got.Satisfied {
		if err := needWaits(tx, []*record.Execution{e}); err != nil {
			return none, err
		}
		delay := time.Duration(s.ResumeDelayMS) * time.Millisecond
		if d.cmd.ResumeDelay != nil {
			delay = *d.cmd.ResumeDelay
		}
		if ch, err = lifecycle.Resume(e, delay, "after signal "+d.cmd.Name, now); err != nil {
			return none, err
		}
	}
	d.write(tx, got)
	ev := lifecycle.Signalled(e, got.Signal)
	if ch.Execution == nil {
		tx.Append(ev)
	} else {
		ch.Events = append(ch.Events, ev)
	}
	return ch, nil
}

// badToken reports whether a signal was refused for its token. An operator's call is refused for other reasons.
func badToken(err error) bool {
	return errors.Is(err, ff.ErrInvalidToken) || errors.Is(err, ff.ErrMissingToken) || errors.Is(err, ff.ErrTokenExpired)
}

// write writes what a signal came to.
func (d *delivery) write(tx *store.Tx, got waitpoint.Delivered) {
	tx.Put(got.Waitpoint)
	tx.Put(got.Signal)
	if got.Satisfied {
		closeSuspension(tx, got.Suspension, waitpoint.Closing{
			Reason: ff.ClosedResumed, Trigger: ff.TriggerSignal, Actor: got.Signal.SourceIdentity, Closer: got.Signal.SignalID,
		})
	} else {
		tx.Put(got.Suspension)
	}
	if d.cmd.IdempotencyKey != "" {
		text, _ := json.Marshal(got.Signal.SignalID) // cannot fail
		tx.Put(&record.Reply{ReplyKey: d.replyKey(), Outcome: text, CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(d.cmd.DedupTTL)})
	}
}

// repeated recognises a signal that was accepted before, by its idempotency key or its id.
func (d *delivery) repeated(tx *store.Tx) (bool, error) {
	if d.cmd.IdempotencyKey != "" {
		if reply := store.Get[*record.Reply](tx, d.replyKey()); reply != nil && reply.ExpiresAt > tx.Now() {
			*d.out = ff.SignalResult{Duplicate: true}
			return true, json.Unmarshal(reply.Outcome, &d.out.SignalID)
		}
	}
	if sig := store.Get[*record.Signal](tx, d.signalKey()); sig != nil {
		*d.out = ff.SignalResult{Duplicate: true, SignalID: sig.SignalID}
		return true, nil
	}
	return false, nil
}

func (d *delivery) signal(now ff.Timestamp) record.Signal {
	return record.Signal{
		SignalKey: d.signalKey(), WaitpointID: d.cmd.WaitpointID, Name: d.cmd.Name, Category: d.cmd.Category,
		SourceType: d.cmd.SourceType, SourceIdentity: d.cmd.SourceIdentity, CorrelationID: d.cmd.CorrelationID,
		IdempotencyKey: d.cmd.IdempotencyKey, TargetScope: d.cmd.TargetScope, CreatedAt: cmp.Or(d.cmd.CreatedAt, now),
		Payload: d.cmd.Payload, Encoding: d.cmd.Encoding,
	}
}
