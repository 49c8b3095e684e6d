package graph

import (
	"bytes"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// NewGroup is the group of a member without edges.
func NewGroup(key record.GroupKey) *record.Group {
	return &record.Group{GroupKey: key, Policy: ff.GroupPolicy{Kind: ff.AllOf}, State: ff.GroupPending}
}

// Tally is what is counted of the edges of a group.
type Tally struct {
	Total, Success, Negative  int // of all edges
	Required, RequiredSuccess int // of those the policy does not decide over
}

// TallyOf counts a group. Rows written by hand may not say how many edges there are: then it is those counted.
func TallyOf(g *record.Group) Tally {
	t := Tally{Total: g.Total, Success: g.Success, Negative: g.Fail + g.Skip, Required: g.Required, RequiredSuccess: g.RequiredSuccess}
	if t.Total == 0 {
		t.Total = g.Success + g.Fail + g.Skip + g.Running
	}
	return t
}

// Evaluate decides over the edges of a group (chapter 20, section 20.10). That a required edge failed is not in the tally:
// [Resolve] decides it. A policy of unknown kind is never decided.
func Evaluate(p ff.GroupPolicy, t Tally) ff.GroupState {
	n, success, negative := t.Total-t.Required, t.Success-t.RequiredSuccess, t.Negative
	satisfied, impossible := false, false
	switch p.Kind {
	case ff.AllOf, "":
		satisfied, impossible = success == n, negative >= 1
	case ff.AnyOf:
		satisfied, impossible = success >= 1, negative >= n
	case ff.Quorum:
		satisfied, impossible = success >= p.K, n >= p.K && negative > n-p.K
	case ff.AllEnded:
		satisfied = success+negative >= n
	}
	switch {
	case t.Total == 0:
		return ff.GroupPending
	case satisfied && t.RequiredSuccess == t.Required:
		return ff.GroupSatisfied
	case impossible && n > 0:
		return ff.GroupImpossible
	default:
		return ff.GroupPending
	}
}

// Resolved reports whether the end of an edge's upstream has been counted for its group, or no longer counts.
func Resolved(e *record.Edge, g *record.Group) bool {
	return e.Wave != g.Wave || e.ResolvedAt != 0 && (e.Outcome == ff.OutcomeSuccess || e.Round == g.Round)
}

// StateOf is the state of an edge: one that was resolved before its group was re-opened is applied again.
func StateOf(e *record.Edge, g *record.Group) ff.EdgeState {
	switch {
	case e.ResolvedAt == 0 || g != nil && !Resolved(e, g):
		if e.Applied {
			return ff.EdgeApplied
		}
		return ff.EdgePending
	case e.Outcome == ff.OutcomeSuccess:
		return ff.EdgeSatisfied
	default:
		return ff.EdgeImpossible
	}
}

// Resolve counts the end of an edge's upstream, once. ng is nil when it was counted before, or there is nothing to count.
// The first time a group is decided is final: fired is true then, and only then, and ng.State says how.
func Resolve(e *record.Edge, g *record.Group, outcome ff.Outcome, now ff.Timestamp) (ne *record.Edge, ng *record.Group, fired bool) {
	if outcome == ff.OutcomeNone || outcome == "" || Resolved(e, g) {
		return nil, nil, false
	}
	edge, group := *e, *g
	edge.ResolvedAt, edge.Outcome, edge.Round = now, outcome, g.Round
	if edge.Applied {
		group.Running = max(group.Running-1, 0)
	}
	failed := false
	switch outcome {
	case ff.OutcomeSuccess:
		group.Success++
		if e.Required {
			group.RequiredSuccess++
		}
	case ff.OutcomeSkipped:
		group.Skip++
		failed = e.Required
	default:
		group.Fail++
		failed = e.Required
	}
	edge.State = StateOf(&edge, &group)
	if g.State != ff.GroupPending && g.State != "" {
		return &edge, &group, false
	}
	if outcome == ff.OutcomeSuccess && e.DataPassingRef != "" && bytes.Compare(e.EdgeID[:], g.DataEdge[:]) > 0 {
		group.DataEdge, group.DataFrom = e.EdgeID, e.Upstream
	}
	group.State = Evaluate(group.Policy, TallyOf(&group))
	if failed {
		group.State = ff.GroupImpossible
	}
	decide(&group, now)
	return &edge, &group, group.State != ff.GroupPending
}

// Reasons of a sibling's cancel.
const (
	siblingsSatisfied  = "sibling_quorum_satisfied"
	siblingsImpossible = "sibling_quorum_impossible"
)

// decide fills in what follows from a group's state having just been decided.
func decide(g *record.Group, now ff.Timestamp) {
	if g.State == ff.GroupPending {
		return
	}
	if g.State == ff.GroupSatisfied {
		g.SatisfiedAt = now
	}
	choosy := g.Policy.Kind == ff.AnyOf || g.Policy.Kind == ff.Quorum
	if choosy && g.Policy.OnSatisfied != ff.LetRun && g.Success+g.Fail+g.Skip < TallyOf(g).Total {
		g.SiblingsPending, g.SiblingsReason = true, siblingsSatisfied
		if g.State == ff.GroupImpossible {
			g.SiblingsReason = siblingsImpossible
		}
	}
}

// Reopen forgets how a group was decided, for a replay of its member: successes stay, other ends wait to be made good.
func Reopen(g *record.Group) *record.Group {
	n := *g
	n.Fail, n.Skip, n.Running = 0, 0, 0
	n.State, n.SatisfiedAt = ff.GroupPending, 0
	n.SiblingsPending, n.SiblingsReason = false, ""
	n.Round++
	return &n
}

// NextWave begins to count anew, for a member that waits for children of its own.
func NextWave(g *record.Group, p ff.GroupPolicy) *record.Group {
	return &record.Group{
		GroupKey: g.GroupKey, Version: g.Version, Policy: p, State: ff.GroupPending, Round: g.Round, Wave: g.Wave + 1,
	}
}

// SiblingsDone clears the mark of a sibling cancel that is over.
func SiblingsDone(g *record.Group) *record.Group {
	n := *g
	n.SiblingsPending, n.SiblingsReason = false, ""
	return &n
}

// Needed reports whether a group still needs the upstream of one of its edges: it must not be cancelled for the sake of
// another group (W16).
func Needed(g *record.Group) bool { return g == nil || g.State == ff.GroupPending || g.State == "" }

// SetPolicy sets the policy of a group that has no edges yet; ng is nil when it is set already. g may be nil.
func SetPolicy(key record.GroupKey, g *record.Group, edges int, p ff.GroupPolicy) (ng *record.Group, err error) {
	if edges > 0 {
		return nil, &ff.Error{
			Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("edge_group_policy_already_fixed: %d edges lead to %s; set the policy before the first", edges, key.Downstream),
		}
	}
	if g != nil && g.Policy == p {
		return nil, nil
	}
	n := *NewGroup(key)
	if g != nil {
		n = *g
	}
	n.Policy = p
	return &n, nil
}

// CheckPolicy validates a policy and returns it with its defaults.
func CheckPolicy(p ff.GroupPolicy) (ff.GroupPolicy, error) {
	refuse := func(detail string) (ff.GroupPolicy, error) {
		return p, &ff.Error{Code: ff.CodeInvalidInput, Detail: detail, Attrs: map[string]string{"field": "policy"}}
	}
	choosy := p.Kind == ff.AnyOf || p.Kind == ff.Quorum
	switch p.Kind {
	case "":
		p.Kind = ff.AllOf
	case ff.AllOf, ff.AnyOf, ff.Quorum, ff.AllEnded:
	default:
		return refuse(fmt.Sprintf("policy kind %.40q is unknown; want all_of, any_of, quorum or all_ended", p.Kind))
	}
	switch {
	case p.Kind == ff.Quorum && p.K < 1:
		return refuse("quorum k must be >= 1")
	case p.Kind == ff.Quorum && p.K > ff.MaxQuorum:
		return refuse(fmt.Sprintf("quorum k must be <= %d", ff.MaxQuorum))
	case p.Kind != ff.Quorum && p.K != 0:
		return refuse("k belongs to a quorum")
	case !choosy && p.OnSatisfied != "":
		return refuse("on_satisfied belongs to any_of and quorum")
	case p.OnSatisfied != "" && p.OnSatisfied != ff.CancelRemaining && p.OnSatisfied != ff.LetRun:
		return refuse(fmt.Sprintf("on_satisfied %.40q is unknown; want cancel_remaining or let_run", p.OnSatisfied))
	}
	if choosy && p.OnSatisfied == "" {
		p.OnSatisfied = ff.CancelRemaining
	}
	return p, nil
}
