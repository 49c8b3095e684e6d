package engine

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// trimmer removes what is kept no longer: finished executions with all their records, old events, old idempotency keys.
type trimmer struct {
	st     store.Store
	clock  clock.Clock
	events time.Duration // how long events are kept
	began  bool
}

const (
	// trimEvery is the pause when nothing is left to remove.
	trimEvery = time.Minute
	// trimBatch is how much of a kind one transaction removes: few enough to be done in some milliseconds.
	trimBatch = 1000
	// trimShare: after a batch with more to follow the trimmer rests so many times longer than the batch took, so that it
	// has a tenth of one connection at most.
	trimShare = 9
)

// step removes one batch and returns how long to rest. Engines do not agree on who trims: their pauses are jittered, what
// one of them removes the others do not find, and two that meet skip each other's rows.
func (t *trimmer) step(ctx context.Context) (time.Duration, error) {
	if !t.began { // an engine that lives briefly has no part in it
		t.began = true
		return loop.Jitter(trimEvery), nil
	}
	tx, err := t.st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
	if err != nil {
		return 0, err
	}
	start := t.clock.Now()
	done, err := t.st.Trim(ctx, store.Trim{EventsBefore: max(1, tx.Now().Add(-t.events)), Limit: trimBatch})
	if err != nil {
		return 0, err
	}
	if max(done.Executions, done.Events, done.Keys) < trimBatch {
		return loop.Jitter(trimEvery), nil
	}
	return max(time.Millisecond, trimShare*t.clock.Now().Sub(start)), nil
}
