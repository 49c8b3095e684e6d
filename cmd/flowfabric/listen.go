package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/flowfabric/flowfabric/internal/config"
	"github.com/flowfabric/flowfabric/observe"
)

// headTimeout bounds how long a caller takes over the head of a request.
const headTimeout = 10 * time.Second

// listen opens the ports.
func (b *booted) listen(ctx context.Context, cfg *config.Server) error {
	var lc net.ListenConfig
	var err error
	if b.api, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen, as FF_LISTEN_ADDR says: %w", err)
	}
	if cfg.MetricsAddr != "" {
		if b.diagnostics, err = lc.Listen(ctx, "tcp", cfg.MetricsAddr); err != nil {
			return errors.Join(fmt.Errorf("listen, as FF_METRICS_ADDR says: %w", err), b.api.Close())
		}
	}
	return nil
}

// serve answers requests until ctx ends; then it finishes those under way, within the configured time.
func (b *booted) serve(ctx context.Context, cfg *config.Server) error {
	if b.diagnostics == nil {
		return b.server.Serve(ctx, b.api)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() {
		failed <- serveHTTP(ctx, b.diagnostics, b.profiles(), cfg.ShutdownTimeout.Duration())
		stop() // one does not go on without the other
	}()
	err := b.server.Serve(ctx, b.api)
	stop()
	return errors.Join(err, <-failed)
}

// serveHTTP serves a listener until ctx ends, and then for at most timeout.
func serveHTTP(ctx context.Context, ln net.Listener, handler http.Handler, timeout time.Duration) error {
	requests, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: headTimeout,
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := s.Shutdown(within); err != nil { // requests that are late are cut off
		abort()
		_ = s.Close() // the listener is closed already
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// profiles serves what tells of the process itself, and the metrics.
func (b *booted) profiles() http.Handler {
	mux := http.NewServeMux()
	if b.metrics != nil {
		mux.Handle("GET /metrics", observe.Handler(b.metrics))
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
