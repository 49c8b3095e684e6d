// Package due is the one loop over due times (docs/architecture.md): lease expiries, delays, retries, registrations of
// workers. Every record says when it next needs attention; the loop takes what is due in batches and applies the rule for
// it. Nothing in memory is needed to recover: a hint only makes the loop look earlier.
package due

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// Config of a [Loop].
type Config struct {
	// Poll is the longest the loop sleeps: due times that other processes write are seen this late, at most.
	Poll time.Duration
	// Batch is how many executions one commit carries on.
	Batch int
	// ReclaimDeadWorkers: the leases of a worker that is dead are revoked before it is forgotten.
	ReclaimDeadWorkers bool
	Logger             *slog.Logger
	// Metrics hears of rounds and of what they carry on; nil: nobody does.
	Metrics *obs.Metrics
}

// Loop carries on what is due.
type Loop struct {
	st     store.Store
	rules  ops.Rules
	commit *commit.Committer
	clock  clock.Clock
	cfg    Config
	wake   *loop.Wakeup
	next   atomic.Int64 // storage time up to which the loop means to sleep
	hinted atomic.Int64 // earliest hint since the loop last looked
	// Of the loop's goroutine:
	shards  []shard
	failing string // the part of the work that failed last
}

// shard is a shard's part in the loop. One that fails is left alone for a while, and holds up no other.
type shard struct {
	at      flowfabric.Partition
	pause   time.Duration // after the next failure
	errors  int           // in a row
	retryAt time.Time
}

// New returns a loop that is run by [Loop.Run].
func New(st store.Store, rules ops.Rules, cm *commit.Committer, c clock.Clock, cfg Config) *Loop {
	cfg.Metrics = cfg.Metrics.OrNone()
	l := &Loop{st: st, rules: rules, commit: cm, clock: c, cfg: cfg, wake: loop.NewWakeup()}
	for _, at := range st.Shards() {
		l.shards = append(l.shards, shard{at: at, pause: firstPause})
	}
	return l
}

// Hint says that something will be due at t. It is cheap and never blocks.
func (l *Loop) Hint(t flowfabric.Timestamp) {
	for {
		earliest := l.hinted.Load()
		if int64(t) >= earliest {
			return
		}
		if l.hinted.CompareAndSwap(earliest, int64(t)) {
			break
		}
	}
	if int64(t) < l.next.Load() {
		l.wake.Wake()
	}
}

// Run works until ctx ends.
func (l *Loop) Run(ctx context.Context) {
	loop.Every(ctx, l.clock, l.cfg.Logger, "due", l.wake, l.Step)
}

// Step carries on what is due and returns how long nothing will be. It is what [Loop.Run] does again and again.
func (l *Loop) Step(ctx context.Context) (time.Duration, error) {
	l.hinted.Store(math.MaxInt64)
	tx, err := l.st.View(ctx, store.Reads{NextDue: true})
	if err != nil {
		return 0, err
	}
	at, now := tx.NextDue(), tx.Now()
	if at != 0 && at <= now {
		if l.carryOn(ctx) > 0 {
			return 0, nil
		}
		at = 0 // nothing can be done about it now: not a reason to look again before the poll
	}
	until := now.Add(loop.Jitter(l.cfg.Poll))
	if at != 0 {
		until = min(until, at)
	}
	l.next.Store(int64(until))
	hinted := flowfabric.Timestamp(l.hinted.Load()) // since the look above
	if hinted <= now {
		return 0, nil
	}
	return max(min(until, hinted).Sub(now), time.Millisecond), nil
}

// Pauses of a shard that fails; they double from the first to the longest.
const firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second

// carryOn does what is due on every shard and returns how much that was.
func (l *Loop) carryOn(ctx context.Context) (handled int) {
	for i := range l.shards {
		s := &l.shards[i]
		if l.clock.Now().Before(s.retryAt) {
			continue
		}
		n, err := l.drain(ctx, s.at, uint64(i))
		handled += n
		switch {
		case err == nil:
			s.pause, s.errors = firstPause, 0
		case ctx.Err() != nil:
			return handled
		default:
			s.errors++
			l.cfg.Logger.WarnContext(ctx, "what is due was not carried on; it will be tried again",
				"shard", i, "scanner", l.failing, "processed", n, "errors", s.errors, "error", err, "pause", s.pause)
			s.retryAt = l.clock.Now().Add(loop.Jitter(s.pause))
			s.pause = min(2*s.pause, longestPause)
		}
	}
	return handled
}

// drain carries on one shard until nothing is due there, and returns how much was.
func (l *Loop) drain(ctx context.Context, at flowfabric.Partition, order uint64) (total int, err error) {
	total, err = l.round(ctx, obs.Due, func() (int, error) {
		return l.each(ctx, func(handled *int) *ops.Op { return l.rules.Tick(at, order, l.cfg.Batch, handled) })
	})
	if err != nil {
		return total, err
	}
	n, err := l.round(ctx, obs.Flows, func() (int, error) { return l.flows(ctx, at, order) })
	if total += n; err != nil || total > 0 {
		return total, err // the next step comes at once and finds the rest, if that was not all
	}
	total, err = l.round(ctx, obs.Waitpoints, func() (int, error) {
		return l.each(ctx, func(handled *int) *ops.Op { return l.rules.SweepWaits(at, order, l.cfg.Batch, handled) })
	})
	if err != nil || total > 0 {
		return total, err
	}
	total, err = l.round(ctx, obs.Streams, func() (int, error) {
		return l.each(ctx, func(handled *int) *ops.Op { return l.rules.SweepStreams(at, order, l.cfg.Batch, handled) })
	})
	if err != nil || total > 0 {
		return total, err
	}
	total, err = l.round(ctx, obs.Limits, func() (int, error) { return l.gates(ctx, at, order) })
	if err != nil || total > 0 {
		return total, err
	}
	return l.round(ctx, obs.Workers, func() (int, error) { return l.sweep(ctx, at, order) })
}

// round does one part of the work and records what it came to.
func (l *Loop) round(ctx context.Context, scanner string, part func() (int, error)) (handled int, err error) {
	began := l.clock.Now()
	handled, err = part()
	ended := l.clock.Now()
	l.cfg.Metrics.Scanned(scanner, ended, ended.Sub(began), handled, err)
	if err != nil {
		l.failing = scanner
	}
	if handled > 0 && l.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		l.cfg.Logger.DebugContext(ctx, "due work carried on", "scanner", scanner, "processed", handled, "elapsed_ms", ended.Sub(began).Milliseconds())
	}
	return handled, err
}

// each does an operation again until it finds less than a batch, and returns how much it found.
func (l *Loop) each(ctx context.Context, next func(handled *int) *ops.Op) (total int, err error) {
	for {
		handled := 0
		if err := l.do(ctx, next(&handled)); err != nil {
			return total, err
		}
		total += handled
		if handled < l.cfg.Batch {
			return total, nil
		}
	}
}

func (l *Loop) do(ctx context.Context, op *ops.Op) error {
	if err := l.commit.Do(ctx, &op.Unit); err != nil {
		return err
	}
	return op.Outcome()
}
