package sched

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
)

// refreshEvery is how often, at most, the routes of a lane are read again.
const refreshEvery = 100 * time.Millisecond

// routes remembers the distinct capability sets of each lane. Routes are only ever added, so what is remembered stays
// true; what is missing is read when a claim has found nothing.
type routes struct {
	st    store.Store
	clock clock.Clock
	mu    struct {
		sync.Mutex
		lanes map[flowfabric.LaneID]*laneRoutes
	}
}

type laneRoutes struct {
	sets   map[int64][]string // required capabilities by route; sorted
	served map[string][]int64 // routes by capabilities of a claimer; emptied when a route comes
	readAt time.Time
}

func newRoutes(st store.Store, c clock.Clock) *routes {
	r := &routes{st: st, clock: c}
	r.mu.lanes = make(map[flowfabric.LaneID]*laneRoutes)
	return r
}

// lane returns what is known of a lane. The lock is held.
func (r *routes) lane(lane flowfabric.LaneID) *laneRoutes {
	l, ok := r.mu.lanes[lane]
	if !ok {
		l = &laneRoutes{sets: make(map[int64][]string), served: make(map[string][]int64)}
		r.mu.lanes[lane] = l
	}
	return l
}

func (r *routes) known(lane flowfabric.LaneID, route int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.lane(lane).sets[route]
	return ok
}

func (r *routes) learn(lane flowfabric.LaneID, route int64, capabilities []string) bool {
	if route == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane(lane)
	if _, ok := l.sets[route]; ok {
		return false
	}
	l.sets[route] = capabilities
	clear(l.served)
	return true
}

// served returns the routes of a lane that a claimer can serve: that of no requirements, and those whose set it covers.
func (r *routes) served(lane flowfabric.LaneID, capabilities []string) []int64 {
	if len(capabilities) == 0 {
		return []int64{0}
	}
	key := strings.Join(capabilities, ",")
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane(lane)
	if ids, ok := l.served[key]; ok {
		return ids
	}
	ids := []int64{0}
	for id, required := range l.sets {
		if lifecycle.Covers(capabilities, required) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	l.served[key] = ids
	return ids
}

// refresh reads the routes of lanes again, for a claimer that found nothing. fresh says that there are new ones; retry,
// when not 0, that it is too early to read and when it will not be.
func (r *routes) refresh(ctx context.Context, lanes []flowfabric.LaneID, capabilities []string) (fresh bool, retry time.Duration, err error) {
	if len(capabilities) == 0 {
		return false, 0, nil
	}
	var stale []flowfabric.LaneID
	now := r.clock.Now()
	r.mu.Lock()
	for _, lane := range lanes {
		l := r.lane(lane)
		if age := now.Sub(l.readAt); age >= refreshEvery {
			stale = append(stale, lane)
			l.readAt = now
		} else {
			retry = refreshEvery - age
		}
	}
	r.mu.Unlock()
	if len(stale) == 0 {
		return false, retry, nil
	}
	tx, err := r.st.View(ctx, store.Reads{Routes: stale})
	if err != nil {
		return false, 0, commit.Coded(err)
	}
	for _, lane := range stale {
		for _, route := range tx.Routes(lane) {
			if r.learn(route.Lane, route.ID, route.Capabilities) {
				fresh = true
			}
		}
	}
	return fresh, 0, nil
}
