// Package oidc lets callers of a server present bearer tokens of an OpenID Connect issuer: signed JWTs, whose keys it finds by
// discovery, with what the caller may do in a claim. It is apart from package server so that only who uses it links it.
package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
)

// Config says whose tokens are good.
type Config struct {
	// Issuer is the URL of the issuer, as in its discovery document and its tokens: https, or http on loopback.
	Issuer string
	// Audience is what tokens must be made out to.
	Audience string
	// RoleClaim names the claim that has the roles of the caller: a text, or a list of texts, of which those that are no
	// [flowfabric.Role] are passed over. Dots go into objects: realm_access.roles. Default "roles".
	RoleClaim string
	// NamespaceClaim, if not empty, names the claim that has the namespaces the caller is limited to. A token without it is
	// refused then.
	NamespaceClaim string
	// NameClaim names the claim that has the actor. Default "sub".
	NameClaim string
	// HTTP reaches the issuer. Default: a client with a timeout of ten seconds.
	HTTP *http.Client
	// Clock tells the time. Default: the machine's.
	Clock clock.Clock
}

// spacing is how long keys, or the discovery document, are not asked for again: whoever makes up names of keys costs the issuer
// no more than that. So late, at most, a token is good that is signed with a key the issuer has just made.
const spacing = 5 * time.Second

// Bounds of what an issuer answers, and of a name.
const (
	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20
)

// Issuer knows the tokens of an issuer. It is safe for concurrent use.
type Issuer struct {
	cfg  Config
	http *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil until the issuer was found
}

var _ server.Authenticator = (*Issuer)(nil)

// New returns an issuer. It is looked for when the first token comes, so that a server starts without it. It fails with
// [flowfabric.ErrInvalidInput].
func New(cfg Config) (*Issuer, error) {
	bad := func(field, problem string) error {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "oidc.New", Detail: "Config." + field + " " + problem}
	}
	u, err := url.Parse(cfg.Issuer)
	switch {
	case err != nil || u.Host == "":
		return nil, bad("Issuer", "must be the URL of an issuer")
	case u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())):
		return nil, bad("Issuer", "must be https, or http on loopback")
	case cfg.Audience == "":
		return nil, bad("Audience", "is empty")
	}
	cfg.RoleClaim, cfg.NameClaim = cmp.Or(cfg.RoleClaim, "roles"), cmp.Or(cfg.NameClaim, "sub")
	if cfg.Clock == nil {
		cfg.Clock = clock.Real()
	}
	base := http.DefaultTransport
	client := &http.Client{Timeout: askTimeout}
	if cfg.HTTP != nil {
		*client = *cfg.HTTP
		if client.Transport != nil {
			base = client.Transport
		}
	}
	client.Transport = &spaced{base: base, clock: cfg.Clock, asked: make(map[string]time.Time)}
	return &Issuer{cfg: cfg, http: client}, nil
}

// Authenticate implements [server.Authenticator].
func (i *Issuer) Authenticate(ctx context.Context, token string) (server.Principal, error) {
	if strings.Count(token, ".") != 2 {
		return server.Principal{}, refuse("it is no JWT", nil)
	}
	verifier, err := i.discover(ctx)
	if err != nil {
		return server.Principal{}, unreachable(err)
	}
	var asked question
	verified, err := verifier.Verify(context.WithValue(ctx, questionKey{}, &asked), token)
	switch {
	case err != nil && asked.err != nil:
		return server.Principal{}, unreachable(asked.err)
	case err != nil:
		return server.Principal{}, refuse("the token is not valid", err)
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		return server.Principal{}, refuse("its claims cannot be read", err)
	}
	return i.principal(claims)
}

func refuse(why string, err error) error {
	return &flowfabric.Error{Code: flowfabric.CodeUnauthorized, Op: "authenticate", Detail: why, Err: err}
}

func unreachable(err error) error {
	return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "authenticate", Detail: "the issuer of the token cannot be asked now", Err: err}
}

// discover finds the issuer, once.
func (i *Issuer) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil {
		return i.verifier, nil
	}
	ctx = oidc.ClientContext(ctx, i.http)
	provider, err := oidc.NewProvider(ctx, i.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the issuer: %w", err)
	}
	var found struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&found); err != nil {
		return nil, fmt.Errorf("read the document of the issuer: %w", err)
	}
	algorithms := slices.DeleteFunc(found.Algorithms, func(name string) bool { return !slices.Contains(signatures, name) })
	i.verifier = oidc.NewVerifier(i.cfg.Issuer, keys{oidc.NewRemoteKeySet(ctx, found.Keys)}, &oidc.Config{
		ClientID: i.cfg.Audience, SupportedSigningAlgs: algorithms, Now: i.cfg.Clock.Now, // without any: RS256
	})
	return i.verifier, nil
}

// signatures are the algorithms that are good: those of public keys.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// principal reads the claims of a token that is good.
func (i *Issuer) principal(claims map[string]any) (server.Principal, error) {
	who := server.Principal{}
	for _, role := range texts(claims, i.cfg.RoleClaim) {
		if role := flowfabric.Role(role); slices.Contains(flowfabric.Roles, role) {
			who.Roles = append(who.Roles, role)
		}
	}
	if name := texts(claims, i.cfg.NameClaim); len(name) == 1 {
		who.Name = name[0]
	}
	if flowfabric.ValidateName("name", who.Name) != nil {
		return server.Principal{}, refuse("it names nobody in "+i.cfg.NameClaim, nil)
	}
	if i.cfg.NamespaceClaim == "" {
		return who, nil
	}
	for _, ns := range texts(claims, i.cfg.NamespaceClaim) {
		who.Namespaces = append(who.Namespaces, flowfabric.Namespace(ns))
	}
	if len(who.Namespaces) == 0 { // none would be no limit
		return server.Principal{}, refuse("it names no namespace in "+i.cfg.NamespaceClaim, nil)
	}
	return who, nil
}

// texts are those of a claim: one, or a list.
func texts(claims map[string]any, path string) (found []string) {
	value, ok := claims[path]
	if first, rest, nested := strings.Cut(path, "."); !ok && nested {
		if inner, ok := claims[first].(map[string]any); ok {
			return texts(inner, rest)
		}
	}
	switch value := value.(type) {
	case string:
		if value != "" {
			found = append(found, value)
		}
	case []any:
		for _, v := range value {
			if text, ok := v.(string); ok && text != "" {
				found = append(found, text)
			}
		}
	}
	return found
}

// question is why the keys of an issuer could not be asked for, if so: the verifier does not tell that from a bad signature.
type question struct{ err error }

type questionKey struct{}

type keys struct{ oidc.KeySet }

// VerifySignature implements [oidc.KeySet].
func (k keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	if _, failed := errors.AsType[*url.Error](err); failed || ctx.Err() != nil {
		if q, ok := ctx.Value(questionKey{}).(*question); ok {
			q.err = cmp.Or(err, ctx.Err())
		}
	}
	return payload, err
}

// spaced asks for the same thing only so often. An answer that is not 200 is an error, and what an answer may have is bounded.
type spaced struct {
	base  http.RoundTripper
	clock clock.Clock
	mu    sync.Mutex
	asked map[string]time.Time // by URL: that of the document and that of the keys
}

var errTooSoon = errors.New("it has been asked just now")

// RoundTrip implements [http.RoundTripper].
func (s *spaced) RoundTrip(r *http.Request) (*http.Response, error) {
	now, target := s.clock.Now(), r.URL.String()
	s.mu.Lock()
	last, before := s.asked[target]
	tooSoon := before && now.Sub(last) < spacing
	if !tooSoon {
		s.asked[target] = now
	}
	s.mu.Unlock()
	if tooSoon {
		return nil, errTooSoon
	}
	res, err := s.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("it answers %s", res.Status), res.Body.Close())
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	return res, nil
}
