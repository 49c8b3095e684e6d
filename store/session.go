package store

import (
	"context"

	"github.com/flowfabric/flowfabric"
)

// Session is one transaction of a store on one shard, as [Execute] drives it: any number of Loads, then one Commit, then
// Close. It is used by one goroutine.
type Session interface {
	// Load answers each of reads into b through b's Add methods and sets b's clock (SetNow). Executions a claim or due
	// query returns, and records a query for due records does, are taken: no other session, and no later query of this one,
	// may return them until this session ends.
	// If the transaction commits, index entries of taken executions that were not written stay, or come back.
	Load(ctx context.Context, b *Batch, reads []*Load) error
	// Now is the storage clock, for a batch that loads nothing. It may be an estimate, good to some milliseconds, if the
	// store lives in another process.
	Now() flowfabric.Timestamp
	// Commit writes the changes, each guarded by its Before version, and commits durably. It fails with [ErrConflict],
	// having written nothing, when a guard does not hold.
	Commit(ctx context.Context, ch *Changes) error
	// Close ends the session, rolling back what was not committed. It is called exactly once.
	Close()
}

// Load is one set of reads together with the place for its ordered answers.
type Load struct {
	Reads Reads
	// Peek: claim and due queries look without taking.
	Peek bool
	unit *unitState
}
