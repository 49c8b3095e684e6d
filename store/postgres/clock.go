package postgres

import (
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// serverClock estimates the server's clock between two readings of it.
type serverClock struct {
	local clock.Clock
	mu    struct {
		sync.Mutex
		reading flowfabric.Timestamp // 0: never read
		at      time.Time
	}
}

// observe takes a reading that has just arrived.
func (c *serverClock) observe(t flowfabric.Timestamp) {
	at := c.local.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.reading, c.mu.at = t, at
}

// estimate returns the server's time, 0 if it was never read, and how old the reading is. The reading was already old by
// half a round trip when it arrived, so the estimate never runs ahead of the server.
func (c *serverClock) estimate() (flowfabric.Timestamp, time.Duration) {
	now := c.local.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.reading == 0 {
		return 0, 0
	}
	age := now.Sub(c.mu.at)
	return c.mu.reading.Add(age), age
}
