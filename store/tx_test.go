package store_test

import (
	"testing"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestTx_ReadingWhatWasNotNamedPanics(t *testing.T) {
	key := record.AttemptKey{ExecutionID: id(1)}
	for name, read := range map[string]func(*store.Tx){
		"execution":   func(tx *store.Tx) { tx.Execution(id(1)) },
		"attempt":     func(tx *store.Tx) { tx.Attempt(key) },
		"idempotency": func(tx *store.Tx) { tx.Idempotency(record.IdempotencyKey{Key: "k"}) },
		"record":      func(tx *store.Tx) { tx.Record(laneKey("mail")) },
		"slots":       func(tx *store.Tx) { tx.Slots("mail") },
	} {
		err := newBackend().execute(t, &store.Unit{Decide: func(tx *store.Tx) error {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			read(tx)
			return nil
		}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTx_UnitWithManyWritesSeesThem(t *testing.T) {
	const many = 100
	b := newBackend()
	err := b.execute(t, &store.Unit{Decide: func(tx *store.Tx) error {
		for n := range byte(many) {
			tx.PutExecution(stored(n, 0, int(n)))
			tx.PutExecution(stored(n, 0, 1000+int(n)))
		}
		for n := range byte(many) {
			if got := tx.Execution(id(n)).Priority; got != 1000+int(n) {
				t.Errorf("execution %d has priority %d, want %d", n, got, 1000+int(n))
			}
		}
		return nil
	}})
	if err != nil || len(b.commits[0].Executions) != many {
		t.Errorf("error %v, %d executions written, want %d", err, len(b.commits[0].Executions), many)
	}
}

func TestTx_UnitSeesItsOwnWritesOfEveryKind(t *testing.T) {
	key := record.IdempotencyKey{Namespace: "n", Key: "k"}
	try := record.AttemptKey{ExecutionID: id(1), Index: 2}
	err := newBackend().execute(t, &store.Unit{
		Reads: store.Reads{Idempotency: []record.IdempotencyKey{key}, Attempts: []record.AttemptKey{try}},
		Decide: func(tx *store.Tx) error {
			tx.PutIdempotency(&record.Idempotency{Key: key, ExecutionID: id(7)})
			tx.PutAttempt(&record.Attempt{ExecutionID: id(1), Index: 2, LeaseEpoch: 9})
			if got := tx.Idempotency(key); got == nil || got.ExecutionID != id(7) {
				t.Errorf("the key maps to %v, want the unit's own write", got)
			}
			if got := tx.Attempt(try); got == nil || got.LeaseEpoch != 9 {
				t.Errorf("the attempt is %v, want the unit's own write", got)
			}
			return nil
		},
	})
	if err != nil {
		t.Error(err)
	}
}
