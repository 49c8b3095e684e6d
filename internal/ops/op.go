package ops

import (
	"encoding/binary"
	"errors"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Op is one operation, ready to be committed.
type Op struct {
	store.Unit
	name    string
	refused error
	yields  bool // it ends the lease: what follows from that is read at once with the rest
}

func (o *Op) yielding() *Op {
	o.yields = true
	return o
}

// Outcome is the operation's error once its unit was applied: the unit's own, or a refusal that came with a commit of what
// time had done to the execution.
func (o *Op) Outcome() error {
	err := o.Err
	if err == nil {
		err = o.refused
	}
	return named(o.name, err)
}

// named gives an engine error the name of the operation it failed.
func named(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *ff.Error
	if errors.As(err, &e) && e.Op == "" {
		n := *e
		n.Op = op
		return &n
	}
	return err
}

// rule decides on one execution. att is its current attempt as stored, if the operation asked for it.
type rule func(e *record.Execution, att *record.Attempt, now ff.Timestamp) (lifecycle.Change, error)

// graphRule is a rule that also looks at what the execution depends on, and may return [store.Tx.Need].
type graphRule func(tx *store.Tx, e *record.Execution, att *record.Attempt) (lifecycle.Change, error)

// onExecution is an operation on one execution that needs to know nothing else.
func (r Rules) onExecution(name string, id ff.ExecutionID, withAttempt bool, decide rule) *Op {
	return r.onMember(name, id, withAttempt, func(tx *store.Tx, e *record.Execution, att *record.Attempt) (lifecycle.Change, error) {
		return decide(e, att, tx.Now())
	})
}

// onMember is an operation on one execution. What time alone has done to the execution comes first, whether or not the
// due loop was there already, and is written even if the operation is then refused: so no answer depends on when the loop
// looks (F5).
func (r Rules) onMember(name string, id ff.ExecutionID, withAttempt bool, decide graphRule) *Op {
	op := &Op{name: name}
	op.Unit = store.Unit{
		Partition: id.Partition(),
		Order:     orderOf(id),
		Reads:     store.Reads{Executions: []ff.ExecutionID{id}},
		Decide: func(tx *store.Tx) error {
			op.refused = nil
			e := tx.Execution(id)
			if e == nil {
				return notFound(id)
			}
			due := lifecycle.Due(e, tx.Now())
			var att *record.Attempt
			if withAttempt || due && lifecycle.NeedsAttempt(e) {
				key := record.AttemptKey{ExecutionID: id, Index: e.AttemptIndex}
				if !tx.HasAttempt(key) {
					return tx.Need(store.Reads{Attempts: []record.AttemptKey{key}})
				}
				att = tx.Attempt(key)
			}
			e = lifecycle.Normalize(e, att)
			ticked := false
			if due {
				ch, err := lifecycle.Tick(e, att, tx.Now())
				if err != nil {
					return err
				}
				if ch.Execution != nil {
					if err := r.finish(tx, ch); err != nil {
						return err
					}
					e, ticked = ch.Execution, true
				}
				if ch.Attempt != nil {
					att = ch.Attempt
				}
			}
			ch, err := decide(tx, e, att)
			if err != nil && ticked && !store.IsNeed(err) {
				op.refused = err
				return nil
			}
			if err != nil {
				return err
			}
			return r.finish(tx, ch)
		},
	}
	return op
}

// finish writes changes that may end their executions, and carries on what follows from that in the flows these are of.
func (r Rules) finish(tx *store.Tx, changes ...lifecycle.Change) error {
	if err := needWaits(tx, leaving(tx, changes)); err != nil {
		return err
	}
	var ended []*record.Execution
	for _, ch := range changes {
		if ch.Execution == nil {
			continue
		}
		before := tx.Execution(ch.Execution.ID)
		lifecycle.Retain(&ch, r.retention())
		apply(tx, ch)
		if !ch.Execution.FlowID.IsZero() && ch.Execution.State.Finished() && !before.State.Finished() {
			ended = append(ended, ch.Execution)
		}
	}
	return r.follow(tx, ended)
}

// apply writes a change, closes what the execution waited for if that is over by it, and takes back what its lease held of
// budgets and quotas: [needWaits] has read all that.
func apply(tx *store.Tx, ch lifecycle.Change) {
	if ch.Execution == nil {
		return
	}
	before := tx.Execution(ch.Execution.ID)
	closeWaits(tx, before, ch.Execution)
	releaseLimits(tx, before, ch.Execution)
	leaveGate(tx, before, ch.Execution)
	tx.PutExecution(ch.Execution)
	if ch.Attempt != nil {
		tx.PutAttempt(ch.Attempt)
	}
	tx.Append(ch.Events...)
}

func notFound(id ff.ExecutionID) error {
	return &ff.Error{Code: ff.CodeExecutionNotFound, Detail: id.String()}
}

// orderOf spreads executions over the commit queues by the random half of their UUIDs.
func orderOf(id ff.ExecutionID) uint64 {
	u := id.UUID()
	return binary.BigEndian.Uint64(u[8:])
}

// orderOfFlow puts all operations on the members of a flow into one commit queue.
func orderOfFlow(id ff.FlowID) uint64 { return binary.BigEndian.Uint64(id[8:]) }
