package stream

import (
	"cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Defaults and bounds of live frames (chapter 50, section 3.2).
const (
	defaultFloor   = 64
	MaxLiveCeiling = 16_384
	defaultAlpha   = 0.2

	// perSecond is one frame a second in the unit of [record.Stream.Rate].
	perSecond = 1_000_000
)

// measure takes a live frame into the estimated rate, and sets how many are kept: twice as many as come in their TTL.
func measure(s *record.Stream, c *ff.LiveFrame, now ff.Timestamp) {
	floor := cmp.Or(c.Floor, defaultFloor)
	ceiling := max(cmp.Or(c.Ceiling, MaxLiveCeiling), floor)
	ttl := c.TTL.Seconds()
	if s.LiveAt == 0 {
		s.Rate = int64(float64(floor) / (2 * ttl) * perSecond)
		s.LiveMax = floor
	} else {
		interval := float64(max(now-s.LiveAt, 1)) / 1000
		alpha := c.Alpha
		if !(alpha > 0 && alpha <= 1) { // not a number, too
			alpha = defaultAlpha
		}
		s.Rate = int64((alpha/interval + (1-alpha)*float64(s.Rate)/perSecond) * perSecond)
		s.LiveMax = min(max(ceil(float64(s.Rate)/perSecond*ttl*2), floor), ceiling)
	}
	s.LiveAt = max(now, s.LiveAt)
}

// ceil rounds up, but for what the unit of the rate has cut off.
func ceil(f float64) int {
	n := int(f)
	if f-float64(n) > 1e-4 {
		n++
	}
	return n
}

// expireLater moves the end of a stream of live frames alone to twice their TTL from now. The end is a due time, which is
// left where it is while it is nearly there: appends do not all write the index of due times.
func expireLater(s *record.Stream, c *ff.LiveFrame, now ff.Timestamp) {
	if at := now.Add(2 * c.TTL); at.Sub(s.ExpiresAt) > c.TTL/2 {
		s.ExpiresAt = at
	}
}

// Expire removes the live frames of a stream whose time is over. The stream stays, so that its ids go on increasing. It
// reports false if the time is not over.
func Expire(s *record.Stream, now ff.Timestamp) (Change, bool) {
	if s.ExpiresAt == 0 || s.ExpiresAt > now {
		return Change{}, false
	}
	n := *s
	n.ExpiresAt, n.Rate, n.LiveAt = 0, 0, 0
	ch := Change{Stream: &n}
	ch.trim(ff.FrameLive, &n.Live, 0)
	return ch, true
}
