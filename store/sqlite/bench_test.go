package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	driver "zombiezen.com/go/sqlite"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// BenchmarkLifecycle runs executions through submit, claim and complete, each stage one batch of units through Apply, and
// reports whole lifecycles. The records are shaped as the rules shape them.
func BenchmarkLifecycle(b *testing.B) {
	for _, sync := range []Synchronous{Full, Normal} {
		for _, size := range []int{1, 10, 100, 1000} {
			for _, assume := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/batch=%d/assume=%t", sync, size, assume), func(b *testing.B) {
					benchmarkLifecycle(b, sync, size, assume)
				})
			}
		}
	}
}

func benchmarkLifecycle(b *testing.B, sync Synchronous, size int, assume bool) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), &Config{Synchronous: sync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	done := 0
	for b.Loop() {
		held := submitBatch(b, s, size)
		held = claimBatch(b, s, held)
		completeBatch(b, s, held, assume)
		done += size
	}
	b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "lifecycles/s")
}

// BenchmarkFrames appends to 64 streams, 16 frames of 200 bytes a unit, all of them in one batch: to streams that grow, and
// to full ones, which are trimmed as much as they are appended to.
func BenchmarkFrames(b *testing.B) {
	for _, sync := range []Synchronous{Full, Normal} {
		for _, full := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/full=%t", sync, full), func(b *testing.B) { benchmarkFrames(b, sync, full) })
		}
	}
}

func benchmarkFrames(b *testing.B, sync Synchronous, full bool) {
	const streams, perUnit, kept = 64, 16, 512
	now := ff.Timestamp(1)
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), &Config{
		Synchronous: sync, Clock: func() ff.Timestamp { return now },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	held := submitBatch(b, s, streams)
	if full {
		for _, e := range held {
			e.Policy = &ff.Policy{Stream: &ff.StreamPolicy{MaxFrames: kept}}
		}
	}
	held = claimBatch(b, s, held)
	frames := make([]ff.Frame, perUnit)
	for i := range frames {
		frames[i].Payload = bytes.Repeat([]byte("x"), 200)
	}
	seq := uint64(0)
	step := func() {
		for i := range frames {
			seq++
			frames[i].Seq = seq
		}
		appendBatch(b, s, held, frames)
		if now++; now == 30_000 { // the leases end
			b.Fatal("the benchmark runs longer than its leases")
		}
	}
	for range kept / perUnit {
		step()
	}
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(b.N*streams*perUnit)/b.Elapsed().Seconds(), "frames/s")
}

// appendBatch appends the same frames to the stream of each execution.
func appendBatch(b *testing.B, s *Store, held []*record.Execution, frames []ff.Frame) {
	rules := ops.Rules{Partitions: ff.DefaultPartitions(), OneShard: true}
	todo := make([]*ops.Op, len(held))
	units := make([]*store.Unit, len(held))
	for i, e := range held {
		fence := ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex}
		var err error
		todo[i], err = rules.AppendFrames(ff.AppendFrames{ExecutionID: e.ID, Fence: fence, Frames: frames}, new(ff.Appended), new(ops.AppendedFrames))
		if err != nil {
			b.Fatal(err)
		}
		units[i] = &todo[i].Unit
	}
	applyBatch(b, s, units)
	for _, op := range todo {
		if err := op.Outcome(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView reads one execution by its id.
func BenchmarkView(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	id := submitBatch(b, s, 1)[0].ID
	for b.Loop() {
		if _, err := s.View(b.Context(), store.Reads{Executions: []ff.ExecutionID{id}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSubmitTx submits one execution in a transaction of the caller.
func BenchmarkSubmitTx(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), &Config{Synchronous: Normal})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	db, err := driver.OpenConn(s.path, driver.OpenReadWrite)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	for b.Loop() {
		for _, step := range []func() error{
			func() error { return run(db, "BEGIN IMMEDIATE") },
			func() error {
				_, err := SubmitTx(b.Context(), db, TxOptions{Store: s}, ff.Submit{Lane: "mail", Kind: "send", Payload: benchPayload})
				return err
			},
			func() error { return run(db, "COMMIT") },
		} {
			if err := step(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

var (
	benchPolicy  = &ff.Policy{}
	benchPayload = []byte(`{"to":"someone@example.org","subject":"hello","body":"a hundred bytes of payload or so, as jobs have"}`)
)

func submitBatch(b *testing.B, s *Store, size int) []*record.Execution {
	units := make([]*store.Unit, size)
	for i := range units {
		id := ff.SoloExecutionIDWith("mail", ff.DefaultPartitions(), uuid.Must(uuid.NewV7()))
		units[i] = &store.Unit{Reads: store.Reads{Executions: []ff.ExecutionID{id}}, Decide: func(tx *store.Tx) error {
			tx.PutExecution(submitted(id, tx.Now()))
			return nil
		}}
	}
	return applyBatch(b, s, units)
}

// claimBatch is one unit, as claims that wait are coalesced.
func claimBatch(b *testing.B, s *Store, want []*record.Execution) []*record.Execution {
	claim := &store.Unit{Reads: store.Reads{Claimable: []store.ClaimQuery{{Lane: "mail", Routes: []int64{0}, Limit: len(want)}}}}
	claim.Decide = func(tx *store.Tx) error {
		for _, e := range tx.Claimable(0) {
			c := claimed(e, tx.Now())
			tx.PutExecution(c)
			tx.Append(eventOf(c, record.FamilyLease, "acquired", tx.Now()))
		}
		return nil
	}
	got := applyBatch(b, s, []*store.Unit{claim})
	if len(got) != len(want) {
		b.Fatalf("claimed %d executions of %d", len(got), len(want))
	}
	return got
}

func completeBatch(b *testing.B, s *Store, held []*record.Execution, assume bool) {
	units := make([]*store.Unit, len(held))
	for i, e := range held {
		units[i] = &store.Unit{Reads: store.Reads{Executions: []ff.ExecutionID{e.ID}}}
		if assume {
			units[i].Assume = func(ff.ExecutionID) (*record.Execution, bool) { return e, true }
		}
		units[i].Decide = func(tx *store.Tx) error {
			c := completed(tx.Execution(e.ID), tx.Now())
			tx.PutExecution(c)
			tx.PutAttempt(attemptOf(c))
			tx.Append(eventOf(c, record.FamilyLease, "released", tx.Now()), eventOf(c, record.FamilyCompletion, "success", tx.Now()))
			return nil
		}
	}
	applyBatch(b, s, units)
}

func applyBatch(b *testing.B, s *Store, units []*store.Unit) []*record.Execution {
	if err := s.Apply(context.WithoutCancel(b.Context()), units); err != nil {
		b.Fatal(err)
	}
	var wrote []*record.Execution
	for _, u := range units {
		if u.Err != nil {
			b.Fatal(u.Err)
		}
		wrote = append(wrote, u.Wrote...)
	}
	return wrote
}

func submitted(id ff.ExecutionID, now ff.Timestamp) *record.Execution {
	return &record.Execution{
		ID: id, Lane: "mail", Namespace: "default", Kind: "send", Creator: "bench",
		Payload: benchPayload, Policy: benchPolicy, CreatedAt: now,
		State: ff.StateVector{
			Phase: ff.PhaseRunnable, Ownership: ff.Unowned, Eligibility: ff.EligibleNow, BlockingReason: ff.ReasonNone,
			Outcome: ff.OutcomeNone, AttemptState: ff.PendingFirstAttempt,
		},
		Public: ff.PublicWaiting, Ready: true, LastTransitionAt: now, LastMutationAt: now,
	}
}

func claimed(e *record.Execution, now ff.Timestamp) *record.Execution {
	c := *e
	c.State.Phase, c.State.Ownership, c.State.Eligibility = ff.PhaseActive, ff.Leased, ff.EligibilityNotApplicable
	c.State.AttemptState, c.Public, c.Ready = ff.RunningAttempt, ff.PublicActive, false
	c.TotalAttempts, c.AttemptID, c.AttemptType, c.AttemptStartedAt = 1, ff.NewAttemptID(), ff.AttemptInitial, now
	c.Epoch, c.LeaseID, c.WorkerID, c.WorkerInstanceID = e.Epoch+1, ff.NewLeaseID(), "worker", "worker-1"
	c.LeaseAcquiredAt, c.LeaseRenewedAt, c.LeaseExpiresAt, c.DueAt = now, now, now+30_000, now+30_000
	c.StartedAt, c.LastTransitionAt, c.LastMutationAt = now, now, now
	return &c
}

func completed(e *record.Execution, now ff.Timestamp) *record.Execution {
	c := *e
	c.State.Phase, c.State.Ownership, c.State.Outcome = ff.PhaseTerminal, ff.Unowned, ff.OutcomeSuccess
	c.State.AttemptState, c.Public, c.DueAt = ff.AttemptTerminal, ff.PublicCompleted, 0
	c.LeaseID, c.WorkerID, c.WorkerInstanceID = ff.LeaseID{}, "", ""
	c.LeaseAcquiredAt, c.LeaseRenewedAt, c.LeaseExpiresAt = 0, 0, 0
	c.Result = []byte(`{"sent":true}`)
	c.CompletedAt, c.LastTransitionAt, c.LastMutationAt = now, now, now
	return &c
}

func attemptOf(e *record.Execution) *record.Attempt {
	return &record.Attempt{
		ExecutionID: e.ID, AttemptID: e.AttemptID, Type: e.AttemptType, State: ff.AttemptEndedSuccess, LeaseEpoch: e.Epoch,
		WorkerID: "worker", WorkerInstanceID: "worker-1", StartedAt: e.AttemptStartedAt, EndedAt: e.CompletedAt,
		Outcome: record.AttemptSucceeded,
	}
}

func eventOf(e *record.Execution, family record.EventFamily, typ string, now ff.Timestamp) record.Event {
	return record.Event{
		Family: family, Type: typ, ExecutionID: e.ID, Namespace: e.Namespace, At: now, LeaseID: e.LeaseID, Epoch: e.Epoch,
		AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex, WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID,
	}
}
