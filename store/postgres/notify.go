package postgres

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// channel carries the lane of executions that became ready, behind the tag of the store that tells and a space. The tag is
// empty when no store knows of them: they were submitted in a caller's transaction.
const channel = "ff_wake"

// newTag makes the tag of a store.
func newTag() string { return strconv.FormatUint(rand.Uint64(), 36) }

// wakeParams are the parameters of notifyStatement.
func wakeParams(tag string, lanes []flowfabric.LaneID) [][]byte {
	return [][]byte{arrayParam(sqlstore.Text, func(a *array) {
		for _, lane := range lanes {
			a.Text(tag + " " + string(lane))
		}
	})}
}

// laneOf returns the lane of a payload, and false for one with the given tag.
func laneOf(payload, tag string) (flowfabric.LaneID, bool) {
	from, lane, _ := strings.Cut(payload, " ")
	return flowfabric.LaneID(lane), from != tag
}

// notifier tells other processes of lanes with new work. It speaks outside the data's transaction, because NOTIFY takes
// a lock of the whole database until its commit is done, and at most once an interval: at once for the first, then for
// all that came meanwhile.
type notifier struct {
	pool  *pgxpool.Pool
	tag   string // names this store among those that tell
	to    company
	local clock.Clock
	group *loop.Group
	mu    struct {
		sync.Mutex
		pending map[flowfabric.LaneID]struct{}
		busy    bool // a goroutine is sending
		closed  bool
	}
}

// notifyInterval is the pause after each message.
const notifyInterval = 5 * time.Millisecond

func (n *notifier) start(pool *pgxpool.Pool) {
	n.to = company{local: clock.Real(), deaf: true}
	n.pool, n.tag, n.local, n.group = pool, newTag(), clock.Real(), loop.NewGroup(context.Background())
	n.mu.pending = make(map[flowfabric.LaneID]struct{})
}

// notify leaves word of lanes. It does not wait.
func (n *notifier) notify(lanes []flowfabric.LaneID) {
	if len(lanes) == 0 || !n.to.listens() {
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

var notifyStatement = newStatement(`SELECT pg_notify('` + channel + `', payload) FROM unnest($1::text[]) payload`)

func (n *notifier) send(ctx context.Context, lanes []flowfabric.LaneID) error {
	c, err := n.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	_, err = c.Conn().PgConn().ExecParams(ctx, notifyStatement.sql, wakeParams(n.tag, lanes), nil, binaryForm, nil).Close()
	return err
}

func (n *notifier) close() {
	n.mu.Lock()
	n.mu.closed = true
	n.mu.Unlock()
	n.group.Close()
}
