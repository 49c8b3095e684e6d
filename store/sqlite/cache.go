package sqlite

import (
	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// cache holds executions as they are stored, so that what was just submitted or claimed is not read again from a row of
// more than sixty columns. It is exact, never a belief: it is used inside transactions that hold the write lock of the file,
// on the one connection whose commits fill it, and emptied when another connection has committed in between.
//
// It keeps what is still to be worked on, in two generations: when the young one is full, the old one is dropped.
type cache struct {
	version    int64 // of the data, see conn.dataVersion
	young, old map[flowfabric.ExecutionID]*record.Execution
}

// Bounds of the cache: records per generation, and the bytes a record may carry.
const (
	cacheRecords = 2048
	cacheBytes   = 2 << 10
)

// begin says what the version of the data is in the transaction that has begun.
func (c *cache) begin(version int64) {
	if c.version != version {
		c.clear()
		c.version = version
	}
}

func (c *cache) clear() { c.young, c.old = nil, nil }

// get returns an execution as it is stored; nil when the cache does not know.
func (c *cache) get(id flowfabric.ExecutionID) *record.Execution {
	if e := c.young[id]; e != nil {
		return e
	}
	return c.old[id]
}

// committed takes in what a transaction has written.
func (c *cache) committed(changes []store.Change[record.Execution]) {
	for _, change := range changes {
		e := change.After
		if e.State.Finished() || len(e.Payload)+len(e.Result)+len(e.ProgressDetails) > cacheBytes {
			c.drop(e.ID)
			continue
		}
		delete(c.old, e.ID)
		if len(c.young) >= cacheRecords || c.young == nil {
			c.young, c.old = make(map[flowfabric.ExecutionID]*record.Execution, cacheRecords), c.young
		}
		c.young[e.ID] = e
	}
}

// drop forgets an execution.
func (c *cache) drop(id flowfabric.ExecutionID) {
	delete(c.young, id)
	delete(c.old, id)
}
