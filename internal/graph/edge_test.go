package graph

import (
	"errors"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestStage_AddsToThePresentWaveOfAnOpenGroup(t *testing.T) {
	e := &record.Edge{Required: true}
	g, err := Stage(e, nil)
	if err != nil || g.Total != 1 || g.Required != 1 || g.Running != 0 || g.Policy.Kind != ff.AllOf {
		t.Errorf("first edge: %+v, %v", g, err)
	}
	g = NextWave(g, ff.GroupPolicy{Kind: ff.AllEnded})
	late := &record.Edge{}
	if g, err = Stage(late, g); err != nil || g.Total != 1 || late.Wave != 1 {
		t.Errorf("of a second wave: %+v, %+v, %v", late, g, err)
	}
	for _, state := range []ff.GroupState{ff.GroupSatisfied, ff.GroupImpossible} {
		if _, err := Stage(&record.Edge{}, &record.Group{State: state}); !errors.Is(err, &ff.Error{Code: ff.CodeExecutionNotActive}) {
			t.Errorf("an edge to a group that is %s: %v", state, err)
		}
	}
}

func TestApply_CountsAnEdgeOnce(t *testing.T) {
	g := NewGroup(record.GroupKey{})
	e := &record.Edge{State: ff.EdgePending}
	g, err := Stage(e, g)
	if err != nil {
		t.Fatal(err)
	}
	applied, ng := Apply(e, g, 5)
	if applied.State != ff.EdgeApplied || applied.AppliedAt != 5 || ng.Running != 1 || ng.Total != 1 {
		t.Errorf("applied: %+v, %+v", applied, ng)
	}
	if again, _ := Apply(applied, ng, 6); again != nil {
		t.Errorf("applied twice: %+v", again)
	}
	if late, _ := Apply(&record.Edge{ResolvedAt: 3}, g, 6); late != nil {
		t.Errorf("applied after its upstream's end was counted: %+v", late)
	}
	// Staged before the member waited for children of its own.
	open := NextWave(g, ff.GroupPolicy{Kind: ff.AllEnded})
	joined, ng := Apply(e, open, 7)
	if joined.Wave != 1 || ng.Total != 1 || ng.Running != 1 {
		t.Errorf("in the next wave: %+v, %+v", joined, ng)
	}
	decided := *open
	decided.State = ff.GroupSatisfied
	if joined, ng = Apply(e, &decided, 7); !joined.Applied || ng.Total != 0 || ng.Running != 0 {
		t.Errorf("after the next wave was decided: %+v, %+v", joined, ng)
	}
}
