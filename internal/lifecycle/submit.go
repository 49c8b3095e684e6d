package lifecycle

import (
	"fmt"
	"hash/fnv"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// CheckDeadline refuses a submission that would be too late before it began.
func CheckDeadline(cmd *ff.Submit, now ff.Timestamp) error {
	if cmd.Deadline != 0 && cmd.Deadline <= now {
		return &ff.Error{
			Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("deadline is %d, now is %d: it has passed", cmd.Deadline, now),
			Attrs: map[string]string{"field": "deadline"},
		}
	}
	return nil
}

// Submit makes the record of a new execution (chapter 10, section 3.1). cmd has been validated and its defaults filled in;
// cmd.ID is set, and [CheckDeadline] has let it pass.
func Submit(cmd *ff.Submit, now ff.Timestamp) *record.Execution {
	capabilities := cmd.Policy.Capabilities()
	e := &record.Execution{
		ID: cmd.ID, Lane: cmd.Lane, Namespace: cmd.Namespace, Kind: cmd.Kind, Creator: cmd.Creator,
		Payload: cmd.Payload, PayloadEncoding: cmd.PayloadEncoding, Capabilities: capabilities, Route: RouteOf(capabilities),
		Tags: cmd.Tags, Policy: cmd.Policy, TraceParent: cmd.TraceParent, Priority: cmd.Priority,
		CreatedAt: now, LastTransitionAt: now, LastMutationAt: now, DeadlineAt: deadlineOf(cmd, now),
	}
	until := cmd.DelayUntil
	if cmd.Delay > 0 {
		until = now.Add(cmd.Delay)
	}
	e.State = newReady
	if until > now {
		e.State = newDelayed
		e.DelayUntil = until
		e.BlockingDetail = fmt.Sprintf("delayed until %d", until)
	}
	settle(e, now)
	return e
}

// SubmitMember is [Submit] for a member of a flow that, if it awaits its upstreams, may not run before they are decided.
func SubmitMember(cmd *ff.Submit, flow ff.FlowID, awaits bool, now ff.Timestamp) *record.Execution {
	e := Submit(cmd, now)
	e.FlowID, e.AwaitsUpstream = flow, awaits
	holdBack(e)
	settle(e, now)
	return e
}

// RouteOf names the route of a sorted capability set: 0 for none, else FNV-1a 64 of the set joined by commas.
func RouteOf(capabilities []string) int64 {
	if len(capabilities) == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.Join(capabilities, ","))) // never fails
	if sum := int64(h.Sum64()); sum != 0 {
		return sum
	}
	return 1
}
