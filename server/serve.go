package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Bounds of connections (chapter 70, section 1).
const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	pingTimeout    = 5 * time.Second
)

// Serve serves connections of l until ctx ends, and then stops in this order: readiness says no, waits are answered, l takes no
// more connections, requests under way come to their end, for at most [Config.ShutdownTimeout]. It returns nil after that, and
// an error if the listener fails or requests had to be cut off. It closes l, and is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		Protocols: new(http.Protocols),
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
