package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// known says of every lane that it is registered, or of none: an engine that has just started knows none.
func (w *world) known() func(ff.LaneID, int64) bool {
	yes := w.rng.IntN(2) == 0
	return func(ff.LaneID, int64) bool { return yes }
}

// steps are all that can happen, as often as they are named.
var steps = func() (all []func(*world)) {
	for _, s := range []struct {
		times int
		step  func(*world)
	}{
		{2, (*world).submitFlow},
		{1, (*world).growFlow},
		{14, (*world).claim},
		{10, (*world).claimSome},
		{6, (*world).reportUsage},
		{1, (*world).raise},
		{1, (*world).resetBudget},
		{1, (*world).releaseBudget},
		{14, (*world).report},
		{4, (*world).waitChildren},
		{6, (*world).suspend},
		{3, (*world).createWaitpoint},
		{10, (*world).deliver},
		{1, (*world).closeWaitpoint},
		{2, (*world).resume},
		{3, (*world).recordStep},
		{10, (*world).appendFrames},
		{1, (*world).cancel},
		{1, (*world).cancelFlow},
		{1, (*world).acknowledge},
		{2, (*world).replay},
		{1, (*world).revoke},
		{1, (*world).reorder},
		{1, (*world).block},
		{1, (*world).unblock},
		{2, (*world).stageEdge},
		{2, (*world).applyEdge},
		{6, (*world).pass},
		{10, (*world).carryOn},
		{2, (*world).crash},
		{1, (*world).trim},
	} {
		for range s.times {
			all = append(all, s.step)
		}
	}
	return all
}()

func pick[T any](w *world, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[w.rng.IntN(len(list))], true
}

// grant picks a lease, the latest more often than others.
func (w *world) grant() (ff.Claimed, bool) {
	if n := len(w.claims); n > 0 && w.rng.IntN(2) == 0 {
		return w.claims[n-1], true
	}
	return pick(w, w.claims)
}

// maxFlows bounds a world: its steps are audited, all of it each time.
const maxFlows = 3

func (w *world) submission() ff.Submit {
	retries, timeouts := uint32(w.rng.IntN(2)), &ff.TimeoutPolicy{}
	cmd := ff.Submit{Lane: lane, Kind: "k", Policy: &ff.Policy{
		Retry: &ff.RetryPolicy{MaxRetries: &retries, Backoff: &ff.Backoff{Type: ff.BackoffFixed, DelayMS: 300}}, Timeouts: timeouts,
		Limits: w.someLimits(),
	}}
	switch w.rng.IntN(16) {
	case 0, 1, 2:
		cmd.Delay = 500 * time.Millisecond
	case 3:
		timeouts.ExecutionDeadlineMS = 4000
	case 4:
		timeouts.AttemptTimeoutMS = 700
	case 5:
		timeouts.AttemptTimeoutMS, timeouts.OnAttemptTimeout = 700, ff.TimeoutRetries
	case 6:
		cmd.Policy.Retry.OnExhausted = ff.ExhaustedPauses
	}
	return cmd
}

func (w *world) nodes(prefix string, n int) []ff.FlowNode {
	nodes := make([]ff.FlowNode, n)
	for i := range nodes {
		node := ff.FlowNode{Name: fmt.Sprint(prefix, i), Submit: w.submission()}
		for j := range i {
			if w.rng.IntN(3) == 0 {
				node.After = append(node.After, nodes[j].Name)
			}
		}
		if n := len(node.After); n > 0 {
			if n > 1 && w.rng.IntN(4) == 0 {
				node.Required = node.After[:1]
			}
			if w.rng.IntN(4) == 0 {
				node.InputFrom = node.After[n-1]
			}
			node.Policy = w.policy(n - len(node.Required))
		}
		nodes[i] = node
	}
	return nodes
}

func (w *world) policy(edges int) ff.GroupPolicy {
	p := ff.GroupPolicy{OnSatisfied: ff.CancelRemaining}
	if w.rng.IntN(2) == 0 {
		p.OnSatisfied = ff.LetRun
	}
	switch w.rng.IntN(5) {
	case 0:
		return ff.GroupPolicy{Kind: ff.AllEnded}
	case 1:
		p.Kind = ff.AnyOf
	case 2:
		p.Kind, p.K = ff.Quorum, 1+w.rng.IntN(edges)
	default:
		return ff.GroupPolicy{Kind: ff.AllOf}
	}
	return p
}

func (w *world) submitFlow() {
	if len(w.flows) >= maxFlows {
		return
	}
	cmd := ff.SubmitFlow{FlowID: ff.NewFlowID(), Nodes: w.nodes("n", 1+w.rng.IntN(9))}
	s, err := w.rules.NewFlow(cmd)
	if err != nil {
		w.broken("new flow: %v", err)
	}
	w.note("submit flow %s of %d", s.ID, len(cmd.Nodes))
	if err := w.do(w.rules.SubmitFlow(s, w.known()), nil); err != nil {
		w.broken("submit flow: %v", err)
	}
	w.flows = append(w.flows, s.ID)
	for _, n := range cmd.Nodes {
		w.members = append(w.members, ff.NodeID(s.ID, n.Name, w.rules.Partitions))
	}
}

// growFlow makes a flow call by call, or adds a member to one.
func (w *world) growFlow() {
	id, ok := pick(w, w.flows)
	if !ok || len(w.flows) < maxFlows && w.rng.IntN(2) == 0 {
		id = ff.NewFlowID()
		var res ff.CreateFlowResult
		op, err := w.rules.CreateFlow(ff.CreateFlow{FlowID: id, Kind: "grown"}, &res)
		if err == nil {
			err = w.do(op, nil)
		}
		if err != nil {
			w.broken("create flow: %v", err)
		}
		w.flows = append(w.flows, id)
		w.note("create flow %s", id)
	}
	if len(w.members) > 30 {
		return
	}
	cmd := w.submission()
	cmd.ID = ff.FlowExecutionIDWith(id, w.rules.Partitions, uuid.New()) // not of version 7, which would tell the time
	s, err := w.rules.NewSubmission(cmd)
	if err == nil {
		err = w.do(w.rules.Submit([]*ops.Submission{s}, true, w.known()), nil)
	}
	if err != nil {
		w.broken("submit: %v", err)
	}
	var res ff.AddMemberResult
	op, err := w.rules.AddMember(ff.AddMember{FlowID: id, ExecutionID: cmd.ID}, &res)
	if err == nil {
		err = w.do(op, nil)
	}
	w.note("add %s: %v", cmd.ID, err)
	w.members = append(w.members, cmd.ID)
}

func (w *world) stageEdge() {
	up, ok := pick(w, w.members)
	if !ok {
		return
	}
	down, _ := pick(w, w.members)
	flow := w.member(up).FlowID
	cmd := ff.StageEdge{FlowID: flow, EdgeID: ff.NewEdgeID(), Upstream: up, Downstream: down, ExpectedRevision: 1}
	if f := w.flow(flow); f != nil && w.rng.IntN(8) > 0 { // else it is most likely wrong
		cmd.ExpectedRevision = f.GraphRevision
	}
	var res ff.StageEdgeResult
	op, err := w.rules.StageEdge(cmd, &res)
	if err == nil {
		err = w.do(op, nil)
	}
	w.note("stage %s -> %s: %v", up, down, err)
	if err == nil || errors.Is(err, errLost) {
		w.edges = append(w.edges, cmd)
	}
}

func (w *world) applyEdge() {
	if e, ok := pick(w, w.edges); ok {
		_ = w.apply(e)
	}
}

func (w *world) apply(e ff.StageEdge) error {
	var res ff.ApplyEdgeResult
	op, err := w.rules.ApplyEdge(ff.ApplyEdge{FlowID: e.FlowID, EdgeID: e.EdgeID, Upstream: e.Upstream, Downstream: e.Downstream}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("apply %s -> %s: %v", e.Upstream, e.Downstream, err)
	return err
}

// claim tries to get one that is ready, but does not insist.
func (w *world) claim() {
	id, ok := pick(w, w.members)
	for range 4 {
		if ok && !w.member(id).Ready {
			id, ok = pick(w, w.members)
		}
	}
	if !ok {
		return
	}
	var c ff.Claimed
	op, err := w.rules.ClaimExecution(ff.ClaimExecution{ExecutionID: id, LeaseTTL: leaseTTL}, &c)
	if err == nil {
		err = w.do(op, nil)
	}
	if err == nil {
		w.claims = append(w.claims, c)
		w.note("claim %s", id)
	}
}

// report is what a holder says of its work, or somebody who was the holder once. Only a holder changes anything.
func (w *world) report() {
	c, ok := w.grant()
	if !ok {
		return
	}
	before := w.member(c.ExecutionID)
	holds := before.State.Ownership == ff.Leased && before.LeaseID == c.Fence.LeaseID && before.Epoch == c.Fence.Epoch && w.now() < before.LeaseExpiresAt
	what, err := w.tell(c)
	w.note("%s %s (%s): %v", what, c.ExecutionID, before.Public, err)
	after := w.member(c.ExecutionID)
	if !holds && after.Result != nil && before.Result == nil {
		w.broken("somebody without the lease completed %s", c.ExecutionID)
	}
	if errors.Is(err, errLost) {
		return
	}
	if holds && err != nil {
		w.broken("the holder was refused: %v", err)
	}
	if holds && after.State.Ownership == ff.Leased && after.LeaseID == c.Fence.LeaseID {
		w.broken("after its holder's %s the execution is still leased: %s", what, after.State)
	}
}

func (w *world) tell(c ff.Claimed) (what string, err error) {
	var op *ops.Op
	var answer any
	switch w.rng.IntN(8) {
	case 0:
		var res ff.FailResult
		what, answer = "fail", &res
		op, err = w.rules.Fail(ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: ff.FailurePermanent}, &res)
	case 1:
		var res ff.FailResult
		what, answer = "fail for now", &res
		op, err = w.rules.Fail(ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: ff.FailureTransient}, &res)
	case 2:
		var until ff.Timestamp
		what, answer = "delay", &until
		op, err = w.rules.Delay(ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, Until: w.now().Add(400 * time.Millisecond)}, &until)
	case 3:
		what = "release"
		op, err = w.rules.Release(ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence})
	default:
		what = "complete"
		op, err = w.rules.Complete(ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte(`"ok"`)})
	}
	if err != nil {
		w.broken("%s: %v", what, err)
	}
	return what, w.try(op, answer)
}

func (w *world) waitChildren() {
	c, ok := w.grant()
	if !ok || len(w.members) > 30 {
		return
	}
	prefix := fmt.Sprint(c.ExecutionID.UUID(), "-")
	if w.rng.IntN(3) > 0 { // else they may be children it has waited for before
		prefix += fmt.Sprint(c.Fence.Epoch, "-")
	}
	cmd := ff.WaitChildren{ExecutionID: c.ExecutionID, Fence: c.Fence, Children: w.nodes(prefix, 1+w.rng.IntN(3))}
	for i := range cmd.Children {
		cmd.Children[i] = ff.FlowNode{Name: cmd.Children[i].Name, Submit: cmd.Children[i].Submit}
	}
	cmd.Policy = w.policy(len(cmd.Children))
	n, err := w.rules.NewChildren(cmd, w.member(c.ExecutionID))
	if err == nil {
		err = w.try(w.rules.WaitChildren(n, w.known()), nil)
	}
	w.note("wait for %d children of %s: %v", len(cmd.Children), c.ExecutionID, err)
	for _, child := range cmd.Children { // a repeat of a wait that has begun has no children of its own
		id := ff.NodeID(w.member(c.ExecutionID).FlowID, child.Name, w.rules.Partitions)
		if w.member(id) != nil && !slices.Contains(w.members, id) {
			w.members = append(w.members, id)
		}
	}
}

func (w *world) cancel() {
	id, ok := pick(w, w.members)
	if !ok {
		return
	}
	var res ff.CancelResult
	op, err := w.rules.Cancel(ff.Cancel{ExecutionID: id, Reason: "sim"}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("cancel %s: %v", id, err)
}

func (w *world) cancelFlow() {
	id, ok := pick(w, w.flows)
	if !ok || w.rng.IntN(4) > 0 {
		return
	}
	policy, _ := pick(w, []ff.CancellationPolicy{ff.CancelAll, ff.CancelPending, ff.FlowOnly})
	c := &ops.FlowCancel{FlowID: id, Policy: policy, Reason: "sim", By: ff.SourceCancelFlow}
	if w.rng.IntN(2) == 0 {
		c.By, c.Acked = ff.SourceCancelFlowHeader, true
	}
	op, err := w.rules.CancelFlow(c)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("cancel flow %s, %s, to be acknowledged: %t: %v", id, policy, c.Acked, err)
}

func (w *world) acknowledge() {
	id, ok := pick(w, w.members)
	if !ok {
		return
	}
	flow, _ := pick(w, w.flows)
	op, err := w.rules.AckCancelMember(ff.AckCancelMember{FlowID: flow, ExecutionID: id})
	if err == nil {
		err = w.try(op, nil)
	}
	if err != nil && !errors.Is(err, errLost) {
		w.broken("acknowledge: %v", err)
	}
}

func (w *world) replay() {
	id, ok := pick(w, w.members)
	if !ok {
		return
	}
	var res ff.ReplayResult
	op, err := w.rules.Replay(ff.Replay{ExecutionID: id, Reason: "sim"}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("replay %s: %v", id, err)
}

func (w *world) revoke() {
	id, ok := pick(w, w.members)
	if !ok {
		return
	}
	var res ff.RevokeResult
	op, err := w.rules.RevokeLease(ff.RevokeLease{ExecutionID: id}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("revoke %s: %v", id, err)
}

func (w *world) reorder() {
	id, ok := pick(w, w.members)
	if !ok {
		return
	}
	var res ff.ChangePriorityResult
	op, err := w.rules.ChangePriority(ff.ChangePriority{ExecutionID: id, NewPriority: w.rng.IntN(100)}, &res)
	if err == nil {
		err = w.try(op, nil)
	}
	w.note("reorder %s: %v", id, err)
}

func (w *world) block() {
	if id, ok := pick(w, w.members); ok {
		op, err := w.rules.Block(ff.Block{ExecutionID: id})
		if err == nil {
			err = w.try(op, nil)
		}
		w.note("block %s: %v", id, err)
	}
}

func (w *world) unblock() {
	if id, ok := pick(w, w.members); ok && (w.limits.passes || !waitsForLimit(w.member(id))) {
		w.note("unblock %s: %v", id, w.letGo(id))
	}
}

func (w *world) letGo(id ff.ExecutionID) error {
	op, err := w.rules.Unblock(ff.Unblock{ExecutionID: id})
	if err != nil {
		return err
	}
	return w.try(op, nil)
}

// trim removes what is kept no longer.
func (w *world) trim() {
	done, err := w.disk.Trim(w.Context(), store.Trim{EventsBefore: 1, Limit: 1 + w.rng.IntN(5)})
	w.note("trim: %+v %v", done, err)
	w.disk.changed = true
	there := func(id ff.ExecutionID) bool { return w.member(id) != nil }
	w.flows = slices.DeleteFunc(w.flows, func(id ff.FlowID) bool { return w.flow(id) == nil })
	w.members = slices.DeleteFunc(w.members, func(id ff.ExecutionID) bool { return !there(id) })
	w.claims = slices.DeleteFunc(w.claims, func(c ff.Claimed) bool { return !there(c.ExecutionID) })
	w.points = slices.DeleteFunc(w.points, func(p point) bool { return !there(p.execution) })
}

// pass lets time pass.
func (w *world) pass() {
	d, _ := pick(w, []time.Duration{time.Millisecond, 100 * time.Millisecond, 499 * time.Millisecond, leaseTTL, 3 * time.Second})
	w.time.Advance(d)
	w.note("%s pass", d)
}

// carryOn has the engine look at what is due. If a commit of it fails, the engine dies there, between two commits.
func (w *world) carryOn() {
	before := w.disk.faults
	_, err := w.engine.Step(w.Context())
	w.note("carry on: %v", err)
	if w.disk.faults > before {
		w.start()
		w.note("the engine has died of it")
	}
}

// crash ends the engine and starts another. Workers that die stop reporting: their claims are forgotten.
func (w *world) crash() {
	w.start()
	w.rng.Shuffle(len(w.claims), func(i, j int) { w.claims[i], w.claims[j] = w.claims[j], w.claims[i] })
	w.claims = w.claims[:w.rng.IntN(len(w.claims)+1)]
	w.note("crash")
}
