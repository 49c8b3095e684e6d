package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Principal is who makes a request.
type Principal struct {
	// Name is the actor of what it does, in events and in the audit log.
	Name  string
	Roles []flowfabric.Role
	// Namespaces and Lanes are what it is limited to; none is no limit.
	Namespaces []flowfabric.Namespace
	Lanes      []flowfabric.LaneID
	// KeyID names the key it presented; empty for other authorities.
	KeyID flowfabric.KeyID

	shared bool // several people stand behind it: the name they give is kept behind its own
}

// Authenticator knows bearer tokens of another authority, for example of an OIDC issuer.
type Authenticator interface {
	// Authenticate tells who presents a token. It fails with [flowfabric.ErrUnauthorized] when the token is no good; any other
	// error says that it cannot tell now. It is safe for concurrent use. Its answers are believed for [AuthorityTrust].
	Authenticate(ctx context.Context, token string) (Principal, error)
}

// AuthorityTrust is how long an answer about a key or a token is believed: so late, at most, a revoked or expired one is refused
// a new request. Requests under way go on. In turn a caller costs one read of the store in that time, whatever it asks for.
const AuthorityTrust = 5 * time.Second

// Bounds of what is kept about callers.
const (
	maxToken = 16 << 10 // bytes of a bearer token
	// maxVerdicts is how many texts are remembered at least, of good ones and of bad ones.
	maxVerdicts = 10_000
	// strangers is how many texts a second are looked up that have not been good before, and as many more at once: who makes keys
	// up can cost the store no more, and does not keep out those that are known.
	strangers     = 50
	lookupTimeout = 10 * time.Second
)

// sharedToken is the name of who presents [Config.Token].
const sharedToken = "api-token"

var errUnauthorized = &flowfabric.Error{Code: flowfabric.CodeUnauthorized}

// secured reports whether callers need an authority.
func (c *Config) secured() bool { return c.Token != "" || c.RequireKey || c.Authenticator != nil }

// caller is what is known of who makes a request.
type caller struct {
	who    *Principal // nil if callers need no authority
	nobody bool       // it presented none, and may do only what needs none
	remote string
}

type callerKey struct{}

// callerOf returns who makes a request. A context that is of none may do nothing.
func callerOf(ctx context.Context) caller {
	c, ok := ctx.Value(callerKey{}).(caller)
	if !ok {
		return caller{nobody: true}
	}
	return c
}

// admit finds out who makes a request, and answers one that may go no further: also where there is nothing (chapter 70, section
// 5.2).
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	c := caller{remote: r.RemoteAddr}
	if s.cfg.secured() {
		if _, pattern := s.mux.Handler(r); s.free[pattern] {
			c.nobody = true
		} else {
			who, err := s.authenticate(r)
			if err != nil {
				writeError(w, r, err)
				return r, false
			}
			c.who = who
		}
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), true
}

// authenticate tells who presents the bearer token of a request.
func (s *Server) authenticate(r *http.Request) (*Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxToken {
		return nil, errUnauthorized
	}
	return s.verdicts.of(r.Context(), token)
}

// verdicts remembers what was found out about bearer tokens.
type verdicts struct {
	clock  clock.Clock
	static [sha256.Size]byte // of [Config.Token], if there is one
	token  bool
	ask    func(ctx context.Context, token string) (Principal, error)
	// known reports whether a text has the form of a token at all; others are refused without a question.
	known func(token string) bool

	asking singleflight.Group
	mu     struct {
		sync.Mutex
		good, bad bounded[[sha256.Size]byte, verdict]
		bucket    bucket
	}
}

type verdict struct {
	who   *Principal // nil: nobody
	until time.Time
}

func newVerdicts(svc flowfabric.Keys, cfg *Config) *verdicts {
	v := &verdicts{clock: cfg.Clock, token: cfg.Token != "", static: sha256.Sum256([]byte(cfg.Token))}
	v.known = func(token string) bool {
		if strings.HasPrefix(token, flowfabric.KeyPrefix) {
			_, _, err := flowfabric.KeyText(token).Parse()
			return err == nil
		}
		return cfg.Authenticator != nil
	}
	v.ask = func(ctx context.Context, token string) (Principal, error) {
		if !strings.HasPrefix(token, flowfabric.KeyPrefix) {
			return cfg.Authenticator.Authenticate(ctx, token)
		}
		key, err := svc.VerifyKey(ctx, flowfabric.VerifyKey{Text: flowfabric.KeyText(token)})
		if errors.Is(err, flowfabric.ErrInvalidToken) {
			err = errUnauthorized
		}
		return Principal{Name: key.Name, Roles: key.Roles, Namespaces: key.Namespaces, Lanes: key.Lanes, KeyID: key.KeyID}, err
	}
	v.mu.good.most, v.mu.bad.most, v.mu.bucket = maxVerdicts, maxVerdicts, bucket{rate: strangers, most: 2 * strangers}
	return v
}

// of tells who presents a token.
func (v *verdicts) of(ctx context.Context, token string) (*Principal, error) {
	digest := sha256.Sum256([]byte(token))
	// Digests are compared, so that the time it takes tells neither the token nor its length.
	if v.token && subtle.ConstantTimeCompare(digest[:], v.static[:]) == 1 {
		return &Principal{Name: sharedToken, Roles: []flowfabric.Role{flowfabric.RoleAdmin}, shared: true}, nil
	}
	if !v.known(token) {
		return nil, errUnauthorized
	}
	if found, err := v.recall(digest); found != nil || err != nil {
		return found, err
	}
	answer := v.asking.DoChan(string(digest[:]), func() (any, error) {
		// The question is of all who wait for its answer, and outlasts whoever came first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return v.learn(ctx, digest, token)
	})
	select {
	case res := <-answer:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*Principal), nil
	case <-ctx.Done():
		return nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "authenticate", Err: context.Cause(ctx)}
	}
}

// recall returns what is still believed; neither a principal nor an error says that it is to be asked.
func (v *verdicts) recall(digest [sha256.Size]byte) (*Principal, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock.Now()
	if good, ok := v.mu.good.get(digest); ok && now.Before(good.until) {
		return good.who, nil
	}
	if bad, ok := v.mu.bad.get(digest); ok && now.Before(bad.until) {
		return nil, errUnauthorized
	}
	return nil, nil
}

// learn asks, and remembers the answer. One that has been good is always asked about; all others share a rate.
func (v *verdicts) learn(ctx context.Context, digest [sha256.Size]byte, token string) (*Principal, error) {
	if found, err := v.recall(digest); found != nil || err != nil {
		return found, err // another has just asked
	}
	if !v.mayAsk(digest) {
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeRateLimitExceeded, Op: "authenticate", Detail: "many unknown keys are presented",
			Attrs: map[string]string{"retry_after_ms": "1000"},
		}
	}
	who, err := v.ask(ctx, token)
	until := v.clock.Now().Add(AuthorityTrust)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.mu.good.put(digest, verdict{&who, until})
		return &who, nil
	case errors.Is(err, flowfabric.ErrUnauthorized):
		v.mu.good.drop(digest)
		v.mu.bad.put(digest, verdict{nil, until})
		return nil, errUnauthorized // why, is for nobody who is not let in
	}
	return nil, err
}

func (v *verdicts) mayAsk(digest [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, seen := v.mu.good.get(digest)
	return seen || v.mu.bucket.take(v.clock.Now())
}

// bounded remembers at least the last so many entries that were used, and at most twice as many.
type bounded[K comparable, V any] struct {
	most       int
	young, old map[K]V
}

func (b *bounded[K, V]) get(key K) (V, bool) {
	v, ok := b.young[key]
	if !ok {
		if v, ok = b.old[key]; ok {
			b.put(key, v)
		}
	}
	return v, ok
}

func (b *bounded[K, V]) put(key K, v V) {
	if len(b.young) >= b.most || b.young == nil {
		b.old, b.young = b.young, make(map[K]V)
	}
	b.young[key] = v
}

func (b *bounded[K, V]) drop(key K) {
	delete(b.young, key)
	delete(b.old, key)
}

// bucket lets through rate a second, and most at once after a pause.
type bucket struct {
	rate, most float64
	spent      float64
	at         time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.spent = max(0, b.spent-b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.spent+1 > b.most {
		return false
	}
	b.spent++
	return true
}

// may reports whether a caller has a role.
func (p *Principal) may(role flowfabric.Role) bool {
	return slices.ContainsFunc(p.Roles, func(has flowfabric.Role) bool { return has.Covers(role) })
}

// limited reports whether it may not reach everything.
func (p *Principal) limited() bool { return len(p.Namespaces) > 0 || len(p.Lanes) > 0 }

func (p *Principal) inNamespace(ns flowfabric.Namespace) bool {
	return len(p.Namespaces) == 0 || slices.Contains(p.Namespaces, ns)
}

func (p *Principal) onLane(lane flowfabric.LaneID) bool {
	return len(p.Lanes) == 0 || slices.Contains(p.Lanes, lane)
}

// authorise lets a caller make a call, or says why not, and fills in what is known of it. role is what the call needs.
func (s *Server) authorise(ctx context.Context, op *wire.Op, in any, role flowfabric.Role) error {
	c := callerOf(ctx)
	if role == wire.Bearer || c.who == nil && !c.nobody {
		return nil
	}
	if c.nobody {
		return errUnauthorized
	}
	if holdsLease(in) && c.who.may(wire.Worker) {
		role = wire.Worker
	}
	if !c.who.may(role) {
		return &flowfabric.Error{Code: flowfabric.CodeForbidden, Op: op.Name, Detail: "it needs the role " + string(role)}
	}
	if err := s.within(ctx, c.who, op, in); err != nil {
		return err
	}
	sign(in, c.who)
	return nil
}

// roleOf is the role a command needs: more than that of its operation, if it overrides the holder of a lease.
func roleOf(op *wire.Op, in any) flowfabric.Role {
	var source flowfabric.Source
	switch in := in.(type) {
	case *flowfabric.Complete:
		source = in.Source
	case *flowfabric.Fail:
		source = in.Source
	case *flowfabric.Delay:
		source = in.Source
	}
	if source == flowfabric.SourceOperatorOverride {
		return wire.Operator
	}
	return op.Role
}

// holdsLease reports whether a command is that of a worker which gives up what it holds: the fence is checked then.
func holdsLease(in any) bool {
	cancel, ok := in.(*flowfabric.Cancel)
	return ok && !cancel.Fence.IsZero() && (cancel.Source == flowfabric.SourceLeaseHolder || cancel.Source == flowfabric.SourceWorker)
}

// loopback reports whether a listener can be reached from this machine alone.
func loopback(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		return addr.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return false
	}
}
