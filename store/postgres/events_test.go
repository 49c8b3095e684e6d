package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/record"
)

// A transaction that took its place early and commits late is neither skipped nor told out of order, and what is behind it
// waits for it.
func TestEvents_AWriterThatStaysOpenHoldsBackWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"commits": "COMMIT", "rolls back": "ROLLBACK"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := migrated(t)
			s, p := open(t, url, nil), pool(t, url, 2)
			start := eventsAfter(t, s, 0)
			late, err := p.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer late.Release()
			exec := func(sql string) {
				t.Helper()
				if _, err := late.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			insert := `INSERT INTO ff_event (occurred_at_ms, partition_key, execution_id, family, event_type) VALUES (1, 7, gen_random_uuid(), 'lease', 'late')`
			logType(t, s, "before")
			exec("BEGIN")
			exec(insert)
			logType(t, s, "after")
			for range 5 {
				if page := eventsAfter(t, s, start.Next); len(page.Events) > 1 {
					t.Fatalf("told %v while a writer is open", typesOf(page.Events))
				}
			}
			exec(insert) // a second place, behind what others have committed
			exec(end)
			want := []string{"before", "late", "after", "late"}
			if end == "ROLLBACK" {
				want = []string{"before", "after"}
			}
			var got []string
			at := start.Next
			eventually(t, func() bool {
				page := eventsAfter(t, s, at)
				got, at = append(got, typesOf(page.Events)...), page.Next
				return len(got) >= len(want)
			})
			if !slices.Equal(got, want) {
				t.Errorf("read %v, want %v", got, want)
			}
		})
	}
}

// A store that is opened while a writer is open still tells of what that writer commits.
func TestEvents_AStoreOpenedLaterSeesWhatWasOpenBefore(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	first, p := open(t, url, nil), pool(t, url, 1)
	logType(t, first, "old")
	tx, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO ff_event (occurred_at_ms, partition_key, execution_id, family, event_type)
		VALUES (1, 7, gen_random_uuid(), 'lease', 'late')`); err != nil {
		t.Fatal(err)
	}
	logType(t, first, "new")
	second := open(t, url, nil)
	ends, err := second.EventEnds(t.Context())
	if err != nil || ends[0].Now < 3 || ends[0].Readable != 0 {
		t.Fatalf("ends at %v, %v; want from now on", ends, err)
	}
	if page := eventsAfter(t, second, 0); len(page.Events) > 1 {
		t.Errorf("told %v while a writer is open", typesOf(page.Events))
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	at := uint64(0)
	eventually(t, func() bool {
		page := eventsAfter(t, second, at)
		got, at = append(got, typesOf(page.Events)...), page.Next
		return len(got) >= 3
	})
	if want := []string{"old", "late", "new"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func logType(t *testing.T, s *postgres.Store, typ string) {
	t.Helper()
	u := &store.Unit{Partition: ff.Partition{Family: ff.FamilyFlow, Index: 7}, Decide: func(tx *store.Tx) error {
		tx.Append(record.Event{Family: record.FamilyLease, Type: typ, ExecutionID: ff.ExecutionIDFrom(7, [16]byte{1}), At: 1})
		return nil
	}}
	if err := s.Apply(t.Context(), []*store.Unit{u}); err != nil || u.Err != nil {
		t.Fatal(err, u.Err)
	}
}

func eventsAfter(t *testing.T, s *postgres.Store, after uint64) store.EventPage {
	t.Helper()
	page, err := s.Events(t.Context(), store.EventQuery{After: after, Families: []record.EventFamily{record.FamilyLease}, Limit: 100, Scan: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func typesOf(events []record.Event) []string {
	list := make([]string, len(events))
	for i := range events {
		list[i] = events[i].Type
	}
	return list
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		timer := clock.Real().NewTimer(time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("waited in vain: %w", ctx.Err()))
		}
	}
}
