package ops

import (
	"cmp"
	"context"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

const (
	// explainPage is how many members are read at once: their payloads come with them.
	explainPage = 200
	// maxHops is how many edges are followed to find who holds a flow up.
	maxHops = 1000
)

// ExplainFlow says which members hold a flow up, and why, looking at no more than [ff.MaxExplainedMembers].
func (r Rules) ExplainFlow(ctx context.Context, st store.Store, id ff.FlowID) (ff.FlowExplanation, error) {
	x, err := r.explainFlow(ctx, st, r.flowKey(id))
	if err != nil {
		return ff.FlowExplanation{}, named("explain flow", err)
	}
	return x, nil
}

func (r Rules) explainFlow(ctx context.Context, st store.Store, key record.FlowKey) (x ff.FlowExplanation, err error) {
	backlog := record.BacklogKey(key)
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key, backlog}})
	if err != nil {
		return x, err
	}
	flow := store.Get[*record.Flow](tx, key)
	if flow == nil {
		return x, graph.NotFound(key.FlowID)
	}
	s := &flowSurvey{Rules: r, st: st, flow: flow, counted: make(map[ff.PublicState]int), kinds: make(map[ff.GateCode]*ff.Holding)}
	complete, err := s.members(ctx)
	if err == nil && !complete && len(s.kinds) == 0 && !s.waiting.IsZero() {
		err = s.follow(ctx)
	}
	return ff.FlowExplanation{
		FlowSummary: FlowSummary(flow), AsOf: tx.Now(), Cancel: cancelProgress(store.Get[*record.Backlog](tx, backlog)),
		Counts: countsOf(s.counted), Complete: complete, Holding: s.holding(),
	}, err
}

func cancelProgress(b *record.Backlog) *ff.FlowCancelProgress {
	if b == nil {
		return nil
	}
	return &ff.FlowCancelProgress{
		Policy: b.Policy, Reason: b.Reason, RequestedAt: b.RequestedAt, Spreading: b.Spreading, Outstanding: b.Outstanding,
		GraceUntil: b.GraceUntil,
	}
}

// flowSurvey goes over the members of a flow for those that hold it up.
type flowSurvey struct {
	Rules
	st      store.Store
	flow    *record.Flow
	workers *workforce // once it was needed
	counted map[ff.PublicState]int
	kinds   map[ff.GateCode]*ff.Holding
	waiting ff.ExecutionID // the first member seen that waits for another
}

// members looks at members in order of their ids and reports whether those were all.
func (s *flowSurvey) members(ctx context.Context) (complete bool, err error) {
	q := store.MembersQuery{Flow: s.flow.FlowKey, Limit: explainPage}
	for range ff.MaxExplainedMembers / explainPage {
		tx, err := s.st.View(ctx, store.Reads{Members: []store.MembersQuery{q}})
		if err != nil {
			return false, err
		}
		ids := tx.Members(q)
		list, err := s.look(ctx, s.st, ids)
		if err != nil {
			return false, err
		}
		for _, f := range list {
			s.counted[lifecycle.PublicState(f.e.State)]++
			if _, err := s.note(ctx, f); err != nil {
				return false, err
			}
		}
		if len(ids) < explainPage {
			return true, nil
		}
		q.After = ids[explainPage-1]
	}
	return false, nil
}

// note adds a member if it holds the flow up, and reports whether it has ended or does.
func (s *flowSurvey) note(ctx context.Context, f *facts) (found bool, err error) {
	if f.e.State.Finished() {
		return true, nil
	}
	if f.awaits() && !f.running() {
		stuck, err := s.stuck(ctx, f)
		if err != nil {
			return false, err
		}
		if !stuck {
			s.waiting = cmp.Or(s.waiting, f.e.ID)
			return false, nil
		}
	}
	return true, s.add(ctx, f)
}

// stuck reports whether no end of another member lets f, which awaits its upstreams, go on.
func (s *flowSurvey) stuck(ctx context.Context, f *facts) (bool, error) {
	if g := f.group; g != nil && g.Total > 0 {
		f.countUpstream(g)
	} else if err := s.lookUpstream(ctx, s.st, f, 1); err != nil { // written by hand: nothing is counted
		return false, err
	}
	decided := f.group != nil && !graph.Needed(f.group)
	return decided || !knownPolicy(f.group) || f.upstream.count == 0, nil
}

// add puts a member to its kind.
func (s *flowSurvey) add(ctx context.Context, f *facts) (err error) {
	if f.waitsForClaim() {
		if s.workers == nil {
			if s.workers, err = s.workforce(ctx, s.st, s.flow.Namespace); err != nil {
				return err
			}
		}
		f.workers = s.workers
	}
	x := f.explain()
	first := x.First()
	kind := s.kinds[first.Code]
	if kind == nil {
		kind = &ff.Holding{Code: first.Code, State: first.State}
		s.kinds[first.Code] = kind
	}
	if kind.Count++; kind.Count > ff.MaxExplained {
		return nil
	}
	if first.Code == ff.GateQueue {
		if err := s.lookQueue(ctx, s.st, f); err != nil {
			return err
		}
		first, _ = f.queueGate()
	}
	kind.Members = append(kind.Members, ff.HoldingMember{
		ExecutionID: x.ExecutionID, Node: x.Node, PublicState: x.PublicState, Detail: first.Detail, Since: first.Since,
		Release: first.Release, At: first.At,
	})
	return nil
}

// follow goes from a member that waits to one that it waits for, and so on to one that does not wait. If that has just
// ended, the one before it is what holds the flow up.
func (s *flowSurvey) follow(ctx context.Context) error {
	id := s.waiting
	for range maxHops {
		list, err := s.look(ctx, s.st, []ff.ExecutionID{id})
		if err != nil || len(list) == 0 {
			return err
		}
		f := list[0]
		if found, err := s.note(ctx, f); err != nil || found {
			return err
		}
		if err := s.lookUpstream(ctx, s.st, f, 1); err != nil {
			return err
		}
		if len(f.upstream.listed) == 0 || f.upstream.listed[0].PublicState == "" || ended(f.upstream.listed[0].PublicState) {
			return s.add(ctx, f)
		}
		id = f.upstream.listed[0].Upstream
	}
	return nil
}

func ended(s ff.PublicState) bool {
	switch s {
	case ff.PublicCompleted, ff.PublicFailed, ff.PublicCancelled, ff.PublicExpired, ff.PublicSkipped:
		return true
	default:
		return false
	}
}

// holding lists the kinds in the order of their gates.
func (s *flowSurvey) holding() []ff.Holding {
	var list []ff.Holding
	for _, kind := range s.kinds {
		list = append(list, *kind)
	}
	slices.SortFunc(list, func(x, y ff.Holding) int {
		return cmp.Compare(slices.Index(gateOrder, x.Code), slices.Index(gateOrder, y.Code))
	})
	return list
}
