package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Tick carries on up to limit executions of a shard whose due time has come. handled gets how many were due.
func (r Rules) Tick(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "tick"}
	op.Partition, op.Order = shard, order
	op.Reads.Due = []store.DueQuery{{Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.Due(0)
		if missing := attemptsToRead(tx, due); len(missing) > 0 {
			return tx.Need(store.Reads{Attempts: missing})
		}
		*handled = len(due)
		changes := make([]lifecycle.Change, 0, len(due))
		for _, e := range due {
			var att *record.Attempt
			if lifecycle.NeedsAttempt(e) {
				att = tx.Attempt(record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex})
			}
			ch, err := lifecycle.Tick(lifecycle.Normalize(e, att), att, tx.Now())
			if err != nil {
				return err
			}
			changes = append(changes, ch)
		}
		return r.finish(tx, changes...)
	}
	return op
}

// attemptsToRead are the attempts that what is due needs and that were not read yet.
func attemptsToRead(tx *store.Tx, due []*record.Execution) []record.AttemptKey {
	var keys []record.AttemptKey
	for _, e := range due {
		key := record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex}
		if lifecycle.NeedsAttempt(e) && !tx.HasAttempt(key) {
			keys = append(keys, key)
		}
	}
	return keys
}
