package sqlite

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// rows_test is about what other programs do to the file with SQL.

func blob(id ff.ExecutionID) string {
	u := id.UUID()
	return "x'" + hex.EncodeToString(u[:]) + "'"
}

func TestHandWrittenRow_IsReadAndWritten(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	bare, nulls := newID(), newID()
	script(t, path, fmt.Sprintf(`
		INSERT INTO ff_exec_core (partition_key, execution_id, lane_id, lifecycle_phase, raw_fields)
			VALUES (7, %s, 'mail', 'runnable', '{"note": "kept", "replay_count": 2}');
		INSERT INTO ff_exec_core (partition_key, execution_id, required_capabilities, route, ready, priority, raw_fields)
			VALUES (7, %s, NULL, NULL, NULL, NULL, 'no json')`, blob(bare), blob(nulls)))

	want := &record.Execution{ID: bare, Version: 1, Lane: "mail", ReplayCount: 2}
	want.State.Phase, want.State.BlockingReason, want.State.Outcome = "runnable", "none", "none"
	if diff := cmp.Diff(want, stored(t, s, bare), cmp.AllowUnexported(ff.ExecutionID{})); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	for _, id := range []ff.ExecutionID{bare, nulls} {
		apply(t, s, put(id, func(e *record.Execution) *record.Execution {
			n := *e
			n.Ready, n.ReplayCount = true, e.ReplayCount+1
			return &n
		}))
	}
	for id, want := range map[ff.ExecutionID]string{
		bare:  `{"note":"kept","replay_count":3}`,
		nulls: `{"replay_count":1}`,
	} {
		if got := ask(t, path, "SELECT raw_fields FROM ff_exec_core WHERE execution_id = "+blob(id)); got != want {
			t.Errorf("raw_fields %s; want %s", got, want)
		}
	}
}

func TestHandWrittenRow_IsWhereItsColumnsSay(t *testing.T) {
	for name, tc := range map[string]struct {
		sql                             string
		claimable, due, retained, slots int
	}{
		"as it was":                  {"", 1, 1, 0, 0},
		"neither ready nor due":      {"UPDATE ff_exec_core SET ready = NULL, due_at_ms = NULL", 0, 0, 0, 0},
		"of another priority":        {"UPDATE ff_exec_core SET priority = 9, due_at_ms = 60", 1, 1, 0, 0},
		"due later":                  {"UPDATE ff_exec_core SET due_at_ms = 101", 1, 0, 0, 0},
		"gone":                       {"DELETE FROM ff_exec_core", 0, 0, 0, 0},
		"to be forgotten, in a slot": {"UPDATE ff_exec_core SET retain_until_ms = 100, slot = 1", 1, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			s := open(t, path, &Config{Clock: func() ff.Timestamp { return 100 }})
			apply(t, s, submit(newID()))
			script(t, path, tc.sql)
			var claimable, due, slots int
			apply(t, s, &store.Unit{
				Reads: store.Reads{
					Claimable: []store.ClaimQuery{{Lane: "mail", Routes: []int64{0}, Limit: 10}},
					Slots:     []ff.LaneID{"mail"},
				},
				Decide: func(tx *store.Tx) error { claimable, slots = len(tx.Claimable(0)), tx.Slots("mail"); return nil },
			})
			apply(t, s, &store.Unit{
				Reads:  store.Reads{Due: []store.DueQuery{{Limit: 10}}},
				Decide: func(tx *store.Tx) error { due = len(tx.Due(0)); return nil },
			})
			if claimable != tc.claimable || due != tc.due || slots != tc.slots {
				t.Errorf("%d claimable, %d due, %d slots; want %d, %d, %d", claimable, due, slots, tc.claimable, tc.due, tc.slots)
			}
			trimmed, err := s.Trim(t.Context(), store.Trim{Limit: 10})
			if err != nil || trimmed.Executions != tc.retained {
				t.Errorf("%d forgotten, error %v; want %d", trimmed.Executions, err, tc.retained)
			}
		})
	}
}

func TestUpdates_AreWrittenWhateverTheirNumberOfShapes(t *testing.T) {
	s := open(t, newPath(t), nil)
	id := newID()
	apply(t, s, submit(id))
	want := *ready(id)
	for i := range 2 * maxUpdates { // each sets or clears another combination of fields
		flip := func(bit int, field *ff.Timestamp) {
			if i>>bit&1 == 1 {
				*field += 1
			}
		}
		flip(0, &want.DelayUntil)
		flip(1, &want.StartedAt)
		flip(2, &want.CompletedAt)
		flip(3, &want.LeaseAcquiredAt)
		flip(4, &want.LeaseRenewedAt)
		flip(5, &want.LeaseExpiresAt)
		flip(6, &want.AttemptStartedAt)
		next := want
		apply(t, s, put(id, func(*record.Execution) *record.Execution { return &next }))
	}
	want.Version = 2*maxUpdates + 1
	want.State.BlockingReason, want.State.Outcome = "", ""
	if diff := cmp.Diff(&want, stored(t, s, id), cmp.AllowUnexported(ff.ExecutionID{})); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

func TestEvents_KeepTheirOrderHoweverManyThereAre(t *testing.T) {
	s := open(t, newPath(t), nil)
	const total = 2*manyEvents + 3
	u := submit(newID())
	decide := u.Decide
	u.Decide = func(tx *store.Tx) error {
		for i := range total {
			tx.Append(record.Event{Family: record.FamilyLease, Type: "acquired", AttemptIndex: i})
		}
		return decide(tx)
	}
	apply(t, s, u)
	d, err := s.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Events) != total {
		t.Fatalf("%d events; want %d", len(d.Events), total)
	}
	for i, e := range d.Events {
		if e.AttemptIndex != i {
			t.Errorf("event %d is the one written as number %d", i, e.AttemptIndex)
		}
	}
}
