package ops

import (
	"context"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
)

// Explain says why an execution does not run. It reads several times, one after the other, a bounded number of records.
func (r Rules) Explain(ctx context.Context, st store.Store, id ff.ExecutionID) (ff.Explanation, error) {
	f, err := r.factsOf(ctx, st, id)
	if err != nil {
		return ff.Explanation{}, named("explain", err)
	}
	return f.explain(), nil
}

func (r Rules) factsOf(ctx context.Context, st store.Store, id ff.ExecutionID) (*facts, error) {
	if err := r.checkID(id); err != nil {
		return nil, err
	}
	list, err := r.look(ctx, st, []ff.ExecutionID{id})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(id)
	}
	f := list[0]
	if err := r.lookUpstream(ctx, st, f, ff.MaxExplained); err != nil {
		return nil, err
	}
	if f.waitsForClaim() {
		if f.workers, err = r.workforce(ctx, st, f.e.Namespace); err != nil {
			return nil, err
		}
		err = r.lookQueue(ctx, st, f)
	}
	return f, err
}

// explain says what follows from the facts.
func (f *facts) explain() ff.Explanation {
	x := ff.Explanation{
		ExecutionID: f.e.ID, FlowID: f.e.FlowID, Node: f.e.Tags[ff.TagNode], AsOf: f.now, State: f.e.State,
		PublicState: lifecycle.PublicState(f.e.State), Gates: f.gates(), Replayable: f.replayRefusal() == nil,
	}
	x.Verdict = f.verdict(x.First())
	return x
}

// verdict sums up. first is the gate that matters most.
func (f *facts) verdict(first ff.Gate) ff.Verdict {
	switch {
	case f.e.State.Finished():
		return ff.VerdictEnded
	case f.running():
		return ff.VerdictRunning
	case first.State == ff.GateClosed:
		return ff.VerdictHeld
	default:
		return ff.VerdictClaimable
	}
}
