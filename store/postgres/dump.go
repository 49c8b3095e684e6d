package postgres

import (
	"context"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Dump implements [store.Dumper]. It covers all of the store as of one instant, in order of keys.
func (st *Store) Dump(ctx context.Context) (*store.Dump, error) {
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.running.RUnlock()
	s := &session{st: st}
	t, err := s.startTrip(ctx)
	if err != nil {
		return nil, err
	}
	defer s.c.release()
	d := &store.Dump{}
	s.sendBegin(t, snapshotStatement, true)
	sendAll(t, &sqlstore.Executions, "execution_id, partition_key", func(e *record.Execution) { d.Executions = append(d.Executions, e) })
	sendAll(t, &sqlstore.Attempts, "execution_id, partition_key, attempt_index", func(a *record.Attempt) { d.Attempts = append(d.Attempts, a) })
	sendAll(t, &sqlstore.Idempotency, `namespace, idempotency_key`, func(i *record.Idempotency) { d.Idempotency = append(d.Idempotency, i) })
	sendAll(t, &sqlstore.Routes, `lane_id, route`, func(r *record.Route) { d.Routes = append(d.Routes, r) })
	sendAll(t, &sqlstore.Events, "seq", func(e *record.Event) { d.Events = append(d.Events, *e) })
	sendAll(t, &sqlstore.Ready, `lane_id, route, priority DESC, created_at_ms, execution_id`, func(r *store.ReadyEntry) { d.Ready = append(d.Ready, *r) })
	sendAll(t, &sqlstore.Due, "due_at_ms, execution_id", func(e *store.DueEntry) { d.Due = append(d.Due, *e) })
	sendAll(t, &sqlstore.Retain, "retain_until_ms, execution_id", func(e *store.RetainEntry) { d.Retain = append(d.Retain, *e) })
	sendAll(t, &sqlstore.Slots, "lane_id, execution_id", func(e *store.SlotEntry) { d.Slots = append(d.Slots, *e) })
	for _, f := range families {
		sendAll(t, &f.table.Table, joinNames(f.table.Columns[:f.table.Keys]), func(r *record.Keyed) { d.Records = append(d.Records, *r) })
	}
	sendAll(t, &sqlstore.Frames, "partition_key, execution_id, attempt_index, ts_ms, seq", func(f *record.Frame) { d.Frames = append(d.Frames, f) })
	t.send(commitStatement, nil, nil)
	if err := t.run(); err != nil {
		return nil, classify("dump the store", err, notSent)
	}
	d.Now = s.Now()
	return d, nil
}

func sendAll[R any](t *trip, table *sqlstore.Table[R], order string, add func(*R)) {
	var sc scanner
	t.send(newStatement(`SELECT `+table.Names("")+` FROM `+table.Name+` ORDER BY `+order), nil, func(values [][]byte) error {
		add(scan(&sc, table, values))
		return nil
	})
}
