package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/worker"
)

// Sizes of [Routes].
const (
	routeSkills = 100  // capabilities that are required, one by an execution
	rareRoutes  = 5000 // requirements nobody can meet, with an execution of each waiting all the while
	routeRate   = 400  // executions submitted a second where the time to the handler is measured
)

// RoutingResult is what one mode of [Routes] measured.
type RoutingResult struct {
	Mode  string  `json:"mode"` // how many workers can do an execution: all (happy), half (partial), one (scarce)
	PerS  float64 `json:"per_s,omitempty"`
	P50MS float64 `json:"p50_ms,omitempty"` // from submit to handler
	P99MS float64 `json:"p99_ms,omitempty"`
	// Share of the executions that ran on a worker that offers what they require.
	Share float64 `json:"share"`
}

// routing is one mode under way.
type routing struct {
	r      *run
	b      *bed
	offers func(worker, skill int) bool
	times  []time.Duration // to the handler, by execution
	begun  []time.Time
	right  atomic.Int64
	done   atomic.Int64
	all    chan struct{} // closed when all are completed
}

// order is the payload of an execution: which one it is, and what it requires.
type order struct{ N, Skill int }

func (r *run) routes(ctx context.Context, b *bed) error {
	r.res.Executions, r.res.Workers = r.opts.Executions, r.opts.Workers
	if err := r.rareBacklog(ctx, b); err != nil {
		return err
	}
	for _, mode := range []struct {
		name   string
		offers func(worker, skill int) bool
		paced  int // how many to submit at routeRate; 0: all at once, before the workers begin
	}{
		{"happy", func(int, int) bool { return true }, 0},
		{"partial", func(w, skill int) bool { return (w+skill)%2 == 0 }, int(routeRate * r.opts.Duration.Seconds())},
		{"scarce", func(w, skill int) bool { return w%routeSkills == skill%r.opts.Workers }, int(routeRate * r.opts.Duration.Seconds())},
	} {
		n := mode.paced
		if n == 0 {
			n = r.opts.Executions
		}
		m := &routing{r: r, b: b, offers: mode.offers, times: make([]time.Duration, n), begun: make([]time.Time, n), all: make(chan struct{})}
		res, err := m.measure(ctx, mode.name, mode.paced > 0)
		if err != nil {
			return fmt.Errorf("%s: %w", mode.name, err)
		}
		r.res.Routing = append(r.res.Routing, res)
		r.res.note(fmt.Sprintf("%s: %.0f/s, p50 %.1f ms, p99 %.1f ms, %.3f routed rightly", res.Mode, res.PerS, res.P50MS, res.P99MS, res.Share))
	}
	return nil
}

// rareBacklog leaves executions that nobody can do, each of a route of its own.
func (r *run) rareBacklog(ctx context.Context, b *bed) error {
	cmds := make([]flowfabric.Submit, rareRoutes)
	for i := range cmds {
		cmds[i] = flowfabric.Submit{Lane: r.lane, Kind: kind, Priority: flowfabric.MaxPriority, Policy: needs(fmt.Sprintf("rare-%d", i))}
	}
	_, err := b.svc.SubmitMany(ctx, cmds)
	return err
}

func needs(capability string) *flowfabric.Policy {
	return &flowfabric.Policy{Routing: &flowfabric.RoutingRequirements{RequiredCapabilities: []string{capability}}}
}

func skill(n int) string { return fmt.Sprintf("skill-%d", n) }

func (m *routing) measure(ctx context.Context, mode string, paced bool) (RoutingResult, error) {
	n := len(m.times)
	res := RoutingResult{Mode: mode}
	if !paced {
		if err := m.submit(ctx, 0, n); err != nil {
			return res, err
		}
	}
	start := m.r.clock.Now()
	err := besideAll(ctx, m.workers(), func(ctx context.Context) error {
		return m.r.metered(m.b.db, n, func() error {
			if paced {
				if err := m.pace(ctx); err != nil {
					return err
				}
			}
			select {
			case <-m.all:
				return nil
			case <-ctx.Done():
				return fmt.Errorf("%d of %d executions were completed: %w", m.done.Load(), n, context.Cause(ctx))
			}
		})
	})
	if err != nil {
		return res, err
	}
	took := m.r.clock.Now().Sub(start)
	res.Share = float64(m.right.Load()) / float64(n)
	if !paced {
		res.PerS = perSecond(n, took)
		m.r.res.EndToEndPerS = res.PerS
		return res, nil
	}
	var figures Result
	figures.percentiles(slices.Clone(m.times))
	res.P50MS, res.P99MS = figures.P50MS, figures.P99MS
	return res, nil
}

// workers are as many as the options say, each with an offer nobody else makes.
func (m *routing) workers() []*worker.Worker {
	list := make([]*worker.Worker, m.r.opts.Workers)
	for i := range list {
		can := []string{fmt.Sprintf("worker-%d", i)}
		for s := range routeSkills {
			if m.offers(i, s) {
				can = append(can, skill(s))
			}
		}
		w := worker.New(observed{m.b.svc, m.completed}, worker.Config{Lanes: []flowfabric.LaneID{m.r.lane}, Capabilities: can})
		worker.Handle(w, kind, func(_ context.Context, _ *worker.Task, o order) (struct{}, error) {
			m.times[o.N] = m.r.clock.Now().Sub(m.begun[o.N])
			if m.offers(i, o.Skill) {
				m.right.Add(1)
			}
			return struct{}{}, nil
		})
		list[i] = w
	}
	return list
}

func (m *routing) completed() {
	if m.done.Add(1) == int64(len(m.times)) {
		close(m.all)
	}
}

// submit creates the executions from one to another, at once.
func (m *routing) submit(ctx context.Context, from, to int) error {
	for list := range slices.Chunk(m.cmds(from, to), m.r.opts.Bulk) {
		if _, err := m.b.svc.SubmitMany(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

func (m *routing) cmds(from, to int) []flowfabric.Submit {
	list := make([]flowfabric.Submit, 0, to-from)
	for n := from; n < to; n++ {
		s := n % routeSkills
		m.begun[n] = m.r.clock.Now()
		list = append(list, flowfabric.Submit{
			Lane: m.r.lane, Kind: kind, Payload: fmt.Appendf(nil, `{"N":%d,"Skill":%d}`, n, s), Policy: needs(skill(s)),
		})
	}
	return list
}

// pace submits executions one by one, at routeRate.
func (m *routing) pace(ctx context.Context) error {
	if !loop.Sleep(ctx, m.r.clock, settling, nil) {
		return context.Cause(ctx)
	}
	start := m.r.clock.Now()
	for n := range m.times {
		if ahead := time.Duration(n)*(time.Second/routeRate) - m.r.clock.Now().Sub(start); ahead > 0 && !loop.Sleep(ctx, m.r.clock, ahead, nil) {
			return context.Cause(ctx)
		}
		if _, err := m.b.svc.Submit(ctx, m.cmds(n, n+1)[0]); err != nil {
			return err
		}
	}
	return nil
}
