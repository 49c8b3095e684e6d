package worker

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/obs"
)

// Config says what a worker takes on and how. Only Lanes is required; a zero field means its default.
type Config struct {
	// Lanes are where the worker looks for work, in rotation: 1 to [flowfabric.MaxClaimLanes].
	Lanes []flowfabric.LaneID
	// WorkerID is the pool this worker belongs to, stable over restarts. Default "worker".
	WorkerID flowfabric.WorkerID
	// InstanceID is this process. Default: random, a new one for every call of New.
	InstanceID flowfabric.WorkerInstanceID
	// Capabilities are what the worker offers; executions that require others are not handed to it.
	Capabilities []string

	// Concurrency is how many handlers run at once: 1 to 10,000. Default 16.
	Concurrency int
	// Prefetch is how many tasks may be claimed ahead of free slots and wait here, under their leases: at most 1,000;
	// negative: none. Default: what the slots get through in 20 ms at the pace of late, at most 1,000. So handlers that are
	// done in an instant do not wait for claims, and of handlers that run for seconds no task waits here that another
	// worker could run.
	Prefetch int
	// MaxUnacked is how many results may be on their way to storage. A slot whose result would be one more waits.
	// Default: 4 × Concurrency, at least 1,000.
	MaxUnacked int

	// LeaseTTL is how long a lease lasts without renewal, and so how long it takes until the work of a worker that
	// crashed runs elsewhere: [flowfabric.MinLeaseTTL] to [flowfabric.MaxLeaseTTL]. Default 30 s.
	LeaseTTL time.Duration
	// PollWait is how long a claim waits for work at the engine: at most [flowfabric.MaxClaimWait]. Default 50 s, which is below the
	// minute after which many proxies give up.
	PollWait time.Duration
	// DrainTimeout is how long handlers may go on once Run was told to stop, before their contexts are cancelled.
	// Default 30 s; negative: not at all.
	DrainTimeout time.Duration

	// StuckAfter is how long a handler may run before it is reported: at least 10 ms. It is reported again each time its run
	// has doubled since. A handler whose context has ended is reported in any case, when it has not returned five seconds
	// later. Default 15 min; negative: no report of any kind.
	StuckAfter time.Duration
	// OnStuck hears of what is reported, besides the log. It is called on a goroutine of its own, which Run waits for.
	OnStuck func(StuckReport)

	// Middleware wraps every handler; the first is the outermost.
	Middleware []func(Handler) Handler
	// Metrics, if not nil, hears of claims, tasks and leases: see package observe.
	Metrics *obs.Metrics
	// TracerProvider, if not nil, makes a span ff.task of each run of a handler, and spans ff.step of the steps it does. The
	// context of the handler is in the span.
	TracerProvider trace.TracerProvider
	// Logger hears of lost leases, panics and calls that had to be repeated. Default: discards.
	Logger *slog.Logger
}

const (
	defaultConcurrency  = 16
	defaultPollWait     = 50 * time.Second
	defaultDrainTimeout = 30 * time.Second
	defaultStuckAfter   = 15 * time.Minute
	minStuckAfter       = 10 * time.Millisecond
	minDefaultUnacked   = 1000

	maxConcurrency = 10_000
	maxPrefetch    = 1000
	autoPrefetch   = math.MinInt // as the slots work
)

func (c Config) withDefaults() Config {
	c.WorkerID = cmp.Or(c.WorkerID, "worker")
	c.InstanceID = cmp.Or(c.InstanceID, flowfabric.WorkerInstanceID(rand.Text()))
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.Prefetch = cmp.Or(c.Prefetch, autoPrefetch)
	c.MaxUnacked = cmp.Or(c.MaxUnacked, max(4*c.Concurrency, minDefaultUnacked))
	c.LeaseTTL = cmp.Or(c.LeaseTTL, flowfabric.DefaultLeaseTTL)
	c.PollWait = cmp.Or(c.PollWait, defaultPollWait)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, defaultDrainTimeout)
	c.StuckAfter = cmp.Or(c.StuckAfter, defaultStuckAfter)
	if c.Prefetch != autoPrefetch {
		c.Prefetch = max(c.Prefetch, 0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate checks a configuration with its defaults. It fails with [flowfabric.ErrInvalidInput] or
// [flowfabric.ErrInvalidCapabilities], naming field and bound.
func (c Config) validate() error {
	if len(c.Lanes) == 0 || len(c.Lanes) > flowfabric.MaxClaimLanes {
		return outOfBounds("Lanes", len(c.Lanes), 1, flowfabric.MaxClaimLanes)
	}
	for _, lane := range c.Lanes {
		if err := lane.Validate(); err != nil {
			return err
		}
	}
	if err := c.WorkerID.Validate(); err != nil {
		return err
	}
	if err := c.InstanceID.Validate(); err != nil {
		return err
	}
	if _, err := flowfabric.NormalizeCapabilities("worker", c.Capabilities); err != nil {
		return err
	}
	switch {
	case c.Concurrency < 1 || c.Concurrency > maxConcurrency:
		return outOfBounds("Concurrency", c.Concurrency, 1, maxConcurrency)
	case c.Prefetch > maxPrefetch:
		return outOfBounds("Prefetch", c.Prefetch, 0, maxPrefetch)
	case c.MaxUnacked < 1:
		return outOfBounds("MaxUnacked", c.MaxUnacked, 1, "any")
	case c.LeaseTTL < flowfabric.MinLeaseTTL || c.LeaseTTL > flowfabric.MaxLeaseTTL:
		return outOfBounds("LeaseTTL", c.LeaseTTL, flowfabric.MinLeaseTTL, flowfabric.MaxLeaseTTL)
	case c.PollWait < 0 || c.PollWait > flowfabric.MaxClaimWait:
		return outOfBounds("PollWait", c.PollWait, 0, flowfabric.MaxClaimWait)
	case c.StuckAfter > 0 && c.StuckAfter < minStuckAfter:
		return outOfBounds("StuckAfter", c.StuckAfter, minStuckAfter, "any")
	}
	return nil
}

func outOfBounds(field string, got, least, most any) error {
	return &flowfabric.Error{
		Code:   flowfabric.CodeInvalidInput,
		Detail: fmt.Sprintf("%s is %v; the bounds are %v to %v", field, got, least, most),
		Attrs:  map[string]string{"field": field},
	}
}
