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

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/wire"
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
	// HeaderTimeout, BodyTimeout and WriteTimeout bound how long a caller may take over the head of a request, over all of it, and
	// over each part of the answer; IdleTimeout how long a connection may stay without a request. 1 ms to 10 minutes; defaults 10 s,
	// 30 s, 30 s and 2 minutes. What takes longer is cut off.
	HeaderTimeout, BodyTimeout, WriteTimeout, IdleTimeout time.Duration
	// ShutdownTimeout is how long requests under way may take when the server is told to stop: 1 ms to 10 minutes. Default 30 s.
	ShutdownTimeout time.Duration
	// Token, if not empty, must be presented by every request, as bearer token: whoever has it may do everything. Without one
	// anybody may.
	Token string
	// CORSOrigins are the origins whose pages may call from a browser, as scheme://host:port, or "*" for any. Default: none.
	CORSOrigins []string
	// TLS, if not nil, is how connections are secured; it should offer "h2" and "http/1.1".
	TLS *tls.Config
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
	c.HeaderTimeout, c.BodyTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second), cmp.Or(c.BodyTimeout, 30*time.Second)
	c.WriteTimeout, c.IdleTimeout = cmp.Or(c.WriteTimeout, 30*time.Second), cmp.Or(c.IdleTimeout, 2*time.Minute)
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
	origins, err := newCORS(cfg.CORSOrigins, cfg.Token != "", cfg.Logger)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cors: origins, svc: svc, cfg: cfg, mux: http.NewServeMux(),
		gate: map[wire.Class]chan struct{}{
			wire.Reads: make(chan struct{}, cfg.MaxReads), wire.Writes: make(chan struct{}, cfg.MaxWrites), wire.Waits: make(chan struct{}, cfg.MaxWaits),
		},
	}
	s.document = sync.OnceValue(s.describe)
	s.serving, s.stop = context.WithCancel(context.Background())
	s.routeCalls()
	s.routeBatches()
	s.routeResources()
	s.routeLive()
	s.routeHealth()
	s.routeDocs()
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
