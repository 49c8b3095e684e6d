package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// growing is a store whose log has grown after as many looks as left says.
type growing struct {
	store.Store
	left atomic.Int64
}

func (g *growing) EventEnds(context.Context) ([]store.EventEnd, error) {
	if g.left.Add(-1) < 0 {
		return []store.EventEnd{{Readable: 2, Now: 2}}, nil
	}
	return []store.EventEnd{{Readable: 1, Now: 1}}, nil
}

// frozen is a clock whose timers run while its time stands still.
type frozen struct{ *clock.Sim }

func (frozen) Now() time.Time { return time.UnixMilli(1_700_000_000_000) }

// However long what this engine has committed does not show, the watch looks at least as often as for what others commit:
// it does not rely on the clock to go back to that.
func TestEventWatch_LooksAtLeastOncePerPoll(t *testing.T) {
	st, timers := &growing{}, clock.NewSim(time.Unix(0, 0))
	st.left.Store(100)
	w, g := newEventWatch(st, frozen{timers}), loop.NewGroup(t.Context())
	defer g.Close()
	seen := w.seen()
	w.nudge.Wake()
	done, err := w.enter(g)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	<-seen // the first look
	for seen = w.seen(); ; {
		pause := clock.Real().NewTimer(100 * time.Microsecond)
		select {
		case <-seen:
			pause.Stop()
			return
		case <-pause.C:
		}
		left := st.left.Load()
		timers.Advance(eventPoll)
		if timers.Now().Sub(time.Unix(0, 0)) > 10_000*eventPoll {
			t.Fatalf("in 10,000 polls there were %d looks", 100-left)
		}
	}
}
