package worker

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
)

// memos are what is remembered of the steps of one execution, while a worker has it.
type memos struct {
	task *Task
	// reading is held while memos are read from the engine.
	reading chan struct{}
	loaded  bool // guarded by reading: all that was recorded before this lease is known

	mu     sync.Mutex
	known  map[stepID]kept
	bytes  int            // of results in known
	calls  map[string]int // by name, in this run
	places int            // the last place in the order of steps that was given, in any run
	// The storage clock showed at least stamp when the worker's own showed at.
	stamp flowfabric.Timestamp
	at    time.Time
}

// kept is a memo. If its result was too much to keep, it was left with the engine.
type kept struct {
	flowfabric.StepMemo
	left bool
}

// maxKept bounds the results of steps that a task keeps in memory, in bytes. Beyond it they are read when they are asked for.
const maxKept = 16 << 20

// kind is what a memo is of, as its encoding says.
type kind string

const (
	isStep    kind = "step"
	isTimer   kind = "timer"   // it has a time
	isSignals kind = "signals" // the JSON of what came
	isPoint   kind = "waitpoint"
	isTimeout kind = "timeout" // nothing came
)

func kindOf(encoding string) kind {
	switch k := kind(encoding); k {
	case isTimer, isSignals, isPoint, isTimeout:
		return k
	default:
		return isStep
	}
}

// memos returns what is remembered of the task's steps.
func (t *Task) memos() *memos {
	if m := t.steps.Load(); m != nil {
		return m
	}
	t.steps.CompareAndSwap(nil, &memos{
		task: t, reading: make(chan struct{}, 1), loaded: !t.continues(),
		known: make(map[stepID]kept), calls: make(map[string]int),
		stamp: t.claimed.ClaimedAt, at: t.claimedAt,
	})
	return t.steps.Load()
}

// continues reports whether the handler may have run before for this execution, here or elsewhere.
func (t *Task) continues() bool {
	return t.claimed.Resumed || t.claimed.Fence.AttemptIndex > 0 || t.claimed.ReplayCount > 0
}

// again prepares the task for another run of its handler under the same lease.
func (t *Task) again() {
	t.claimed.Resumed = true
	if o := t.out.Load(); o != nil {
		o.again()
	}
	if m := t.steps.Load(); m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		clear(m.calls)
	}
}

// number is the key of the next call with a name.
func (m *memos) number(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[name]++
	return numberMark + strconv.Itoa(m.calls[name])
}

// place is the next place in the order of steps: after all that are remembered.
func (m *memos) place() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places++
	return m.places
}

// find returns what is remembered of a step. It fails if that is of none of the kinds.
func (m *memos) find(ctx context.Context, id stepID, kinds ...kind) (memo flowfabric.StepMemo, found bool, err error) {
	if err := m.load(ctx); err != nil {
		return memo, false, err
	}
	m.mu.Lock()
	k, found := m.known[id]
	m.mu.Unlock()
	if !found {
		return memo, false, nil
	}
	is := kindOf(k.Encoding)
	for _, want := range kinds {
		if is != want {
			continue
		}
		if k.left { // a repeat is told what was recorded first
			memo, err = m.record(ctx, flowfabric.RecordStep{Name: id.name, Key: id.key})
			return memo, err == nil, err
		}
		return k.StepMemo, true, nil
	}
	return memo, false, Permanent(fmt.Errorf("%s %q, %s, is remembered as a %s; give one of them another name, or replay without it",
		kinds[0], id.name, id.key, is))
}

// load reads what was recorded before, once.
func (m *memos) load(ctx context.Context) error {
	select {
	case m.reading <- struct{}{}:
		defer func() { <-m.reading }()
	case <-ctx.Done():
		return fmt.Errorf("read steps: %w", context.Cause(ctx))
	}
	q := flowfabric.ListSteps{ExecutionID: m.task.ID(), Limit: flowfabric.MaxPage}
	for !m.loaded {
		page, err := insist(ctx, m.task, "read steps", "", func(ctx context.Context) (flowfabric.Page[flowfabric.StepMemo], error) {
			return m.task.session.svc.ListSteps(ctx, q)
		})
		if err != nil {
			return err
		}
		for i := range page.Items {
			m.keep(page.Items[i])
		}
		q.After, m.loaded = page.Next, page.Next == ""
	}
	return nil
}

// record records a step under the task's lease, and returns it as it is remembered.
func (m *memos) record(ctx context.Context, cmd flowfabric.RecordStep) (flowfabric.StepMemo, error) {
	s := m.task.session
	cmd.ExecutionID, cmd.Fence = m.task.ID(), m.task.Fence()
	ctx, release := outlasting(ctx, m.task, s.clock)
	defer release()
	memo, err := insist(ctx, m.task, "record step", cmd.Name, func(ctx context.Context) (flowfabric.StepMemo, error) {
		return s.svc.RecordStep(ctx, cmd)
	})
	if err == nil {
		m.keep(memo)
	}
	return memo, err
}

// keep remembers a step that is recorded.
func (m *memos) keep(memo flowfabric.StepMemo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places = max(m.places, memo.Position)
	m.seen(memo.RecordedAt)
	id := stepID{memo.Name, memo.Key}
	if _, twice := m.known[id]; twice {
		return
	}
	k := kept{StepMemo: memo}
	if size := len(memo.Result); m.bytes+size > maxKept {
		k.Result, k.left = nil, true
	} else {
		m.bytes += size
	}
	m.known[id] = k
}

// seen notes an instant of the storage clock that has passed. m.mu is held.
func (m *memos) seen(stamp flowfabric.Timestamp) {
	if now := m.task.session.clock.Now(); stamp > m.stamp.Add(now.Sub(m.at)) {
		m.stamp, m.at = stamp, now
	}
}

// now is the time of the storage clock, or somewhat earlier: what the worker's clock has measured since an instant that the
// engine has told.
func (m *memos) now() flowfabric.Timestamp {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stamp.Add(m.task.session.clock.Now().Sub(m.at))
}
