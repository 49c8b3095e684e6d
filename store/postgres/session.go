package postgres

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// session is one transaction. It holds no connection until it has something to ask, so that a batch which reads nothing
// is one round trip from BEGIN to COMMIT.
type session struct {
	st    *Store
	c     *conn
	open  bool // a transaction is under way
	taken taken
	turns *turns  // of all tries of a batch; nil of a view
	looks []*look // claim queries that stepped over floors
	stale bool    // the queues held entries that no record stands behind
	// careful: an earlier try met a conflict. Rows that ought to be new may be there, written by hand: inserting them
	// plainly, which costs half of inserting or updating, is left to the first try.
	careful bool
}

// maxClockAge is how old a reading of the server's clock may get before the next round trip takes another.
const maxClockAge = 10 * time.Second

// begin opens a session. It asks the server for nothing but its clock, once in the life of a store and when the machine has
// slept.
func (st *Store) begin(ctx context.Context, careful bool, tries *turns) (store.Session, error) {
	tries.restart()
	s := &session{st: st, careful: careful, turns: tries}
	if _, age := st.clock.estimate(); st.cfg.Clock != nil || age != unknown {
		return s, nil
	}
	if err := s.readClock(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) readClock(ctx context.Context) error {
	t, err := s.startTrip(ctx)
	if err != nil {
		return err
	}
	s.sendClock(t)
	return classify("read the clock", t.run(), notSent)
}

// startTrip takes a connection if there is none yet.
func (s *session) startTrip(ctx context.Context) (*trip, error) {
	if s.c == nil {
		c, err := s.st.acquire(ctx)
		if err != nil {
			return nil, err
		}
		s.c = c
	}
	return s.c.startTrip(ctx), nil
}

// sendBegin opens the transaction unless it is open. The server's clock stands still in a transaction, so it can only be
// read here.
func (s *session) sendBegin(t *trip, begin *statement, readClock bool) {
	if s.open {
		return
	}
	s.open = true
	t.send(begin, nil, nil)
	s.sendSettings(t)
	if readClock {
		s.sendClock(t)
	}
}

// sendSettings makes the settings hold for the transaction, if the connections do not have them of their own.
func (s *session) sendSettings(t *trip) {
	switch {
	case s.st.borrowed:
		t.send(settingsStatement, nil, nil)
	case s.st.cfg.Pooler:
		t.send(poolerStatement, nil, nil)
	}
}

func (s *session) sendClock(t *trip) {
	if s.st.cfg.Clock == nil {
		sent := s.st.clock.local.Now()
		t.send(clockStatement, nil, func(values [][]byte) error {
			s.st.clock.observe(sent, flowfabric.Timestamp(intOf(values[0])))
			return nil
		})
	}
}

// Now implements [store.Session].
func (s *session) Now() flowfabric.Timestamp {
	if s.st.cfg.Clock != nil {
		return s.st.cfg.Clock()
	}
	now, _ := s.st.clock.estimate()
	return now
}

// Close implements [store.Session].
func (s *session) Close() {
	if s.c == nil {
		return
	}
	const patience = 5 * time.Second
	if s.open && !s.c.pg.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if s.stale && s.c.pg.TxStatus() == 'T' {
			_ = s.Commit(ctx, &store.Changes{}) // what is stale would be in the way of the next session
		}
		if s.open {
			t := s.c.startTrip(ctx)
			t.send(rollbackStatement, nil, nil)
			_ = t.run() // a connection that cannot roll back is dropped by the pool
		}
	}
	s.c.release()
}
