package graph

import (
	"testing"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// The worked points of chapter 20, section 20.10, and the borders of its decision table.
func TestEvaluate_DecidesAsTheTableSays(t *testing.T) {
	quorum := func(k int) ff.GroupPolicy { return ff.GroupPolicy{Kind: ff.Quorum, K: k} }
	all, anyOf, ended := ff.GroupPolicy{Kind: ff.AllOf}, ff.GroupPolicy{Kind: ff.AnyOf}, ff.GroupPolicy{Kind: ff.AllEnded}
	for _, c := range []struct {
		policy                   ff.GroupPolicy
		total, success, negative int
		want                     ff.GroupState
	}{
		{all, 3, 3, 0, "satisfied"},
		{all, 3, 2, 1, "impossible"},
		{all, 3, 1, 0, "pending"},
		{all, 3, 0, 1, "impossible"},
		{all, 0, 0, 0, "pending"},
		{ff.GroupPolicy{}, 1, 1, 0, "satisfied"},
		{anyOf, 3, 1, 0, "satisfied"},
		{anyOf, 3, 1, 2, "satisfied"},
		{anyOf, 3, 0, 3, "impossible"},
		{anyOf, 3, 0, 2, "pending"},
		{anyOf, 0, 0, 0, "pending"},
		{quorum(2), 3, 2, 1, "satisfied"},
		{quorum(3), 5, 0, 3, "impossible"},
		{quorum(3), 5, 0, 2, "pending"},
		{quorum(3), 3, 0, 1, "impossible"},
		{quorum(4), 3, 0, 3, "pending"}, // edges may still be added
		{quorum(4), 3, 3, 0, "pending"},
		{ended, 3, 1, 2, "satisfied"},
		{ended, 3, 0, 3, "satisfied"},
		{ended, 3, 1, 1, "pending"},
		{ff.GroupPolicy{Kind: "nonsense"}, 1, 1, 0, "pending"},
	} {
		if got := Evaluate(c.policy, Tally{Total: c.total, Success: c.success, Negative: c.negative}); got != c.want {
			t.Errorf("%s %d of %d edges, %d good, %d bad: %s, want %s", c.policy.Kind, c.policy.K, c.total, c.success, c.negative, got, c.want)
		}
	}
}

// Edges that are required besides a choice: the choice is among the others, and both must hold.
func TestEvaluate_RequiredEdgesCountBesideTheChoice(t *testing.T) {
	for _, c := range []struct {
		tally Tally
		want  ff.GroupState
	}{
		{Tally{Total: 3, Required: 1, Success: 1}, "pending"},                                     // one of the others
		{Tally{Total: 3, Required: 1, Success: 1, RequiredSuccess: 1}, "pending"},                 // the required one
		{Tally{Total: 3, Required: 1, Success: 2, RequiredSuccess: 1}, "satisfied"},               // both
		{Tally{Total: 3, Required: 1, Success: 1, RequiredSuccess: 1, Negative: 2}, "impossible"}, // no other is left
		{Tally{Total: 1, Required: 1, Success: 1, RequiredSuccess: 1}, "pending"},                 // there is nothing to choose from
	} {
		if got := Evaluate(ff.GroupPolicy{Kind: ff.AnyOf}, c.tally); got != c.want {
			t.Errorf("any of %+v: %s, want %s", c.tally, got, c.want)
		}
	}
}

func TestResolve_CancelsSiblingsOnlyWhereThePolicySaysSo(t *testing.T) {
	for _, c := range []struct {
		policy  ff.GroupPolicy
		outcome ff.Outcome
		total   int
		state   ff.GroupState
		reason  string
	}{
		{ff.GroupPolicy{Kind: ff.AnyOf, OnSatisfied: ff.CancelRemaining}, ff.OutcomeSuccess, 3, "satisfied", "sibling_quorum_satisfied"},
		{ff.GroupPolicy{Kind: ff.AnyOf, OnSatisfied: ff.LetRun}, ff.OutcomeSuccess, 3, "satisfied", ""},
		{ff.GroupPolicy{Kind: ff.AnyOf, OnSatisfied: ff.CancelRemaining}, ff.OutcomeSuccess, 1, "satisfied", ""}, // none is left
		{ff.GroupPolicy{Kind: ff.Quorum, K: 3, OnSatisfied: ff.CancelRemaining}, ff.OutcomeFailed, 3, "impossible", "sibling_quorum_impossible"},
		{ff.GroupPolicy{Kind: ff.AllOf}, ff.OutcomeFailed, 3, "impossible", ""},
	} {
		g := NewGroup(record.GroupKey{})
		g.Policy, g.Total, g.Running = c.policy, c.total, c.total
		_, got, fired := Resolve(&record.Edge{Applied: true}, g, c.outcome, 7)
		if !fired || got.State != c.state || got.SiblingsReason != c.reason || got.SiblingsPending != (c.reason != "") {
			t.Errorf("%+v of %d, %s: fired %t, %+v", c.policy, c.total, c.outcome, fired, got)
		}
	}
}

// The end of an upstream moves one counter, whichever it is, and a required upstream that does not succeed decides at once.
func TestResolve_CountsEachOutcomeOnce(t *testing.T) {
	for outcome, want := range map[ff.Outcome][3]int{
		ff.OutcomeSuccess: {1, 0, 0}, ff.OutcomeFailed: {0, 1, 0}, ff.OutcomeCancelled: {0, 1, 0}, ff.OutcomeExpired: {0, 1, 0},
		ff.OutcomeSkipped: {0, 0, 1},
	} {
		g := NewGroup(record.GroupKey{})
		g.Policy, g.Total, g.Running = ff.GroupPolicy{Kind: ff.Quorum, K: 2}, 4, 4
		e, counted, _ := Resolve(&record.Edge{Applied: true}, g, outcome, 7)
		if got := [3]int{counted.Success, counted.Fail, counted.Skip}; got != want || counted.Running != 3 || e.ResolvedAt != 7 || e.Outcome != outcome {
			t.Errorf("%s: counters %v, running %d, edge %+v", outcome, got, counted.Running, e)
		}
		if _, again, fired := Resolve(e, counted, outcome, 8); again != nil || fired {
			t.Errorf("%s is counted twice: %+v", outcome, again)
		}
		if outcome == ff.OutcomeSuccess {
			continue
		}
		g.Required = 1
		if _, got, fired := Resolve(&record.Edge{Applied: true, Required: true}, g, outcome, 7); !fired || got.State != ff.GroupImpossible {
			t.Errorf("a required upstream ended %s: %s", outcome, got.State)
		}
	}
	g := NewGroup(record.GroupKey{})
	g.Total = 1
	for _, none := range []ff.Outcome{"", ff.OutcomeNone} {
		if _, got, fired := Resolve(&record.Edge{Applied: true}, g, none, 7); got != nil || fired {
			t.Errorf("an upstream that goes on is counted: %+v", got)
		}
	}
}

// Whatever ends in whatever order: counters add up, a group is decided once and for good, and the order makes no difference
// to how unless siblings are cancelled (F6 to F10).
func TestResolve_IsDecidedOnceAndForGood(t *testing.T) {
	outcomes := []ff.Outcome{ff.OutcomeSuccess, ff.OutcomeFailed, ff.OutcomeCancelled, ff.OutcomeExpired, ff.OutcomeSkipped}
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(r, "edges")
		policy := ff.GroupPolicy{Kind: rapid.SampledFrom([]ff.PolicyKind{ff.AllOf, ff.AnyOf, ff.Quorum, ff.AllEnded}).Draw(r, "policy")}
		if policy.Kind == ff.Quorum {
			policy.K = rapid.IntRange(1, n).Draw(r, "k")
		}
		ends := make([]ff.Outcome, n)
		required := make([]bool, n)
		order := make([]int, n)
		for i := range n {
			ends[i] = rapid.SampledFrom(outcomes).Draw(r, "end")
			required[i] = policy.Kind != ff.AllEnded && rapid.IntRange(0, 4).Draw(r, "required") == 0
			order[i] = i
		}
		play := func(order []int) ff.GroupState {
			g := NewGroup(record.GroupKey{})
			g.Policy, g.Total, g.Running = policy, n, n
			for _, req := range required {
				if req {
					g.Required++
				}
			}
			decisions := 0
			for seen, i := range order {
				before := g.State
				e, ng, fired := Resolve(&record.Edge{Applied: true, Required: required[i]}, g, ends[i], ff.Timestamp(seen+1))
				if _, again, _ := Resolve(e, ng, ends[i], 99); again != nil {
					r.Fatalf("edge %d is counted twice", i)
				}
				if fired {
					decisions++
				}
				if before != ff.GroupPending && ng.State != before {
					r.Fatalf("the group was %s and is %s", before, ng.State)
				}
				if ng.Success+ng.Fail+ng.Skip != seen+1 || ng.Running != n-seen-1 {
					r.Fatalf("after %d ends the counters are %+v", seen+1, ng)
				}
				g = ng
			}
			if (decisions == 1) != (g.State != ff.GroupPending) || decisions > 1 {
				r.Fatalf("decided %d times, %s in the end", decisions, g.State)
			}
			return g.State
		}
		first := play(order)
		if second := play(rapid.Permutation(order).Draw(r, "order")); first != second {
			r.Fatalf("%s in one order and %s in another", first, second)
		}
	})
}

// A replay of the member opens its group again: successes stay, other ends count anew; a wait for children starts afresh.
func TestReopen_KeepsSuccesses(t *testing.T) {
	g := NewGroup(record.GroupKey{})
	g.Policy, g.Total, g.Running = ff.GroupPolicy{Kind: ff.AllOf}, 2, 2
	good, g, _ := Resolve(&record.Edge{Applied: true}, g, ff.OutcomeSuccess, 1)
	bad, g, _ := Resolve(&record.Edge{Applied: true}, g, ff.OutcomeFailed, 2)
	open := Reopen(g)
	if open.State != ff.GroupPending || open.Success != 1 || open.Fail+open.Skip+open.Running != 0 || open.Round != 1 {
		t.Errorf("re-opened: %+v", open)
	}
	if _, again, _ := Resolve(good, open, ff.OutcomeSuccess, 3); again != nil {
		t.Errorf("the success is counted again: %+v", again)
	}
	if StateOf(good, open) != ff.EdgeSatisfied || StateOf(bad, open) != ff.EdgeApplied {
		t.Errorf("edges are %s and %s", StateOf(good, open), StateOf(bad, open))
	}
	if _, done, fired := Resolve(bad, open, ff.OutcomeSuccess, 3); !fired || done.State != ff.GroupSatisfied {
		t.Errorf("made good: %+v", done)
	}
	next := NextWave(open, ff.GroupPolicy{Kind: ff.AllEnded})
	if next.Wave != 1 || next.Total+next.Success+next.Running != 0 || !Resolved(bad, next) {
		t.Errorf("next wave: %+v", next)
	}
}
