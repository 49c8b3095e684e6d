package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/record"
)

// The benchmarks measure batches as the engine makes them, on two lanes at once, each batch a durable commit. One
// iteration is one execution.

var batchSizes = []int{1, 100, 500}

func BenchmarkSubmit(b *testing.B) {
	for _, size := range append(batchSizes, 1000) {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := benchStore(b)
			perLane(b, s, size, func(n int) int {
				apply(b, s, submits(n)...)
				return n
			})
		})
	}
}

// One command that brings many executions, in one unit.
func BenchmarkSubmitBulk(b *testing.B) {
	s := benchStore(b)
	perLane(b, s, 1000, func(n int) int {
		units := submits(n)
		all := &store.Unit{Decide: func(tx *store.Tx) error {
			for _, u := range units {
				if err := u.Decide(tx); err != nil {
					return err
				}
			}
			return nil
		}}
		for _, u := range units {
			all.Reads.Executions = append(all.Reads.Executions, u.Reads.Executions...)
		}
		all.Assume = units[0].Assume
		apply(b, s, all)
		return n
	})
}

// A flow as large as one command may bring: 10,000 members and 20,000 edges. One iteration is one flow, one commit.
func BenchmarkWideFlow(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		apply(b, s, wideFlow(10_000, 20_000))
	}
}

func wideFlow(members, edges int) *store.Unit {
	cfg := ff.DefaultPartitions()
	key := record.FlowKey{FlowID: ff.NewFlowID()}
	key.Home = cfg.OfFlow(key.FlowID)
	ids := make([]ff.ExecutionID, members)
	for i := range ids {
		ids[i] = ff.FlowExecutionID(key.FlowID, cfg)
	}
	return &store.Unit{
		Partition: key.Home,
		Reads:     store.Reads{Records: []record.Key{key}, Executions: ids},
		Assume:    func(ff.ExecutionID) (*record.Execution, bool) { return nil, true },
		Decide: func(tx *store.Tx) error {
			tx.Put(&record.Flow{FlowKey: key, State: ff.FlowOpen, Namespace: "default", CreatedAt: tx.Now(), NodeCount: members, EdgeCount: edges})
			for i, id := range ids {
				cmd := &ff.Submit{ID: id, Lane: "default", Namespace: "default", Kind: "send_mail", Payload: benchPayload, PayloadEncoding: "json"}
				tx.PutExecution(lifecycle.SubmitMember(cmd, key.FlowID, i > 0, tx.Now()))
			}
			for i := range edges {
				from := i % (members - 1)
				tx.Put(&record.Edge{
					EdgeKey:  record.EdgeKey{Home: key.Home, FlowID: key.FlowID, EdgeID: ff.NewEdgeID()},
					Upstream: ids[from], Downstream: ids[from+1+i/(members-1)%(members-1-from)],
					DependencyKind: ff.SuccessOnly, State: ff.EdgeApplied, CreatedBy: "engine", Applied: true,
					CreatedAt: tx.Now(), AppliedAt: tx.Now(),
				})
			}
			return nil
		},
	}
}

func BenchmarkClaimAndComplete(b *testing.B) {
	for _, size := range batchSizes {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := benchStore(b)
			fillQueue(b, s, b.N+2*size)
			perLane(b, s, size, func(n int) int {
				held := claim(b, s, n)
				apply(b, s, completions(held)...)
				return len(held)
			})
		})
	}
}

func BenchmarkClaim(b *testing.B) {
	const size = 500
	s := benchStore(b)
	fillQueue(b, s, b.N+2*size)
	perLane(b, s, size, func(n int) int { return len(claim(b, s, n)) })
}

func BenchmarkRenew(b *testing.B) {
	const size = 500
	s := benchStore(b)
	fillQueue(b, s, 2*size)
	var mu sync.Mutex
	held := [][]*record.Execution{claim(b, s, size), claim(b, s, size)}
	perLane(b, s, size, func(int) int {
		mu.Lock()
		mine := held[0]
		held = held[1:]
		mu.Unlock()
		units := renewals(mine)
		apply(b, s, units...)
		for i, u := range units {
			mine[i] = u.Wrote[0]
		}
		mu.Lock()
		held = append(held, mine)
		mu.Unlock()
		return len(mine)
	})
}

func benchStore(b *testing.B) *postgres.Store {
	b.ReportAllocs()
	return open(b, migrated(b), nil)
}

// processorTime returns the CPU time used so far by this process and by the server's sessions on the store's database, 0
// where the system does not show it.
func processorTime(b *testing.B, s store.Store) (client, server time.Duration) {
	rows, err := pool(b, urlOf(s), 1).Query(b.Context(), `SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database()`)
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		server += processTime(strconv.FormatInt(pid, 10))
	}
	return processTime("self"), server
}

// processTime reads user and system time, fields 14 and 15 of a Linux process's stat, in ticks of 10 ms.
func processTime(pid string) time.Duration {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// perLane runs step on two lanes until b.N executions are done; step is told how many to do and returns how many it did.
func perLane(b *testing.B, s store.Store, size int, step func(n int) int) {
	const lanes = 2
	client, server := processorTime(b, s)
	var wg sync.WaitGroup
	b.ResetTimer()
	for lane := range lanes {
		left := (b.N + lane) / lanes
		wg.Go(func() {
			for left > 0 {
				done := step(min(size, left))
				if done == 0 {
					b.Errorf("nothing left to do, of %d", left)
					return
				}
				left -= done
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	clientEnd, serverEnd := processorTime(b, s)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
	b.ReportMetric(float64((clientEnd-client).Microseconds())/float64(b.N), "client-cpu-µs/op")
	b.ReportMetric(float64((serverEnd-server).Microseconds())/float64(b.N), "server-cpu-µs/op")
}

func apply(b *testing.B, s store.Store, units ...*store.Unit) {
	if err := s.Apply(b.Context(), units); err != nil {
		b.Error(err)
	}
	for _, u := range units {
		if u.Err != nil {
			b.Error(u.Err)
		}
	}
}

var benchPayload = bytes.Repeat([]byte("x"), 64)

// submits makes units as the engine's: what is absent is assumed to be, and the insert finds out.
func submits(n int) []*store.Unit {
	units := make([]*store.Unit, n)
	for i := range units {
		id := ff.SoloExecutionID("default", ff.DefaultPartitions())
		cmd := &ff.Submit{ID: id, Lane: "default", Namespace: "default", Kind: "send_mail", Payload: benchPayload, PayloadEncoding: "json"}
		units[i] = unitOn(id, nil, func(_ *record.Execution, now ff.Timestamp) (lifecycle.Change, error) {
			return lifecycle.Change{Execution: lifecycle.Submit(cmd, now)}, nil
		})
	}
	return units
}

func fillQueue(b *testing.B, s store.Store, n int) {
	for n > 0 {
		size := min(n, 1000)
		apply(b, s, submits(size)...)
		n -= size
	}
}

// claim leases up to n executions.
func claim(b *testing.B, s store.Store, n int) []*record.Execution {
	u := &store.Unit{Reads: store.Reads{Claimable: []store.ClaimQuery{{Lane: "default", Routes: []int64{0}, Limit: n}}}}
	u.Decide = func(tx *store.Tx) error {
		for _, e := range tx.Claimable(0) {
			ch, err := lifecycle.Claim(e, lifecycle.Grant{
				WorkerID: "worker", WorkerInstanceID: "worker-1", LeaseID: ff.NewLeaseID(), AttemptID: ff.NewAttemptID(), TTL: time.Minute,
			}, tx.Now())
			if err != nil {
				return err
			}
			put(tx, ch)
		}
		return nil
	}
	apply(b, s, u)
	return u.Wrote
}

func completions(held []*record.Execution) []*store.Unit {
	units := make([]*store.Unit, len(held))
	for i, e := range held {
		units[i] = unitOn(e.ID, e, func(e *record.Execution, now ff.Timestamp) (lifecycle.Change, error) {
			return lifecycle.Complete(e, &ff.Complete{ExecutionID: e.ID, Fence: fenceOf(e), Result: benchPayload, ResultEncoding: "json", Source: ff.SourceLeaseHolder}, now)
		})
	}
	return units
}

func renewals(held []*record.Execution) []*store.Unit {
	units := make([]*store.Unit, len(held))
	for i, e := range held {
		units[i] = unitOn(e.ID, e, func(e *record.Execution, now ff.Timestamp) (lifecycle.Change, error) {
			return lifecycle.Renew(e, &ff.Renew{ExecutionID: e.ID, Fence: fenceOf(e), TTL: time.Minute}, now)
		})
	}
	return units
}

func fenceOf(e *record.Execution) ff.Fence {
	return ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex}
}

// unitOn is an operation on one execution that is believed to be stored as e.
func unitOn(id ff.ExecutionID, e *record.Execution, rule func(*record.Execution, ff.Timestamp) (lifecycle.Change, error)) *store.Unit {
	return &store.Unit{
		Partition: id.Partition(),
		Reads:     store.Reads{Executions: []ff.ExecutionID{id}},
		Assume:    func(ff.ExecutionID) (*record.Execution, bool) { return e, true },
		Decide: func(tx *store.Tx) error {
			ch, err := rule(tx.Execution(id), tx.Now())
			if err != nil {
				return err
			}
			put(tx, ch)
			return nil
		},
	}
}

func put(tx *store.Tx, ch lifecycle.Change) {
	tx.PutExecution(ch.Execution)
	if ch.Attempt != nil {
		tx.PutAttempt(ch.Attempt)
	}
	tx.Append(ch.Events...)
}
