package memory_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
)

// BenchmarkLifecycle submits, claims and completes executions in batches of 100 while others wait; one iteration is one
// execution.
func BenchmarkLifecycle(b *testing.B) {
	for _, backlog := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("%d waiting", backlog), func(b *testing.B) {
			const batch = 100
			s := memory.New(memory.Config{})
			apply := func(units []*store.Unit) {
				if err := s.Apply(b.Context(), units); err != nil {
					b.Fatal(err)
				}
			}
			serial := 0
			submit := func(n int) {
				units := make([]*store.Unit, n)
				for i := range units {
					serial++
					units[i] = submission(serial)
				}
				apply(units)
			}
			for waiting := 0; waiting < backlog; waiting += 1000 {
				submit(1000)
			}
			for done := 0; b.Loop(); done++ {
				if done%batch != 0 {
					continue
				}
				submit(batch)
				claims := []*store.Unit{step(store.Reads{Claimable: []store.ClaimQuery{{Lane: "mail", Routes: []int64{0}, Limit: batch}}}, false)}
				apply(claims)
				completes := make([]*store.Unit, 0, batch)
				for _, e := range claims[0].Wrote {
					completes = append(completes, step(store.Reads{Executions: []flowfabric.ExecutionID{e.ID}}, true))
				}
				apply(completes)
			}
		})
	}
}

func submission(serial int) *store.Unit {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:], uint64(serial))
	e := &record.Execution{ID: flowfabric.ExecutionIDFrom(0, u), Lane: "mail", CreatedAt: flowfabric.Timestamp(serial), Ready: true}
	return put(e.ID.Partition(), e)
}

// step claims what a unit finds claimable, or completes what it reads.
func step(r store.Reads, complete bool) *store.Unit {
	return &store.Unit{Reads: r, Decide: func(tx *store.Tx) error {
		var list []*record.Execution
		for _, id := range r.Executions {
			list = append(list, tx.Execution(id))
		}
		if !complete {
			list = tx.Claimable(0)
		}
		for _, e := range list {
			n := *e
			n.Ready, n.DueAt = false, tx.Now()
			if complete {
				n.DueAt = 0
				tx.PutAttempt(&record.Attempt{ExecutionID: e.ID})
			}
			tx.PutExecution(&n)
			tx.Append(record.Event{Family: record.FamilyLease, Type: "acquired", ExecutionID: e.ID, At: tx.Now()})
		}
		return nil
	}}
}
