package sqlite

import (
	"testing"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The four feeds have the names and columns that chapter 50 gives them.
func TestViews_ShowTheLog(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	id := ff.ExecutionIDFrom(7, uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff"))
	lease := ff.LeaseID(uuid.MustParse("ffeeddcc-bbaa-9988-7766-554433221100"))
	event := func(family record.EventFamily, typ string, lease ff.LeaseID, details string) record.Event {
		e := record.Event{Family: family, Type: typ, ExecutionID: id, Namespace: "default", At: 5, LeaseID: lease}
		if details != "" {
			e.Details = []byte(details)
		}
		return e
	}
	apply(t, s, &store.Unit{Decide: func(tx *store.Tx) error {
		tx.Append(
			event(record.FamilyLease, "acquired", lease, ""),
			event(record.FamilyOperator, "replayed", ff.LeaseID{}, `{"actor":"ops"}`),
			event(record.FamilyCompletion, "success", lease, ""),
			event(record.FamilyCompletion, "cancelled", ff.LeaseID{}, ""),
			event(record.FamilySignal, "delivered", ff.LeaseID{}, `{"signal_id":"s","waitpoint_id":"w","source_identity":"me"}`),
		)
		return nil
	}})
	for query, want := range map[string]string{
		`SELECT group_concat(event_type || ' ' || execution_id || ' ' || ifnull(lease_id, '-'), ', ' ORDER BY event_id)
			FROM ff_lease_event`: "acquired 00112233-4455-6677-8899-aabbccddeeff ffeeddcc-bbaa-9988-7766-554433221100, " +
			"released 00112233-4455-6677-8899-aabbccddeeff ffeeddcc-bbaa-9988-7766-554433221100",
		`SELECT group_concat(outcome || ' ' || hex(execution_id) || ' ' || partition_key || ' ' || committed_at_ms, ', ' ORDER BY event_id)
			FROM ff_completion_event`: "success 00112233445566778899AABBCCDDEEFF 7 5, cancelled 00112233445566778899AABBCCDDEEFF 7 5",
		`SELECT event_type || ' ' || execution_id || ' ' || (details ->> 'actor') || ' ' || occurred_at_ms || ' ' || namespace
			FROM ff_operator_event`: "replayed 00112233-4455-6677-8899-aabbccddeeff ops 5 default",
		`SELECT execution_id || ' ' || signal_id || ' ' || waitpoint_id || ' ' || source_identity || ' ' || delivered_at_ms
			FROM ff_signal_event`: "00112233-4455-6677-8899-aabbccddeeff s w me 5",
	} {
		if got := ask(t, path, query); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
}
