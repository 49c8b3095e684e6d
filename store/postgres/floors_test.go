package postgres

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// floorsAt returns floors that are on, at a machine's time of the test's.
func floorsAt() (*floors, *stepped) {
	local := &stepped{now: time.UnixMilli(0)}
	f := &floors{local: local, age: floorAge}
	f.set(true)
	return f, local
}

const floorLane = flowfabric.LaneID("l")

func at(priority int, created flowfabric.Timestamp, id byte) store.ReadyEntry {
	return store.ReadyEntry{
		Lane: floorLane, Route: 7, Priority: priority, CreatedAt: created,
		ExecutionID: flowfabric.ExecutionIDFrom(0, [16]byte{15: id}),
	}
}

func place(priority int, created flowfabric.Timestamp, id byte) position {
	return position{priority, created, [16]byte{15: id}}
}

// plan begins a look at the one route of these tests.
func plan(f *floors) *look {
	return f.begin(store.ClaimQuery{Lane: floorLane, Routes: []int64{7}, Limit: 10})
}

// take is a look that took entries and was committed at a time of the storage clock.
func take(f *floors, now flowfabric.Timestamp, took ...store.ReadyEntry) {
	l := plan(f)
	l.took = took
	f.answered([]*look{l})
	f.committed([]*look{l}, nil, now)
}

func wantLook(t *testing.T, l *look, full bool, ranks, below []position) {
	t.Helper()
	rl := l.routes[0]
	if rl.full != full {
		t.Errorf("a full look: %t, want %t", rl.full, full)
	}
	if diff := cmp.Diff([][]position{ranks, below}, [][]position{rl.ranks, rl.below}, cmp.AllowUnexported(position{}), cmp.Transformer("empty", func(p []position) []position {
		return append([]position{}, p...)
	})); diff != "" {
		t.Errorf("floors, and what is below them (-want +got):\n%s", diff)
	}
}

func TestFloors_AreOffUntilASweepLeavesDeadEntries(t *testing.T) {
	t.Parallel()
	f := &floors{local: &stepped{}}
	if l := plan(f); l != nil {
		t.Errorf("planned %+v", l)
	}
}

func TestFloors_RiseToWhatWasTakenInEachPriority(t *testing.T) {
	t.Parallel()
	f, _ := floorsAt()
	wantLook(t, plan(f), true, nil, nil)
	take(f, 90_000, at(5, 300, 1), at(5, 400, 2), at(0, 100, 3))
	wantLook(t, plan(f), false, []position{place(5, 400, 2), place(0, 100, 3)}, nil)
	take(f, 90_000, at(0, 90, 4))
	wantLook(t, plan(f), false, []position{place(5, 400, 2), place(0, 100, 3)}, nil)
}

func TestFloors_StayASecondBehindTheClock(t *testing.T) {
	t.Parallel()
	f, _ := floorsAt()
	take(f, 90_000, at(0, 89_500, 1))
	wantLook(t, plan(f), false, []position{place(0, 89_000, 0)}, nil)
}

func TestFloors_WhatThisProcessPutsBelowIsAskedForOnceByItsKey(t *testing.T) {
	t.Parallel()
	f, _ := floorsAt()
	take(f, 90_000, at(0, 400, 2))
	f.committed(nil, []store.ReadyEntry{at(0, 300, 9), at(0, 200, 8), at(0, 300, 9), at(0, 500, 7), at(3, 1, 6)}, 90_000)
	wantLook(t, plan(f), false, []position{place(0, 400, 2)}, []position{place(0, 200, 8), place(0, 300, 9)})
	take(f, 90_000, at(0, 200, 8), at(0, 300, 9))
	wantLook(t, plan(f), false, []position{place(0, 400, 2)}, nil)
}

func TestFloors_WhatIsPutBelowDuringALookKeepsItFromRaisingThem(t *testing.T) {
	t.Parallel()
	f, _ := floorsAt()
	take(f, 90_000, at(0, 400, 2))
	l := plan(f)
	f.committed(nil, []store.ReadyEntry{at(0, 500, 9)}, 90_000)
	l.took = []store.ReadyEntry{at(0, 600, 3)}
	f.committed([]*look{l}, nil, 90_000)
	wantLook(t, plan(f), false, []position{place(0, 400, 2)}, nil)
}

func TestFloors_ALookFromTheFrontTakesATwentiethOfTheTime(t *testing.T) {
	t.Parallel()
	f, local := floorsAt()
	l := plan(f)
	local.advance(50)
	f.answered([]*look{l})
	f.committed([]*look{l}, nil, 90_000)
	local.advance(999)
	wantLook(t, plan(f), false, nil, nil)
	local.advance(1)
	l = plan(f)
	wantLook(t, l, true, nil, nil)
	f.answered([]*look{l}) // at once
	local.advance(99)
	wantLook(t, plan(f), false, nil, nil)
	local.advance(1)
	wantLook(t, plan(f), true, nil, nil)
}

func TestFloors_ForgetThePriorityThatWasOfNoUseForLongest(t *testing.T) {
	t.Parallel()
	f, local := floorsAt()
	for p := range maxFloorRanks + 1 {
		local.advance(1)
		take(f, 90_000, at(p, 100, byte(p)))
	}
	l := plan(f)
	if n := len(l.routes[0].ranks); n != maxFloorRanks {
		t.Fatalf("%d floors, want %d", n, maxFloorRanks)
	}
	if got := l.routes[0].ranks[maxFloorRanks-1]; got != place(1, 100, 1) {
		t.Errorf("the lowest priority with a floor is %+v, want 1", got)
	}
}

// A look covers every place of the claim order that is not under a floor, and none twice.
func TestStretches_CoverWhatIsNotUnderAFloor(t *testing.T) {
	t.Parallel()
	var s stretches
	s.add(&routeLook{
		route: 7, ranks: []position{place(5, 400, 2), place(4, 10, 1), place(0, 100, 3)}, below: []position{place(4, 9, 9)},
	})
	type part struct{ priority, from, to int64 }
	var parts []part
	for i := range s.routes {
		parts = append(parts, part{s.priorities[i], s.createdFrom[i], s.createdTo[i]})
	}
	const last = 1<<63 - 1
	if diff := cmp.Diff([]part{{4, 9, 9}, {5, 400, last}, {4, 10, last}, {0, 100, last}}, parts, cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("parts of priorities (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{6, 1, -1 << 31}, s.least); diff != "" {
		t.Errorf("whole priorities from (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{1<<31 - 1, 3, -1}, s.most); diff != "" {
		t.Errorf("whole priorities to (-want +got):\n%s", diff)
	}
}
