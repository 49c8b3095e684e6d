package ops

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Submission is one submit on its way: the command with its defaults, and the answer.
type Submission struct {
	cmd    ff.Submit
	minted bool // the engine chose the id: nothing can be stored under it
	digest [32]byte
	// healing: the key was found in an earlier step, pointing at cmd.ID
	found  bool
	Result ff.SubmitResult
	// Scoped are the limits of its scopes, if they are known.
	Scoped Scoped
}

// Draft is as much of the execution as says which scopes it is in.
func (s *Submission) Draft() *record.Execution { return Draft(&s.cmd, ff.FlowID{}) }

// ID is the id the execution has or will get.
func (s *Submission) ID() ff.ExecutionID { return s.cmd.ID }

// Keyed reports whether the submission has an idempotency key, and where its record lives.
func (s *Submission) Keyed(cfg ff.PartitionConfig) (ff.Partition, bool) {
	if s.cmd.IdempotencyKey == "" {
		return ff.Partition{}, false
	}
	return cfg.OfKey(s.cmd.Namespace, s.cmd.IdempotencyKey), true
}

// NewSubmission validates a command and fills in its defaults.
func (r Rules) NewSubmission(cmd ff.Submit) (*Submission, error) {
	if err := r.checkSubmit(&cmd); err != nil {
		return nil, named("submit", err)
	}
	// The commit may outlive the call, and the record the commit: what the caller does with its memory then is its own.
	cmd.Payload, cmd.Tags, cmd.Policy = bytes.Clone(cmd.Payload), maps.Clone(cmd.Tags), cmd.Policy.Normalized()
	s := &Submission{cmd: cmd}
	if s.cmd.ID.IsZero() {
		s.cmd.ID, s.minted = ff.SoloExecutionID(cmd.Lane, r.Partitions), true
	}
	if cmd.IdempotencyKey != "" {
		s.digest = digestOf(&cmd)
	}
	return s, nil
}

// Submit creates executions that live on one shard, with their idempotency records if those live there too (withKeys).
// isKnown tells which routes are registered already, and by route 0 which lanes. A repeat is answered, not an error.
func (r Rules) Submit(list []*Submission, withKeys bool, isKnown func(ff.LaneID, int64) bool) *Op {
	op := &Op{name: "submit"}
	op.Partition, op.Order = list[0].cmd.ID.Partition(), orderOf(list[0].cmd.ID)
	for _, s := range list {
		op.Reads.Executions = append(op.Reads.Executions, s.cmd.ID)
		op.Reads.Records = append(op.Reads.Records, r.limitKeysOf(&s.cmd)...)
		if _, keyed := s.Keyed(r.Partitions); keyed && withKeys {
			op.Reads.Idempotency = append(op.Reads.Idempotency, s.key())
		}
	}
	op.Assume = func(ff.ExecutionID) (*record.Execution, bool) { return nil, true } // new, until the guard says otherwise
	op.Decide = func(tx *store.Tx) error {
		for _, s := range list {
			if withKeys && s.cmd.IdempotencyKey != "" && !s.reserve(tx, r) {
				continue
			}
			if err := s.create(tx, r, isKnown); err != nil {
				return err
			}
		}
		return nil
	}
	return op
}

// ReserveKey is the first of two steps when a key's record and its execution live on different shards: it maps the key
// to the execution that the second step creates. A crash in between leaves a mapping without execution, which the next
// submission with the key completes.
func (r Rules) ReserveKey(s *Submission) *Op {
	op := &Op{name: "submit"}
	op.Partition, _ = s.Keyed(r.Partitions)
	op.Order = uint64(op.Partition.Index)
	op.Reads.Idempotency = []record.IdempotencyKey{s.key()}
	op.Decide = func(tx *store.Tx) error {
		if !s.reserve(tx, r) && s.Result.Outcome == ff.Duplicate {
			s.found = true
		}
		return nil
	}
	return op
}

func (s *Submission) key() record.IdempotencyKey {
	return record.IdempotencyKey{Namespace: s.cmd.Namespace, Key: s.cmd.IdempotencyKey}
}

// reserve maps the key to the execution about to be created, or answers from the mapping that is there (I23), or refuses
// what comes too late to be created.
func (s *Submission) reserve(tx *store.Tx, r Rules) bool {
	old := tx.Idempotency(s.key())
	if old != nil && old.ExpiresAt > tx.Now() {
		s.Result = ff.SubmitResult{ID: old.ExecutionID, Outcome: ff.Duplicate}
		if old.Digest != s.digest {
			s.Result = ff.SubmitResult{Outcome: ff.Rejected, Err: &ff.Error{
				Code: ff.CodeIdempotencyConflict, Op: "submit",
				Detail: fmt.Sprintf("key %q was used for %s with another kind, lane, payload, policy or tags", s.cmd.IdempotencyKey, old.ExecutionID),
			}}
		}
		return false
	}
	if s.late(tx.Now()) {
		return false
	}
	window := min(s.cmd.Policy.DedupWindowOrDefault(), s.cmd.Policy.RetentionOr(r.retention()))
	rec := &record.Idempotency{
		Key: s.key(), Partition: r.Partitions.OfKey(s.cmd.Namespace, s.cmd.IdempotencyKey), ExecutionID: s.cmd.ID, Digest: s.digest,
		ExpiresAt: tx.Now().Add(window),
	}
	tx.PutIdempotency(rec)
	return true
}

// late refuses a submission whose deadline has passed. A repeat of one that got through in time is never asked.
func (s *Submission) late(now ff.Timestamp) bool {
	if err := lifecycle.CheckDeadline(&s.cmd, now); err != nil {
		s.Result = ff.SubmitResult{Outcome: ff.Rejected, Err: named("submit", err)}
		return true
	}
	return false
}

// create writes the execution unless it is there.
func (s *Submission) create(tx *store.Tx, r Rules, isKnown func(ff.LaneID, int64) bool) error {
	if tx.Execution(s.cmd.ID) != nil {
		s.Result = ff.SubmitResult{ID: s.cmd.ID, Outcome: ff.Duplicate}
		if s.minted && !s.found { // nobody else can have it: an earlier try of this call got through
			s.Result.Outcome = ff.Created
		}
		return nil
	}
	if s.late(tx.Now()) {
		return nil
	}
	e, err := r.underLimits(tx, lifecycle.Submit(&s.cmd, tx.Now()), s.Scoped)
	if store.IsNeed(err) {
		return err
	}
	if err != nil {
		s.Result = ff.SubmitResult{Outcome: ff.Rejected, Err: named("submit", err)}
		return nil
	}
	tx.PutExecution(e)
	r.register(tx, e, isKnown)
	s.Result = ff.SubmitResult{ID: s.cmd.ID, Outcome: ff.Created}
	if s.found { // it belongs to who mapped the key to it, and may be slower than this call
		s.Result.Outcome = ff.Duplicate
	}
	return nil
}

// register tells the store of the lane and the route of a new execution, if it may not know them.
func (r Rules) register(tx *store.Tx, e *record.Execution, isKnown func(ff.LaneID, int64) bool) {
	if !isKnown(e.Lane, 0) {
		tx.Register(r.newLane(e, tx.Now()))
	}
	if e.Route != 0 && !isKnown(e.Lane, e.Route) {
		tx.PutRoute(newRoute(e, tx.Now()))
	}
}

func newRoute(e *record.Execution, now ff.Timestamp) *record.Route {
	return &record.Route{Lane: e.Lane, ID: e.Route, Capabilities: e.Capabilities, Partition: e.ID.Partition(), SeenAt: now}
}

// RegisterRoute tells the store of the route of an execution again, which it had forgotten for want of work.
func (r Rules) RegisterRoute(e *record.Execution) *Op {
	op := &Op{name: "register route"}
	op.Partition = e.ID.Partition()
	op.Decide = func(tx *store.Tx) error {
		tx.PutRoute(newRoute(e, tx.Now()))
		return nil
	}
	return op
}

// FollowKey makes the second step create the execution the key already maps to, if a crash has kept the first submitter
// from it.
func (s *Submission) FollowKey() {
	if s.found {
		s.cmd.ID = s.Result.ID
	}
}

// digestOf covers what a repeat must have in common with the first submission. Empty and absent are the same.
func digestOf(cmd *ff.Submit) [32]byte {
	b, _ := json.Marshal(struct {
		Kind    string
		Lane    ff.LaneID
		Payload []byte            `json:",omitempty"`
		Policy  *ff.Policy        `json:",omitempty"`
		Tags    map[string]string `json:",omitempty"`
	}{cmd.Kind, cmd.Lane, cmd.Payload, cmd.Policy, cmd.Tags}) // validated: cannot fail
	return sha256.Sum256(b)
}
