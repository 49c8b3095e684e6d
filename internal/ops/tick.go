package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
)

// Tick carries on up to limit executions of a shard whose due time has come. handled gets how many were due.
func (r Rules) Tick(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "tick"}
	op.Partition, op.Order = shard, order
	op.Reads.Due = []store.DueQuery{{Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.Due(0)
		*handled = len(due)
		for _, e := range due {
			ch, err := lifecycle.Tick(lifecycle.Normalize(e, nil), tx.Now())
			if err != nil {
				return err
			}
			apply(tx, ch)
		}
		return nil
	}
	return op
}
