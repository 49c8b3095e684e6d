package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// sweeper vacuums the queues. Entries leave them at the front, and until they are vacuumed every query walks over what
// they leave behind: 10,000 removals make a claim five times as expensive, and autovacuum comes once a minute.
type sweeper struct {
	pool   *pgxpool.Pool
	local  clock.Clock
	group  *loop.Group
	floors *floors
	mu     struct {
		sync.Mutex
		removals removals // since the queue was last swept
		rest     time.Time
		busy     bool
		closed   bool
	}
}

// Queues that are swept.
const (
	readyQueue = iota
	dueQueue
	slotSet
	sweptQueues
)

// removals are how many entries left each queue.
type removals [sweptQueues]int

const (
	// sweepAfter is how many removals make a queue worth sweeping.
	sweepAfter = 4000
	// sweepRest is how long a sweep is followed by none, in its own duration: sweeping takes at most a twentieth of a
	// connection's time, however large the queues are.
	sweepRest = 20
)

// What another process is sweeping is left to it. Without INDEX_CLEANUP few dead entries would be left where they are; with
// TRUNCATE the vacuum would lock out everybody for the sake of a few pages.
var sweepStatements = [sweptQueues]string{
	readyQueue: `VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) ff_ready`,
	dueQueue:   `VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) ff_due`,
	slotSet:    `VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) ff_lane_slot`,
}

func (w *sweeper) start(pool *pgxpool.Pool, f *floors) {
	w.pool, w.local, w.group, w.floors = pool, clock.Real(), loop.NewGroup(context.Background()), f
}

// removed counts entries that left the queues, and sweeps in the background when it is time to.
func (w *sweeper) removed(left removals) {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := 0
	for queue, n := range left {
		w.mu.removals[queue] += n
		most = max(most, w.mu.removals[queue])
	}
	if most < sweepAfter || w.mu.busy || w.mu.closed || w.local.Now().Before(w.mu.rest) {
		return
	}
	var statements []string
	for queue, n := range w.mu.removals {
		if n >= sweepAfter {
			statements, w.mu.removals[queue] = append(statements, sweepStatements[queue]), 0
		}
	}
	w.mu.busy = true
	w.group.Go(func(ctx context.Context) { w.sweep(ctx, statements) })
}

func (w *sweeper) sweep(ctx context.Context, statements []string) {
	begin := w.local.Now()
	_ = w.run(ctx, statements) // the queues work without; autovacuum comes in the end
	end := w.local.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.busy = false
	w.mu.rest = end.Add(sweepRest * end.Sub(begin))
}

func (w *sweeper) run(ctx context.Context, statements []string) error {
	c, err := w.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	for _, sql := range statements {
		if err := c.Conn().PgConn().Exec(ctx, sql).Close(); err != nil {
			return err
		}
	}
	return w.floors.examine(ctx, c.Conn().PgConn())
}

// close ends a sweep that is under way and starts no other.
func (w *sweeper) close() {
	w.mu.Lock()
	w.mu.closed = true
	w.mu.Unlock()
	w.group.Close()
}
