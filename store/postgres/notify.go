package postgres

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// channel carries the lane of executions that became ready as its payload.
const channel = "ff_wake"

// notifier tells other processes of lanes with new work. It speaks outside the data's transaction, because NOTIFY takes
// a lock of the whole database until its commit is done, and at most once an interval: at once for the first, then for
// all that came meanwhile.
type notifier struct {
	pool  *pgxpool.Pool
	local clock.Clock
	group *loop.Group
	mu    struct {
		sync.Mutex
		pending map[flowfabric.LaneID]struct{}
		busy    bool // a goroutine is sending
		closed  bool
	}
	own ownSessions
}

// notifyInterval is the pause after each message.
const notifyInterval = 5 * time.Millisecond

func (n *notifier) start(pool *pgxpool.Pool) {
	n.pool, n.local, n.group = pool, clock.Real(), loop.NewGroup(context.Background())
	n.mu.pending = make(map[flowfabric.LaneID]struct{})
}

// notify leaves word of lanes. It does not wait.
func (n *notifier) notify(lanes []flowfabric.LaneID) {
	if len(lanes) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return
	}
	for _, lane := range lanes {
		n.mu.pending[lane] = struct{}{}
	}
	if !n.mu.busy {
		n.mu.busy = true
		n.group.Go(n.run)
	}
}

// run sends until nothing is pending.
func (n *notifier) run(ctx context.Context) {
	for {
		lanes := n.take()
		if len(lanes) == 0 {
			return
		}
		_ = n.send(ctx, lanes) // a hint; whoever misses it polls
		if !loop.Sleep(ctx, n.local, notifyInterval, nil) {
			return
		}
	}
}

func (n *notifier) take() []flowfabric.LaneID {
	n.mu.Lock()
	defer n.mu.Unlock()
	lanes := slices.Collect(maps.Keys(n.mu.pending))
	clear(n.mu.pending)
	n.mu.busy = len(lanes) > 0
	return lanes
}

const notifyLanes = `SELECT pg_notify('` + channel + `', lane) FROM unnest($1::text[]) lane`

func (n *notifier) send(ctx context.Context, lanes []flowfabric.LaneID) error {
	c, err := n.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	n.own.add(c.Conn().PgConn().PID())
	param := arrayParam(sqlstore.Text, func(a *array) {
		for _, lane := range lanes {
			a.Text(string(lane))
		}
	})
	const textArray = 1009
	_, err = c.Conn().PgConn().ExecParams(ctx, notifyLanes, [][]byte{param}, []uint32{textArray}, binaryForm, nil).Close()
	return err
}

func (n *notifier) close() {
	n.mu.Lock()
	n.mu.closed = true
	n.mu.Unlock()
	n.group.Close()
}

// ownSessions remembers which sessions sent last, so that the listener can skip what this process said itself. Few are
// kept: the server gives process ids to others again.
type ownSessions struct {
	mu   sync.Mutex
	pids [8]uint32
	next int
}

func (o *ownSessions) add(pid uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.pids[:], pid) {
		o.pids[o.next%len(o.pids)] = pid
		o.next++
	}
}

func (o *ownSessions) has(pid uint32) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.pids[:], pid)
}
