package place

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// server is a server of ours that runs already. What is behind it is its own matter.
type server struct{ rawURL string }

// IsServer reports whether a URL names a server of ours, not a store.
func IsServer(rawURL string) bool {
	return strings.HasPrefix(rawURL, "http://") || strings.HasPrefix(rawURL, "https://")
}

func (s server) URL() string { return s.rawURL }

func (server) Migrate(context.Context) error { return nil }

// Describe asks the server what it is. Who may not know is told nothing.
func (s server) Describe(ctx context.Context) (Description, error) {
	d := Description{
		Settings: map[string]string{},
		Notes:    []string{"what the server and its database use, and whether their commits are durable, cannot be seen from here"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.rawURL, "/")+wire.CapabilitiesPath, nil)
	if err != nil {
		return d, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return d, fmt.Errorf("ask the server what it is: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var caps wire.Capabilities
	if res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&caps) == nil {
		d.ServerVersion = caps.Version
		d.Settings["store"] = caps.Family
	}
	return d, nil
}

func (server) Settle(context.Context) error { return nil }

func (server) Probe(context.Context, clock.Clock) (Probe, error) { return Probe{}, nil }

func (server) CPU() time.Duration { return 0 }

func (server) Statements(context.Context) (int64, string, error) { return 0, "", nil }

func (server) Sizes(context.Context) (map[string]int64, error) { return nil, nil }

func (server) Drop(context.Context) error { return nil }
