package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// tailRate is how many frames the writer of [Tails] appends a second, one in a call.
const tailRate = 100

// tailing is what a writer and its viewers made in one part of [Tails].
type tailing struct {
	times      []time.Duration // from append to viewer, of all frames and viewers
	statements float64         // a second; 0 where nobody counts
	counter    string          // of the statements
}

// tails has one writer append for Duration: alone, then with Callers viewers, then with as many on another engine over the same
// database. Each viewer must see every frame once, in order. The statements are what the viewers cost the database.
func (r *run) tails(ctx context.Context, b *bed) error {
	r.res.Callers, r.res.PayloadBytes = r.opts.Callers, r.opts.PayloadBytes
	alone, err := r.tailed(ctx, b, b.svc, 0)
	if err != nil {
		return err
	}
	here, err := r.tailed(ctx, b, b.svc, r.opts.Callers)
	if err != nil {
		return err
	}
	r.res.percentiles(here.times)
	if alone.statements > 0 {
		r.res.StatementsPerS = max(0, here.statements-alone.statements)
		r.res.note(fmt.Sprintf("%.1f statements a second without viewers, counted by %s", alone.statements, alone.counter))
	} else {
		r.res.note("statements are not counted on " + string(r.kind))
	}
	if r.kind == backend.Memory || b.remote() {
		return nil
	}
	return r.withEngine(ctx, b.db, func(other *bed) error { // as another process would have it
		there, err := r.tailed(ctx, b, other.svc, r.opts.Callers)
		if err != nil {
			return fmt.Errorf("on another engine: %w", err)
		}
		var figures Result
		figures.percentiles(there.times)
		r.res.OtherP50MS, r.res.OtherP99MS = figures.P50MS, figures.P99MS
		if alone.statements > 0 {
			r.res.OtherStatementsPerS = max(0, there.statements-alone.statements)
		}
		return nil
	})
}

// tailed has one writer append for Duration, and viewers of svc who follow.
func (r *run) tailed(ctx context.Context, b *bed, svc flowfabric.Streams, viewers int) (t tailing, err error) {
	n := max(1, int(r.opts.Duration.Seconds()*tailRate))
	held, err := r.hold(ctx, b, 1)
	if err != nil {
		return t, err
	}
	tasks := []func(context.Context) error{func(ctx context.Context) error {
		return r.counted(ctx, b, &t, func() error {
			_, err := r.append(ctx, b, held[0], n, 1, time.Second/tailRate)
			return err
		})
	}}
	var lock sync.Mutex
	for range viewers {
		tasks = append(tasks, func(ctx context.Context) error {
			seen, err := r.follow(ctx, svc, held[0], n)
			lock.Lock()
			defer lock.Unlock()
			t.times = append(t.times, seen...)
			return err
		})
	}
	err = r.metered(b.db, 0, func() error { return together(ctx, tasks...) })
	return t, err
}

// counted runs fn and sets how many statements a second the database ran meanwhile.
func (r *run) counted(ctx context.Context, b *bed, t *tailing, fn func() error) error {
	before, counter, err := b.db.Statements(ctx)
	if err != nil {
		return err
	}
	start := r.clock.Now()
	if err := fn(); err != nil {
		return err
	}
	took := r.clock.Now().Sub(start)
	after, _, err := b.db.Statements(ctx)
	t.counter, t.statements = counter, float64(after-before)/took.Seconds()
	return err
}
