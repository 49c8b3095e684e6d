package crashtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// A table full of finished executions is no burden: with ten million of them submit, claim and complete keep nine tenths of
// their speed, and while retention removes them, eight tenths.
func TestFinishedExecutions_AreNoBurden(t *testing.T) {
	beside(t)
	finished, work, rounds := either(20_000, 10_000_000), either(500, 5000), either(1, 7)
	small, large := newLoad(t), newLoad(t)
	large.fill(t, finished)
	compare(t, fmt.Sprintf("%d finished executions", finished), 0.9, rounds, work, small, large)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	trimmed := 0
	wg.Go(func() { trimmed = trim(ctx, t, large) })
	if soaking() {
		compare(t, "retention at work", 0.8, rounds, work, small, large)
		cancel()
	}
	wg.Wait()
	cancel()
	t.Logf("%d were removed here", trimmed) // the engine's own retention may have removed others
	if left := large.count(t, "ff_exec_core WHERE execution_id < '00000001-0000-0000-0000-000000000000'"); !soaking() && left != 0 {
		t.Errorf("%d are left that may be removed", left)
	}
	// Every execution has its entry, also after others, the engine's own retention for one, have trimmed beside us.
	executions, entries := large.count(t, "ff_exec_core"), large.count(t, "ff_retention")
	if executions != entries {
		t.Errorf("%d executions and %d entries of retention are left", executions, entries)
	}
	if kept := large.count(t, "ff_exec_core WHERE execution_id > '00000001-0000-0000-0000-000000000000'"); kept != large.ended {
		t.Errorf("%d of %d executions are left that were not to be removed yet", kept, large.ended)
	}
}

// trim removes what may be removed, as an engine does: in batches, at rest nine tenths of the time, until there is nothing
// left, also of what somebody else is removing at the moment.
func trim(ctx context.Context, t *testing.T, l *load) (removed int) {
	for ctx.Err() == nil {
		begin := wall.Now()
		done, err := l.st.Trim(ctx, store.Trim{Limit: 1000})
		removed += done.Executions
		if done.Executions == 0 && err == nil && l.count(t, "ff_retention WHERE execution_id < '00000001-0000-0000-0000-000000000000'") == 0 {
			return removed
		}
		if err != nil || done.Executions > 1000 {
			if ctx.Err() == nil {
				t.Errorf("trim: %d removed, %v", done.Executions, err)
			}
			return removed
		}
		loop.Sleep(ctx, wall, max(time.Millisecond, 9*wall.Now().Sub(begin)), nil)
	}
	return removed
}

// load is a database with an engine whose operations are timed.
type load struct {
	url   string
	st    store.Store
	eng   *engine.Engine
	ended int // executions it has completed
}

func newLoad(t *testing.T) *load {
	t.Helper()
	l := &load{url: freshPostgres(t)}
	l.st = opened(t, l.url)
	l.eng = embedded(t, l.st)
	return l
}

// fill adds executions that have finished and may be removed, by SQL, as the engine would have left them: copies of one
// that it has run, each with an id and times of its own.
func (l *load) fill(t *testing.T, n int) {
	t.Helper()
	l.run(t, 1, 1)
	var columns, values string
	for into, expression := range map[*string]string{&columns: `column_name`, &values: `CASE column_name
			WHEN 'execution_id' THEN 'lpad(to_hex(i), 32, ''0'')::uuid'
			WHEN 'created_at_ms' THEN 'created_at_ms - 1000 - i / 10'
			WHEN 'retain_until_ms' THEN 'created_at_ms - i / 10'
			ELSE column_name END`} {
		if err := query(t, l.url, `SELECT string_agg(`+expression+`, ', ' ORDER BY ordinal_position)
			FROM information_schema.columns WHERE table_name = 'ff_exec_core'`, into); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, l.url, fmt.Sprintf(`INSERT INTO ff_exec_core (%s)
		SELECT %s FROM (SELECT * FROM ff_exec_core LIMIT 1) made, generate_series(1, %d) i`, columns, values, n))
	execute(t, l.url, `INSERT INTO ff_retention (partition_key, retain_until_ms, execution_id)
		SELECT partition_key, retain_until_ms, execution_id FROM ff_exec_core WHERE retain_until_ms <= terminal_at_ms
		ORDER BY retain_until_ms`)
	execute(t, l.url, "VACUUM ANALYZE")
	execute(t, l.url, "CHECKPOINT")
}

func (l *load) count(t *testing.T, from string) (n int) {
	t.Helper()
	if err := query(t, l.url, "SELECT count(*) FROM "+from, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// pace is how long operations took on n executions.
type pace struct{ submit, claim, complete time.Duration }

// run submits, claims and completes executions, n in batches.
func (l *load) run(t *testing.T, n, batch int) (p pace) {
	t.Helper()
	timed := func(took *time.Duration, op func() error) {
		t.Helper()
		begin := wall.Now()
		if err := op(); err != nil {
			t.Fatal(err)
		}
		*took += wall.Now().Sub(begin)
	}
	for done := 0; done < n; done += batch {
		cmds := make([]flowfabric.Submit, batch)
		for i := range cmds {
			cmds[i] = flowfabric.Submit{Lane: lane, Kind: "work"}
		}
		timed(&p.submit, func() error { _, err := l.eng.SubmitMany(t.Context(), cmds); return err })
		var held []flowfabric.Claimed
		timed(&p.claim, func() error {
			for len(held) < batch {
				got, err := l.eng.Claim(t.Context(), flowfabric.Claim{
					Lanes: []flowfabric.LaneID{lane}, WorkerID: "w", WorkerInstanceID: "w-1", Max: batch - len(held), Wait: time.Second,
				})
				if err != nil {
					return err
				}
				held = append(held, got...)
			}
			return nil
		})
		timed(&p.complete, func() error { return l.complete(t.Context(), held) })
	}
	l.ended += n
	return p
}

// complete ends executions, all at once.
func (l *load) complete(ctx context.Context, held []flowfabric.Claimed) error {
	errs := make(chan error, len(held))
	for _, c := range held {
		go func() { errs <- l.eng.Complete(ctx, flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}) }()
	}
	var first error
	for range held {
		if err := <-errs; err != nil {
			first = err
		}
	}
	return first
}

// compare runs the same work on two loads in turn and checks that the second keeps a share of the first one's speed.
func compare(t *testing.T, what string, least float64, rounds, work int, small, large *load) {
	t.Helper()
	var paces [2][]pace
	for range rounds {
		for i, l := range []*load{small, large} {
			paces[i] = append(paces[i], l.run(t, work, 100))
		}
	}
	for name, of := range map[string]func(pace) time.Duration{
		"submit":   func(p pace) time.Duration { return p.submit },
		"claim":    func(p pace) time.Duration { return p.claim },
		"complete": func(p pace) time.Duration { return p.complete },
	} {
		var each [2]float64
		for i, list := range paces {
			var rates []float64
			for _, p := range list {
				rates = append(rates, float64(work)/of(p).Seconds())
			}
			each[i] = median(rates)
		}
		t.Logf("%s, with %s: %.0f/s, %.0f/s without (%.0f %%)", name, what, each[1], each[0], 100*each[1]/each[0])
		if soaking() && each[1] < least*each[0] {
			t.Errorf("with %s, %s keeps %.0f %% of its speed, want %.0f %%", what, name, 100*each[1]/each[0], 100*least)
		}
	}
}
