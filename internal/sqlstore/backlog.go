package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func backlogHome(b *record.Backlog) *flowfabric.Partition { return &b.Home }

// backlogs is ff_cancel_backlog. Its columns up to cancellation_policy are the ones chapter 20.2 binds, less status, which
// is always pending: a backlog that is done is gone. The rest is ours.
var backlogs = Table[record.Backlog]{Name: "ff_cancel_backlog", Keys: 1, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(b *record.Backlog) *flowfabric.FlowID { return &b.FlowID }),
		home(backlogHome),
	),
	[]Column[record.Backlog]{
		integer("requested_at_ms", Int64, func(b *record.Backlog) *flowfabric.Timestamp { return &b.RequestedAt }),
		text("requester", func(b *record.Backlog) *string { return &b.Requester }),
		text("reason", func(b *record.Backlog) *string { return &b.Reason }),
		optionalInteger("grace_until_ms", Int64, func(b *record.Backlog) *flowfabric.Timestamp { return &b.GraceUntil }),
		{
			Name: "cancellation_policy", Kind: Text,
			Write: func(b *record.Backlog, w Writer) { w.Text(string(b.Policy)) },
			Read: func(b *record.Backlog, v Reader) {
				b.Policy = cancellationPolicy(flowfabric.CancellationPolicy(v.Text()))
			},
			Changed: func(x, y *record.Backlog) bool { return x.Policy != y.Policy },
		},
		integer("version", Int64, func(b *record.Backlog) *int64 { return &b.Version }),
		optionalText("cancelled_by", "", func(b *record.Backlog) *flowfabric.Source { return &b.CancelledBy }),
		boolean("spreading", func(b *record.Backlog) *bool { return &b.Spreading }),
		optionalMemberOf("after_execution", backlogHome, func(b *record.Backlog) *flowfabric.ExecutionID { return &b.After }),
		boolean("acked", func(b *record.Backlog) *bool { return &b.Acked }),
		integer("outstanding", Int32, func(b *record.Backlog) *int { return &b.Outstanding }),
		{
			Name: "due_at_ms", Kind: Int64,
			Write: func(b *record.Backlog, w Writer) {
				if at := b.DueTime(); at != 0 {
					w.Int(int64(at))
				} else {
					w.Null()
				}
			},
			Read:    func(*record.Backlog, Reader) {}, // it follows from the other columns
			Changed: func(x, y *record.Backlog) bool { return x.DueTime() != y.DueTime() },
		},
	},
)}

// backlogMembers is ff_cancel_backlog_member. The id of the member is its full text, as the chapter wants it.
var backlogMembers = Table[record.BacklogMember]{Name: "ff_cancel_backlog_member", Keys: 2, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(m *record.BacklogMember) *flowfabric.FlowID { return &m.FlowID }),
		Column[record.BacklogMember]{
			Name: "execution_id", Kind: Text,
			Write: func(m *record.BacklogMember, w Writer) { w.Text(m.ExecutionID.String()) },
			Read: func(m *record.BacklogMember, v Reader) {
				m.ExecutionID, _ = flowfabric.ParseExecutionID(v.Text()) // what is no id names nobody
			},
		},
		home(func(m *record.BacklogMember) *flowfabric.Partition { return &m.Home }),
	),
	[]Column[record.BacklogMember]{
		integer("version", Int64, func(m *record.BacklogMember) *int64 { return &m.Version }),
	},
)}
