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

// intake knows which lanes take submissions, from their records as read a second ago at most. All lanes in use are read
// together, by whoever comes first when the second is over.
type intake struct {
	st    store.Store
	rules ops.Rules
	clock clock.Clock
	mu    struct {
		sync.Mutex
		lanes   map[flowfabric.LaneID]*intakeLane
		changes int           // of lanes by this engine
		reading chan struct{} // closed when the reading that is under way has ended; nil for none
	}
}

type intakeLane struct {
	settings *record.Lane // nil for the defaults
	readAt   time.Time
	usedAt   time.Time
}

// Bounds of what an intake believes and keeps.
const (
	intakeTrust = time.Second
	maxIntake   = 1000 // lanes read at once, and lanes kept beyond their use
)

func newIntake(st store.Store, rules ops.Rules, c clock.Clock) *intake {
	in := &intake{st: st, rules: rules, clock: c}
	in.mu.lanes = make(map[flowfabric.LaneID]*intakeLane)
	return in
}

// admit refuses submissions to lanes that are closed. at is the position of the one it refuses.
func (in *intake) admit(ctx context.Context, cmds []flowfabric.Submit) (at int, err error) {
	known := make(map[flowfabric.LaneID]*record.Lane)
	for i := range cmds {
		lane := cmds[i].Lane
		settings, ok := known[lane]
		if !ok {
			if settings, err = in.settings(ctx, lane); err != nil {
				return i, err
			}
			known[lane] = settings
		}
		if err := ops.Admits(lane, settings); err != nil {
			return i, err
		}
	}
	return 0, nil
}

// settings returns the record of a lane, nil for none.
func (in *intake) settings(ctx context.Context, lane flowfabric.LaneID) (*record.Lane, error) {
	for {
		in.mu.Lock()
		now := in.clock.Now()
		l, ok := in.mu.lanes[lane]
		if !ok {
			l = &intakeLane{}
			in.mu.lanes[lane] = l
		}
		l.usedAt = now
		if !l.readAt.IsZero() && now.Sub(l.readAt) < intakeTrust {
			settings := l.settings
			in.mu.Unlock()
			return settings, nil
		}
		reading := in.mu.reading
		if reading == nil {
			in.mu.reading = make(chan struct{})
		}
		changes := in.mu.changes
		in.mu.Unlock()
		if reading == nil {
			if err := in.read(ctx, lane, now, changes); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-reading:
		case <-ctx.Done():
			return nil, &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: "submit", Detail: "nothing was written", Err: context.Cause(ctx)}
		}
	}
}

// read reads a lane and the others that are in use. What it read is dropped if this engine has changed a lane meanwhile.
func (in *intake) read(ctx context.Context, lane flowfabric.LaneID, now time.Time, changes int) error {
	lanes := in.inUse(lane, now)
	keys := in.rules.LaneKeys(lanes)
	tx, err := in.st.View(ctx, store.Reads{Records: keys})
	in.mu.Lock()
	defer in.mu.Unlock()
	close(in.mu.reading)
	in.mu.reading = nil
	if err != nil {
		return fmt.Errorf("submit: read the lane: %w", commit.Coded(err))
	}
	for i, name := range lanes {
		if l, ok := in.mu.lanes[name]; ok && in.mu.changes == changes {
			l.settings, l.readAt = store.Get[*record.Lane](tx, keys[i]), now
		}
	}
	return nil
}

// inUse returns a lane and others that were used since they were read, up to maxIntake, and forgets those that were not,
// if there are many.
func (in *intake) inUse(lane flowfabric.LaneID, now time.Time) []flowfabric.LaneID {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := []flowfabric.LaneID{lane}
	for name, l := range in.mu.lanes {
		switch old := now.Sub(l.readAt) >= intakeTrust; {
		case name == lane || !old:
		case l.usedAt.After(l.readAt) && len(list) < maxIntake:
			list = append(list, name)
		case len(in.mu.lanes) > maxIntake && now.Sub(l.usedAt) >= intakeTrust:
			delete(in.mu.lanes, name)
		}
	}
	slices.Sort(list)
	return list
}

// changed forgets what is known of a lane that this engine has changed.
func (in *intake) changed(lane flowfabric.LaneID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.changes++
	delete(in.mu.lanes, lane)
}
