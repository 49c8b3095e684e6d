package ops

import (
	"cmp"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// cancelGrace is how long the members of a cancelled flow may wait to be acknowledged before the engine does it.
const cancelGrace = 30 * time.Second

// FlowCancel is the cancel of a flow, with both forms' commands in common.
type FlowCancel struct {
	FlowID ff.FlowID
	Policy ff.CancellationPolicy
	Reason string
	Actor  string
	By     ff.Source
	// Acked: whoever asked acknowledges each member.
	Acked bool

	// AlreadyTerminal: the flow had ended; Flow says how.
	AlreadyTerminal bool
	Flow            *record.Flow
	// Members that were cancelled so far, ascending; More: others are left to [Rules.SpreadCancel].
	Members []ff.ExecutionID
	More    bool
	// Count is how many members were cancelled, or are to be.
	Count int
}

// CancelFlow ends a flow and the first of its members (chapter 20, section 20.15; chapter 30, section 30.7). c is filled in.
func (r Rules) CancelFlow(c *FlowCancel) (*Op, error) {
	policy, err := graph.ParsePolicy(cmp.Or(c.Policy, ff.CancelAll))
	if err := firstError(
		err, ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	); err != nil {
		return nil, named("cancel flow", err)
	}
	c.Policy = policy
	key := r.flowKey(c.FlowID)
	backlog := record.BacklogKey{Home: key.Home, FlowID: c.FlowID}
	members := store.MembersQuery{Flow: key, Limit: r.limits().Members}
	reads := store.Reads{Records: []record.Key{backlog}, Members: []store.MembersQuery{members}}
	op := r.onFlow("cancel flow", c.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		c.AlreadyTerminal, c.Flow, c.Members, c.More = false, f, nil, false
		switch {
		case f == nil:
			return graph.NotFound(c.FlowID)
		case f.State.Terminal():
			c.AlreadyTerminal = true
			return nil
		case graph.Gone(f, tx.Now()):
			return graph.NotFound(c.FlowID)
		}
		f = graph.Cancelled(f, c.Policy, c.Reason, r.retention(), tx.Now())
		c.Flow = f
		tx.Put(f)
		b := &record.Backlog{
			BacklogKey: backlog, RequestedAt: tx.Now(), Requester: c.Actor, Reason: c.Reason, Policy: c.Policy, CancelledBy: c.By, Acked: c.Acked,
			Spreading: c.Policy != ff.FlowOnly,
		}
		if old := store.Get[*record.Backlog](tx, backlog); old != nil {
			b.Version = old.Version
		}
		b, ended, err := r.cancelMembers(tx, f, b, tx.Members(members), r.limits().Members)
		if err != nil {
			return err
		}
		for _, e := range ended {
			c.Members = append(c.Members, e.ID)
		}
		c.Count = len(c.Members)
		if c.More = b != nil && b.Spreading; c.More {
			c.Count = max(c.Count, f.NodeCount-f.EndedCount)
		}
		tx.Append(lifecycle.FlowCancelled(f, c.Count, c.Actor, tx.Now()))
		return r.follow(tx, ended)
	})
	op.Once = c.Acked // only the first is told the members
	return op, nil
}

// SpreadCancel cancels the next members of a flow whose cancel is under way; cancelled gets their ids, more whether there
// are others left.
func (r Rules) SpreadCancel(key record.BacklogKey, cancelled *[]ff.ExecutionID, more *bool) *Op {
	flow := record.FlowKey(key)
	return r.onFlow("cancel flow", key.FlowID, store.Reads{Records: []record.Key{key}}, func(tx *store.Tx, f *record.Flow) error {
		*cancelled, *more = nil, false
		b := store.Get[*record.Backlog](tx, key)
		if b == nil || !b.Spreading {
			return nil
		}
		members := store.MembersQuery{Flow: flow, After: b.After, Limit: r.limits().Members}
		if missing, any := tx.Missing(store.Reads{Members: []store.MembersQuery{members}}); any {
			return tx.Need(missing)
		}
		b, ended, err := r.cancelMembers(tx, f, b, tx.Members(members), r.limits().Members)
		if err != nil {
			return err
		}
		for _, e := range ended {
			*cancelled = append(*cancelled, e.ID)
		}
		*more = b != nil && b.Spreading
		return r.follow(tx, ended)
	})
}

// cancelMembers cancels those of some members that the policy of a flow's cancel names, and writes how far the cancel is:
// nil when nothing is owed any more.
func (r Rules) cancelMembers(tx *store.Tx, f *record.Flow, b *record.Backlog, ids []ff.ExecutionID, batch int) (*record.Backlog, []*record.Execution, error) {
	if !b.Spreading {
		ids = nil
	}
	if missing, any := tx.Missing(store.Reads{Executions: ids}); any {
		return nil, nil, tx.Need(missing)
	}
	var targets []*record.Execution
	for _, id := range ids {
		if e := tx.Execution(id); e != nil && e.FlowID == b.FlowID && graph.Targets(b.Policy, lifecycle.Normalize(e, nil)) {
			targets = append(targets, e)
		}
	}
	if err := needEndings(tx, targets); err != nil {
		return nil, nil, err
	}
	var ended []*record.Execution
	for _, e := range targets {
		att := attemptFor(tx, e)
		ch, err := lifecycle.Cancel(lifecycle.Normalize(e, att), att, &ff.Cancel{ExecutionID: e.ID, Reason: b.Reason, Source: b.CancelledBy}, tx.Now())
		if err != nil {
			return nil, nil, err
		}
		lifecycle.Retain(&ch, r.retention())
		apply(tx, ch)
		ended = append(ended, ch.Execution)
		if b.Acked {
			tx.Put(&record.BacklogMember{BacklogMemberKey: record.BacklogMemberKey{Home: b.Home, FlowID: b.FlowID, ExecutionID: e.ID}})
		}
	}
	n := *b
	if n.Spreading = b.Spreading && len(ids) >= batch; n.Spreading {
		n.After = ids[len(ids)-1]
	}
	if n.Acked {
		n.Outstanding += len(ended)
		n.GraceUntil = tx.Now().Add(cancelGrace)
	}
	switch {
	case n.Spreading || n.Outstanding > 0:
		tx.Put(&n)
		return &n, ended, nil
	case b.Version > 0:
		tx.Delete(b.BacklogKey)
	}
	return nil, ended, nil
}

// AckCancelMember says that a member of a cancelled flow was dealt with. With the last one the backlog is gone.
func (r Rules) AckCancelMember(cmd ff.AckCancelMember) (*Op, error) {
	if err := r.checkID(cmd.ExecutionID); err != nil {
		return nil, named("ack cancel member", err)
	}
	return r.ack(cmd.FlowID, []ff.ExecutionID{cmd.ExecutionID}), nil
}

// AckAll is AckCancelMember for many members of a flow.
func (r Rules) AckAll(flow ff.FlowID, ids []ff.ExecutionID) *Op { return r.ack(flow, ids) }

func (r Rules) ack(flow ff.FlowID, ids []ff.ExecutionID) *Op {
	home := r.Partitions.OfFlow(flow)
	key := record.BacklogKey{Home: home, FlowID: flow}
	reads := store.Reads{Records: []record.Key{key}}
	for _, id := range ids {
		reads.Records = append(reads.Records, record.BacklogMemberKey{Home: home, FlowID: flow, ExecutionID: id})
	}
	return r.onFlow("ack cancel member", flow, reads, func(tx *store.Tx, _ *record.Flow) error {
		acked := 0
		for _, member := range reads.Records[1 : 1+len(ids)] {
			if store.Get[*record.BacklogMember](tx, member) != nil {
				tx.Delete(member)
				acked++
			}
		}
		b := store.Get[*record.Backlog](tx, key)
		if b == nil || acked == 0 {
			return nil
		}
		n := *b
		n.Outstanding = max(n.Outstanding-acked, 0)
		if n.Outstanding == 0 && !n.Spreading {
			tx.Delete(key)
		} else {
			tx.Put(&n)
		}
		return nil
	})
}

// RemoveGraph forgets records of a flow that ended long ago: edges and groups first, then its members leave it; the flow
// itself, at last, when nothing of it is left.
func (r Rules) RemoveGraph(flow record.FlowKey, rest []record.Key, members []ff.ExecutionID) *Op {
	reads := store.Reads{Records: slices.Clone(rest), Executions: members}
	return r.onFlow("remove flow", flow.FlowID, reads, func(tx *store.Tx, f *record.Flow) error {
		if f == nil || !graph.Gone(f, tx.Now()) { // it goes on
			return nil
		}
		for _, key := range rest {
			if tx.Record(key) != nil {
				tx.Delete(key)
			}
		}
		for _, id := range members {
			if e := tx.Execution(id); e != nil && e.FlowID == flow.FlowID {
				apply(tx, lifecycle.Leave(e, r.retention()))
			}
		}
		if len(rest)+len(members) > 0 {
			tx.Put(graph.Removing(f, tx.Now()))
		} else {
			tx.Delete(flow)
		}
		return nil
	})
}
