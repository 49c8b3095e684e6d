package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// scopes know which budgets and quotas are attached to scopes, as read a second ago at most. What this engine changes counts
// at once.
type scopes struct {
	st    store.Store
	clock clock.Clock
	mu    struct {
		sync.Mutex
		known  map[flowfabric.Scope]knownScope
		forgot int // raised by every change of this engine: what was read before it is not believed
	}
}

// knownScope is what is attached to a scope, nil for nothing.
type knownScope struct {
	limits *record.LimitScope
	readAt time.Time
}

const (
	scopeTrust = time.Second
	maxScopes  = 10_000 // remembered; beyond, all are read again
)

func newScopes(st store.Store, c clock.Clock) *scopes {
	s := &scopes{st: st, clock: c}
	s.mu.known = make(map[flowfabric.Scope]knownScope)
	return s
}

// forget makes the next submission read.
func (s *scopes) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.mu.known)
	s.mu.forgot++
}

// usedScopes stand for the types of scopes.
var usedScopes = func() []flowfabric.Scope {
	list := make([]flowfabric.Scope, len(ops.ScopeTypes))
	for i, t := range ops.ScopeTypes {
		list[i] = ops.UsedScope(t)
	}
	return list
}()

// of returns what is attached to the scopes of executions that are about to be submitted.
func (s *scopes) of(ctx context.Context, list []*record.Execution) (ops.Scoped, error) {
	used, err := s.lookup(ctx, usedScopes)
	if err != nil {
		return nil, err
	}
	var types []flowfabric.ScopeType
	for _, scope := range usedScopes {
		if used[scope] != nil {
			types = append(types, scope.Type)
		}
	}
	scoped := ops.Scoped{}
	if len(types) == 0 {
		return scoped, nil
	}
	var wanted []flowfabric.Scope
	for _, e := range list {
		wanted = append(wanted, ops.ScopesOf(e, types)...)
	}
	known, err := s.lookup(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		var found []*record.LimitScope
		for _, scope := range ops.ScopesOf(e, types) {
			found = append(found, known[scope])
		}
		scoped[e.ID] = ops.ScopedLimits(found)
	}
	return scoped, nil
}

// lookup returns what is attached to scopes. It reads those that are not known, or for too long.
func (s *scopes) lookup(ctx context.Context, wanted []flowfabric.Scope) (map[flowfabric.Scope]*record.LimitScope, error) {
	found, stale, now, forgot := s.recall(wanted)
	if len(stale) == 0 {
		return found, nil
	}
	keys := ops.ScopeKeys(stale)
	tx, err := s.st.View(ctx, store.Reads{Records: keys})
	if err != nil {
		return nil, fmt.Errorf("submit: read the limits of scopes: %w", commit.Coded(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.known) > maxScopes {
		clear(s.mu.known)
	}
	for i, scope := range stale {
		found[scope] = store.Get[*record.LimitScope](tx, keys[i])
		if s.mu.forgot == forgot {
			s.mu.known[scope] = knownScope{found[scope], now}
		}
	}
	return found, nil
}

func (s *scopes) recall(wanted []flowfabric.Scope) (found map[flowfabric.Scope]*record.LimitScope, stale []flowfabric.Scope, now time.Time, forgot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, found = s.clock.Now(), make(map[flowfabric.Scope]*record.LimitScope, len(wanted))
	for _, scope := range wanted {
		known, ok := s.mu.known[scope]
		if !ok || now.Sub(known.readAt) >= scopeTrust {
			stale = append(stale, scope)
			continue
		}
		found[scope] = known.limits
	}
	slices.SortFunc(stale, ops.CompareScopes)
	return found, slices.Compact(stale), now, s.mu.forgot
}
