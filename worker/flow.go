package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowfabric/flowfabric"
)

// FlowID returns the flow the execution is a member of; unset outside flows.
func (t *Task) FlowID() flowfabric.FlowID { return t.claimed.FlowID }

// What [Output] may find instead of a result.
var (
	// ErrNotInFlow: the task is of no flow.
	ErrNotInFlow = errors.New("the execution is not a member of a flow")
	// ErrNotEnded: the other node has not ended yet. What a task depends on has.
	ErrNotEnded = errors.New("the node has not ended")
	// ErrEndedBadly: the other node failed, was cancelled or skipped, or expired.
	ErrEndedBadly = errors.New("the node has no result")
)

// Output returns the result of another node of the task's flow, by its name: JSON decoded into T; []byte and
// json.RawMessage as it is. The result is read when it is asked for, and stays where it is. It fails with [ErrNotInFlow],
// [flowfabric.ErrExecutionNotFound], [ErrNotEnded] or [ErrEndedBadly].
func Output[T any](ctx context.Context, t *Task, node string) (T, error) {
	var none T
	if t.FlowID().IsZero() {
		return none, ErrNotInFlow
	}
	r, err := t.session.svc.Result(ctx, flowfabric.NodeIDOn(t.ID().Partition(), t.FlowID(), node))
	switch {
	case err != nil:
		return none, fmt.Errorf("read the output of node %q: %w", node, err)
	case r.Outcome == flowfabric.OutcomeNone:
		return none, fmt.Errorf("read the output of node %q: %w", node, ErrNotEnded)
	case r.Outcome != flowfabric.OutcomeSuccess:
		return none, fmt.Errorf("read the output of node %q: %w: it ended as %s: %s", node, ErrEndedBadly, r.Outcome, r.FailureReason)
	case len(r.Payload) == 0:
		return none, nil
	}
	out, err := decode[T](r.Payload)
	if err != nil {
		return none, fmt.Errorf("read the output of node %q: %w", node, err)
	}
	return out, nil
}

// children is how a handler ends that waits for nodes it adds to its flow.
type children struct {
	policy flowfabric.GroupPolicy
	nodes  []flowfabric.FlowNode
}

func (c *children) Error() string { return fmt.Sprintf("waits for %d children", len(c.nodes)) }

// AwaitChildren makes the error by which a handler ends its run until children have ended: nodes of its flow, which are made
// unless they exist. The slot is free meanwhile. Then the same attempt continues: the handler runs again, from its beginning,
// with [Task.Resumed] true, and reads what they did with [Output]. The zero policy waits for all of them, however they end;
// under another one the execution is skipped if that can no longer be satisfied. Names are the flow's: begin them with
// something of the parent's own. It uses up no retry.
func AwaitChildren(policy flowfabric.GroupPolicy, nodes ...flowfabric.FlowNode) error {
	return &children{policy: policy, nodes: nodes}
}
