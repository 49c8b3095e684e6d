package engine

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/store"
)

// trimmer removes what is kept no longer: finished executions with all their records, old events, old idempotency keys, routes
// nothing was ready on for long.
// It has a tenth of one connection, and more of it, up to a half, for as long as that is not enough.
type trimmer struct {
	st     store.Store
	clock  clock.Clock
	events time.Duration // how long events are kept
	kept   uint64        // and how many
	routes time.Duration // how long routes are kept that have no work

	metrics *obs.Metrics

	rest  int           // it rests so many times longer than a batch took; 0 until its first step
	since time.Time     // since when each batch was followed by another, at this rest; zero: the last was not
	pause time.Duration // when nothing is left
}

const (
	// firstTrimPause is before the first step: an engine that lives for seconds has no part in it.
	firstTrimPause = 10 * time.Second
	// After a step that found nothing more to remove the next follows soon, and later each time.
	minTrimPause = time.Second
	maxTrimPause = time.Minute
	// trimBatch is how much of a kind one call removes: few enough to be done in some tens of milliseconds.
	trimBatch = 1000
	// maxTrimRest and minTrimRest bound trimmer.rest: a tenth and a half of one connection.
	maxTrimRest = 9
	minTrimRest = 1
	// trimPatience is how long the trimmer is behind before it takes more.
	trimPatience = 3 * time.Second
)

// step removes one batch and returns how long to rest. Engines do not agree on who trims: their pauses are jittered, what
// one of them removes the others do not find, and two that meet skip each other's rows.
func (t *trimmer) step(ctx context.Context) (time.Duration, error) {
	if t.rest == 0 {
		t.rest, t.pause = maxTrimRest, minTrimPause
		return loop.Jitter(firstTrimPause), nil
	}
	tx, err := t.st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
	if err != nil {
		return 0, err
	}
	start := t.clock.Now()
	done, err := t.st.Trim(ctx, store.Trim{EventsBefore: max(1, tx.Now().Add(-t.events)), EventsKept: t.kept, RoutesBefore: max(1, tx.Now().Add(-t.routes)), Limit: trimBatch})
	now := t.clock.Now()
	t.metrics.Scanned(obs.Retention, now, now.Sub(start), done.Executions+done.Events+done.Keys, err)
	if err != nil {
		return 0, err
	}
	if done.Full(trimBatch) {
		return t.behind(now, now.Sub(start)), nil
	}
	return t.caughtUp(), nil
}

// behind returns the rest after a batch that took a while and leaves more to remove.
func (t *trimmer) behind(now time.Time, took time.Duration) time.Duration {
	switch {
	case t.since.IsZero():
		t.since = now
	case now.Sub(t.since) >= trimPatience:
		t.rest, t.since = max(minTrimRest, t.rest-1), now
	}
	t.pause = minTrimPause
	return max(time.Millisecond, time.Duration(t.rest)*took)
}

// caughtUp returns the rest when nothing is left to remove.
func (t *trimmer) caughtUp() time.Duration {
	t.rest, t.since = min(maxTrimRest, t.rest+1), time.Time{}
	pause := t.pause
	t.pause = min(2*t.pause, maxTrimPause)
	return loop.Jitter(pause)
}
