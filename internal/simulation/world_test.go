package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/commit"
	"github.com/flowfabric/flowfabric/internal/due"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

const (
	lane     = ff.LaneID("sim")
	leaseTTL = time.Second
)

// world is a store with flows, an engine that carries on what is due, and workers. Everything in it follows from its seed.
type world struct {
	*testing.T
	seed    uint64
	rng     *rand.Rand
	time    *clock.Sim
	disk    *disk
	rules   ops.Rules
	engine  *due.Loop
	commits *commit.Committer

	flows   []ff.FlowID
	members []ff.ExecutionID
	claims  []ff.Claimed // some of them long lost
	points  []point      // and some of these long closed
	edges   []ff.StageEdge
	refused map[ff.EdgeID]bool // in the end: edges that cannot be applied
	limits  limits
	streams streams
	done    []string // what was done
	audits  int
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), time: clock.NewSim(time.UnixMilli(1_700_000_000_000)), refused: make(map[ff.EdgeID]bool)}
	uuid.SetRand(rand.NewChaCha8(keyOf(seed)))
	w.disk = &disk{Store: memory.New(memory.Config{Clock: func() ff.Timestamp { return ff.TimestampOf(w.time.Now()) }}), rng: w.rng}
	w.rules = ops.Rules{Partitions: ff.DefaultPartitions(), OneShard: true}
	if w.rng.IntN(2) == 0 { // so small that even small flows need many commits
		w.rules.Limits = ops.Limits{Edges: 1 + w.rng.IntN(3), Errands: 1 + w.rng.IntN(2), ErrandEdges: 1 + w.rng.IntN(3), Members: 1 + w.rng.IntN(3)}
	}
	if w.rng.IntN(2) == 0 { // so short that flows are forgotten while others go on
		w.rules.Retention = 5 * time.Second
	}
	w.streams = newStreams()
	w.start()
	w.makeLimits()
	return w
}

func keyOf(seed uint64) (key [32]byte) {
	binary.LittleEndian.PutUint64(key[:], seed)
	return key
}

// start begins a new life of the engine: nothing of what the last one had in memory is left.
func (w *world) start() {
	w.stop()
	w.commits = commit.New(w.disk, w.time, nil, nil)
	w.engine = due.New(w.disk, w.rules, w.commits, w.time, due.Config{Poll: time.Second, Batch: 2, Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) stop() {
	if w.commits != nil {
		w.commits.Close(context.Background())
	}
}

func (w *world) now() ff.Timestamp { return ff.TimestampOf(w.time.Now()) }

func (w *world) note(format string, args ...any) {
	w.done = append(w.done, fmt.Sprintf(format, args...))
}

// broken ends the test with the seed and what was done last.
func (w *world) broken(format string, args ...any) {
	w.Helper()
	last := w.done[max(0, len(w.done)-25):]
	what := fmt.Sprintf(format, args...)
	for _, line := range last {
		what += "\n\t" + line
	}
	w.Fatalf("seed %d, after %d steps: %s", w.seed, len(w.done), what)
}

func (w *world) dump() *store.Dump {
	w.Helper()
	d, err := w.disk.Store.(store.Dumper).Dump(w.Context())
	if err != nil {
		w.broken("dump: %v", err)
	}
	return d
}

// audit looks at everything in the store.
func (w *world) audit() *store.Dump {
	w.Helper()
	w.disk.changed = false
	w.audits++
	d := w.dump()
	if found := storetest.Violations(d); len(found) > 0 {
		w.broken("%s", found)
	}
	w.keepsLimits(d)
	w.keepsStreams(d)
	return d
}

// do commits an operation, again until its reply arrives, as a client does. A repeat must answer what the first would have
// answered: answer gives what the operation has filled in. Operations that are not to be repeated are left at errLost.
func (w *world) do(op *ops.Op, answer any) error {
	w.Helper()
	return w.commit(op, answer, func() bool { return op.Once })
}

// try is do by a client that may itself be lost: then it is left at errLost, too.
func (w *world) try(op *ops.Op, answer any) error {
	w.Helper()
	return w.commit(op, answer, func() bool { return op.Once || w.rng.IntN(4) == 0 })
}

func (w *world) commit(op *ops.Op, answer any, givesUp func() bool) error {
	w.Helper()
	var first any
	for range 50 {
		err := w.disk.Apply(w.Context(), []*store.Unit{&op.Unit})
		switch {
		case errors.Is(err, errLost):
			if givesUp() {
				return err
			}
			if first == nil && w.disk.lastApplied && op.Outcome() == nil {
				first = said(answer)
			}
			continue
		case err != nil:
			w.broken("%v", err)
		}
		if err := op.Outcome(); err != nil {
			w.coded(err)
			return err
		}
		if again := said(answer); first != nil && !reflect.DeepEqual(first, again) {
			w.broken("the first call answered %+v, its repeat %+v", first, again)
		}
		if w.rng.IntN(10) == 0 && !op.Once { // a duplicate of what was answered
			w.repeat(op, answer)
		}
		return nil
	}
	w.broken("a commit failed 50 times in a row")
	return nil
}

// said is what an operation has filled in; answer points to it, or is nil.
func said(answer any) any {
	if answer == nil {
		return nil
	}
	return reflect.ValueOf(answer).Elem().Interface()
}

// repeat performs an operation that has succeeded once more: it succeeds, answers the same, and changes nothing (F18).
func (w *world) repeat(op *ops.Op, answer any) {
	w.Helper()
	before, first := w.dump(), said(answer)
	if err := w.disk.Store.Apply(w.Context(), []*store.Unit{&op.Unit}); err != nil || op.Outcome() != nil {
		w.broken("repeated, it fails with %v %v", err, op.Outcome())
	}
	if after := w.dump(); !reflect.DeepEqual(before, after) {
		w.broken("repeated, it changes\n%s", cmp.Diff(before, after, exact...))
	}
	if again := said(answer); !reflect.DeepEqual(first, again) {
		w.broken("the call answered %+v, its repeat %+v", first, again)
	}
}

// exact compares everything in a store.
var exact = cmp.Options{cmp.Exporter(func(reflect.Type) bool { return true })}

// coded fails unless an error has a code that says what to do; a bug is none.
func (w *world) coded(err error) {
	w.Helper()
	var e *ff.Error
	if !errors.As(err, &e) || e.Code == ff.CodeBug || e.Code == ff.CodeCorruption {
		w.broken("error %v", err)
	}
}

// member reads an execution; nil for none.
func (w *world) member(id ff.ExecutionID) *record.Execution {
	tx, err := w.disk.View(w.Context(), store.Reads{Executions: []ff.ExecutionID{id}})
	if err != nil {
		w.broken("view: %v", err)
	}
	return tx.Execution(id)
}

// flow reads a flow; nil for none.
func (w *world) flow(id ff.FlowID) *record.Flow {
	key := record.FlowKey{Home: w.rules.Partitions.OfFlow(id), FlowID: id}
	tx, err := w.disk.View(w.Context(), store.Reads{Records: []record.Key{key}})
	if err != nil {
		w.broken("view: %v", err)
	}
	return store.Get[*record.Flow](tx, key)
}
