package sched

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// refreshEvery is how often, at most, the routes of a lane are read again.
const refreshEvery = 100 * time.Millisecond

// surveyPage is how many routes one query of a survey returns.
const surveyPage = 1000

// surveyShare: after a survey a lane is left alone for so many times as long as it took, however often others say that it
// has changed.
const surveyShare = 4

// survey asks the store which routes of lanes have work, marks them and wakes who waits for them. Its cost follows the
// routes with work, however many there are without any.
func (s *Scheduler) survey(ctx context.Context, lanes []*lane) error {
	s.mu.Lock()
	count, began := s.mu.count, s.clock.Now()
	s.mu.Unlock()
	defer s.surveyEnded(lanes, began)
	found := make([][]int64, len(lanes))
	from := make([]int64, len(lanes))
	for i := range from {
		from[i] = math.MinInt64
	}
	for open := numbered(lanes); len(open) > 0; {
		var reads store.Reads
		for _, i := range open {
			reads.ReadyRoutes = append(reads.ReadyRoutes, store.ReadyRoutesQuery{Lane: lanes[i].name, From: from[i], Limit: surveyPage})
		}
		tx, err := s.st.View(ctx, reads)
		if err != nil {
			return commit.Coded(err)
		}
		var next []int
		for n, i := range open {
			page := tx.ReadyRoutes(n)
			found[i] = append(found[i], page...)
			if last := len(page) - 1; len(page) == surveyPage && page[last] < math.MaxInt64 {
				from[i] = page[last] + 1
				next = append(next, i)
			}
		}
		open = next
	}
	unknown := s.surveyed(lanes, found, count)
	if len(unknown) == 0 {
		return nil
	}
	if err := s.readRoutes(ctx, unknown); err != nil {
		return err
	}
	if err := s.learnFromWork(ctx, s.unregistered(lanes, found, unknown)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range lanes {
		if slices.Contains(unknown, l.name) {
			for _, route := range found[i] {
				if n, ok := l.numbers[route]; ok {
					s.markAll(l, n)
				}
			}
		}
	}
	return nil
}

// unregistered are queries for the first execution of each route that has work and that the store does not have: it forgets
// those without any, and who knew such a route does not register it again.
func (s *Scheduler) unregistered(lanes []*lane, found [][]int64, read []flowfabric.LaneID) (list []store.ClaimQuery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range lanes {
		if !slices.Contains(read, l.name) {
			continue
		}
		for _, route := range found[i] {
			if _, ok := l.numbers[route]; !ok {
				list = append(list, store.ClaimQuery{Lane: l.name, Routes: []int64{route}, Limit: 1})
			}
		}
	}
	return list
}

// learnPage is how many routes are learned from their work in one round trip.
const learnPage = 100

// learnFromWork learns what routes require from an execution on each, and registers them for others. A route whose work has
// gone meanwhile stays unknown.
func (s *Scheduler) learnFromWork(ctx context.Context, list []store.ClaimQuery) error {
	for page := range slices.Chunk(list, learnPage) {
		tx, err := s.st.View(ctx, store.Reads{Claimable: page})
		if err != nil {
			return commit.Coded(err)
		}
		var units []*store.Unit
		s.mu.Lock()
		for i := range page {
			for _, e := range tx.Claimable(i) {
				s.lane(e.Lane).learn(e.Route, e.Capabilities)
				units = append(units, &s.rules.RegisterRoute(e).Unit)
			}
		}
		s.mu.Unlock()
		if len(units) == 0 {
			continue
		}
		if err := s.commit.Do(ctx, units...); err != nil {
			return err
		}
	}
	return nil
}

// surveyEnded lets others survey lanes again.
func (s *Scheduler) surveyEnded(lanes []*lane, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, l := range lanes {
		l.surveying, l.surveyAfter = false, now.Add(surveyShare*now.Sub(began))
		if l.staleAt != 0 { // it failed, or there was news meanwhile
			rouseOne(l)
		}
	}
}

// numbered returns the numbers of lanes.
func numbered(lanes []*lane) []int {
	list := make([]int, len(lanes))
	for i := range list {
		list[i] = i
	}
	return list
}

// surveyed takes in what a survey that began at count found. It returns the lanes with routes this process does not know
// and may read now; those it has read just now are surveyed again when that is due.
func (s *Scheduler) surveyed(lanes []*lane, found [][]int64, count uint64) (unknown []flowfabric.LaneID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for i, l := range lanes {
		l.surveyedAt, l.surveyBy = now, now.Add(loop.Jitter(s.cfg.Poll))
		if l.staleAt <= count {
			l.staleAt = 0
		}
		var busy bitset
		strange := false
		for _, route := range found[i] {
			n, ok := l.numbers[route]
			if !ok {
				strange = true
				continue
			}
			busy.add(n)
			s.markAll(l, n)
		}
		for n := range l.routes {
			if !busy.has(n) {
				for shard := range l.shards {
					l.exhausted(shard, n, count)
				}
			}
		}
		if !strange {
			continue
		}
		if age := now.Sub(l.readAt); age < refreshEvery {
			l.surveyBy = now.Add(refreshEvery - age)
			continue
		}
		l.readAt = now
		unknown = append(unknown, l.name)
	}
	return unknown
}

// readRoutes reads all routes of lanes.
func (s *Scheduler) readRoutes(ctx context.Context, lanes []flowfabric.LaneID) error {
	tx, err := s.st.View(ctx, store.Reads{Routes: lanes})
	if err != nil {
		return commit.Coded(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range lanes {
		l := s.lane(name)
		for _, route := range tx.Routes(name) {
			l.learn(route.ID, route.Capabilities)
		}
	}
	return nil
}
