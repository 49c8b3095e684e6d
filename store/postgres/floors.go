package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// floors let claims step over the entries of ff_ready that are gone. While somebody keeps an old snapshot (a backup, a
// long report, a forgotten transaction) no vacuum can remove them, and a claim that starts at the front of its lane walks
// over every entry that was taken since that snapshot. So as long as a sweep leaves dead entries behind, the store
// remembers how far it has emptied each priority of a route, its floor, and claims look only from there on.
//
// What appears below a floor, a retry for example, is not lost. What this process puts there itself is remembered and
// asked for by its key. What others put there is found by looks from the very front, which may take at most a twentieth
// of the time.
type floors struct {
	local clock.Clock
	age   time.Duration // floorAge
	mu    struct {
		sync.Mutex
		active bool
		routes map[routeKey]*routeFloors
	}
}

const (
	// floorsFrom is how many entries a sweep must have left behind to turn the floors on.
	floorsFrom = 5 * sweepAfter
	// floorAge is how old an entry is before a floor may rise above it: entries are committed after the time they bear,
	// those of other processes in any order.
	floorAge = time.Second
	// floorRest is how long a look from the front is followed by none, in its own duration, and at least.
	floorRest    = 20
	minFloorRest = 100 * time.Millisecond
	// Bounds of what is remembered. Beyond them looks are slower, or later to find what others put below a floor.
	maxFloorRoutes = 10_000
	maxFloorRanks  = 8      // of a route
	maxBelow       = 10_000 // of a route
)

type routeKey struct {
	lane  flowfabric.LaneID
	route int64
}

// routeFloors is what is remembered of a route.
type routeFloors struct {
	ranks  []floor    // the priorities with a floor, highest first
	below  []position // entries this process has put below a floor, in order, without repeats
	puts   int        // how many it has put there
	fullAt time.Time  // when the next look from the front may be taken
}

// floor says that a priority has nothing left before a position, to this process's knowledge.
type floor struct {
	position
	raised time.Time
}

// position is a place in the claim order of a route.
type position struct {
	priority int
	created  flowfabric.Timestamp
	id       [16]byte
}

func positionOf(e *store.ReadyEntry) position {
	return position{e.Priority, e.CreatedAt, e.ExecutionID.UUID()}
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(q.priority, p.priority), cmp.Compare(p.created, q.created), bytes.Compare(p.id[:], q.id[:]))
}

func (f *floors) start() { f.local, f.age = clock.Real(), floorAge }

// examine turns the floors on or off by what a sweep has left behind.
func (f *floors) examine(ctx context.Context, c *pgconn.PgConn) error {
	const dead = `SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'ff_ready'::regclass`
	results, err := c.Exec(ctx, dead).ReadAll()
	if err != nil {
		return fmt.Errorf("count dead entries: %w", err)
	}
	n, err := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
	if err != nil {
		return fmt.Errorf("count dead entries: %w", err)
	}
	f.set(n >= floorsFrom)
	return nil
}

func (f *floors) set(active bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.active != active {
		f.mu.active, f.mu.routes = active, nil
	}
}

// look is one claim query that steps over floors.
type look struct {
	lane   flowfabric.LaneID
	begun  time.Time
	routes []routeLook
	took   []store.ReadyEntry

	answered bool
}

// routeLook is what a look covers of one route.
type routeLook struct {
	route int64
	full  bool
	puts  int
	ranks []position // where to start in these priorities; the others are looked at whole
	below []position
}

// begin plans a look, nil when floors are off: the plain query is cheaper.
func (f *floors) begin(asked store.ClaimQuery) *look {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.active {
		return nil
	}
	l := &look{lane: asked.Lane, begun: f.local.Now()}
	for _, route := range asked.Routes {
		rf := f.route(routeKey{asked.Lane, route})
		rl := routeLook{route: route, puts: rf.puts, full: !l.begun.Before(rf.fullAt)}
		if !rl.full {
			rf.below = slices.DeleteFunc(rf.below, func(p position) bool { return !rf.under(p) })
			rl.below = slices.Clone(rf.below[:min(len(rf.below), asked.Limit)])
			for _, fl := range rf.ranks {
				rl.ranks = append(rl.ranks, fl.position)
			}
		}
		l.routes = append(l.routes, rl)
	}
	return l
}

// look plans the look of a session that takes, nil when the plain query is right.
func (s *session) look(l *store.Load, asked store.ClaimQuery) *look {
	if l.Peek {
		return nil
	}
	lk := s.st.floors.begin(asked)
	if lk != nil {
		s.looks = append(s.looks, lk)
	}
	return lk
}

// route returns what is remembered of a route.
func (f *floors) route(key routeKey) *routeFloors {
	rf := f.mu.routes[key]
	if rf != nil {
		return rf
	}
	if f.mu.routes == nil || len(f.mu.routes) >= maxFloorRoutes {
		f.mu.routes = make(map[routeKey]*routeFloors)
	}
	rf = &routeFloors{}
	f.mu.routes[key] = rf
	return rf
}

// answered takes note of how long looks took.
func (f *floors) answered(looks []*look) {
	if len(looks) == 0 {
		return
	}
	now := f.local.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range looks {
		if l.answered {
			continue
		}
		l.answered = true
		rest := max(floorRest*now.Sub(l.begun), minFloorRest)
		for _, rl := range l.routes {
			if rl.full {
				f.route(routeKey{l.lane, rl.route}).fullAt = now.Add(rest)
			}
		}
	}
}

// committed learns from looks whose session has committed at a time of the storage clock, and of the entries it has put
// into the queue. What a look took is gone, and so is all that came before in the same priority, except for what is too
// young to tell.
func (f *floors) committed(looks []*look, added []store.ReadyEntry, now flowfabric.Timestamp) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.active {
		return
	}
	most := now.Add(-f.age)
	for _, l := range looks {
		for i := range l.routes {
			f.route(routeKey{l.lane, l.routes[i].route}).learn(l, &l.routes[i], most)
		}
	}
	for i := range added {
		if e := &added[i]; e.CreatedAt <= most { // no floor is above the others
			f.route(routeKey{e.Lane, e.Route}).put(positionOf(e))
		}
	}
}

// learn raises floors, up to a time, by what a look has taken.
func (rf *routeFloors) learn(l *look, rl *routeLook, most flowfabric.Timestamp) {
	undisturbed := rf.puts == rl.puts
	rf.below = slices.DeleteFunc(rf.below, func(p position) bool {
		_, asked := slices.BinarySearchFunc(rl.below, p, position.compare)
		return asked || rl.full && undisturbed
	})
	if !undisturbed {
		return // what was put below since may not have been there to be seen
	}
	for i := range l.took {
		if e := &l.took[i]; e.Route == rl.route {
			rf.raise(positionOf(e), most, l.begun)
		}
	}
}

// put takes note of an entry that may be below a floor, or come to be.
func (rf *routeFloors) put(p position) {
	rf.puts++
	if i, known := slices.BinarySearchFunc(rf.below, p, position.compare); !known && len(rf.below) < maxBelow {
		rf.below = slices.Insert(rf.below, i, p)
	}
}

// under reports whether a position is below the floor of its priority.
func (rf *routeFloors) under(p position) bool {
	i, known := rf.rank(p.priority)
	return known && p.compare(rf.ranks[i].position) < 0
}

// rank finds a priority.
func (rf *routeFloors) rank(priority int) (int, bool) {
	return slices.BinarySearchFunc(rf.ranks, priority, func(fl floor, priority int) int {
		return cmp.Compare(priority, fl.priority)
	})
}

// raise lifts the floor of a priority to a position, but not above a time.
func (rf *routeFloors) raise(to position, most flowfabric.Timestamp, at time.Time) {
	if to.created > most {
		to.created, to.id = most, [16]byte{}
	}
	i, known := rf.rank(to.priority)
	switch {
	case known && rf.ranks[i].compare(to) < 0:
		rf.ranks[i] = floor{to, at}
	case known:
		rf.ranks[i].raised = at
	case len(rf.ranks) < maxFloorRanks:
		rf.ranks = slices.Insert(rf.ranks, i, floor{to, at})
	default: // forget the one that was of no use for longest
		oldest := 0
		for j := range rf.ranks {
			if rf.ranks[j].raised.Before(rf.ranks[oldest].raised) {
				oldest = j
			}
		}
		rf.ranks = slices.Delete(rf.ranks, oldest, oldest+1)
		rf.raise(to, most, at)
	}
}
