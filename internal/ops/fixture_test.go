package ops

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
)

const t0 ff.Timestamp = 1_700_000_000_000

// bench is rules over a memory store.
type bench struct {
	*testing.T
	Rules
	store *memory.Store
	now   ff.Timestamp
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, Rules: Rules{Partitions: ff.DefaultPartitions()}, now: t0}
	b.store = memory.New(memory.Config{Clock: func() ff.Timestamp { return b.now }})
	return b
}

// apply commits an operation and returns its outcome.
func (b *bench) apply(op *Op, err error) error {
	b.Helper()
	if err != nil {
		return err
	}
	if err := b.store.Apply(b.Context(), []*store.Unit{&op.Unit}); err != nil {
		b.Fatal(err)
	}
	return op.Outcome()
}

// put stores a record as somebody else wrote it.
func (b *bench) put(e *record.Execution, attempts ...*record.Attempt) {
	b.Helper()
	u := &store.Unit{
		Partition: e.ID.Partition(), Reads: store.Reads{Executions: []ff.ExecutionID{e.ID}},
		Decide: func(tx *store.Tx) error {
			tx.PutExecution(e)
			for _, a := range attempts {
				tx.PutAttempt(a)
			}
			return nil
		},
	}
	if err := b.store.Apply(b.Context(), []*store.Unit{u}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) get(id ff.ExecutionID) *record.Execution {
	b.Helper()
	tx, err := b.store.View(b.Context(), store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		b.Fatal(err)
	}
	return tx.Execution(id)
}

// byHand is an execution as a fixture of chapter 30, section 30.13 writes it.
func byHand(phase, eligibility, ownership, public, attempt string) *record.Execution {
	return &record.Execution{
		ID: ff.SoloExecutionID("default", ff.DefaultPartitions()), Lane: "default", Priority: 100, CreatedAt: t0,
		State: ff.StateVector{
			Phase: ff.Phase(phase), Eligibility: ff.Eligibility(eligibility), Ownership: ff.Ownership(ownership),
			AttemptState: ff.AttemptState(attempt),
		},
		Public: ff.PublicState(public),
	}
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(x, y ff.ExecutionID) bool { return x == y })); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (b *bench) refused(err error, want *ff.Error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("error %v, want %s", err, want.Code)
	}
}
