package postgres

import (
	"math"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// serverClock estimates the server's clock between two readings of it, by the machine's monotonic clock: setting the
// machine's clock does not move it. Within a process it never goes back, unless the server's does by more than maxSetBack,
// so that nothing ends before it began.
type serverClock struct {
	local clock.Clock
	mu    struct {
		sync.Mutex
		reading flowfabric.Timestamp // 0: never read
		at      time.Time
		told    flowfabric.Timestamp
	}
}

// maxSetBack is how far the estimate may be ahead of a reading and be waited for.
const maxSetBack = time.Second

// observe takes a reading that has just arrived and was asked for at sent. It was made some time in between, so one that
// agrees with the estimate tells nothing new: it has only travelled.
func (c *serverClock) observe(sent time.Time, t flowfabric.Timestamp) {
	at := c.local.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.extrapolate(at); ok && e >= t && e <= t.Add(at.Sub(sent)) {
		t = e
	}
	if c.mu.told.Sub(t) > maxSetBack {
		c.mu.told = 0
	}
	c.mu.reading, c.mu.at = t, at
}

// unknown is the age of a reading that cannot be relied on.
const unknown = time.Duration(math.MaxInt64)

// estimate returns the server's time, 0 if it was never read, and how old the reading is, or unknown.
func (c *serverClock) estimate() (flowfabric.Timestamp, time.Duration) {
	now := c.local.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.extrapolate(now)
	c.mu.told = max(c.mu.told, t)
	if !ok {
		return c.mu.told, unknown
	}
	return c.mu.told, now.Sub(c.mu.at)
}

// extrapolate tells the server's time by the last reading, and whether that can be relied on. It cannot if there was none,
// or if the machine has slept since: then its monotonic clock stood still, and its two clocks disagree. So they do when the
// machine's clock was set, in which case asking again does no harm.
func (c *serverClock) extrapolate(now time.Time) (flowfabric.Timestamp, bool) {
	const disagreement = time.Second
	if c.mu.reading == 0 {
		return 0, false
	}
	age := now.Sub(c.mu.at)
	byWall := now.Round(0).Sub(c.mu.at.Round(0))
	return c.mu.reading.Add(age), (byWall - age).Abs() <= disagreement
}
