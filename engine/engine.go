package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/due"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/sched"
	"github.com/flowfabric/flowfabric/internal/tail"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Config of an [Engine]. The zero value is the default of every field.
type Config struct {
	// Partitions is the number of logical partitions. It must be the same for every engine of a deployment, for ever: the
	// first engine that opens a store leaves it there. Default: what the store has, or [flowfabric.DefaultPartitions] if it
	// has none yet.
	Partitions flowfabric.PartitionConfig
	// ClaimPoll is the longest a waiting claim goes without asking the store: 10 ms to 1 minute, default 5 s, or 1 s on a
	// store without wake-ups. Wake-ups make it irrelevant unless one is lost.
	ClaimPoll time.Duration
	// DuePoll is the longest between two looks for due work: 10 ms to 1 minute, default 1.5 s. A lease, delay or retry
	// that another process left behind when it died is carried on this late, at most.
	DuePoll time.Duration
	// DueBatch is how many due executions one commit carries on: 1 to 1,000, default 200.
	DueBatch int
	// Retention is how long a finished execution is kept if its policy does not say: 1 s to 100 years, default
	// [flowfabric.DefaultRetention]. It counts for executions that end from now on. A set of required capabilities that
	// nothing waits with is forgotten after as long.
	Retention time.Duration
	// EventRetention is how long events are kept: 1 s to 100 years, default 7 days.
	EventRetention time.Duration
	// EventLimit is about how many events of a shard are kept, whatever their age: 1,000 to 10^12, default 10,000,000.
	EventLimit int
	// ReclaimDeadWorkers takes the leases of a registered worker instance that was marked dead, or gave no sign of life in
	// time, at once, so that others continue its attempts. All engines of a deployment should agree on it, and an instance
	// id must then be of one process in all namespaces. Default: such leases run out.
	ReclaimDeadWorkers bool
	// SignalRate is how many signals a second this engine takes for one waitpoint in the long run, twenty seconds' worth at
	// once: 1 to 1,000,000, default 100. More fail with [flowfabric.ErrResourceExhausted]. Approvals are not bounded.
	SignalRate int
	// StreamReads is how many reads of streams this engine has under way at once: 1 to 100,000, default 1,000. What is more
	// fails with [flowfabric.ErrResourceExhausted]. Viewers that wait do not count: there may be 10,000 of them.
	StreamReads int
	// Metrics, if not nil, hears of what this engine does, and is told of queues and workers when somebody collects: see
	// package metrics. Metrics are of one engine. Default: none, which costs nothing.
	Metrics *obs.Metrics
	// Logger gets life-cycle and recovery messages. Default: none.
	Logger *slog.Logger
	// Clock paces the loops; tests own it. Default: the machine's. The time of leases and delays is the store's.
	Clock clock.Clock
}

func (c *Config) setDefaults() {
	c.DuePoll = cmp.Or(c.DuePoll, 1500*time.Millisecond)
	c.DueBatch = cmp.Or(c.DueBatch, 200)
	c.Retention = cmp.Or(c.Retention, flowfabric.DefaultRetention)
	c.EventRetention = cmp.Or(c.EventRetention, 7*24*time.Hour)
	c.EventLimit = cmp.Or(c.EventLimit, 10_000_000)
	c.StreamReads = cmp.Or(c.StreamReads, 1000)
	c.SignalRate = cmp.Or(c.SignalRate, 100)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
}

func (c *Config) validate() error {
	bad := func(field, problem string) error {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "engine.Open", Detail: "Config." + field + " " + problem}
	}
	if p, none := c.Partitions, (flowfabric.PartitionConfig{}); p != none && (p.Flow == 0 || p.Budget == 0 || p.Quota == 0) {
		return bad("Partitions", "has a family without partitions")
	}
	if c.ClaimPoll != 0 && (c.ClaimPoll < 10*time.Millisecond || c.ClaimPoll > time.Minute) {
		return bad("ClaimPoll", fmt.Sprintf("is %s; it must be between 10ms and 1m", c.ClaimPoll))
	}
	if c.DuePoll < 10*time.Millisecond || c.DuePoll > time.Minute {
		return bad("DuePoll", fmt.Sprintf("is %s; it must be between 10ms and 1m", c.DuePoll))
	}
	if c.DueBatch < 1 || c.DueBatch > 1000 {
		return bad("DueBatch", fmt.Sprintf("is %d; it must be between 1 and 1000", c.DueBatch))
	}
	if c.SignalRate < 1 || c.SignalRate > 1_000_000 {
		return bad("SignalRate", fmt.Sprintf("is %d; it must be between 1 and 1000000", c.SignalRate))
	}
	if c.EventLimit < 1000 || c.EventLimit > 1e12 {
		return bad("EventLimit", fmt.Sprintf("is %d; it must be between 1000 and 10^12", c.EventLimit))
	}
	if c.StreamReads < 1 || c.StreamReads > 100_000 {
		return bad("StreamReads", fmt.Sprintf("is %d; it must be between 1 and 100000", c.StreamReads))
	}
	const longest = time.Duration(flowfabric.MaxSpanMS) * time.Millisecond
	if c.Retention < time.Second || c.Retention > longest {
		return bad("Retention", fmt.Sprintf("is %s; it must be between 1s and %s", c.Retention, longest))
	}
	if c.EventRetention < time.Second || c.EventRetention > longest {
		return bad("EventRetention", fmt.Sprintf("is %s; it must be between 1s and %s", c.EventRetention, longest))
	}
	return nil
}

// Engine is an embedded engine. Its methods are safe for concurrent use.
type Engine struct {
	st       store.Store
	rules    ops.Rules
	clock    clock.Clock
	log      *slog.Logger
	commit   *commit.Committer
	sched    *sched.Scheduler
	due      *due.Loop
	held     *held
	watchers *watchers
	finished *finished
	intake   *intake
	keys     *keyring
	signals  *signalRate
	scopes   *scopes
	events   *eventWatch
	tails    *tail.Hub
	presence *presence
	metrics  *obs.Metrics // nil for none
	recorded *obs.Metrics // the same, or what records nothing
	// reclaimDead is Config.ReclaimDeadWorkers.
	reclaimDead bool
	group       *loop.Group
	closing     chan struct{} // closed when Close begins
	close       sync.Once
}

var _ flowfabric.Service = (*Engine)(nil)

// Open starts an engine over st. The store stays the caller's: Close leaves it open, so that it can be closed after the
// last engine. ctx bounds the start alone. It fails with [flowfabric.ErrInvalidInput] for a field of cfg that is out of its
// bounds, and with [flowfabric.ErrPartitionMismatch] for a store that was made for other partition counts.
func Open(ctx context.Context, st store.Store, cfg Config) (*Engine, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	e := &Engine{
		st: st, clock: cfg.Clock, log: cfg.Logger, reclaimDead: cfg.ReclaimDeadWorkers,
		held: newHeld(), watchers: newWatchers(), finished: newFinished(), group: loop.NewGroup(context.WithoutCancel(ctx)),
		closing: make(chan struct{}), metrics: cfg.Metrics, recorded: cfg.Metrics.OrNone(),
	}
	e.rules = ops.Rules{
		Partitions: cfg.Partitions, Retention: cfg.Retention, Home: e.home, OneShard: len(st.Shards()) == 1, Beliefs: store.NewBeliefs(),
	}
	if err := e.keepPartitions(ctx); err != nil {
		e.group.Close()
		return nil, fmt.Errorf("open engine: %w", err)
	}
	e.intake = newIntake(st, e.rules, cfg.Clock)
	e.scopes = newScopes(st, cfg.Clock)
	e.events = newEventWatch(st, cfg.Clock)
	e.tails = tail.New(streamReader{st, e.rules}, cfg.Clock, e.group, cfg.StreamReads)
	e.signals = newSignalRate(cfg.Clock, cfg.SignalRate)
	e.keys = newKeyring(st, cfg.Clock, e.rules, e.do)
	wakes, err := e.watch(ctx, &cfg)
	if err != nil {
		e.group.Close()
		return nil, err
	}
	e.commit = commit.New(st, cfg.Clock, e.committed, e.recorded.Retries)
	e.sched = sched.New(st, e.rules, e.commit, cfg.Clock, cfg.Logger, e.group, sched.Config{Poll: cfg.ClaimPoll, Metrics: cfg.Metrics})
	e.due = due.New(st, e.rules, e.commit, cfg.Clock, due.Config{
		Poll: cfg.DuePoll, Batch: cfg.DueBatch, ReclaimDeadWorkers: cfg.ReclaimDeadWorkers, Logger: cfg.Logger, Metrics: cfg.Metrics,
	})
	e.presence = newPresence(e.rules, e.commit, e.due, cfg.Clock)
	e.group.Go(e.due.Run)
	e.group.Go(func(ctx context.Context) {
		loop.Every(ctx, cfg.Clock, cfg.Logger, "give signs of life", e.presence.wake, e.presence.step)
	})
	t := &trimmer{
		st: st, clock: cfg.Clock, metrics: e.recorded, events: cfg.EventRetention, kept: uint64(cfg.EventLimit), routes: cfg.Retention,
	}
	e.group.Go(func(ctx context.Context) { loop.Every(ctx, cfg.Clock, cfg.Logger, "trim", nil, t.step) })
	e.group.Go(func(context.Context) {
		for w := range wakes {
			e.sched.Wake(w.Lane)
		}
	})
	if cfg.Metrics != nil {
		g := &gauges{m: cfg.Metrics, st: st, rules: e.rules, tails: e.tails, clock: cfg.Clock}
		cfg.Metrics.SetSampler(g.sample)
	}
	return e, nil
}

// home returns the partition that stands for the shard of another.
func (e *Engine) home(p flowfabric.Partition) flowfabric.Partition {
	return e.st.Shards()[e.st.Shard(p)]
}

// Partitions returns how many partitions a store was made for; the zero value for one that no engine has opened yet.
func Partitions(ctx context.Context, st store.Store) (flowfabric.PartitionConfig, error) {
	e := &Engine{st: st}
	counts, err := ops.Rules{Home: e.home}.PartitionCounts(ctx, st)
	return counts, commit.Coded(err)
}

// keepPartitions takes the partition counts from the store, or leaves there what it was told if the store has none. That
// takes a commit only once in the life of a store.
func (e *Engine) keepPartitions(ctx context.Context) error {
	counts, err := e.rules.PartitionCounts(ctx, e.st)
	if err != nil {
		return commit.Coded(err)
	}
	if counts == (flowfabric.PartitionConfig{}) {
		keep := e.rules.KeepPartitions(cmp.Or(e.rules.Partitions, flowfabric.DefaultPartitions()), &counts)
		if err := e.st.Apply(ctx, []*store.Unit{&keep.Unit}); err != nil {
			return commit.Coded(err)
		}
		if err := keep.Outcome(); err != nil {
			return err
		}
	}
	if err := ops.SamePartitions(counts, cmp.Or(e.rules.Partitions, counts)); err != nil {
		return err
	}
	e.rules.Partitions = counts
	return nil
}

// watch subscribes to other processes' commits and sets the claim poll that goes with having or not having them.
func (e *Engine) watch(ctx context.Context, cfg *Config) (<-chan store.Wake, error) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	wakes, err := e.st.Watch(watching)
	switch {
	case errors.Is(err, store.ErrNoWatch):
		cfg.ClaimPoll = cmp.Or(cfg.ClaimPoll, time.Second)
		stop()
		none := make(chan store.Wake)
		close(none)
		return none, nil
	case err != nil:
		stop()
		return nil, commit.Coded(err)
	}
	cfg.ClaimPoll = cmp.Or(cfg.ClaimPoll, 5*time.Second)
	e.group.Go(func(ctx context.Context) { <-ctx.Done(); stop() })
	return wakes, nil
}

// Close stops the loops, answers calls that wait, commits what was called before and stops. ctx bounds the wait for the
// last commits. Calls after it fail with [flowfabric.ErrUnavailable]. The store stays open. Closing again does nothing.
func (e *Engine) Close(ctx context.Context) error {
	e.close.Do(func() {
		close(e.closing)
		if e.metrics != nil {
			e.metrics.SetSampler(nil)
		}
		e.tails.Close()
	})
	stopped := make(chan struct{})
	go func() {
		e.group.Close() // may wait for a commit, so the two close side by side
		close(stopped)
	}()
	e.commit.Close(ctx)
	<-stopped
	return nil
}

// open fails once the engine is being closed.
func (e *Engine) open(op string) error {
	select {
	case <-e.closing:
		return closed(op)
	default:
		return nil
	}
}

func closed(op string) error {
	return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op, Detail: "the engine is closed"}
}

// committed follows up on a unit that was committed: what it made claimable wakes claims, what it made due hints the due
// loop. All of it is a short cut; the indexes in the store are the truth.
func (e *Engine) committed(u *store.Unit) {
	e.observe(u)
	e.sched.Committed(u.Wrote)
	e.events.nudge.Wake()
	for _, rec := range u.Wrote {
		if loser := e.held.note(rec); loser != "" {
			e.watchers.tell(loser, rec.ID)
		}
		if rec.DueAt != 0 {
			e.due.Hint(rec.DueAt)
		}
		if rec.State.Finished() {
			e.finished.note(rec.ID)
		}
		e.tails.Committed(rec)
	}
	if u.DueAt != 0 {
		e.due.Hint(u.DueAt)
	}
	for _, rec := range u.Records {
		if f, ok := rec.(*record.Flow); ok && f.EndedCount >= f.NodeCount {
			e.finished.note(flowWaiter(f.FlowID))
		}
	}
}

// flowWaiter stands for a flow among the executions whose end callers wait for.
func flowWaiter(id flowfabric.FlowID) flowfabric.ExecutionID {
	return flowfabric.ExecutionIDFrom(0, [16]byte(id))
}

// do commits operations and returns the first one's outcome.
func (e *Engine) do(ctx context.Context, op *ops.Op) error {
	if err := e.commit.Do(ctx, &op.Unit); err != nil {
		return err
	}
	return op.Outcome()
}

// doHeld commits an operation of a lease holder, deciding on the record this engine holds from its own last commit. The
// store's guard finds out if that is stale.
func (e *Engine) doHeld(ctx context.Context, id flowfabric.ExecutionID, op *ops.Op) error {
	op.Assume = e.held.lookup
	if rec, known := e.held.lookup(id); known && rec != nil {
		e.rules.Prefetch(op, rec)
	}
	err := e.do(ctx, op)
	if err != nil {
		e.held.forget(id)
	}
	return err
}
