package ops

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// inVector is an execution in a state: phase, ownership, eligibility, reason, outcome, attempt state.
func inVector(text string) *record.Execution {
	v := strings.Fields(text)
	return &record.Execution{
		ID: ff.SoloExecutionID("mail", ff.DefaultPartitions()), Lane: "mail", Namespace: "default", CreatedAt: t0, LastTransitionAt: t0,
		State: ff.StateVector{
			Phase: ff.Phase(v[0]), Ownership: ff.Ownership(v[1]), Eligibility: ff.Eligibility(v[2]), BlockingReason: ff.BlockingReason(v[3]),
			Outcome: ff.Outcome(v[4]), AttemptState: ff.AttemptState(v[5]),
		},
	}
}

// keep stores records of keyed families.
func (b *bench) keep(list ...record.Keyed) {
	b.Helper()
	u := &store.Unit{Partition: list[0].Key().Partition(), Decide: func(tx *store.Tx) error {
		for _, r := range list {
			tx.Put(r)
		}
		return nil
	}}
	for _, r := range list {
		u.Reads.Records = append(u.Reads.Records, r.Key())
	}
	if err := b.store.Apply(b.Context(), []*store.Unit{u}); err != nil {
		b.Fatal(err)
	}
	if u.Err != nil {
		b.Fatal(u.Err)
	}
}

func (b *bench) explain(e *record.Execution) ff.Explanation {
	b.Helper()
	x, err := b.Explain(b.Context(), b.store, e.ID)
	if err != nil {
		b.Fatal(err)
	}
	return x
}

// shortly is an explanation in short: the verdict, then each gate with the first letter of its state.
func shortly(x ff.Explanation) string {
	words := []string{string(x.Verdict) + ":"}
	for _, g := range x.Gates {
		words = append(words, string(g.Code)+"/"+string(g.State[:1]))
	}
	return strings.Join(words, " ")
}

func (b *bench) worker(lane ff.LaneID, capabilities ...string) {
	b.Helper()
	var res ff.RegisterResult
	id := ff.WorkerInstanceID(fmt.Sprintf("%s-%s", lane, strings.Join(capabilities, "-")))
	op, err := b.RegisterWorker(ff.RegisterWorker{
		WorkerID: "w", WorkerInstanceID: id, Lanes: []ff.LaneID{lane}, Capabilities: capabilities, LivenessTTL: time.Minute,
	}, &res)
	if err := b.apply(op, err); err != nil {
		b.Fatal(err)
	}
}

// TestExplain_EverySituation goes through chapter 10, section 2.5.
func TestExplain_EverySituation(t *testing.T) {
	for _, c := range []struct{ row, vector, want string }{
		{"1", "runnable unowned eligible_now waiting_for_worker none pending_first_attempt", "claimable: queue/o"},
		{"2", "runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt", "held: delay/c"},
		{"3", "runnable unowned blocked_by_dependencies waiting_for_children none pending_first_attempt", "held: dependencies/c"},
		{"4", "active leased not_applicable none none running_attempt", "running: lease_held/o"},
		{"5", "active lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted", "claimable: lease_expired/o queue/o"},
		{"6", "active lease_revoked not_applicable waiting_for_worker none attempt_interrupted", "claimable: lease_revoked/o queue/o"},
		{"7", "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt", "held: retry_backoff/c"},
		{"8", "runnable unowned eligible_now waiting_for_worker none pending_retry_attempt", "claimable: queue/o"},
		{"9", "runnable unowned not_eligible_until_time waiting_for_delay none attempt_interrupted", "held: delay/c"},
		{"10", "runnable unowned eligible_now waiting_for_worker none attempt_interrupted", "claimable: queue/o"},
		{"11", "runnable unowned blocked_by_dependencies waiting_for_children none attempt_interrupted", "held: dependencies/c"},
		{"12", "runnable unowned not_eligible_until_time waiting_for_resume_delay none attempt_interrupted", "held: delay/c"},
		{"13", "suspended unowned not_applicable waiting_for_signal none attempt_interrupted", "held: suspended/c"},
		{"13", "suspended unowned not_applicable waiting_for_tool_result none attempt_interrupted", "held: suspended/c"},
		{"14", "runnable unowned blocked_by_budget waiting_for_budget none pending_retry_attempt", "held: retry_backoff/c blocked_by_budget/c"},
		{"14", "runnable unowned blocked_by_quota waiting_for_quota none attempt_interrupted", "held: delay/c blocked_by_quota/c"},
		{"14", "runnable unowned blocked_by_route waiting_for_capable_worker none pending_first_attempt", "held: delay/c blocked_by_route/c"},
		{"14", "runnable unowned blocked_by_route waiting_for_locality_match none pending_first_attempt", "held: delay/c blocked_by_route/c"},
		{"14", "runnable unowned blocked_by_operator paused_by_operator none pending_first_attempt", "held: delay/c blocked_by_operator/c"},
		{"14", "runnable unowned blocked_by_operator paused_by_flow_cancel none pending_first_attempt", "held: delay/c blocked_by_operator/c"},
		{"14", "runnable unowned blocked_by_lane_state paused_by_policy none pending_first_attempt", "held: delay/c blocked_by_lane_state/c"},
		{"15", "runnable unowned eligible_now waiting_for_worker none pending_replay_attempt", "claimable: queue/o"},
		{"16", "runnable unowned blocked_by_dependencies waiting_for_children none pending_replay_attempt", "held: dependencies/c"},
		{"17", "terminal unowned not_applicable none success attempt_terminal", "ended: ended/c"},
		{"17", "cancelled unowned not_applicable none cancelled attempt_terminal", "ended: ended/c"},
		{"18", "terminal unowned not_applicable none expired pending_first_attempt", "ended: ended/c"},
		{"19", "terminal unowned not_applicable none skipped none", "ended: ended/c"},
		{"20", "runnable unowned blocked_by_dependencies waiting_for_children none pending_retry_attempt", "held: dependencies/c"},
		{"none", "submitted leased eligible_now none none none", "held: lease_held/o illegal_state/c"},
		{"none", "active unowned not_applicable none none running_attempt", "held: illegal_state/c"},
	} {
		b := newBench(t)
		b.worker("mail")
		e := inVector(c.vector)
		e.DelayUntil, e.LeaseExpiresAt = t0+1000, t0+1000
		e.Ready = lifecycle.Claimable(e, nil, t0)
		b.put(e)
		x := b.explain(e)
		if got := shortly(x); got != c.want {
			t.Errorf("row %s, %s: %s, want %s", c.row, c.vector, got, c.want)
		}
		if x.Replayable != (x.Verdict == ff.VerdictEnded) {
			t.Errorf("row %s: replayable is %t", c.row, x.Replayable)
		}
		for _, g := range x.Gates {
			if g.Detail == "" || g.State == ff.GateClosed && g.Release == "" && g.Code != ff.GateIllegalState {
				t.Errorf("row %s: gate %s has detail %q, release %q", c.row, g.Code, g.Detail, g.Release)
			}
			if (g.Code == ff.GateDelay || g.Code == ff.GateRetryBackoff || g.Code == ff.GateLeaseHeld) && g.At != t0+1000 {
				t.Errorf("row %s: gate %s opens at %d", c.row, g.Code, g.At)
			}
		}
	}
}

// memberBehind stores an execution as a member of a flow, with edges from upstreams, each of an outcome or open.
func (b *bench) memberBehind(e *record.Execution, g *record.Group, upstreams ...string) {
	b.Helper()
	flow := ff.NewFlowID()
	key := b.flowKey(flow)
	e.ID, e.FlowID = ff.FlowExecutionID(flow, b.Partitions), flow
	list := []record.Keyed{&record.Flow{FlowKey: key, State: ff.FlowOpen, NodeCount: len(upstreams) + 1, Namespace: "default"}}
	if g != nil {
		g.GroupKey = groupKeyOf(key, e.ID)
		list = append(list, g)
	}
	for i, outcome := range upstreams {
		up := inVector("runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
		up.ID, up.FlowID = ff.FlowExecutionID(flow, b.Partitions), flow
		up.Tags, up.Ready = map[string]string{ff.TagNode: fmt.Sprint("u", i)}, outcome == "open"
		edge := &record.Edge{
			EdgeKey:  record.EdgeKey{Home: key.Home, FlowID: flow, EdgeID: ff.EdgeID{byte(i + 1)}},
			Upstream: up.ID, Downstream: e.ID, DependencyKind: ff.SuccessOnly, State: ff.EdgeApplied, Applied: true,
		}
		if outcome != "open" {
			edge.Outcome, edge.ResolvedAt = ff.Outcome(outcome), t0
			up.State = ff.StateVector{
				Phase: "terminal", Ownership: "unowned", Eligibility: "not_applicable", BlockingReason: "none",
				Outcome: edge.Outcome, AttemptState: "attempt_terminal",
			}
		}
		b.put(up)
		list = append(list, edge)
	}
	b.keep(list...)
	b.put(e)
}

const behind = "runnable unowned blocked_by_dependencies waiting_for_children none pending_first_attempt"

// TestExplain_KeepsTheOrderOfTheEligibilityHelper goes through chapter 20, section 20.13: of each execution, all that comes
// later in the table holds, too, and the gate that is listed first stands for the status.
func TestExplain_KeepsTheOrderOfTheEligibilityHelper(t *testing.T) {
	impossible := func() *record.Group {
		return &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupImpossible, Fail: 1, Running: 1, Total: 2}
	}
	pending := func() *record.Group {
		return &record.Group{Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupPending, Running: 2, Total: 2}
	}
	for _, c := range []struct {
		status, vector string
		group          *record.Group
		first          ff.GateCode
	}{
		{"not_runnable", "terminal leased eligible_now none failed attempt_terminal", impossible(), ff.GateEnded},
		{"not_runnable", "suspended leased not_applicable waiting_for_signal failed attempt_interrupted", impossible(), ff.GateSuspended},
		{"owned", "runnable leased eligible_now waiting_for_worker failed running_attempt", impossible(), ff.GateLeaseHeld},
		{"owned", "runnable lease_revoked eligible_now waiting_for_worker failed running_attempt", impossible(), ff.GateLeaseRevoked},
		{"terminal", "runnable unowned eligible_now waiting_for_worker failed pending_first_attempt", impossible(), ff.GateIllegalState},
		{"impossible", behind, impossible(), ff.GateDependenciesImpossible},
		{"impossible", "runnable unowned eligible_now waiting_for_worker none pending_first_attempt", impossible(), ff.GateDependenciesImpossible},
		{"blocked_by_dependencies", behind, pending(), ff.GateDependencies},
		{"blocked_by_dependencies", "runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt", pending(), ff.GateDependencies},
		{"eligible", "runnable unowned eligible_now waiting_for_worker none pending_first_attempt", nil, ff.GateQueue},
	} {
		b := newBench(t)
		b.worker("mail")
		e := inVector(c.vector)
		e.LeaseExpiresAt, e.DelayUntil, e.Ready = t0+1000, t0+1000, c.status == "eligible"
		b.memberBehind(e, c.group, "open", "failed")
		x := b.explain(e)
		if len(x.Gates) == 0 || x.Gates[0].Code != c.first {
			t.Errorf("%s: %s, want %s first", c.status, shortly(x), c.first)
		}
		codes := make([]int, len(x.Gates))
		for i, g := range x.Gates {
			codes[i] = slices.Index(gateOrder, g.Code)
		}
		if !slices.IsSorted(codes) || slices.Contains(codes, -1) {
			t.Errorf("%s: gates out of order: %s", c.status, shortly(x))
		}
	}
	b := newBench(t)
	_, err := b.Explain(t.Context(), b.store, ff.SoloExecutionID("mail", b.Partitions))
	b.refused(err, ff.ErrExecutionNotFound)
}
