package ops

import (
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// SubmitAlone creates executions on a store of one shard, in a caller's transaction: no engine stands before it, so it
// reads for itself whether the lanes take submissions, and registers every lane and route. results are in the order of
// cmds, once op was applied.
func (r Rules) SubmitAlone(cmds []ff.Submit) (op *Op, results func() []ff.SubmitResult, err error) {
	if len(cmds) > ff.MaxSubmitMany {
		return nil, nil, named("submit", &ff.Error{
			Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("%d commands in one call; at most %d are allowed", len(cmds), ff.MaxSubmitMany),
		})
	}
	subs, lanes := make([]*Submission, len(cmds)), make([]ff.LaneID, len(cmds))
	for i, cmd := range cmds {
		if subs[i], err = r.NewSubmission(cmd); err != nil {
			return nil, nil, fmt.Errorf("command %d: %w", i, err)
		}
		lanes[i] = cmd.Lane
	}
	op = r.Submit(subs, true, func(ff.LaneID, int64) bool { return false })
	keys := r.LaneKeys(lanes)
	op.Reads.Records = keys
	create := op.Decide
	op.Decide = func(tx *store.Tx) error {
		for i, lane := range lanes {
			if err := Admits(lane, store.Get[*record.Lane](tx, keys[i])); err != nil {
				return fmt.Errorf("command %d: %w", i, err)
			}
		}
		return create(tx)
	}
	results = func() []ff.SubmitResult {
		list := make([]ff.SubmitResult, len(subs))
		for i, sub := range subs {
			list[i] = sub.Result
		}
		return list
	}
	return op, results, nil
}

// Strict makes an operation write nothing at all when it is refused, not even what time has done to the execution.
func (o *Op) Strict() *Op {
	decide := o.Decide
	o.Decide = func(tx *store.Tx) error {
		o.Err = nil // of an earlier run
		if err := decide(tx); err != nil {
			return err
		}
		return o.Outcome()
	}
	return o
}
