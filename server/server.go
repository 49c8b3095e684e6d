package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/obs"
	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/observe"
)

// Config configures a [Server]. Without a Token, RequireKey or an Authenticator it serves everything to everyone, and on loopback
// only.
type Config struct {
	// Partitions are those of the engine; clients mint ids with them. Default [flowfabric.DefaultPartitions].
	Partitions flowfabric.PartitionConfig
	// Version and Family are told to clients: of the program, and of its store.
	Version, Family string

	// MaxReads, MaxWrites and MaxWaits bound the requests under way at once: those that read, that write, and that may wait. 1 to
	// 1,000,000; defaults 1,000, 2,000 and 10,000. One more is answered 429 and told when to come again.
	MaxReads, MaxWrites, MaxWaits int
	// MaxStreamOps bounds the reads of streams under way at once, tails included, on the routes of the reference: 1 to 1,000,000;
	// default 64. One more is answered 429.
	MaxStreamOps int
	// SecretGrace is how long a secret verifies after a rotation has replaced it: 0 to 100 years. Default
	// [flowfabric.DefaultGrace]; below 0 for none.
	SecretGrace time.Duration
	// RequestTimeout bounds a request beside what its command asks to wait: 1 s to 10 minutes. Default 60 s.
	RequestTimeout time.Duration
	// HeaderTimeout, BodyTimeout and WriteTimeout bound how long a caller may take over the head of a request, over all of it, and
	// over each part of the answer; IdleTimeout how long a connection may stay without a request. 1 ms to 10 minutes; defaults 10 s,
	// 30 s, 30 s and 2 minutes. What takes longer is cut off.
	HeaderTimeout, BodyTimeout, WriteTimeout, IdleTimeout time.Duration
	// ShutdownTimeout is how long requests under way may take when the server is told to stop: 1 ms to 10 minutes. Default 30 s.
	ShutdownTimeout time.Duration
	// Every request but those of health checks and of signals, whose tokens are an authority of their own, must present an
	// authority as bearer token, if any of these is set: Token, which may do everything; a key that was made with CreateKey, which
	// is always good then; or a token that the Authenticator knows. RequireKey is for a server with keys alone.
	Token         string
	RequireKey    bool
	Authenticator Authenticator
	// CORSOrigins are the origins whose pages may call from a browser, as scheme://host:port, or "*" for any. Default: none.
	CORSOrigins []string
	// TLS, if not nil, is how connections are secured; it should offer "h2" and "http/1.1".
	TLS *tls.Config
	// Metrics, if not nil, are served at /metrics, to everybody, and hear of requests and operations.
	Metrics *obs.Metrics
	// TracerProvider, if not nil, makes spans of requests and operations. A request may name the span it is part of.
	TracerProvider trace.TracerProvider
	// Logger hears of requests at level debug, of panics at error. Default: discards.
	Logger *slog.Logger
	// Audit hears of every call that needs the role of an operator or an admin: who made it, from where, what it was about and
	// what it came to. It should not be filtered by level. Default: Logger.
	Audit *slog.Logger
	// Clock tells the time of requests. Default: the machine's.
	Clock clock.Clock
}

func (c *Config) setDefaults() {
	if c.Partitions.Flow == 0 {
		c.Partitions = flowfabric.DefaultPartitions()
	}
	c.MaxReads, c.MaxWrites, c.MaxWaits = cmp.Or(c.MaxReads, 1000), cmp.Or(c.MaxWrites, 2000), cmp.Or(c.MaxWaits, 10_000)
	c.MaxStreamOps, c.SecretGrace = cmp.Or(c.MaxStreamOps, 64), max(cmp.Or(c.SecretGrace, flowfabric.DefaultGrace), 0)
	c.RequestTimeout, c.ShutdownTimeout = cmp.Or(c.RequestTimeout, time.Minute), cmp.Or(c.ShutdownTimeout, 30*time.Second)
	c.HeaderTimeout, c.BodyTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second), cmp.Or(c.BodyTimeout, 30*time.Second)
	c.WriteTimeout, c.IdleTimeout = cmp.Or(c.WriteTimeout, 30*time.Second), cmp.Or(c.IdleTimeout, 2*time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Audit == nil {
		c.Audit = c.Logger
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
}

func (c *Config) validate() error {
	bad := func(field, problem string) error {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "server.New", Detail: "Config." + field + " " + problem}
	}
	for field, n := range map[string]int{
		"MaxReads": c.MaxReads, "MaxWrites": c.MaxWrites, "MaxWaits": c.MaxWaits, "MaxStreamOps": c.MaxStreamOps,
	} {
		if n < 1 || n > 1_000_000 {
			return bad(field, "must be between 1 and 1000000")
		}
	}
	if c.RequestTimeout < time.Second || c.RequestTimeout > 10*time.Minute {
		return bad("RequestTimeout", "must be between 1s and 10m")
	}
	if c.SecretGrace > time.Duration(flowfabric.MaxSpanMS)*time.Millisecond {
		return bad("SecretGrace", "must be at most 100 years")
	}
	for field, d := range map[string]time.Duration{
		"HeaderTimeout": c.HeaderTimeout, "BodyTimeout": c.BodyTimeout, "WriteTimeout": c.WriteTimeout, "IdleTimeout": c.IdleTimeout,
		"ShutdownTimeout": c.ShutdownTimeout,
	} {
		if d < time.Millisecond || d > 10*time.Minute {
			return bad(field, "must be between 1ms and 10m")
		}
	}
	return nil
}

// Server serves a [flowfabric.Service] over HTTP. It is an [http.Handler].
type Server struct {
	svc    flowfabric.Service
	cfg    Config
	mux    *http.ServeMux
	cors   *cors
	routes []route
	// document is the description of routes, made once.
	document func() []byte
	gate     map[wire.Class]chan struct{}
	// free are the patterns of routes that need no authority, or have one in their command.
	free     map[string]bool
	verdicts *verdicts
	places   places
	// streamOps has a place for each read of a stream that may be under way.
	streamOps chan struct{}
	rotating  chan struct{} // the same for rotations of the secret: one
	// beatAtOnce is for tests whose clock stands still.
	beatAtOnce bool
	tracer     trace.Tracer
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
	origins, err := newCORS(cfg.CORSOrigins, cfg.secured(), cfg.Logger)
	if err != nil {
		return nil, err
	}
	s := &Server{
		svc:  observe.Service(svc, observe.Config{Metrics: cfg.Metrics, TracerProvider: cfg.TracerProvider}),
		cors: origins, tracer: tracing.TracerOf(cfg.TracerProvider), cfg: cfg, mux: http.NewServeMux(),
		streamOps: make(chan struct{}, cfg.MaxStreamOps), rotating: make(chan struct{}, 1),
		gate: map[wire.Class]chan struct{}{
			wire.Reads: make(chan struct{}, cfg.MaxReads), wire.Writes: make(chan struct{}, cfg.MaxWrites), wire.Waits: make(chan struct{}, cfg.MaxWaits),
		},
	}
	s.free, s.verdicts, s.places.known.most = make(map[string]bool), newVerdicts(svc, &s.cfg), maxPlaces
	s.document = sync.OnceValue(s.describe)
	s.serving, s.stop = context.WithCancel(context.Background())
	s.routeCalls()
	s.routeBatches()
	s.routeReference()
	s.routeResources()
	s.routeLive()
	s.routeHealth()
	s.routeDocs()
	s.routeMetrics()
	s.add(route{
		method: http.MethodGet, path: wire.CapabilitiesPath, name: "capabilities", class: wire.Reads, handle: s.capabilities,
		summary: "Tell what this server is and can do",
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
