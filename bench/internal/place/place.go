// Package place makes what a measurement runs on: a database that is empty at first, nobody else's, and gone afterwards.
package place

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// Place is a database of its own: on a PostgreSQL server, in a SQLite file or in memory. Or it is a server that runs, of whose
// database nothing is known.
type Place interface {
	// URL is how a store is opened on it.
	URL() string
	// Migrate makes the schema, where opening a store does not.
	Migrate(ctx context.Context) error
	Describe(ctx context.Context) (Description, error)
	// Settle has the server write out what earlier work left behind, so that it does not disturb what comes.
	Settle(ctx context.Context) error
	// Probe measures what the store could do at most. It leaves something behind: measure nothing else there.
	Probe(ctx context.Context, c clock.Clock) (Probe, error)
	// CPU is the time the server's processes have used so far; always 0 where that cannot be told.
	CPU() time.Duration
	// Statements is how many statements the database has run so far, and by whose count; "" where nobody counts.
	Statements(ctx context.Context) (n int64, counter string, err error)
	// Sizes are the bytes in use, by table with its indexes, or of the whole file; nil where there are none.
	Sizes(ctx context.Context) (map[string]int64, error)
	// Drop removes it. It may be called while ctx's cause is an interruption: give it a context that has not ended.
	Drop(ctx context.Context) error
}

// Description is what decides what a figure is worth.
type Description struct {
	ServerVersion string
	Settings      map[string]string
	// Durable is whether an acknowledged commit survives a loss of power.
	Durable bool
	// Notes tell what cannot be measured there.
	Notes []string
}

// Create makes a place on the server, or in the folder, that rawURL names. A server of ours is the place as it is. One that is to be kept gets a name that no
// later run removes. It fails with [backend.ErrURL] or [ErrExists].
func Create(ctx context.Context, rawURL string, keep bool, c clock.Clock) (Place, error) {
	if IsServer(rawURL) {
		return server{rawURL}, nil
	}
	kind, err := backend.KindOf(rawURL)
	if err != nil {
		return nil, err
	}
	switch kind {
	case backend.SQLite:
		return createSQLite(rawURL)
	case backend.Postgres:
		return createPostgres(ctx, rawURL, keep, c)
	default:
		return memory{rawURL}, nil
	}
}

// With runs fn with a place of its own and removes that, whatever becomes of fn and ctx, unless it is to be kept.
func With(ctx context.Context, rawURL string, keep bool, c clock.Clock, fn func(Place) error) (err error) {
	p, err := Create(ctx, rawURL, keep, c)
	if err != nil {
		return err
	}
	defer func() {
		if keep {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		if dropErr := p.Drop(ctx); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", backend.Redact(p.URL()), dropErr))
		}
	}()
	return fn(p)
}

const dropTimeout = time.Minute
