package ops

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// workforce is the live registered workers of a namespace, and what they can do.
type workforce struct {
	namespace ff.Namespace
	workers   []*record.Worker
	answers   map[routeOf]coverage
}

// routeOf names a set of required capabilities on a lane.
type routeOf struct {
	lane  ff.LaneID
	route int64
}

// coverage says who may claim what requires some capabilities.
type coverage struct {
	serving int      // workers of the lane
	capable int      // of these, that offer all of them
	missing []string // what none of the lane's workers offers
}

// workforce reads the registry, up to [ff.MaxExplainedWorkers] of the namespace.
func (r Rules) workforce(ctx context.Context, st store.Store, ns ff.Namespace) (*workforce, error) {
	w := &workforce{namespace: cmp.Or(ns, ff.DefaultNamespace), answers: make(map[routeOf]coverage)}
	tx, err := st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
	if err != nil {
		return nil, err
	}
	q := store.RecordQuery{Family: record.Workers, After: record.WorkerKey{Namespace: w.namespace}, Prefix: 1, Limit: ff.MaxPage}
	for range ff.MaxExplainedWorkers / ff.MaxPage {
		found, err := st.Records(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range found {
			if reg := rec.(*record.Worker); live(reg, tx.Now()) {
				w.workers = append(w.workers, reg)
			}
		}
		if len(found) < ff.MaxPage {
			break
		}
		q.After = found[len(found)-1].Key()
	}
	return w, nil
}

// cover finds out who may claim an execution.
func (w *workforce) cover(e *record.Execution) coverage {
	key := routeOf{e.Lane, e.Route}
	if c, ok := w.answers[key]; ok {
		return c
	}
	c := coverage{missing: slices.Clone(e.Capabilities)}
	for _, reg := range w.workers {
		if !slices.Contains(reg.Lanes, e.Lane) {
			continue
		}
		c.serving++
		if lifecycle.Covers(reg.Capabilities, e.Capabilities) {
			c.capable++
		}
		c.missing = slices.DeleteFunc(c.missing, func(token string) bool { return slices.Contains(reg.Capabilities, token) })
	}
	w.answers[key] = c
	return c
}

// workerGate tells that no worker is known that may claim the execution. Workers need not register: it is never closed for
// certain.
func (f *facts) workerGate() (ff.Gate, bool) {
	if f.workers == nil || !f.waitsForClaim() {
		return ff.Gate{}, false
	}
	const unknown = "; workers that are not registered are unknown"
	c := f.workers.cover(f.e)
	g := ff.Gate{State: ff.GatePossible}
	switch {
	case c.capable > 0:
		return ff.Gate{}, false
	case c.serving == 0:
		g.Code = ff.GateNoWorker
		g.Detail = fmt.Sprintf("no live worker registered in namespace %s serves lane %s", f.workers.namespace, f.e.Lane) + unknown
		g.Release = "a worker that serves the lane"
	case len(c.missing) > 0:
		g.Code, g.Missing = ff.GateNoCapableWorker, c.missing
		g.Detail = fmt.Sprintf("%d live workers serve lane %s, and none offers %s", c.serving, f.e.Lane, strings.Join(c.missing, ", ")) + unknown
		g.Release = "a worker of the lane that offers " + strings.Join(f.e.Capabilities, ", ")
	default:
		g.Code = ff.GateNoCapableWorker
		g.Detail = fmt.Sprintf("%d live workers serve lane %s, and none offers all of %s", c.serving, f.e.Lane, strings.Join(f.e.Capabilities, ", ")) + unknown
		g.Release = "one worker of the lane that offers all of them"
	}
	return g, true
}
