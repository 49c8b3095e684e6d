// Package due is the one loop over due times (docs/architecture.md): lease expiries, delays, retries. Every record says
// when it next needs attention; the loop takes what is due in batches and applies the rule for it. Nothing in memory is
// needed to recover: a hint only makes the loop look earlier.
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
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// Config of a [Loop].
type Config struct {
	// Poll is the longest the loop sleeps: due times that other processes write are seen this late, at most.
	Poll time.Duration
	// Batch is how many executions one commit carries on.
	Batch int
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
}

// New returns a loop that is run by [Loop.Run].
func New(st store.Store, rules ops.Rules, cm *commit.Committer, c clock.Clock, cfg Config) *Loop {
	return &Loop{st: st, rules: rules, commit: cm, clock: c, cfg: cfg, wake: loop.NewWakeup()}
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
func (l *Loop) Run(ctx context.Context, log *slog.Logger) {
	loop.Every(ctx, l.clock, log, "due", l.wake, l.step)
}

// step carries on what is due and returns how long nothing will be.
func (l *Loop) step(ctx context.Context) (time.Duration, error) {
	l.hinted.Store(math.MaxInt64)
	tx, err := l.st.View(ctx, store.Reads{NextDue: true})
	if err != nil {
		return 0, err
	}
	at, now := tx.NextDue(), tx.Now()
	if at == 0 || at > now {
		until := now.Add(loop.Jitter(l.cfg.Poll))
		if at != 0 {
			until = min(until, at)
		}
		l.next.Store(int64(until))
		until = min(until, flowfabric.Timestamp(l.hinted.Load())) // hints since the look above
		return max(until.Sub(now), time.Millisecond), nil
	}
	for i, shard := range l.st.Shards() {
		if err := l.drain(ctx, shard, uint64(i)); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// drain carries on one shard until nothing is due there.
func (l *Loop) drain(ctx context.Context, shard flowfabric.Partition, order uint64) error {
	for {
		handled := 0
		op := l.rules.Tick(shard, order, l.cfg.Batch, &handled)
		if err := l.commit.Do(ctx, &op.Unit); err != nil {
			return err
		}
		if err := op.Outcome(); err != nil {
			return err
		}
		if handled < l.cfg.Batch {
			return nil
		}
	}
}
