package postgres

import (
	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// expiredLease is an entry of ff_expired_lease: a lease that was found expired and whose execution was not claimed since.
// Only leases that expire cost it a write. Leases that run are found by their due time.
type expiredLease struct {
	expiresAt   flowfabric.Timestamp
	executionID flowfabric.ExecutionID
}

// expiredLeases is ff_expired_lease. Its key is the whole entry, in the order of [store.Catalog].Leases.
var expiredLeases = sqlstore.Table[expiredLease]{Name: "ff_expired_lease", Keys: 3, Columns: []sqlstore.Column[expiredLease]{
	{
		Name: "lease_expires_at_ms", Kind: sqlstore.Int64,
		Write: func(l *expiredLease, w sqlstore.Writer) { w.Int(int64(l.expiresAt)) },
	},
	{
		Name: "execution_id", Kind: sqlstore.UUID,
		Write: func(l *expiredLease, w sqlstore.Writer) { w.UUID(l.executionID.UUID()) },
	},
	{
		Name: "partition_key", Kind: sqlstore.Int16,
		Write: func(l *expiredLease, w sqlstore.Writer) { w.Int(int64(l.executionID.Partition().Index)) },
	},
}}

// expiredChanges are the entries a batch adds and removes.
type expiredChanges struct{ add, remove []expiredLease }

func expiredChangesOf(changes []store.Change[record.Execution]) (x expiredChanges) {
	for _, c := range changes {
		before, after := expiredEntry(c.Before), expiredEntry(c.After)
		if before == after {
			continue
		}
		if before != (expiredLease{}) {
			x.remove = append(x.remove, before)
		}
		if after != (expiredLease{}) {
			x.add = append(x.add, after)
		}
	}
	return x
}

// expiredEntry is the zero entry for an execution that is absent or has no expired lease.
func expiredEntry(e *record.Execution) expiredLease {
	if e == nil || e.State.Ownership != flowfabric.LeaseExpiredReclaimable {
		return expiredLease{}
	}
	return expiredLease{expiresAt: e.LeaseExpiresAt, executionID: e.ID}
}
