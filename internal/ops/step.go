package ops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// RecordStep remembers a step; out gets it as it is remembered. The unit writes one row and guards the execution.
func (r Rules) RecordStep(cmd ff.RecordStep, out *ff.StepMemo) (*Op, error) {
	if err := firstError(
		r.checkID(cmd.ExecutionID), ff.ValidateName("step name", cmd.Name), ff.ValidateText("step key", cmd.Key, ff.MaxNameBytes),
		checkBytes("result", cmd.Result, ff.MaxStepBytes), ff.ValidateText("encoding", cmd.Encoding, ff.MaxNameBytes),
		ff.ValidateText("error", cmd.Error, ff.MaxReasonBytes), ff.ValidateText("category", string(cmd.Category), ff.MaxNameBytes),
		checkSpan("for", cmd.For, 0, maxSpan),
	); err != nil {
		return nil, named("record step", err)
	}
	if cmd.Position < 0 || cmd.Position > maxPosition {
		return nil, named("record step", invalid("position", "must be between 0 and 2,147,483,647"))
	}
	cmd.Result = bytes.Clone(cmd.Result) // the record outlives the call
	key := record.StepKey{ExecutionID: cmd.ExecutionID, Name: cmd.Name, Occurrence: cmd.Key}
	op := r.onMember("record step", cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		if err := lifecycle.CheckHolder(e, cmd.Fence, tx.Now()); err != nil {
			return lifecycle.Change{}, err
		}
		s := store.Get[*record.Step](tx, key)
		repeated := s != nil && lifecycle.StepCounts(e, s)
		if !repeated {
			s = lifecycle.StepOf(e, key, &cmd, tx.Now())
			tx.Put(s)
		}
		tx.GuardExecution(e.ID)
		*out = memoOf(s)
		out.Repeated = repeated
		return lifecycle.Change{}, nil
	})
	op.Reads.Records = []record.Key{key}
	return op, nil
}

const maxPosition = 1<<31 - 1

func memoOf(s *record.Step) ff.StepMemo {
	return ff.StepMemo{
		Name: s.Name, Key: s.Occurrence, Position: s.Position, Result: s.Result, Encoding: s.Encoding, Error: s.Error, Category: s.Category,
		AttemptIndex: s.AttemptIndex, Epoch: s.Epoch, RecordedAt: s.RecordedAt, Until: s.Until,
	}
}

// stepCursor is where a list of steps goes on.
type stepCursor struct{ Name, Key string }

// ListSteps lists the steps of an execution that count.
func (r Rules) ListSteps(ctx context.Context, st store.Store, q ff.ListSteps) (ff.Page[ff.StepMemo], error) {
	page, err := r.listSteps(ctx, st, q)
	return page, named("list steps", err)
}

func (r Rules) listSteps(ctx context.Context, st store.Store, q ff.ListSteps) (ff.Page[ff.StepMemo], error) {
	var page ff.Page[ff.StepMemo]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(r.checkID(q.ExecutionID), checkLimit(limit)); err != nil {
		return page, err
	}
	var after stepCursor
	if q.After != "" {
		if err := json.Unmarshal([]byte(q.After), &after); err != nil {
			return page, invalid("after", "is not a cursor of this list")
		}
	}
	tx, err := st.View(ctx, store.Reads{Executions: []ff.ExecutionID{q.ExecutionID}})
	if err != nil {
		return page, err
	}
	e := tx.Execution(q.ExecutionID)
	if e == nil {
		return page, notFound(q.ExecutionID)
	}
	found, err := st.Records(ctx, store.RecordQuery{
		Family: record.Steps, After: record.StepKey{ExecutionID: q.ExecutionID, Name: after.Name, Occurrence: after.Key},
		Prefix: executionPrefix, Limit: limit,
	})
	if err != nil {
		return page, err
	}
	size := 0
	for i, rec := range found {
		s := rec.(*record.Step)
		if size += len(s.Result); lifecycle.StepCounts(e, s) {
			page.Items = append(page.Items, memoOf(s))
		}
		if size >= ff.MaxStepPageBytes || i == limit-1 {
			text, _ := json.Marshal(stepCursor{s.Name, s.Occurrence}) // texts: cannot fail
			page.Next = string(text)
			break
		}
	}
	return page, nil
}

// executionPrefix is how many parts of a key name its execution.
const executionPrefix = 2

// DropSteps forgets steps of an execution that has ended.
func (r Rules) DropSteps(id ff.ExecutionID, keys []record.Key) *Op {
	op := r.onMember("drop steps", id, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		if !e.State.Finished() {
			return lifecycle.Change{}, &ff.Error{Code: ff.CodeExecutionNotTerminal, Detail: "the execution is " + string(e.Public)}
		}
		for _, key := range keys {
			if tx.Record(key) != nil {
				tx.Delete(key)
			}
		}
		tx.GuardExecution(id)
		return lifecycle.Change{}, nil
	})
	op.Reads.Records = keys
	return op
}
