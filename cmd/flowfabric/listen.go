package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric/internal/config"
)

// headTimeout bounds how long a caller takes over the head of a request.
const headTimeout = 10 * time.Second

// listen opens the ports.
func (b *booted) listen(ctx context.Context, cfg *config.Server) error {
	security, err := tlsConfig(cfg)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if b.api, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen, as FF_LISTEN_ADDR says: %w", err)
	}
	if cfg.MetricsAddr != "" {
		if b.diagnostics, err = lc.Listen(ctx, "tcp", cfg.MetricsAddr); err != nil {
			return errors.Join(fmt.Errorf("listen, as FF_METRICS_ADDR says: %w", err), b.api.Close())
		}
	}
	if security != nil {
		b.api = tls.NewListener(b.api, security)
	}
	return nil
}

// tlsConfig returns nil for none.
func tlsConfig(cfg *config.Server) (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read FF_TLS_CERT_FILE and FF_TLS_KEY_FILE: %w", err)
	}
	security := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if cfg.TLSClientCA == "" {
		return security, nil
	}
	text, err := os.ReadFile(cfg.TLSClientCA)
	if err != nil {
		return nil, fmt.Errorf("read FF_TLS_CLIENT_CA_FILE: %w", err)
	}
	security.ClientCAs, security.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !security.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read FF_TLS_CLIENT_CA_FILE: %s has no certificate in PEM form", cfg.TLSClientCA)
	}
	return security, nil
}

// serve answers requests until ctx ends; then it finishes those under way, within the configured time.
func (b *booted) serve(ctx context.Context, cfg *config.Server) error {
	if b.diagnostics == nil {
		return serveHTTP(ctx, b.api, b.handler, cfg.ShutdownTimeout.Duration())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() {
		failed <- serveHTTP(ctx, b.diagnostics, profiles(), cfg.ShutdownTimeout.Duration())
		stop() // one does not go on without the other
	}()
	err := serveHTTP(ctx, b.api, b.handler, cfg.ShutdownTimeout.Duration())
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

// profiles serves what tells of the process itself.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// requireToken lets requests through that present the token; all, if there is none. Digests are compared, so that the time
// it takes tells neither the token nor its length.
func requireToken(next http.Handler, token string) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(text))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="flowfabric"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"Unauthorized"}`)) // the caller has gone
			return
		}
		next.ServeHTTP(w, r)
	})
}
