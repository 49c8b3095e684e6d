package due

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// gateBatch is how many that wait for a budget or quota one commit looks at.
const gateBatch = 100

// gates resets budgets that are due, lets those go on that wait for a budget or quota and have room, and forgets reports that
// are remembered no longer. It returns how much there was to do.
func (l *Loop) gates(ctx context.Context, at flowfabric.Partition, order uint64) (total int, err error) {
	if !l.rules.OneShard {
		return 0, nil
	}
	total, err = l.each(ctx, func(handled *int) *ops.Op { return l.rules.SweepUsageKeys(at, order, l.cfg.Batch, handled) })
	if err != nil {
		return total, err
	}
	tx, err := l.st.View(ctx, store.Reads{DueRecords: []store.DueRecordsQuery{
		{Family: record.Budgets, Limit: l.cfg.Batch}, {Family: record.QuotaUses, Limit: l.cfg.Batch},
	}})
	if err != nil {
		return total, err
	}
	for i := range 2 {
		for _, rec := range tx.DueRecords(i) {
			if err := l.openGate(ctx, rec); err != nil {
				return total, err
			}
			total++
		}
	}
	return total, nil
}

// openGate looks at the first that wait for a budget or quota.
func (l *Loop) openGate(ctx context.Context, rec record.Keyed) error {
	found, err := l.st.Records(ctx, store.RecordQuery{
		Family: record.Parkings, After: record.ParkingKey{Gate: rec.(gated).Gate()}, Prefix: 1, Limit: gateBatch,
	})
	if err != nil {
		return err
	}
	parked := make([]*record.Parking, len(found))
	for i, p := range found {
		parked[i] = p.(*record.Parking)
	}
	return l.do(ctx, l.rules.OpenGate(rec, parked))
}

// gated is a budget, or the use of a quota.
type gated interface{ Gate() string }
