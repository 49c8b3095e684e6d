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
	var retain []*store.RetainEntry
	var slots []*store.SlotEntry
	for _, read := range []func() error{
		func() error { return readTable(db, &sqlstore.Executions, "execution_id, partition_key", &d.Executions) },
		func() error { return readTable(db, &sqlstore.Attempts, "execution_id, attempt_index", &d.Attempts) },
		func() error {
			return readTable(db, &sqlstore.Idempotency, "namespace, idempotency_key", &d.Idempotency)
		},
		func() error { return readTable(db, &sqlstore.Routes, "lane_id, route", &d.Routes) },
		func() error { return readTable(db, &sqlstore.Events, "seq", &events) },
		func() error { return readAll(db, &sqlstore.Ready, dumpReady, &ready) },
		func() error { return readAll(db, &sqlstore.Due, dumpDue, &due) },
		func() error { return readAll(db, &sqlstore.Retain, dumpRetain, &retain) },
		func() error { return readAll(db, &sqlstore.Slots, dumpSlots, &slots) },
		func() error { return readKeyed(db, &d.Records) },
		func() error {
			return readTable(db, &sqlstore.Frames, "partition_key, execution_id, attempt_index, ts_ms, seq", &d.Frames)
		},
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	d.Events, d.Ready, d.Due = values(events), values(ready), values(due)
	d.Retain, d.Slots = values(retain), values(slots)
	return d, nil
}

// The indexes as they are: each query names its index, so that a damaged one is seen.
const (
	dumpReady = `SELECT lane_id, route, priority + priority_boost, created_at_ms, execution_id, partition_key
		FROM ff_exec_core INDEXED BY ff_exec_core_ready WHERE ready = 1
		ORDER BY lane_id, route, priority + priority_boost DESC, created_at_ms, execution_id, partition_key`
	dumpDue = `SELECT due_at_ms, execution_id, partition_key
		FROM ff_exec_core INDEXED BY ff_exec_core_due WHERE due_at_ms IS NOT NULL ORDER BY due_at_ms, execution_id, partition_key`
	dumpRetain = `SELECT retain_until_ms, execution_id, partition_key
		FROM ff_exec_core INDEXED BY ff_exec_core_retention WHERE retain_until_ms IS NOT NULL
		ORDER BY retain_until_ms, execution_id, partition_key`
	dumpSlots = `SELECT lane_id, execution_id, partition_key
		FROM ff_exec_core INDEXED BY ff_exec_core_slot WHERE slot = 1 ORDER BY lane_id, execution_id, partition_key`
)

// readTable reads all rows of t in an order.
func readTable[R any](db *driver.Conn, t *sqlstore.Table[R], order string, into *[]*R) error {
	return readAll(db, t, "SELECT "+t.Names("")+" FROM "+t.Name+" ORDER BY "+order, into)
}

// readAll reads what a query answers, whose columns are those of t.
func readAll[R any](db *driver.Conn, t *sqlstore.Table[R], query string, into *[]*R) error {
	s, err := prepare(db, query)
	if err != nil {
		return err
	}
	*into, err = all(s, t)
	return err
}

// readKeyed reads the keyed families.
func readKeyed(db *driver.Conn, into *[]record.Keyed) error {
	for _, family := range record.Families {
		t := sqlstore.Keyed[family]
		var list []*record.Keyed
		if err := readTable(db, &t.Table, keyNames(&t.Table, "", ", "), &list); err != nil {
			return err
		}
		*into = append(*into, values(list)...)
	}
	return nil
}

func values[R any](list []*R) []R {
	var out []R
	for _, r := range list {
		out = append(out, *r)
	}
	return out
}
