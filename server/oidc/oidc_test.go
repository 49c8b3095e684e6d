package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/server/oidc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Unix(1_700_000_000, 0)

// issuer is one on loopback.
type issuer struct {
	url   string
	clock *clock.Sim
	keys  atomic.Pointer[jose.JSONWebKeySet]
	asked atomic.Int64 // for keys
	down  atomic.Bool
	mux   *http.ServeMux
}

// RoundTrip implements [http.RoundTripper], without a socket.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	i.mux.ServeHTTP(w, r)
	return w.Result(), nil
}

// newIssuer returns one that listens.
func newIssuer(t *testing.T) *issuer {
	i := unheard()
	s := httptest.NewServer(i.mux)
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	i.url = s.URL
	return i
}

// unheard returns one that does not listen: it is reached as a [http.RoundTripper].
func unheard() *issuer {
	mux := http.NewServeMux()
	i := &issuer{url: "http://127.0.0.1:1", clock: clock.NewSim(begin), mux: mux}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		if i.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(i.keys.Load())
	})
	return i
}

// key makes a key that signs.
func (i *issuer) key(t *testing.T, kid string) jose.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.keys.Store(&jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"}}})
	return signer(t, jose.ES256, private, kid)
}

func signer(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string) jose.Signer {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// token signs the claims of a good token, changed by others.
func (i *issuer) token(t *testing.T, with jose.Signer, others map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": i.url, "aud": "flowfabric", "sub": "ann", "exp": begin.Add(time.Hour).Unix(), "iat": begin.Unix(),
		"roles": []string{"submitter", "viewer", "user"},
	}
	for name, value := range others {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := with.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func (i *issuer) open(t *testing.T, cfg oidc.Config) *oidc.Issuer {
	t.Helper()
	cfg.Issuer, cfg.Audience, cfg.Clock = i.url, "flowfabric", i.clock
	o, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAuthenticate_TellsWhoPresentsAToken(t *testing.T) {
	i := newIssuer(t)
	key := i.key(t, "k1")
	for name, c := range map[string]struct {
		cfg    oidc.Config
		others map[string]any
		want   server.Principal
	}{
		"roles": {want: server.Principal{Name: "ann", Roles: []flowfabric.Role{"submitter", "viewer"}}},
		"one role, several audiences": {
			others: map[string]any{"roles": "admin", "aud": []string{"other", "flowfabric"}}, want: server.Principal{Name: "ann", Roles: []flowfabric.Role{"admin"}},
		},
		"nested roles": {
			cfg: oidc.Config{RoleClaim: "realm_access.roles"}, others: map[string]any{"realm_access": map[string]any{"roles": []string{"worker"}}},
			want: server.Principal{Name: "ann", Roles: []flowfabric.Role{"worker"}},
		},
		"a claim with a dot": {
			cfg: oidc.Config{RoleClaim: "https://a.example/roles"}, others: map[string]any{"https://a.example/roles": "operator"},
			want: server.Principal{Name: "ann", Roles: []flowfabric.Role{"operator"}},
		},
		"no roles": {others: map[string]any{"roles": nil}, want: server.Principal{Name: "ann"}},
		"namespaces and name": {
			cfg:    oidc.Config{NamespaceClaim: "teams", NameClaim: "email"},
			others: map[string]any{"teams": []string{"a", "b"}, "email": "ann@example.com"},
			want:   server.Principal{Name: "ann@example.com", Roles: []flowfabric.Role{"submitter", "viewer"}, Namespaces: []flowfabric.Namespace{"a", "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := i.open(t, c.cfg).Authenticate(t.Context(), i.token(t, key, c.others))
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(server.Principal{})); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAuthenticate_RefusesOtherTokens(t *testing.T) {
	i := newIssuer(t)
	stranger := i.key(t, "k1") // whose key the next one replaces, under the same name
	key := i.key(t, "k1")
	good := i.token(t, key, nil)
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	unsigned := part(`{"alg":"none","kid":"k1"}`) + "." + part(`{"iss":"`+i.url+`","aud":"flowfabric","sub":"ann","exp":1700003600}`) + "."
	public, err := json.Marshal(i.keys.Load().Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty": "", "no token": "a.b.c", "two parts": "a.b", "no signature": unsigned, "cut off": good[:len(good)-4],
		"another audience": i.token(t, key, map[string]any{"aud": "other"}), "no audience": i.token(t, key, map[string]any{"aud": nil}),
		"another issuer": i.token(t, key, map[string]any{"iss": "https://issuer.example"}),
		"expired":        i.token(t, key, map[string]any{"exp": begin.Add(-time.Second).Unix()}), "without end": i.token(t, key, map[string]any{"exp": nil}),
		"not yet":               i.token(t, key, map[string]any{"nbf": begin.Add(time.Hour).Unix()}),
		"of another key":        i.token(t, stranger, nil),
		"the public key as MAC": i.token(t, signer(t, jose.HS256, public, "k1"), nil),
		"nobody":                i.token(t, key, map[string]any{"sub": nil}), "several names": i.token(t, key, map[string]any{"sub": []string{"a", "b"}}),
	} {
		_, err := i.open(t, oidc.Config{}).Authenticate(t.Context(), token)
		if !errors.Is(err, flowfabric.ErrUnauthorized) {
			t.Errorf("%s: %v, want unauthorized", name, err)
		}
	}
	_, err = i.open(t, oidc.Config{NamespaceClaim: "teams"}).Authenticate(t.Context(), good)
	if !errors.Is(err, flowfabric.ErrUnauthorized) {
		t.Errorf("without the claim of namespaces: %v, want unauthorized", err)
	}
}

func TestAuthenticate_FollowsKeysThatAreRotated(t *testing.T) { synctest.Test(t, followKeys) }

func followKeys(t *testing.T) {
	i := unheard()
	first := i.key(t, "k1")
	o := i.open(t, oidc.Config{HTTP: &http.Client{Transport: i}}) // synctest knows nothing of sockets
	ask := func(with jose.Signer) error {
		_, err := o.Authenticate(t.Context(), i.token(t, with, nil))
		synctest.Wait() // go-oidc lets whoever comes in the moment after an answer share it
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	second := i.key(t, "k2")
	// The issuer was asked just now: whoever comes is told to come again, not that the token is bad.
	for range 100 {
		if err := ask(second); !errors.Is(err, flowfabric.ErrUnavailable) {
			t.Fatalf("a new key at once: %v, want unavailable", err)
		}
	}
	if err := ask(first); err != nil || i.asked.Load() != 1 {
		t.Errorf("a known key: %v; asked %d times, want once", err, i.asked.Load())
	}
	i.clock.Advance(5 * time.Second)
	if err := ask(second); err != nil {
		t.Errorf("a new key after a while: %v", err)
	}
	i.clock.Advance(5 * time.Second)
	if err := ask(first); !errors.Is(err, flowfabric.ErrUnauthorized) || i.asked.Load() != 3 {
		t.Errorf("the key that was withdrawn: %v; asked %d times, want 3", err, i.asked.Load())
	}
}

func TestAuthenticate_WithoutTheIssuerNobodyIsRefused(t *testing.T) {
	i := newIssuer(t)
	token := i.token(t, i.key(t, "k1"), nil)
	i.down.Store(true)
	o := i.open(t, oidc.Config{})
	for range 2 { // the second finds that it was asked just now
		if _, err := o.Authenticate(t.Context(), token); !errors.Is(err, flowfabric.ErrUnavailable) {
			t.Errorf("%v, want unavailable", err)
		}
	}
	i.down.Store(false)
	i.clock.Advance(5 * time.Second)
	if _, err := o.Authenticate(t.Context(), token); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.open(t, oidc.Config{}).Authenticate(ctx, token); !errors.Is(err, flowfabric.ErrUnavailable) {
		t.Errorf("a caller that has gone: %v, want unavailable", err)
	}
}

func TestNew_RefusesABadConfig(t *testing.T) {
	for name, cfg := range map[string]oidc.Config{
		"no issuer": {Audience: "a"}, "no URL": {Issuer: "issuer", Audience: "a"}, "no audience": {Issuer: "https://a.example"},
		"without TLS": {Issuer: "http://a.example", Audience: "a"}, "another scheme": {Issuer: "ftp://127.0.0.1", Audience: "a"},
	} {
		if _, err := oidc.New(cfg); !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%s: %v, want invalid_input", name, err)
		}
	}
}
