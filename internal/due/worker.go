package due

import (
	"context"
	"errors"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// sweep forgets the workers of a shard that are dead, and returns how many.
func (l *Loop) sweep(ctx context.Context, at flowfabric.Partition, order uint64) (total int, err error) {
	if l.cfg.ReclaimDeadWorkers {
		return l.reclaim(ctx, at)
	}
	return l.each(ctx, func(handled *int) *ops.Op { return l.rules.SweepWorkers(at, order, l.cfg.Batch, handled) })
}

// reclaim takes the leases of the workers that are registered on a shard and dead, and then forgets these. A registration
// stays due until that is done, so that whoever is stopped in the middle is followed by another; several at once do the
// same twice, which changes nothing.
func (l *Loop) reclaim(ctx context.Context, at flowfabric.Partition) (total int, err error) {
	tx, err := l.st.View(ctx, store.Reads{DueRecords: []store.DueRecordsQuery{{Family: record.Workers, Limit: l.cfg.Batch}}})
	if err != nil {
		return 0, err
	}
	for _, rec := range tx.DueRecords(0) {
		w := rec.(*record.Worker)
		if l.st.Shard(w.Home) != l.st.Shard(at) {
			continue
		}
		if err := l.revokeLeases(ctx, w); err != nil {
			return total, err
		}
		if err := l.do(ctx, l.rules.ForgetWorker(w.WorkerKey)); err != nil {
			return total, err
		}
		total++
	}
	return total, nil
}

// revokeLeases takes the leases that a worker got while it was alive, batch by batch. What it may claim after its death
// is not touched.
func (l *Loop) revokeLeases(ctx context.Context, w *record.Worker) error {
	q := store.LeaseQuery{WorkerInstanceID: w.WorkerInstanceID, Limit: l.cfg.Batch}
	for {
		found, err := l.st.Leases(ctx, q)
		if err != nil {
			return err
		}
		var revocations []*ops.Op
		var units []*store.Unit
		for _, e := range found {
			if e.State.Ownership != flowfabric.Leased || e.LeaseAcquiredAt > w.ExpiresAt {
				continue
			}
			op := l.rules.RevokeDead(e)
			revocations, units = append(revocations, op), append(units, &op.Unit)
		}
		if len(units) > 0 {
			if err := l.commit.Do(ctx, units...); err != nil {
				return err
			}
		}
		for _, op := range revocations {
			if err := op.Outcome(); err != nil && !ended(err) {
				return err
			}
		}
		if len(found) < q.Limit {
			return nil
		}
		last := found[len(found)-1]
		q.After = store.LeaseCursor{ExpiresAt: last.LeaseExpiresAt, ExecutionID: last.ID}
	}
}

// ended reports whether an execution was over before its lease could be taken.
func ended(err error) bool {
	return errors.Is(err, flowfabric.ErrExecutionNotActive) || errors.Is(err, flowfabric.ErrExecutionNotFound)
}
