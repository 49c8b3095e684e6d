package memory

import (
	"context"
	"fmt"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// session is a transaction: it holds the locks of a range of shards from begin to Close. One that writes holds one
// shard, one that looks holds all of them.
type session struct {
	store *Store
	first int      // number of held[0]
	held  []*shard // locked, in ascending order
	now   flowfabric.Timestamp

	// taken are the executions that claim and due queries have returned. What a query takes are the first entries of its
	// queue that are left, so the next query on the queue starts where the last one ended.
	taken     map[flowfabric.ExecutionID]struct{}
	lastReady map[queue]store.ReadyEntry
	lastDue   store.DueEntry

	takenRecords map[record.Key]struct{} // by queries for due records
}

// queue names one queue of the claim order.
type queue struct {
	lane  flowfabric.LaneID
	route int64
}

// begin locks the shards from first up to, but without, end.
func (s *Store) begin(ctx context.Context, first, end int) (*session, error) {
	ses := &session{store: s, first: first, held: s.shards[first:end]}
	for _, sh := range ses.held {
		sh.mu.Lock()
	}
	err := ctx.Err()
	if s.closed {
		err = store.ErrClosed
	}
	if err != nil {
		ses.Close()
		return nil, fmt.Errorf("memory: begin: %w", err)
	}
	ses.now = s.clock()
	return ses, nil
}

// Now implements [store.Session].
func (s *session) Now() flowfabric.Timestamp { return s.now }

// Load implements [store.Session].
func (s *session) Load(_ context.Context, b *store.Batch, reads []*store.Load) error {
	b.SetNow(s.now)
	for _, l := range reads {
		if err := s.loadRecords(b, l); err != nil {
			return fmt.Errorf("memory: load: %w", err)
		}
		if err := s.loadGraph(b, &l.Reads); err != nil {
			return fmt.Errorf("memory: load: %w", err)
		}
		s.loadQueries(b, l)
	}
	return nil
}

func (s *session) loadRecords(b *store.Batch, l *store.Load) error {
	for _, id := range l.Reads.Executions {
		sh, err := s.shardOf(id.Partition())
		if err != nil {
			return err
		}
		b.AddExecution(id, own(sh.executions[id]))
	}
	for _, key := range l.Reads.Attempts {
		sh, err := s.shardOf(key.ExecutionID.Partition())
		if err != nil {
			return err
		}
		b.AddAttempt(key, sh.attempt(key))
	}
	for _, q := range l.Reads.AttemptsOf {
		sh, err := s.shardOf(q.ExecutionID.Partition())
		if err != nil {
			return err
		}
		b.AddAttemptsOf(l, sh.attemptsOf(q))
	}
	for i := range l.Reads.Frames {
		q := &l.Reads.Frames[i]
		sh, err := s.shardOf(q.Stream.Partition())
		if err != nil {
			return err
		}
		b.AddFrames(l, sh.frames.query(q))
	}
	for _, key := range l.Reads.Records {
		sh, err := s.shardOf(key.Partition())
		if err != nil {
			return err
		}
		b.AddRecord(key, sh.keyed.byKey[key])
	}
	for _, key := range l.Reads.Idempotency {
		b.AddIdempotency(key, s.idempotency(key))
	}
	return nil
}

func (s *session) loadQueries(b *store.Batch, l *store.Load) {
	for _, lane := range l.Reads.Routes {
		b.AddRoutes(lane, s.routes(lane))
	}
	for _, q := range l.Reads.Claimable {
		b.AddClaimable(l, s.claimable(q, l.Peek))
	}
	for _, q := range l.Reads.Due {
		b.AddDue(l, s.due(q, l.Peek))
	}
	for _, q := range l.Reads.ReadyRoutes {
		b.AddReadyRoutes(l, s.readyRoutes(q))
	}
	for _, q := range l.Reads.DueRecords {
		b.AddDueRecords(l, s.dueRecords(q, l.Peek))
	}
	for _, lane := range l.Reads.Slots {
		b.AddSlots(lane, s.slots(lane))
	}
	if l.Reads.NextDue {
		b.AddNextDue(s.nextDue())
	}
}

// shardOf returns the shard of a partition, which must be one the session holds.
func (s *session) shardOf(p flowfabric.Partition) (*shard, error) {
	i := s.store.Shard(p) - s.first
	if i < 0 || i >= len(s.held) {
		return nil, fmt.Errorf("partition %s is not on shard %d, which the units are of", p, s.first)
	}
	return s.held[i], nil
}

// idempotency looks a key up in the held shards: the key does not tell its partition.
func (s *session) idempotency(key record.IdempotencyKey) *record.Idempotency {
	for _, sh := range s.held {
		if r := sh.idempotency[key]; r != nil {
			return r
		}
	}
	return nil
}

// Commit implements [store.Session].
func (s *session) Commit(ctx context.Context, ch *store.Changes) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: commit: %w", err)
	}
	sh := s.held[0]
	if err := s.checkPlace(ch); err != nil {
		return fmt.Errorf("memory: commit: %w", err)
	}
	if err := sh.checkGuards(ch); err != nil {
		return fmt.Errorf("memory: commit: %w", err)
	}
	sh.write(ch)
	return nil
}

// checkPlace makes sure that everything that is written belongs to the session's shard.
func (s *session) checkPlace(ch *store.Changes) error {
	check := func(p flowfabric.Partition) error {
		_, err := s.shardOf(p)
		return err
	}
	for _, c := range ch.Executions {
		if err := check(c.After.ID.Partition()); err != nil {
			return err
		}
	}
	for _, a := range ch.Attempts {
		if err := check(a.ExecutionID.Partition()); err != nil {
			return err
		}
	}
	for _, c := range ch.Idempotency {
		if err := check(c.After.Partition); err != nil {
			return err
		}
	}
	for _, r := range ch.Routes {
		if err := check(r.Partition); err != nil {
			return err
		}
	}
	for _, c := range ch.Records {
		if err := check(c.Key().Partition()); err != nil {
			return err
		}
	}
	for _, r := range ch.Registered {
		if err := check(r.Key().Partition()); err != nil {
			return err
		}
	}
	for i := range ch.Frames {
		if err := check(ch.Frames[i].Partition()); err != nil {
			return err
		}
	}
	for i := range ch.Events {
		if err := check(ch.Events[i].ExecutionID.Partition()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements [store.Session].
func (s *session) Close() {
	for _, sh := range s.held {
		sh.mu.Unlock()
	}
}
