package lifecycle

import (
	"fmt"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Block keeps a waiting execution from being claimed (chapter 10, section 3.6). Its attempt state and its delay stay. A
// block for the reason it is blocked for writes nothing. cmd.Reason is one that [CanBlock].
func Block(e *record.Execution, cmd *ff.Block, now ff.Timestamp) (Change, error) {
	switch {
	case e.State.Finished():
		return Change{}, notActive(e)
	case e.State.Phase != ff.PhaseRunnable || e.State.Eligibility == ff.BlockedByDependencies:
		return Change{}, &ff.Error{
			Code: ff.CodeExecutionNotEligible,
			Detail: fmt.Sprintf("only an execution that waits to be claimed, or for a time, can be blocked; this one is %s, %s",
				e.State.Phase, e.State.Eligibility),
		}
	case e.State.BlockingReason == cmd.Reason:
		return Change{}, nil
	}
	n, err := transition(e, OnBlock(cmd.Reason), now)
	if err != nil {
		return Change{}, err
	}
	n.BlockingDetail, n.LastOperatorAt = cmd.Detail, now
	settle(n, now)
	ev := operatorEvent(n, eventBlocked, map[string]any{"reason": string(cmd.Reason), "detail": cmd.Detail, "actor": cmd.Actor}, now)
	return Change{Execution: n, Events: []record.Event{ev}}, nil
}

// Unblock lets an execution go on that is blocked for the expected reason, whatever kind of block that is (W16): it is
// claimable, or waits for the rest of its delay.
func Unblock(e *record.Execution, cmd *ff.Unblock, now ff.Timestamp) (Change, error) {
	if e.State.Phase != ff.PhaseRunnable || !CanUnblock(e.State.BlockingReason) || e.State.BlockingReason != cmd.ExpectedReason {
		return Change{}, &ff.Error{
			Code:   ff.CodeExecutionNotEligible,
			Detail: fmt.Sprintf("it is %s with reason %s, not blocked for %s", e.State.Phase, e.State.BlockingReason, cmd.ExpectedReason),
		}
	}
	on := OnUnblock
	if e.DelayUntil > now {
		on = OnUnblockDelayed
	}
	n, err := transition(e, on, now)
	if err != nil {
		return Change{}, err
	}
	if on == OnUnblockDelayed {
		n.BlockingDetail = fmt.Sprintf("delayed until %d", n.DelayUntil)
	}
	n.LastOperatorAt = now
	if atGate(e.State) {
		pass(n)
	}
	settle(n, now)
	ev := operatorEvent(n, eventUnblocked, map[string]any{"reason": string(cmd.ExpectedReason), "actor": cmd.Actor}, now)
	return Change{Execution: n, Events: []record.Event{ev}}, nil
}

// CanUnblock reports whether an execution may be blocked for a reason, by whatever has done it.
func CanUnblock(reason ff.BlockingReason) bool { return slices.Contains(gateReasons, reason) }
