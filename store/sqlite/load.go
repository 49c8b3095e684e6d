package sqlite

import (
	"context"

	"github.com/flowfabric/flowfabric/store"
)

// Load implements [store.Session].
func (sn *session) Load(ctx context.Context, b *store.Batch, loads []*store.Load) error {
	b.SetNow(sn.now)
	for _, l := range loads {
		if err := sn.load(b, l); err != nil {
			return classify(ctx, "read", err)
		}
	}
	return nil
}

func (sn *session) load(b *store.Batch, l *store.Load) error {
	if err := sn.loadByKey(b, &l.Reads); err != nil {
		return err
	}
	if err := sn.loadGraph(b, &l.Reads); err != nil {
		return err
	}
	return sn.loadQueries(b, l)
}

func (sn *session) loadByKey(b *store.Batch, r *store.Reads) error {
	reads := sn.conn.reads
	for _, id := range r.Executions {
		e, err := sn.conn.executionBy(id)
		if err != nil {
			return err
		}
		b.AddExecution(id, e)
	}
	for _, key := range r.Attempts {
		a, err := reads.attemptBy(key)
		if err != nil {
			return err
		}
		b.AddAttempt(key, a)
	}
	for _, key := range r.Idempotency {
		i, err := reads.idempotencyBy(key)
		if err != nil {
			return err
		}
		b.AddIdempotency(key, i)
	}
	for _, lane := range r.Routes {
		routes, err := reads.routesOf(lane)
		if err != nil {
			return err
		}
		b.AddRoutes(lane, routes)
	}
	for _, key := range r.Records {
		if b.Holds(key) {
			continue
		}
		rec, err := reads.keyed[key.Family()].by(key)
		if err != nil {
			return err
		}
		b.AddRecord(key, rec)
	}
	for _, lane := range r.Slots {
		n, err := reads.slotsTaken(lane)
		if err != nil {
			return err
		}
		b.AddSlots(lane, n)
	}
	return nil
}

func (sn *session) loadGraph(b *store.Batch, r *store.Reads) error {
	for _, q := range r.Edges {
		list, err := sn.conn.reads.edgesOf(q)
		if err != nil {
			return err
		}
		b.AddEdges(q, list)
	}
	for _, q := range r.Members {
		list, err := sn.conn.reads.membersOf(q)
		if err != nil {
			return err
		}
		b.AddMembers(q, list)
	}
	return nil
}

func (sn *session) loadQueries(b *store.Batch, l *store.Load) error {
	reads := sn.conn.reads
	for _, q := range l.Reads.AttemptsOf {
		list, err := reads.attemptsBy(q)
		if err != nil {
			return err
		}
		b.AddAttemptsOf(l, list)
	}
	for i := range l.Reads.Frames {
		list, err := reads.framesOf(&l.Reads.Frames[i])
		if err != nil {
			return err
		}
		b.AddFrames(l, list)
	}
	for _, q := range l.Reads.Claimable {
		list, err := sn.index.claimable(sn.conn, q, l.Peek)
		if err != nil {
			return err
		}
		b.AddClaimable(l, list)
	}
	for _, q := range l.Reads.Due {
		list, err := sn.index.dueBefore(sn.conn, sn.now, q, l.Peek)
		if err != nil {
			return err
		}
		b.AddDue(l, list)
	}
	for _, q := range l.Reads.ReadyRoutes {
		routes, err := reads.routesReady(q)
		if err != nil {
			return err
		}
		b.AddReadyRoutes(l, routes)
	}
	for _, q := range l.Reads.DueRecords {
		list, err := sn.index.dueRecords(reads, sn.now, q, l.Peek)
		if err != nil {
			return err
		}
		b.AddDueRecords(l, list)
	}
	if l.Reads.NextDue {
		at, err := reads.earliestDue()
		if err != nil {
			return err
		}
		b.AddNextDue(at)
	}
	return nil
}
