package due

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// removeBatch is how many edges, groups or members of an old flow one commit forgets, ackBatch how many members of a cancelled one
// are acknowledged.
const removeBatch, ackBatch = 500, 500

// flows carries on what is due in the flows of a shard: errands, cancels under way or without acknowledgement, flows that
// may be forgotten.
func (l *Loop) flows(ctx context.Context, at flowfabric.Partition, order uint64) (total int, err error) {
	for handled := 1; handled > 0; total += handled {
		if err := l.do(ctx, l.rules.Errands(at, order, &handled)); err != nil {
			return total, err
		}
	}
	tx, err := l.st.View(ctx, store.Reads{DueRecords: []store.DueRecordsQuery{
		{Family: record.Backlogs, Limit: l.cfg.Batch}, {Family: record.Flows, Limit: l.cfg.Batch},
	}})
	if err != nil {
		return total, err
	}
	for i := range 2 {
		for _, rec := range tx.DueRecords(i) {
			if l.st.Shard(rec.Key().Partition()) != l.st.Shard(at) {
				continue
			}
			n, err := 0, error(nil)
			switch rec := rec.(type) {
			case *record.Backlog:
				n, err = l.cancel(ctx, rec)
			case *record.Flow:
				n, err = l.remove(ctx, rec)
			}
			if total += n; err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// cancel carries on the cancel of a flow by a batch, or acknowledges a batch of members whose grace is over.
func (l *Loop) cancel(ctx context.Context, b *record.Backlog) (int, error) {
	if b.Spreading {
		var cancelled []flowfabric.ExecutionID
		var more bool
		return 1, l.do(ctx, l.rules.SpreadCancel(b.BacklogKey, &cancelled, &more))
	}
	found, err := l.st.Records(ctx, store.RecordQuery{
		Family: record.BacklogMembers, After: record.BacklogMemberKey{Home: b.Home, FlowID: b.FlowID}, Prefix: 1, Limit: ackBatch,
	})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	ids := make([]flowfabric.ExecutionID, len(found))
	for i, rec := range found {
		ids[i] = rec.(*record.BacklogMember).ExecutionID
	}
	return len(ids), l.do(ctx, l.rules.AckAll(b.FlowID, ids))
}

// remove forgets a batch of what is kept of a flow, and at last the flow.
func (l *Loop) remove(ctx context.Context, f *record.Flow) (int, error) {
	lists := []record.Key{
		record.EdgeKey{Home: f.Home, FlowID: f.FlowID}, record.GroupKey{Home: f.Home, FlowID: f.FlowID},
	}
	for _, first := range lists {
		found, err := l.st.Records(ctx, store.RecordQuery{Family: first.Family(), After: first, Prefix: 1, Limit: removeBatch})
		if err != nil {
			return 0, err
		}
		if len(found) > 0 {
			keys := make([]record.Key, len(found))
			for i, rec := range found {
				keys[i] = rec.Key()
			}
			return len(keys), l.do(ctx, l.rules.RemoveGraph(f.FlowKey, keys, nil))
		}
	}
	q := store.MembersQuery{Flow: f.FlowKey, Limit: removeBatch}
	tx, err := l.st.View(ctx, store.Reads{Members: []store.MembersQuery{q}})
	if err != nil {
		return 0, err
	}
	return max(1, len(tx.Members(q))), l.do(ctx, l.rules.RemoveGraph(f.FlowKey, nil, tx.Members(q)))
}
