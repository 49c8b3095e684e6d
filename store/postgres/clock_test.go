package postgres

import (
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// stepped is a clock that the test sets; both of its hands go together.
type stepped struct {
	clock.Clock
	now time.Time
}

func (s *stepped) Now() time.Time { return s.now }

func newServerClock() (*serverClock, *stepped) {
	local := &stepped{now: time.UnixMilli(0)}
	return &serverClock{local: local}, local
}

func (s *stepped) advance(ms int64) { s.now = s.now.Add(time.Duration(ms) * time.Millisecond) }

func expect(t *testing.T, c *serverClock, want flowfabric.Timestamp) {
	t.Helper()
	if got, _ := c.estimate(); got != want {
		t.Errorf("the estimate is %d, want %d", got, want)
	}
}

func TestServerClock_RunsOnBetweenReadings(t *testing.T) {
	t.Parallel()
	c, local := newServerClock()
	if now, age := c.estimate(); now != 0 || age != unknown {
		t.Errorf("before the first reading it is %d, %s old", now, age)
	}
	c.observe(local.now, 5000)
	local.advance(300)
	expect(t, c, 5300)
	if _, age := c.estimate(); age != 300*time.Millisecond {
		t.Errorf("the reading is %s old", age)
	}
}

func TestServerClock_DelayedReadingDoesNotSetItBack(t *testing.T) {
	t.Parallel()
	c, local := newServerClock()
	c.observe(local.now, 5000)
	local.advance(100)
	sent := local.now // the server's clock is at 5100, and is read at 5101
	local.advance(30_000)
	c.observe(sent, 5101)
	expect(t, c, 35_100)
}

func TestServerClock_LaterReadingMovesItForward(t *testing.T) {
	t.Parallel()
	c, local := newServerClock()
	c.observe(local.now, 5000)
	local.advance(100)
	c.observe(local.now, 5150)
	expect(t, c, 5150)
}

func TestServerClock_WaitsForAServerThatIsALittleBehind(t *testing.T) {
	t.Parallel()
	c, local := newServerClock()
	c.observe(local.now, 5000)
	local.advance(100)
	expect(t, c, 5100)
	c.observe(local.now, 5000)
	expect(t, c, 5100)
	local.advance(60)
	expect(t, c, 5100)
	local.advance(60)
	expect(t, c, 5120)
}

func TestServerClock_FollowsAServerThatWasSetBack(t *testing.T) {
	t.Parallel()
	c, local := newServerClock()
	c.observe(local.now, 3_600_000)
	local.advance(100)
	expect(t, c, 3_600_100)
	c.observe(local.now, 100)
	expect(t, c, 100)
}
