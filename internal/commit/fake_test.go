package commit

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a store that notes its batches and answers as the test says.
type fake struct {
	store.Catalog // not used
	shards, lanes int
	answer        func(ctx context.Context, units []*store.Unit) error // nil: commits
	held          bool                                                 // Apply waits to receive from hold
	hold          chan struct{}

	mu      sync.Mutex
	batches [][]*store.Unit
}

func (f *fake) Apply(ctx context.Context, units []*store.Unit) error {
	f.mu.Lock()
	f.batches = append(f.batches, units)
	f.mu.Unlock()
	if f.held {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.answer != nil {
		return f.answer(ctx, units)
	}
	return nil
}

func (f *fake) View(context.Context, store.Reads) (*store.Tx, error) { panic("not used") }

func (f *fake) Watch(context.Context) (<-chan store.Wake, error) { panic("not used") }

func (f *fake) Shards() []flowfabric.Partition { return make([]flowfabric.Partition, max(1, f.shards)) }

func (f *fake) Shard(p flowfabric.Partition) int { return int(p.Index) % max(1, f.shards) }

func (f *fake) Kind() store.Kind { return store.Memory }

func (f *fake) Lanes() int { return max(1, f.lanes) }

func (f *fake) Close() error { return nil }

// sizes are the sizes of the batches so far.
func (f *fake) sizes() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []int
	for _, b := range f.batches {
		out = append(out, len(b))
	}
	return out
}

// orders are the Orders of the units of each batch; tests use them as names.
func (f *fake) orders() [][]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out [][]uint64
	for _, b := range f.batches {
		var names []uint64
		for _, u := range b {
			names = append(names, u.Order)
		}
		out = append(out, names)
	}
	return out
}

// bench is a committer over a fake, in a bubble whose clock the runtime turns.
type bench struct {
	*testing.T
	*Committer
	store *fake
}

// inBubble runs a test with a committer that is closed at its end; Apply waits if st.held.
func inBubble(t *testing.T, st *fake, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st.hold = make(chan struct{}) // of the bubble, so that waiting for it counts as waiting
		b := &bench{T: t, Committer: New(st, clock.Real(), nil, nil), store: st}
		defer b.Close(context.Background())
		test(b)
	})
}

// call is a Do that runs beside the test.
type call struct {
	units []*store.Unit
	err   error
	done  chan struct{}
}

// start calls Do and waits until it waits.
func (b *bench) start(ctx context.Context, units ...*store.Unit) *call {
	c := &call{units: units, done: make(chan struct{})}
	go func() {
		c.err = b.Do(ctx, units...)
		close(c.done)
	}()
	synctest.Wait()
	return c
}

func (c *call) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// unit is a unit named by its order.
func unit(order uint64) *store.Unit { return &store.Unit{Order: order} }
