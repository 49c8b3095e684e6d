package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// Bounds of connections (chapter 70, section 1).
const (
	maxHeaderBytes = 64 << 10
	pingTimeout    = 5 * time.Second
)

// Serve serves connections of l until ctx ends, and then stops in this order: readiness says no, waits are answered, l takes no
// more connections, requests under way come to their end, for at most [Config.ShutdownTimeout]. It returns nil after that, and
// an error if the listener fails or requests had to be cut off. It closes l, and is called once. It fails with
// [flowfabric.ErrInvalidInput] when callers need no authority, and others than this machine can reach l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	certified := s.cfg.TLS != nil && s.cfg.TLS.ClientAuth == tls.RequireAndVerifyClientCert
	if !s.cfg.secured() && !certified && !loopback(l.Addr()) {
		return errors.Join(&flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: "serve", Detail: l.Addr().String() + " lets others in, and nobody needs an authority",
		}, l.Close())
	}
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: s.cfg.HeaderTimeout, ReadTimeout: s.cfg.BodyTimeout, IdleTimeout: s.cfg.IdleTimeout,
		MaxHeaderBytes: maxHeaderBytes, Protocols: new(http.Protocols),
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		// What does not answer a ping, or takes nothing, is gone.
		HTTP2: &http.HTTP2Config{SendPingTimeout: s.cfg.IdleTimeout, PingTimeout: s.cfg.HeaderTimeout, WriteByteTimeout: s.cfg.WriteTimeout},
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	if s.cfg.TLS != nil {
		l = tls.NewListener(l, s.cfg.TLS)
	}
	failed := make(chan error, 1)
	go func() { failed <- fmt.Errorf("serve: %w", srv.Serve(l)) }()
	select {
	case err := <-failed:
		s.stop()
		return err
	case <-ctx.Done():
	}
	s.stop()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	err := srv.Shutdown(bounded)
	if err != nil {
		s.cfg.Metrics.OrNone().ShutdownTimeouts.Inc()
		err = errors.Join(fmt.Errorf("requests under way were cut off after %s: %w", s.cfg.ShutdownTimeout, err), srv.Close())
	}
	return errors.Join(err, closed(<-failed))
}

// closed leaves out the error of a server that was told to stop.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// machine is the clock of deadlines of connections, whatever clock the server has.
var machine = clock.Real()
