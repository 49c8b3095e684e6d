package ops

import (
	"context"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// facts are what is known of an execution when it is explained.
type facts struct {
	now      ff.Timestamp
	e        *record.Execution // with what time has done to it by now
	queued   bool              // as stored, it has an entry in the claim order
	noticed  bool              // what time has done to it is stored
	attempt  *record.Attempt   // the stored record of its current attempt, if a rule needs that
	flow     *record.Flow
	backlog  *record.Backlog
	group    *record.Group
	upstream upstream
	lane     *record.Lane
	slots    int            // taken on its lane, on all shards
	sharded  bool           // the store has several shards, each with the lane's bound
	workers  *workforce     // nil: not looked at
	next     ff.ExecutionID // the first of its route in the claim order
}

// running reports whether somebody holds a lease.
func (f *facts) running() bool {
	return f.e.State.Phase == ff.PhaseActive && f.e.State.Ownership == ff.Leased
}

// waitsForClaim reports whether a claim is what takes the execution further, now or once its gates open.
func (f *facts) waitsForClaim() bool {
	return !f.e.State.Finished() && f.e.State.Phase != ff.PhaseSuspended && !f.running()
}

// awaits reports whether it is held back until its upstreams are decided.
func (f *facts) awaits() bool {
	return !f.e.State.Finished() && (f.e.AwaitsUpstream || f.e.State.Eligibility == ff.BlockedByDependencies)
}

// replayRefusal is why the execution cannot be replayed, nil if it can.
func (f *facts) replayRefusal() error {
	if _, err := lifecycle.Replay(f.e, f.attempt, 0, &ff.Replay{}, f.now); err != nil {
		return err
	}
	if f.flow == nil {
		return nil
	}
	_, err := graph.MemberReplayed(f.flow, f.e.State.Outcome, f.now)
	return err
}

// look reads what it takes to explain executions from their own records, those of their lanes and their groups. Executions
// that do not exist are left out.
func (r Rules) look(ctx context.Context, st store.Store, ids []ff.ExecutionID) ([]*facts, error) {
	tx, err := st.View(ctx, store.Reads{Executions: ids})
	if err != nil {
		return nil, err
	}
	var found []*record.Execution
	for _, id := range ids {
		if e := tx.Execution(id); e != nil {
			found = append(found, e)
		}
	}
	if tx, err = st.View(ctx, r.around(found)); err != nil {
		return nil, err
	}
	list := make([]*facts, len(found))
	for i, e := range found {
		if list[i], err = r.known(tx, e, len(st.Shards()) > 1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// around is what is read with executions, each record once.
func (r Rules) around(list []*record.Execution) store.Reads {
	var reads store.Reads
	records, lanes := make(map[record.Key]bool), make(map[ff.LaneID]bool)
	want := func(key record.Key) {
		if !records[key] {
			records[key] = true
			reads.Records = append(reads.Records, key)
		}
	}
	for _, e := range list {
		if lifecycle.NeedsAttempt(e) || lifecycle.SituationOf(e.State) == nil {
			reads.Attempts = append(reads.Attempts, record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex})
		}
		want(r.laneKey(e.ID.Partition(), e.Lane))
		if !lanes[e.Lane] {
			lanes[e.Lane] = true
			reads.Slots = append(reads.Slots, e.Lane)
		}
		if !e.FlowID.IsZero() {
			flow := flowKeyOf(e)
			want(flow)
			want(record.BacklogKey(flow))
			want(groupKeyOf(flow, e.ID))
		}
	}
	return reads
}

// known puts together what was read of an execution.
func (r Rules) known(tx *store.Tx, e *record.Execution, sharded bool) (*facts, error) {
	f := &facts{
		now: tx.Now(), queued: e.Ready, sharded: sharded, slots: tx.Slots(e.Lane),
		lane: store.Get[*record.Lane](tx, r.laneKey(e.ID.Partition(), e.Lane)),
	}
	if key := (record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex}); tx.HasAttempt(key) {
		f.attempt = tx.Attempt(key)
	}
	if !e.FlowID.IsZero() {
		flow := flowKeyOf(e)
		f.flow = store.Get[*record.Flow](tx, flow)
		f.backlog = store.Get[*record.Backlog](tx, record.BacklogKey(flow))
		f.group = store.Get[*record.Group](tx, groupKeyOf(flow, e.ID))
	}
	before := lifecycle.Normalize(e, f.attempt)
	ch, err := lifecycle.Tick(before, f.attempt, f.now)
	if err != nil {
		return nil, err
	}
	if f.e = before; ch.Execution != nil {
		f.e = ch.Execution
	}
	f.noticed = f.e.State == before.State
	return f, nil
}

// lookQueue reads what would be claimed first of the execution's lane and required capabilities.
func (r Rules) lookQueue(ctx context.Context, st store.Store, f *facts) error {
	q := store.ClaimQuery{Lane: f.e.Lane, Routes: []int64{f.e.Route}, Limit: 1}
	tx, err := st.View(ctx, store.Reads{Claimable: []store.ClaimQuery{q}})
	if err != nil {
		return err
	}
	for _, e := range tx.Claimable(0) {
		f.next = e.ID
	}
	return nil
}
