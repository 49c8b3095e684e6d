package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/config"
	"github.com/flowfabric/flowfabric/server"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var der []byte
	der, a.key = a.sign(1)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// sign makes a certificate; the first signs itself.
func (a *authority) sign(serial int64) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotAfter: clock.Real().Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// pair returns a certificate and its key in PEM form.
func (a *authority) pair(serial int64) (cert, key []byte) {
	a.t.Helper()
	der, private := a.sign(serial)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// empty is a service of a server that is asked for nothing.
type empty struct{ flowfabric.Service }

// secured is a server whose certificates are files.
type secured struct {
	t             *testing.T
	url           string
	cert, key, ca string
	clock         *clock.Sim
	log           bytes.Buffer
	written       int
}

func newSecured(t *testing.T, a, clients *authority) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), clock: clock.NewSim(time.UnixMilli(0))}
	s.renew(a, 10)
	cfg := &config.Server{TLSCert: s.cert, TLSKey: s.key}
	if clients != nil {
		s.ca = filepath.Join(dir, "ca.pem")
		s.write(s.ca, clients.pem)
		cfg.TLSClientCA = s.ca
	}
	security, err := tlsConfig(cfg, s.clock, slog.New(slog.NewTextHandler(&s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(&empty{}, server.Config{TLS: security})
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *secured) write(path string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.written++
	at := time.Unix(int64(1_000_000+s.written), 0) // each later than the last, however fast this is
	if err := os.Chtimes(path, at, at); err != nil {
		s.t.Fatal(err)
	}
}

func (s *secured) renew(a *authority, serial int64) {
	s.t.Helper()
	cert, key := a.pair(serial)
	s.write(s.cert, cert)
	s.write(s.key, key)
}

// get makes a request over a connection of its own, and returns the serial number of the server's certificate.
func (s *secured) get(a, client *authority, protocols ...string) (serial int64, proto string, err error) {
	s.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: protocols}
	if client != nil {
		pair, err := tls.X509KeyPair(client.pair(99))
		if err != nil {
			s.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: len(protocols) == 0}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/livez", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, "", err
	}
	return res.TLS.PeerCertificates[0].SerialNumber.Int64(), res.Proto, res.Body.Close()
}

func (s *secured) wants(a *authority, serial int64) {
	s.t.Helper()
	if got, _, err := s.get(a, nil); got != serial || err != nil {
		s.t.Errorf("certificate %d, %v; want %d", got, err, serial)
	}
}

func TestTLS_SpeaksHTTP2(t *testing.T) {
	a := newAuthority(t)
	s := newSecured(t, a, nil)
	for want, protocols := range map[string][]string{"HTTP/2.0": nil, "HTTP/1.1": {"http/1.1"}} {
		if _, proto, err := s.get(a, nil, protocols...); proto != want || err != nil {
			t.Errorf("it speaks %q, %v; want %s", proto, err, want)
		}
	}
}

func TestTLS_RenewedCertificatesCountWithoutARestart(t *testing.T) {
	a := newAuthority(t)
	s := newSecured(t, a, nil)
	s.wants(a, 10)
	s.renew(a, 11)
	s.wants(a, 10) // nobody looks all the time
	s.clock.Advance(2 * time.Second)
	s.wants(a, 11)

	s.write(s.cert, []byte("half of a certif")) // the key is the old one, too
	for range 3 {
		s.clock.Advance(2 * time.Second)
		s.wants(a, 11)
	}
	if got := strings.Count(s.log.String(), "level=WARN"); got != 1 {
		t.Errorf("%d warnings, want one:\n%s", got, &s.log)
	}
	if err := os.Remove(s.key); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(2 * time.Second)
	s.wants(a, 11)
	s.renew(a, 12)
	s.clock.Advance(2 * time.Second)
	s.wants(a, 12)
}

func TestTLS_RenewedAuthoritiesOfCallersCountWithoutARestart(t *testing.T) {
	a, before, after := newAuthority(t), newAuthority(t), newAuthority(t)
	s := newSecured(t, a, before)
	for _, c := range []struct {
		client *authority
		ok     bool
	}{{before, true}, {after, false}, {nil, false}} {
		if _, _, err := s.get(a, c.client); (err == nil) != c.ok {
			t.Errorf("%v", err)
		}
	}
	s.write(s.ca, after.pem)
	s.clock.Advance(2 * time.Second)
	if _, _, err := s.get(a, after); err != nil {
		t.Errorf("a caller of the new authority: %v", err)
	}
	if _, _, err := s.get(a, before); err == nil {
		t.Error("a caller of the old authority is let in")
	}
}

func TestTLS_NoStartWithFilesThatAreNoGood(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t)
	cert, key := a.pair(1)
	other, _ := a.pair(2)
	for name, text := range map[string][]byte{"cert": cert, "key": key, "other": other, "none": []byte("x")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, names := range map[string][3]string{
		"FF_TLS_CERT_FILE":                    {"other", "key", ""},
		"no such file":                        {"missing", "key", ""},
		"read FF_TLS_CLIENT_CA_FILE: open":    {"cert", "key", "missing"},
		"none has no certificate in PEM form": {"cert", "key", "none"},
	} {
		path := func(name string) string {
			if name == "" {
				return ""
			}
			return filepath.Join(dir, name)
		}
		_, err := tlsConfig(&config.Server{TLSCert: path(names[0]), TLSKey: path(names[1]), TLSClientCA: path(names[2])}, clock.Real(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
