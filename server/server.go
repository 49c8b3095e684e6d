package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/observe"
)

// Config configures a [Server]. Without a Token it serves everything to everyone: bind it to loopback only.
type Config struct {
	// Partitions are those of the engine; clients mint ids with them. Default [flowfabric.DefaultPartitions].
	Partitions flowfabric.PartitionConfig
	// Version and Family are told to clients: of the program, and of its store.
	Version, Family string

	// MaxReads, MaxWrites and MaxWaits bound the requests under way at once: those that read, that write, and that may wait. 1 to
	// 1,000,000; defaults 1,000, 2,000 and 10,000. One more is answered 429 and told when to come again.
	MaxReads, MaxWrites, MaxWaits int
	// RequestTimeout bounds a request beside what its command asks to wait: 1 s to 10 minutes. Default 60 s.
	RequestTimeout time.Duration
	// ShutdownTimeout is how long requests under way may take when the server is told to stop: 1 ms to 10 minutes. Default 30 s.
	ShutdownTimeout time.Duration
	// Token, if not empty, must be presented by every request, as bearer token: whoever has it may do everything. Without one
	// anybody may.
	Token string
	// TLS, if not nil, is how connections are secured; it should offer "h2" and "http/1.1".
	TLS *tls.Config
	// Metrics, if not nil, are served at /metrics, to everybody, and hear of requests and operations.
	Metrics *obs.Metrics
	// TracerProvider, if not nil, makes spans of requests and operations. A request may name the span it is part of.
	TracerProvider trace.TracerProvider
	// Logger hears of requests at level debug, of panics at error. Default: discards.
	Logger *slog.Logger
	// Clock tells the time of requests. Default: the machine's.
	Clock clock.Clock
}

func (c *Config) setDefaults() {
	if c.Partitions.Flow == 0 {
		c.Partitions = flowfabric.DefaultPartitions()
	}
	c.MaxReads, c.MaxWrites, c.MaxWaits = cmp.Or(c.MaxReads, 1000), cmp.Or(c.MaxWrites, 2000), cmp.Or(c.MaxWaits, 10_000)
	c.RequestTimeout, c.ShutdownTimeout = cmp.Or(c.RequestTimeout, time.Minute), cmp.Or(c.ShutdownTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
}

func (c *Config) validate() error {
	bad := func(field, problem string) error {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "server.New", Detail: "Config." + field + " " + problem}
	}
	for field, n := range map[string]int{"MaxReads": c.MaxReads, "MaxWrites": c.MaxWrites, "MaxWaits": c.MaxWaits} {
		if n < 1 || n > 1_000_000 {
			return bad(field, "must be between 1 and 1000000")
		}
	}
	if c.RequestTimeout < time.Second || c.RequestTimeout > 10*time.Minute {
		return bad("RequestTimeout", "must be between 1s and 10m")
	}
	if c.ShutdownTimeout < time.Millisecond || c.ShutdownTimeout > 10*time.Minute {
		return bad("ShutdownTimeout", "must be between 1ms and 10m")
	}
	return nil
}

// Server serves a [flowfabric.Service] over HTTP. It is an [http.Handler].
type Server struct {
	svc    flowfabric.Service
	cfg    Config
	mux    *http.ServeMux
	routes []route
	gate   map[wire.Class]chan struct{}
	tracer trace.Tracer
	// serving ends when the server is to stop.
	serving context.Context
	stop    context.CancelFunc
}

// New returns a server of svc, which must outlive it. It fails with [flowfabric.ErrInvalidInput].
func New(svc flowfabric.Service, cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		svc: observe.Service(svc, observe.Config{Metrics: cfg.Metrics, TracerProvider: cfg.TracerProvider}), tracer: tracing.TracerOf(cfg.TracerProvider), cfg: cfg, mux: http.NewServeMux(),
		gate: map[wire.Class]chan struct{}{
			wire.Reads: make(chan struct{}, cfg.MaxReads), wire.Writes: make(chan struct{}, cfg.MaxWrites), wire.Waits: make(chan struct{}, cfg.MaxWaits),
		},
	}
	s.serving, s.stop = context.WithCancel(context.Background())
	s.routeCalls()
	s.routeBatches()
	s.routeResources()
	s.routeHealth()
	s.routeMetrics()
	s.add(route{
		method: http.MethodGet, path: wire.CapabilitiesPath, name: "capabilities", class: wire.Reads, handle: s.capabilities,
		answers: []answer{{status: http.StatusOK, body: reflect.TypeFor[wire.Capabilities]()}},
	})
	return s, nil
}

func (s *Server) capabilities(w http.ResponseWriter, _ *http.Request) {
	caps := wire.Capabilities{
		Family: s.cfg.Family, Version: s.cfg.Version,
		Partitions: wire.Partitions{Flow: s.cfg.Partitions.Flow, Budget: s.cfg.Partitions.Budget, Quota: s.cfg.Partitions.Quota},
	}
	for name := range wire.Ops {
		caps.Operations = append(caps.Operations, name)
	}
	slices.Sort(caps.Operations)
	write(w, http.StatusOK, caps)
}
