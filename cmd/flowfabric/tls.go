package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/config"
)

// certPause is how long changed files may go unseen.
const certPause = 2 * time.Second

// certificates are files that may change while they are used: renewed ones count from the next connection on, without a restart.
// While the files are no good, the last that were are used.
type certificates struct {
	cert, key, clientCA string
	clock               clock.Clock
	log                 *slog.Logger

	current atomic.Pointer[tls.Config]
	mu      sync.Mutex // held by the one connection that looks
	looked  time.Time
	stamp   string // of the files that are used
	bad     string // of files that were complained of
}

// tlsConfig returns nil for none. It fails if the files are no good now.
func tlsConfig(cfg *config.Server, clk clock.Clock, log *slog.Logger) (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	c := &certificates{cert: cfg.TLSCert, key: cfg.TLSKey, clientCA: cfg.TLSClientCA, clock: clk, log: log, looked: clk.Now()}
	c.stamp = c.look()
	loaded, err := c.load()
	if err != nil {
		return nil, err
	}
	c.current.Store(loaded)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c.refresh(hello)
			return c.current.Load(), nil
		},
	}, nil
}

// refresh reads the files again if they have changed. Nobody waits for another that does.
func (c *certificates) refresh(hello *tls.ClientHelloInfo) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if now := c.clock.Now(); now.Sub(c.looked) < certPause {
		return
	} else {
		c.looked = now
	}
	stamp := c.look()
	if stamp == c.stamp {
		return
	}
	loaded, err := c.load()
	if err != nil {
		if c.bad != stamp {
			c.log.WarnContext(hello.Context(), "certificates have changed and are no good: the old ones stay in use", "err", err)
		}
		c.bad = stamp
		return
	}
	c.current.Store(loaded)
	c.stamp, c.bad = stamp, ""
	c.log.InfoContext(hello.Context(), "certificates have changed and are in use")
}

// look tells files as they are from what they were: by size and time, also of what links lead to.
func (c *certificates) look() string {
	var b strings.Builder
	for _, path := range []string{c.cert, c.key, c.clientCA} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(&b, "%v;", err)
			continue
		}
		fmt.Fprintf(&b, "%d %d;", info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

func (c *certificates) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("read FF_TLS_CERT_FILE and FF_TLS_KEY_FILE: %w", err)
	}
	loaded := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.clientCA == "" {
		return loaded, nil
	}
	text, err := os.ReadFile(c.clientCA)
	if err != nil {
		return nil, fmt.Errorf("read FF_TLS_CLIENT_CA_FILE: %w", err)
	}
	loaded.ClientCAs, loaded.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !loaded.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read FF_TLS_CLIENT_CA_FILE: %s has no certificate in PEM form", c.clientCA)
	}
	return loaded, nil
}
