package sched

import (
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store/record"
)

// lane is what this process knows of a lane. Its routes, the distinct sets of required capabilities, are numbered; there
// may be thousands, of which few have work at a time. All of it is guarded by the scheduler's lock, and none of it is the
// truth, which is in the store: what is missing here is found by the next survey.
type lane struct {
	name   flowfabric.LaneID
	shards []front
	// used: this process has committed an execution of the lane, so the lane is registered.
	used bool

	numbers map[int64]int // of the routes
	routes  []int64       // by number; the first is that of no requirements
	sets    [][]string    // what they require, by number; sorted
	served  map[string]*offer
	readAt  time.Time // when the routes were read last

	// staleAt: by the scheduler's count, when there was last reason to think that routes have work that are not marked; 0
	// once a survey has looked.
	staleAt    uint64
	surveying  bool // one is under way
	surveyedAt time.Time
	// surveyAfter keeps surveys from taking more than their share; see surveyShare.
	surveyAfter time.Time
	// surveyBy is when to look whether or not there is reason.
	surveyBy time.Time
	sleepers map[*pool]struct{} // pools with claims that wait for a wake-up
}

// front is what is known of a lane on one shard.
type front struct {
	ready    bitset       // routes that may have work
	markedAt []uint64     // when each was marked last, by the scheduler's count
	settings *record.Lane // as last seen; nil for the defaults
	seen     bool         // the settings were
	limits   []record.Key // see ops.LaneAsk
	// heldUntil: until then the lane's state or its concurrency keeps work back, unless something is told before.
	heldUntil  time.Time
	releasedAt uint64 // by the scheduler's count, when something was told last
}

// offer is what the claimers with one set of capabilities can serve on a lane. Pools share it.
type offer struct {
	capabilities []string
	routes       bitset
	count        int
	pools        int // how many share it
}

func newLane(name flowfabric.LaneID, shards int) *lane {
	l := &lane{
		name: name, shards: make([]front, shards), numbers: make(map[int64]int), served: make(map[string]*offer),
		sleepers: make(map[*pool]struct{}), staleAt: 1,
	}
	l.learn(0, nil)
	return l
}

// learn numbers a route and returns its number.
func (l *lane) learn(route int64, required []string) int {
	if n, ok := l.numbers[route]; ok {
		return n
	}
	n := len(l.routes)
	l.numbers[route], l.routes, l.sets = n, append(l.routes, route), append(l.sets, required)
	for _, o := range l.served {
		o.consider(n, required)
	}
	return n
}

func (o *offer) consider(n int, required []string) {
	if lifecycle.Covers(o.capabilities, required) {
		o.routes.add(n)
		o.count++
	}
}

// offerOf returns what sorted capabilities can serve, for one more pool. It stays up to date until it is dropped.
func (l *lane) offerOf(capabilities []string) *offer {
	key := strings.Join(capabilities, ",")
	o, ok := l.served[key]
	if !ok {
		o = &offer{capabilities: capabilities}
		for n, required := range l.sets {
			o.consider(n, required)
		}
		l.served[key] = o
	}
	o.pools++
	return o
}

// drop forgets an offer when no pool has it any more.
func (l *lane) drop(o *offer) {
	if o.pools--; o.pools == 0 {
		delete(l.served, strings.Join(o.capabilities, ","))
	}
}

// mark notes that a route may have work on a shard. count is the scheduler's, and grows.
func (l *lane) mark(shard, n int, count uint64) {
	f := &l.shards[shard]
	f.ready.add(n)
	if grow := n + 1 - len(f.markedAt); grow > 0 {
		f.markedAt = append(f.markedAt, make([]uint64, grow)...)
	}
	f.markedAt[n] = count
}

// exhausted notes that a query that began at count found nothing more on a route. A mark that came later stays: what it
// tells of, the query may not have seen.
func (l *lane) exhausted(shard, n int, count uint64) {
	f := &l.shards[shard]
	if n < len(f.markedAt) && f.markedAt[n] <= count {
		f.ready.remove(n)
	}
}

// maxWindow is how many routes one query asks for: a store looks at the head of each. The order of claims is exact over so
// many; if more have work, windows take turns.
const maxWindow = 16

// window returns the numbers of routes that have work an offer can serve, beginning with the turn-th window.
func (l *lane) window(shard int, o *offer, turn uint64) []int {
	var list []int
	ready := l.shards[shard].ready
	ready.common(o.routes, int(turn%uint64(len(l.routes))), func(n int) bool {
		list = append(list, n)
		return len(list) < maxWindow
	})
	return list
}

// offers reports whether there may be work for an offer on a shard.
func (f *front) offers(o *offer, now time.Time) bool {
	return f.ready.meets(o.routes) && !now.Before(f.heldUntil)
}

// open reports whether there may be work for an offer, or it is not known.
func (l *lane) open(o *offer, now time.Time) bool {
	return l.suspect(now) || l.offers(o, now)
}

// suspect reports whether a survey is called for.
func (l *lane) suspect(now time.Time) bool {
	return l.staleAt != 0 && !l.surveying && !now.Before(l.surveyAfter)
}

func (l *lane) offers(o *offer, now time.Time) bool {
	for i := range l.shards {
		if l.shards[i].offers(o, now) {
			return true
		}
	}
	return false
}

// restUntil is when to look at a lane again if nothing is told before.
func (l *lane) restUntil(now time.Time) time.Time {
	at := l.surveyBy
	if l.staleAt != 0 && l.surveyAfter.After(now) {
		at = l.surveyAfter
	}
	for i := range l.shards {
		if held := l.shards[i].heldUntil; held.After(now) && held.Before(at) {
			at = held
		}
	}
	return at
}

// hold keeps a lane from being asked for a while, unless something was told since the claim that found it so began, at
// count.
func (f *front) hold(until time.Time, count uint64) {
	if f.releasedAt <= count {
		f.heldUntil = until
	}
}

// release lets a lane that was held back be asked again.
func (f *front) release(count uint64) { f.heldUntil, f.releasedAt = time.Time{}, count }

func (l *lane) release(count uint64) {
	for i := range l.shards {
		l.shards[i].release(count)
	}
}
