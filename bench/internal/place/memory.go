package place

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// memory comes and goes with its store.
type memory struct{ rawURL string }

func (m memory) URL() string { return m.rawURL }

func (memory) Migrate(context.Context) error { return nil }

func (memory) Describe(context.Context) (Description, error) {
	return Description{
		Settings: map[string]string{},
		Notes:    []string{"a store in memory is not durable, and its CPU is the client's"},
	}, nil
}

func (memory) Settle(context.Context) error { return nil }

func (memory) Probe(context.Context, clock.Clock) (Probe, error) { return Probe{}, nil }

func (memory) CPU() time.Duration { return 0 }

func (memory) Statements(context.Context) (int64, string, error) { return 0, "", nil }

func (memory) Sizes(context.Context) (map[string]int64, error) { return nil, nil }

func (memory) Drop(context.Context) error { return nil }
