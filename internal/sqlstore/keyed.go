package sqlstore

import (
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// KeyedTable is the table of a keyed family. Its rows are records behind their interface, so that a store serves every
// family in one way: it reads, scans and writes a Table of record.Keyed like any other.
//
// The first Keys columns are the parts of the record's key in their order, and the primary key; rows in their byte order
// are in the order of lists. There is a column named "version".
type KeyedTable struct {
	Table[record.Keyed]
	// Due is the column that holds the due time, NULL for never; empty if no record of the family is ever due.
	Due string
	// Contended: many units write the same record at about the same time. A store that runs several at once makes a unit
	// that reads one by its key wait for its turn, instead of finding out at its commit that it must start again.
	Contended bool
	// Blank returns a record of which only the key is set, so that a lookup can write the key's columns.
	Blank func(record.Key) record.Keyed
}

// Keyed are the tables of the keyed families.
var Keyed = map[record.Family]*KeyedTable{
	record.Lanes:   behind(lanes, "", func(k record.LaneKey) *record.Lane { return &record.Lane{LaneKey: k} }),
	record.Workers: behind(workers, "expires_at_ms", func(k record.WorkerKey) *record.Worker { return &record.Worker{WorkerKey: k} }),
	record.Secrets: behind(secrets, "", func(k record.SecretKey) *record.Secret { return &record.Secret{SecretKey: k} }),

	record.Flows:    contended(behind(flows, "remove_at_ms", func(k record.FlowKey) *record.Flow { return &record.Flow{FlowKey: k} })),
	record.Edges:    behind(edges, "", func(k record.EdgeKey) *record.Edge { return &record.Edge{EdgeKey: k} }),
	record.Groups:   contended(behind(groups, "", func(k record.GroupKey) *record.Group { return &record.Group{GroupKey: k} })),
	record.Errands:  contended(behind(errands, "enqueued_at_ms", func(k record.ErrandKey) *record.Errand { return &record.Errand{ErrandKey: k} })),
	record.Backlogs: contended(behind(backlogs, "due_at_ms", func(k record.BacklogKey) *record.Backlog { return &record.Backlog{BacklogKey: k} })),
	record.BacklogMembers: behind(backlogMembers, "", func(k record.BacklogMemberKey) *record.BacklogMember {
		return &record.BacklogMember{BacklogMemberKey: k}
	}),

	record.Suspensions: behind(suspensions, "", func(k record.SuspensionKey) *record.Suspension { return &record.Suspension{SuspensionKey: k} }),
	record.Waitpoints:  behind(waitpoints, "due_at_ms", func(k record.WaitpointKey) *record.Waitpoint { return &record.Waitpoint{WaitpointKey: k} }),
	record.Signals:     behind(signals, "", func(k record.SignalKey) *record.Signal { return &record.Signal{SignalKey: k} }),
	record.Replies:     behind(replies, "expires_at_ms", func(k record.ReplyKey) *record.Reply { return &record.Reply{ReplyKey: k} }),
	record.Steps:       behind(steps, "", func(k record.StepKey) *record.Step { return &record.Step{StepKey: k} }),

	record.Streams:     behind(streams, "expires_at_ms", func(k record.StreamKey) *record.Stream { return &record.Stream{StreamKey: k} }),
	record.Summaries:   behind(summaries, "", func(k record.SummaryKey) *record.Summary { return &record.Summary{SummaryKey: k} }),
	record.Budgets:     contended(behind(budgets, "due_at_ms", func(k record.BudgetKey) *record.Budget { return &record.Budget{BudgetKey: k} })),
	record.UsageKeys:   behind(usageKeys, "expires_at_ms", func(k record.UsageKeyKey) *record.UsageKey { return &record.UsageKey{UsageKeyKey: k} }),
	record.Ledgers:     behind(ledgers, "", func(k record.LedgerKey) *record.Ledger { return &record.Ledger{LedgerKey: k} }),
	record.Quotas:      behind(quotas, "", func(k record.QuotaKey) *record.Quota { return &record.Quota{QuotaKey: k} }),
	record.QuotaUses:   contended(behind(quotaUses, "due_at_ms", func(k record.QuotaUseKey) *record.QuotaUse { return &record.QuotaUse{QuotaUseKey: k} })),
	record.Parkings:    behind(parkings, "", func(k record.ParkingKey) *record.Parking { return &record.Parking{ParkingKey: k} }),
	record.LimitScopes: behind(limitScopes, "", func(k record.LimitScopeKey) *record.LimitScope { return &record.LimitScope{LimitScopeKey: k} }),

	record.EventCursors: behind(eventCursors, "", func(k record.EventCursorKey) *record.EventCursor { return &record.EventCursor{EventCursorKey: k} }),
	record.APIKeys:      behind(apiKeys, "", func(k record.APIKeyKey) *record.APIKey { return &record.APIKey{APIKeyKey: k} }),
	record.PartitionCounts: behind(partitionCounts, "", func(k record.PartitionCountsKey) *record.PartitionCount {
		return &record.PartitionCount{PartitionCountsKey: k}
	}),
}

func contended(t *KeyedTable) *KeyedTable {
	t.Contended = true
	return t
}

// behind puts the table of one type of record behind the interface. Reading the first column of a row makes its record.
func behind[R any, K record.Key, P interface {
	*R
	record.Keyed
}](t Table[R], due string, blank func(K) P,
) *KeyedTable {
	columns := make([]Column[record.Keyed], len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = Column[record.Keyed]{
			Name: c.Name, Kind: c.Kind,
			Write: func(r *record.Keyed, w Writer) { c.Write((*r).(P), w) },
			Read: func(r *record.Keyed, v Reader) {
				if *r == nil {
					*r = P(new(R))
				}
				c.Read((*r).(P), v)
			},
		}
		if c.Changed != nil {
			columns[i].Changed = func(a, b *record.Keyed) bool { return c.Changed((*a).(P), (*b).(P)) }
		}
	}
	return &KeyedTable{
		Table: Table[record.Keyed]{Name: t.Name, Keys: t.Keys, Columns: columns},
		Due:   due,
		Blank: func(key record.Key) record.Keyed { return blank(key.(K)) },
	}
}

var lanes = Table[record.Lane]{Name: "ff_lane_registry", Keys: 1, Columns: slices.Concat(
	fixed(
		text("lane_id", func(l *record.Lane) *flowfabric.LaneID { return &l.Lane }),
		home(func(l *record.Lane) *flowfabric.Partition { return &l.Home }),
	),
	[]Column[record.Lane]{
		integer("version", Int64, func(l *record.Lane) *int64 { return &l.Version }),
		text("state", func(l *record.Lane) *flowfabric.LaneState { return &l.State }),
		integer("weight", Int32, func(l *record.Lane) *int { return &l.Weight }),
		integer("max_concurrency", Int32, func(l *record.Lane) *int { return &l.MaxConcurrency }),
		integer("registered_at_ms", Int64, func(l *record.Lane) *flowfabric.Timestamp { return &l.RegisteredAt }),
		text("registered_by", func(l *record.Lane) *string { return &l.RegisteredBy }),
		integer("updated_at_ms", Int64, func(l *record.Lane) *flowfabric.Timestamp { return &l.UpdatedAt }),
	},
)}

// The lanes of a worker are JSON: a lane may have any printable character in its name, a comma too.
var workers = Table[record.Worker]{Name: "ff_worker_registry", Keys: 2, Columns: slices.Concat(
	fixed(
		text("namespace", func(w *record.Worker) *flowfabric.Namespace { return &w.Namespace }),
		text("worker_instance_id", func(w *record.Worker) *flowfabric.WorkerInstanceID { return &w.WorkerInstanceID }),
		home(func(w *record.Worker) *flowfabric.Partition { return &w.Home }),
	),
	[]Column[record.Worker]{
		integer("version", Int64, func(w *record.Worker) *int64 { return &w.Version }),
		text("worker_id", func(w *record.Worker) *flowfabric.WorkerID { return &w.WorkerID }),
		jsonList("lanes", func(w *record.Worker) *[]flowfabric.LaneID { return &w.Lanes }),
		list("capabilities_csv", Text, func(w *record.Worker) *[]string { return &w.Capabilities }),
		{
			Name: "liveness_ttl_ms", Kind: Int64,
			Write:   func(w *record.Worker, to Writer) { to.Int(w.LivenessTTL.Milliseconds()) },
			Read:    func(w *record.Worker, v Reader) { w.LivenessTTL = time.Duration(v.Int()) * time.Millisecond },
			Changed: func(a, b *record.Worker) bool { return a.LivenessTTL != b.LivenessTTL },
		},
		integer("registered_at_ms", Int64, func(w *record.Worker) *flowfabric.Timestamp { return &w.RegisteredAt }),
		integer("last_heartbeat_ms", Int64, func(w *record.Worker) *flowfabric.Timestamp { return &w.LastHeartbeatAt }),
		optionalInteger("expires_at_ms", Int64, func(w *record.Worker) *flowfabric.Timestamp { return &w.ExpiresAt }),
	},
)}

var secrets = Table[record.Secret]{Name: "ff_waitpoint_hmac", Keys: 1, Columns: slices.Concat(
	fixed(
		text("kid", func(s *record.Secret) *string { return &s.Kid }),
		home(func(s *record.Secret) *flowfabric.Partition { return &s.Home }),
	),
	[]Column[record.Secret]{
		integer("version", Int64, func(s *record.Secret) *int64 { return &s.Version }),
		{
			Name: "secret", Kind: Blob,
			Write:   func(s *record.Secret, w Writer) { w.Blob(s.Secret) },
			Read:    func(s *record.Secret, v Reader) { s.Secret = v.Blob() },
			Changed: func(a, b *record.Secret) bool { return string(a.Secret) != string(b.Secret) },
		},
		boolean("active", func(s *record.Secret) *bool { return &s.Active }),
		integer("rotated_at_ms", Int64, func(s *record.Secret) *flowfabric.Timestamp { return &s.RotatedAt }),
		optionalInteger("expires_at_ms", Int64, func(s *record.Secret) *flowfabric.Timestamp { return &s.ExpiresAt }),
	},
)}
