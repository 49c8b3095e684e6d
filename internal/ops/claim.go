package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Want is one waiting claim: who asks, and what it got.
type Want struct {
	Claim ff.Claim // validated, with its defaults
	Got   []ff.Claimed
}

// LaneRoutes is a lane and the routes of it a claimer can serve.
type LaneRoutes struct {
	Lane   ff.LaneID
	Routes []int64
}

// Claim grants ready executions of one shard to wants, which share their capabilities. Lanes are tried in order, the
// next only when the ones before did not have enough. The first want is served first.
func (r Rules) Claim(shard ff.Partition, order uint64, lanes []LaneRoutes, wants []*Want) *Op {
	op := &Op{name: "claim"}
	total := 0
	for _, w := range wants {
		total += w.Claim.Max
	}
	total = min(total, ff.MaxClaim)
	query := func(i, limit int) store.Reads {
		return store.Reads{Claimable: []store.ClaimQuery{{Lane: lanes[i].Lane, Routes: lanes[i].Routes, Limit: limit}}}
	}
	op.Partition, op.Order, op.Reads = shard, order, query(0, total)
	op.Decide = func(tx *store.Tx) error {
		found := 0
		asked := tx.ClaimQueries()
		for i := range asked {
			found += len(tx.Claimable(i))
		}
		if found < total && asked < len(lanes) {
			return tx.Need(query(asked, total-found))
		}
		g := granter{wants: wants}
		g.reset()
		for i := range asked {
			for _, e := range tx.Claimable(i) {
				if err := g.grant(tx, e); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return op
}

// granter hands executions to wants in order.
type granter struct {
	wants []*Want
	next  int
}

func (g *granter) reset() {
	for _, w := range g.wants {
		w.Got = nil
	}
}

func (g *granter) grant(tx *store.Tx, e *record.Execution) error {
	for g.next < len(g.wants) && len(g.wants[g.next].Got) >= g.wants[g.next].Claim.Max {
		g.next++
	}
	if g.next == len(g.wants) {
		return nil
	}
	w := g.wants[g.next]
	e = lifecycle.Normalize(e, nil)
	if !lifecycle.Claimable(e, w.Claim.Capabilities) {
		return nil // moved on within this batch
	}
	ch, err := lifecycle.Claim(e, lifecycle.Grant{
		WorkerID: w.Claim.WorkerID, WorkerInstanceID: w.Claim.WorkerInstanceID, Capabilities: w.Claim.Capabilities,
		LeaseID: ff.NewLeaseID(), AttemptID: ff.NewAttemptID(), TTL: w.Claim.LeaseTTL,
	}, tx.Now())
	if err != nil {
		return err
	}
	apply(tx, ch)
	w.Got = append(w.Got, claimed(ch.Execution, w.Claim, e.State.AttemptState == ff.AttemptInterrupted && e.State.Phase == ff.PhaseRunnable))
	return nil
}

func claimed(e *record.Execution, by ff.Claim, resumed bool) ff.Claimed {
	return ff.Claimed{
		ExecutionID: e.ID,
		Fence:       ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex},
		Lane:        e.Lane, Kind: e.Kind, Namespace: e.Namespace, Priority: e.Priority,
		Payload: e.Payload, PayloadEncoding: e.PayloadEncoding, Tags: e.Tags,
		AttemptType: e.AttemptType, Resumed: resumed, RetryCount: e.RetryCount,
		CreatedAt: e.CreatedAt, LeaseExpiresAt: e.LeaseExpiresAt, LeaseTTL: by.LeaseTTL,
	}
}
