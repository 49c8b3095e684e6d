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

// onExecution is an operation on one execution. What time alone has done to the execution comes first, whether or not the
// due loop was there already, and is written even if the operation is then refused: so no answer depends on when the loop
// looks (F5).
func (r Rules) onExecution(name string, id ff.ExecutionID, withAttempt bool, decide rule) *Op {
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
					r.finish(tx, ch)
					e, ticked = ch.Execution, true
				}
				if ch.Attempt != nil {
					att = ch.Attempt
				}
			}
			ch, err := decide(e, att, tx.Now())
			if err != nil && ticked {
				op.refused = err
				return nil
			}
			if err != nil {
				return err
			}
			r.finish(tx, ch)
			return nil
		},
	}
	return op
}

// finish writes a change that may end its execution.
func (r Rules) finish(tx *store.Tx, ch lifecycle.Change) {
	lifecycle.Retain(&ch, r.retention())
	apply(tx, ch)
}

// apply writes a change.
func apply(tx *store.Tx, ch lifecycle.Change) {
	if ch.Execution == nil {
		return
	}
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
