package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestList_FindsTagsWhateverTheirKey(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	key := `a.b "c" $[0]`
	tagged, other, broken := newID(), newID(), newID()
	for id, tags := range map[ff.ExecutionID]map[string]string{tagged: {key: "1"}, other: {key: "2"}, broken: {key: "1"}} {
		apply(t, s, put(id, func(*record.Execution) *record.Execution {
			e := ready(id)
			e.Tags = tags
			return e
		}))
	}
	script(t, path, "UPDATE ff_exec_core SET tags = 'no json' WHERE execution_id = "+blob(broken))
	page, err := s.List(t.Context(), store.ListQuery{TagKey: key, TagValue: "1", Limit: 10, Scan: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Executions) != 1 || page.Executions[0].ID != tagged || page.Next != (store.ListCursor{}) {
		t.Errorf("%+v; want %s alone", page, tagged)
	}
}

// The oldest execution of a lane may stand behind younger ones of a higher priority and on any route.
func TestCountLane_FindsTheOldest(t *testing.T) {
	s := open(t, newPath(t), nil)
	for _, e := range []struct {
		created  ff.Timestamp
		priority int
		route    int64
	}{{50, 9, -5}, {40, 3, -5}, {45, 3, -5}, {60, 0, 0}, {30, 1, 7}, {35, 2, 7}} {
		id := newID()
		apply(t, s, put(id, func(*record.Execution) *record.Execution {
			n := ready(id)
			n.CreatedAt, n.Priority, n.Route = e.created, e.priority, e.route
			return n
		}))
	}
	n, err := s.CountLane(t.Context(), "mail", 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.LaneCount{Ready: 6, OldestAt: 30}, n); diff != "" {
		t.Errorf("count (-want +got):\n%s", diff)
	}
	if n, err = s.CountLane(t.Context(), "none", 100); err != nil || n != (store.LaneCount{}) {
		t.Errorf("a lane without work: %+v, %v; want nothing", n, err)
	}
}

// Each transaction reads the clock once.
func TestTrim_WorksInShortTransactions(t *testing.T) {
	const total = 10 * trimStep
	transactions := 0
	s := open(t, newPath(t), &Config{Clock: func() ff.Timestamp { transactions++; return 100 }})
	var units []*store.Unit
	for range total {
		id := newID()
		units = append(units, put(id, func(*record.Execution) *record.Execution {
			e := ready(id)
			e.Ready, e.DueAt, e.RetainUntil = false, 0, 100
			return e
		}))
	}
	apply(t, s, units...)
	transactions = 0
	trimmed, err := s.Trim(t.Context(), store.Trim{Limit: total})
	if err != nil || trimmed.Executions != total {
		t.Fatalf("%d forgotten, error %v; want %d", trimmed.Executions, err, total)
	}
	if transactions < total/trimStep {
		t.Errorf("%d transactions; want at least %d", transactions, total/trimStep)
	}
}

// A clock that was ahead for a while leaves events that are younger than those behind them.
func TestTrim_IsNotHeldUpByEventsOfTheFuture(t *testing.T) {
	s := open(t, newPath(t), nil)
	apply(t, s, &store.Unit{Decide: func(tx *store.Tx) error {
		for i := range 3 * trimStep {
			at := ff.Timestamp(10)
			if i == 0 {
				at = 1_000
			}
			tx.Append(record.Event{Family: record.FamilyLease, Type: "acquired", At: at})
		}
		return nil
	}})
	trimmed, err := s.Trim(t.Context(), store.Trim{EventsBefore: 10, Limit: 1_000})
	if err != nil || trimmed.Events != 3*trimStep-1 {
		t.Errorf("%d events forgotten, error %v; want all but the one of the future", trimmed.Events, err)
	}
}
