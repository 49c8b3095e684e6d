package engine

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/handle"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyring has the signing secrets as they were read a minute ago at most. A deployment without secrets gets its first one
// from whoever needs it first.
type keyring struct {
	st    store.Store
	clock clock.Clock
	rules ops.Rules
	do    func(context.Context, *ops.Op) error
	known atomic.Pointer[keys]
	turn  chan struct{} // one at a time reads
	// changes counts the rotations by this engine: what was read before one is not to be believed after it.
	changes atomic.Int64
	// readings counts those that were begun.
	readings atomic.Int64
}

// keys are the secrets as of one reading.
type keys struct {
	byKid  map[string]*record.Secret
	active *record.Secret // the newest that signs; nil for none
	now    flowfabric.Timestamp
	readAt time.Time
	// reading is the number of the reading.
	reading int64
}

// keyTrust is how long secrets are believed that are known. That there is none of a name is never believed: it may have been
// made this instant. Whoever makes names up costs a read each time, one after the other, and all who wait share the next.
const keyTrust = time.Minute

func newKeyring(st store.Store, c clock.Clock, rules ops.Rules, do func(context.Context, *ops.Op) error) *keyring {
	return &keyring{st: st, clock: c, rules: rules, do: do, turn: make(chan struct{}, 1)}
}

// signing returns the key to sign with.
func (r *keyring) signing(ctx context.Context) (handle.Key, error) {
	k, err := r.keys(ctx, r.recent)
	if err != nil {
		return handle.Key{}, err
	}
	if k.active == nil {
		return handle.Key{}, &flowfabric.Error{Code: flowfabric.CodeSecretNotInitialized, Detail: "no signing secret is active; make a new one"}
	}
	return handle.Key{Kid: k.active.Kid, Secret: k.active.Secret}, nil
}

// verifying returns the secret of a name, nil when there is none or it has expired.
func (r *keyring) verifying(ctx context.Context, kid string) ([]byte, error) {
	k, now, err := r.lookup(ctx, kid)
	if err != nil {
		return nil, err
	}
	if s := k.byKid[kid]; s != nil && !ops.SecretExpired(s, now) {
		return s.Secret, nil
	}
	return nil, nil
}

// lookup returns the secrets, read again if one of a name is not among them, and about the storage time.
func (r *keyring) lookup(ctx context.Context, kid string) (*keys, flowfabric.Timestamp, error) {
	begun := r.readings.Load()
	k, err := r.keys(ctx, r.recent)
	if err == nil && kid != "" && k.byKid[kid] == nil {
		k, err = r.keys(ctx, func(k *keys) bool { return k.reading > begun })
	}
	if err != nil {
		return nil, 0, err
	}
	return k, k.now.Add(r.clock.Now().Sub(k.readAt)), nil
}

// recent reports whether secrets are believed.
func (r *keyring) recent(k *keys) bool { return r.clock.Now().Sub(k.readAt) < keyTrust }

// keys returns secrets that are good enough.
func (r *keyring) keys(ctx context.Context, good func(*keys) bool) (*keys, error) {
	if k := r.known.Load(); k != nil && good(k) {
		return k, nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if k := r.known.Load(); k != nil && good(k) { // somebody else has read them meanwhile
		return k, nil
	}
	changes := r.changes.Load()
	k, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if r.changes.Load() == changes {
		r.known.Store(k)
	}
	return k, nil
}

func (r *keyring) read(ctx context.Context) (*keys, error) {
	readAt, reading := r.clock.Now(), r.readings.Add(1)
	list, now, err := r.rules.Secrets(ctx, r.st)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		secret := make([]byte, flowfabric.SeedSecretBytes)
		_, _ = rand.Read(secret) // never fails
		var first *record.Secret
		if err := r.do(ctx, r.rules.SeedSecret(ops.FirstKid, secret, nil, &first)); err != nil {
			return nil, err
		}
		list = append(list, first)
	}
	k := &keys{byKid: make(map[string]*record.Secret), active: ops.CurrentSecret(list, now), now: now, readAt: readAt, reading: reading}
	for _, s := range list {
		k.byKid[s.Kid] = s
	}
	return k, nil
}

// forget has the secrets read again at their next use.
func (r *keyring) forget() {
	r.changes.Add(1)
	r.known.Store(nil)
}
