package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var eventTests = []behaviour{
	{"AreReadInTheOrderOfTheLog", testEventsInOrder},
	{"AreReadInPages", testEventsInPages},
	{"OfOtherFamiliesAreLookedAtWithinABound", testEventsScan},
	{"ThatWereRemovedLeaveWord", testEventsGone},
	{"AreKeptUpToANumber", testEventsKept},
	{"OfManyWritersAreReadOnceAndInOrder", testEventsOfManyWriters},
}

// allFamilies are those that somebody reads.
var allFamilies = []record.EventFamily{record.FamilyLease, record.FamilyCompletion, record.FamilySignal, record.FamilyOperator}

// log appends events in one unit. AttemptIndex tells them apart.
func (e *env) log(events ...record.Event) {
	e.Helper()
	e.do(unit(store.Reads{}, func(tx *store.Tx) error {
		for i := range events {
			events[i].ExecutionID = id(1)
		}
		tx.Append(events...)
		return nil
	}))
}

// events reads, when all that is written can be read.
func (e *env) events(q store.EventQuery) store.EventPage {
	e.Helper()
	q.Shard = e.store.Shard(id(1).Partition())
	if q.Families == nil {
		q.Families = allFamilies
	}
	if q.Limit == 0 {
		q.Limit = 1000
	}
	if q.Scan == 0 {
		q.Scan = 10_000
	}
	for deadline := clock.Real().Now().Add(patience); ; {
		page, err := e.store.Events(e.Context(), q)
		if err != nil {
			e.Fatalf("events: %v", err)
		}
		// What was committed can be read when the transactions have ended that began before it, those of other tests among them.
		if page.More || page.Next >= page.Last || clock.Real().Now().After(deadline) {
			return page
		}
	}
}

// patience is how long other transactions may take.
const patience = 20 * time.Second

// indexesOf are the events of a page.
func indexesOf(page store.EventPage) []int {
	list := []int{}
	for i := range page.Events {
		list = append(list, page.Events[i].AttemptIndex)
	}
	return list
}

func acquired(index int) record.Event {
	return record.Event{Family: record.FamilyLease, Type: "acquired", AttemptIndex: index, At: start}
}

func succeeded(index int) record.Event {
	return record.Event{Family: record.FamilyCompletion, Type: "success", AttemptIndex: index, At: start}
}

func testEventsInOrder(e *env) {
	none := e.events(store.EventQuery{})
	e.equal("of an empty log", indexesOf(none), []int{})
	e.equal("more", none.More, false)
	full := fullEvent()
	e.log(full, acquired(1))
	e.log(succeeded(2))
	page := e.events(store.EventQuery{After: none.Next})
	e.equal("events", indexesOf(page), []int{full.AttemptIndex, 1, 2})
	e.equal("more", page.More, false)
	got := page.Events[0]
	got.Place, full.ExecutionID = 0, id(1)
	e.equal("an event", got, full)
	for i := 1; i < len(page.Events); i++ {
		if page.Events[i].Place <= page.Events[i-1].Place {
			e.Errorf("places %d, %d do not increase", page.Events[i-1].Place, page.Events[i].Place)
		}
	}
	if page.Next < page.Events[2].Place || page.Last < page.Next {
		e.Errorf("next %d, last %d behind an event at %d", page.Next, page.Last, page.Events[2].Place)
	}
	e.equal("completions", indexesOf(e.events(store.EventQuery{Families: []record.EventFamily{record.FamilyCompletion}})), []int{2})
	e.equal("behind all", indexesOf(e.events(store.EventQuery{After: page.Next})), []int{})
	ends, err := e.store.EventEnds(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	e.equal("shards", len(ends), len(e.store.Shards()))
	e.equal("end", ends[e.store.Shard(id(1).Partition())], store.EventEnd{Readable: page.Next, Now: page.Next})
	if e.reopen() {
		e.equal("after a restart", e.events(store.EventQuery{After: none.Next}), page)
	}
}

func testEventsInPages(e *env) {
	for n := range 10 {
		e.log(acquired(n))
	}
	var got []int
	at := uint64(0)
	for range 5 {
		page := e.events(store.EventQuery{After: at, Limit: 3})
		got = append(got, indexesOf(page)...)
		e.equal("more", page.More, len(got) < 10)
		at = page.Next
	}
	e.equal("events", got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
}

func testEventsScan(e *env) {
	for n := range 20 {
		e.log(acquired(n))
	}
	e.log(succeeded(20))
	completions := store.EventQuery{Families: []record.EventFamily{record.FamilyCompletion}, Scan: 7}
	calls := 0
	for page := (store.EventPage{More: true}); page.More; calls++ {
		page = e.events(completions)
		if len(page.Events) == 0 && page.Next <= completions.After {
			e.Fatalf("page %d does not go on", calls)
		}
		if completions.After = page.Next; !page.More {
			e.equal("the last page", indexesOf(page), []int{20})
		}
	}
	e.equal("pages", calls, 3)
}

func testEventsGone(e *env) {
	old := acquired(1)
	old.At = start - 10
	e.log(old)
	before := e.events(store.EventQuery{})
	e.equal("gone", before.Gone, uint64(0))
	e.log(succeeded(2))
	e.equal("removed", e.trim(store.Trim{EventsBefore: start - 1}), store.Trimmed{Events: 1})
	page := e.events(store.EventQuery{})
	e.equal("what is left", indexesOf(page), []int{2})
	e.equal("gone", page.Gone, before.Events[0].Place)
	e.equal("of another family", e.events(store.EventQuery{Families: []record.EventFamily{record.FamilyCompletion}}).Gone, uint64(0))
	e.trim(store.Trim{EventsBefore: start})
	after := e.events(store.EventQuery{})
	e.equal("gone", after.Gone, page.Events[0].Place)
	e.equal("last", after.Last, page.Last)
	if e.reopen() {
		e.equal("after a restart", e.events(store.EventQuery{}), after)
	}
}

func testEventsKept(e *env) {
	for n := range 10 {
		e.log(acquired(n))
	}
	e.equal("removed", e.trim(store.Trim{EventsKept: 4}), store.Trimmed{Events: 6})
	e.equal("what is left", indexesOf(e.events(store.EventQuery{})), []int{6, 7, 8, 9})
	e.equal("again", e.trim(store.Trim{EventsKept: 4}), store.Trimmed{})
}

func testEventsOfManyWriters(e *env) {
	const writers, each = 8, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				x := waiting(1000 + w*each + n) // no two of a writer are of one record
				u := unit(reads(x.ID), func(tx *store.Tx) error {
					tx.PutExecution(x)
					for part := range 2 {
						ev := acquired(2*n + part)
						ev.ExecutionID, ev.Epoch = id(1), uint64(w)
						tx.Append(ev)
					}
					return nil
				})
				u.Order = uint64(w)
				if err := e.store.Apply(e.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
					e.Errorf("writer %d: %v, %v", w, err, u.Err)
					return
				}
			}
		})
	}
	next := make([]int, writers)
	at, place, written := uint64(0), uint64(0), make(chan struct{})
	go func() { wg.Wait(); close(written) }()
	for last := false; ; {
		page, err := e.store.Events(e.Context(), store.EventQuery{
			Shard: e.store.Shard(id(1).Partition()), After: at, Families: allFamilies, Limit: 50, Scan: 1000,
		})
		if err != nil {
			e.Fatalf("events: %v", err)
		}
		for i := range page.Events {
			ev := &page.Events[i]
			if ev.Place <= place || ev.Place > page.Next {
				e.Fatalf("an event at %d behind %d, in a page that ends at %d", ev.Place, place, page.Next)
			}
			if place = ev.Place; ev.AttemptIndex != next[ev.Epoch] {
				e.Fatalf("event %d of writer %d, want its %d", ev.AttemptIndex, ev.Epoch, next[ev.Epoch])
			}
			next[ev.Epoch]++
		}
		at = page.Next
		if last && !page.More && page.Next == page.Last {
			break
		}
		select {
		case <-written:
			last = true
		default:
		}
	}
	e.equal("events by writer", next, slices.Repeat([]int{2 * each}, writers))
}
