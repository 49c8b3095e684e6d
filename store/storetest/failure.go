package storetest

import (
	"context"
	"errors"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var failureTests = []behaviour{
	{"CancelledContextWritesNothing", testCancelledContext},
	{"ContextCancelledWhileDecidingIsAllOrNothing", testCancelledWhileDeciding},
	{"PanickingUnitHoldsNothingBack", testPanickingUnit},
	{"ClosedStoreRefuses", testClosedStore},
}

func testCancelledContext(e *env) {
	e.put(waiting(1))
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	for _, u := range []*store.Unit{
		updateUnit(id(1), func(n *record.Execution) { n.Priority = 7 }),
		unit(store.Reads{}, func(tx *store.Tx) error { tx.Append(fullEvent()); return nil }),
	} {
		if err := e.store.Apply(ctx, []*store.Unit{u}); !errors.Is(err, context.Canceled) {
			e.Errorf("apply: %v, want %v", err, context.Canceled)
		}
	}
	if _, err := e.store.View(ctx, reads(id(1))); !errors.Is(err, context.Canceled) {
		e.Errorf("view: %v, want %v", err, context.Canceled)
	}
	e.equal("version", e.get(id(1)).Version, int64(1))
	e.equal("events", len(e.dump().Events), 0)
	e.update(id(1), func(n *record.Execution) { n.Priority = 1 })
}

func testCancelledWhileDeciding(e *env) {
	e.put(waiting(1), waiting(2))
	ctx, cancel := context.WithCancel(e.Context())
	u := unit(store.Reads{Executions: ids(1), Claimable: claimMail(2).Claimable}, func(tx *store.Tx) error {
		cancel()
		takeOff(tx, tx.Claimable(0))
		tx.Append(fullEvent())
		return nil
	})
	err := e.store.Apply(ctx, []*store.Unit{u})
	d := e.dump()
	none := len(d.Ready) == 2 && len(d.Events) == 0
	all := len(d.Ready) == 0 && len(d.Events) == 1
	switch {
	case errors.Is(err, store.ErrUnknownOutcome):
		if !none && !all {
			e.Errorf("half is written: %d ready, %d events", len(d.Ready), len(d.Events))
		}
	case err == nil && !all:
		e.Errorf("apply succeeded, but %d are still ready, with %d events", len(d.Ready), len(d.Events))
	case err != nil && !none:
		e.Errorf("apply failed with %v, but %d are ready, with %d events", err, len(d.Ready), len(d.Events))
	}
}

// testPanickingUnit: a panic passes through; what the transaction had taken is free again.
func testPanickingUnit(e *env) {
	e.put(waiting(1))
	func() {
		defer func() {
			if recover() == nil {
				e.Error("the panic was swallowed")
			}
		}()
		e.apply(unit(claimMail(1), func(tx *store.Tx) error {
			takeOff(tx, tx.Claimable(0))
			panic("a bug")
		}))
	}()
	e.do(unit(claimMail(1), func(tx *store.Tx) error {
		e.equal("claimable", idsOf(tx.Claimable(0)), ids(1))
		takeOff(tx, tx.Claimable(0))
		return nil
	}))
}

func testClosedStore(e *env) {
	e.put(waiting(1))
	if err := e.store.Close(); err != nil {
		e.Fatalf("close: %v", err)
	}
	u := updateUnit(id(1), func(n *record.Execution) { n.Priority = 1 })
	if err := e.store.Apply(e.Context(), []*store.Unit{u}); !errors.Is(err, store.ErrClosed) {
		e.Errorf("apply: %v, want %v", err, store.ErrClosed)
	}
	if _, err := e.store.View(e.Context(), reads(id(1))); !errors.Is(err, store.ErrClosed) {
		e.Errorf("view: %v, want %v", err, store.ErrClosed)
	}
	if _, err := e.store.(store.Dumper).Dump(e.Context()); !errors.Is(err, store.ErrClosed) {
		e.Errorf("dump: %v, want %v", err, store.ErrClosed)
	}
}
