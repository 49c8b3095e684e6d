package sqlite

import (
	"context"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Dump implements [store.Dumper].
func (s *Store) Dump(ctx context.Context) (*store.Dump, error) {
	sn, err := s.beginRead(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	d, err := dump(sn.conn.db)
	if err != nil {
		return nil, classify(ctx, "dump", err)
	}
	d.Now = sn.now
	return d, nil
}

func dump(db *driver.Conn) (*store.Dump, error) {
	d := &store.Dump{}
	var events []*record.Event
	var ready []*store.ReadyEntry
	var due []*store.DueEntry
	for _, read := range []func() error{
		func() error { return readTable(db, &sqlstore.Executions, "execution_id, partition_key", &d.Executions) },
		func() error { return readTable(db, &sqlstore.Attempts, "execution_id, attempt_index", &d.Attempts) },
		func() error {
			return readTable(db, &sqlstore.Idempotency, "namespace, idempotency_key", &d.Idempotency)
		},
		func() error { return readTable(db, &sqlstore.Routes, "lane_id, route", &d.Routes) },
		func() error { return readTable(db, &sqlstore.Events, "seq", &events) },
		func() error {
			return readTable(db, &sqlstore.Ready, "lane_id, route, priority DESC, created_at_ms", &ready)
		},
		func() error { return readTable(db, &sqlstore.Due, "due_at_ms", &due) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	d.Events, d.Ready, d.Due = values(events), values(ready), values(due)
	return d, nil
}

// readTable reads all rows of t in an order.
func readTable[R any](db *driver.Conn, t *sqlstore.Table[R], order string, into *[]*R) error {
	s, err := prepare(db, "SELECT "+t.Names("")+" FROM "+t.Name+" ORDER BY "+order)
	if err != nil {
		return err
	}
	*into, err = all(s, t)
	return err
}

func values[R any](list []*R) []R {
	var out []R
	for _, r := range list {
		out = append(out, *r)
	}
	return out
}
