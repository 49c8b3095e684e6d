package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpen_RefusesABadConfig(t *testing.T) {
	for field, cfg := range map[string]Config{
		"Partitions": {Partitions: ff.PartitionConfig{Flow: 1}},
		"ClaimPoll":  {ClaimPoll: 9 * time.Millisecond},
		"DuePoll":    {DuePoll: time.Minute + 1},
		"DueBatch":   {DueBatch: 1001},
	} {
		_, err := Open(t.Context(), memory.New(memory.Config{}), cfg)
		if !errors.Is(err, ff.ErrInvalidInput) || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

func TestOpen_CancelledContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, memory.New(memory.Config{}), Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// slow is a store whose commits wait until they are let go, or fail; without hold they do neither.
type slow struct {
	store.Store
	hold chan struct{}
	fail error
}

func (s *slow) Apply(ctx context.Context, units []*store.Unit) error {
	if s.hold == nil {
		return s.Store.Apply(ctx, units)
	}
	select {
	case <-s.hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.fail; err != nil {
		s.fail = nil
		if errors.Is(err, store.ErrUnknownOutcome) {
			return errors.Join(s.Store.Apply(ctx, units), err)
		}
		return err
	}
	return s.Store.Apply(ctx, units)
}

// inBubble runs a test with an engine over a slow store.
func inBubble(t *testing.T, test func(t *testing.T, e *Engine, st *slow)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st := &slow{Store: memory.New(memory.Config{})}
		e, err := Open(t.Context(), st, Config{})
		if err != nil {
			t.Fatal(err)
		}
		st.hold = make(chan struct{})
		defer func() {
			if err := e.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		test(t, e, st)
	})
}

// TestCalls_EndWithTheirContext: the outcome is then unknown, which the code says; the call may be repeated.
func TestCalls_EndWithTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, st *slow) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		id := ff.SoloExecutionID("mail", ff.DefaultPartitions())
		cmd := ff.Submit{ID: id, Lane: "mail", Kind: "send"}
		if _, err := e.Submit(ctx, cmd); !errors.Is(err, ff.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if _, err := e.Describe(ctx, id); !errors.Is(err, ff.ErrTimeout) {
			t.Errorf("a read after the deadline: error %v", err)
		}
		close(st.hold)
		if res, err := e.Submit(t.Context(), cmd); err != nil || res != (ff.SubmitResult{ID: id, Outcome: ff.Duplicate}) {
			t.Errorf("repeated: %+v, %v", res, err)
		}
	})
}

// TestCalls_SurviveALostConnection: a commit whose outcome is unknown is made again, and tells what it did.
func TestCalls_SurviveALostConnection(t *testing.T) {
	for _, lost := range []error{store.ErrTransient, store.ErrUnknownOutcome} {
		inBubble(t, func(t *testing.T, e *Engine, st *slow) {
			close(st.hold)
			st.fail = lost
			res, err := e.Submit(t.Context(), ff.Submit{Lane: "mail", Kind: "send"})
			if err != nil || res.Outcome != ff.Created {
				t.Fatalf("submit: %+v, %v", res, err)
			}
			got, err := e.Claim(t.Context(), ff.Claim{Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1"})
			if err != nil || len(got) != 1 {
				t.Fatalf("claim: %+v, %v", got, err)
			}
			st.fail = lost
			if err := e.Complete(t.Context(), ff.Complete{ExecutionID: res.ID, Fence: got[0].Fence}); err != nil {
				t.Errorf("complete: %v", err)
			}
			st.fail = lost
			_, err = e.Replay(t.Context(), ff.Replay{ExecutionID: res.ID})
			if errors.Is(lost, store.ErrUnknownOutcome) != errors.Is(err, ff.ErrTimeout) {
				t.Errorf("replay, which counts, with %v: %v", lost, err)
			}
			if s, err := e.Describe(t.Context(), res.ID); err != nil || s.ReplayCount != 1 {
				t.Errorf("%d replays, %v", s.ReplayCount, err)
			}
		})
	}
}

func TestClose_DoesNotWaitForAHangingStore(t *testing.T) {
	for name, call := range map[string]func(e *Engine) error{
		"submit": func(e *Engine) error {
			_, err := e.Submit(context.Background(), ff.Submit{Lane: "mail", Kind: "send"})
			return err
		},
		"claim": func(e *Engine) error {
			_, err := e.Claim(context.Background(), ff.Claim{Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1"})
			return err
		},
	} {
		inBubble(t, func(t *testing.T, e *Engine, _ *slow) {
			done := make(chan error)
			go func() { done <- call(e) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			closing := make(chan error)
			go func() { closing <- e.Close(ctx) }()
			if err := <-done; !errors.Is(err, ff.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			if err := <-closing; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHeld_KeepsLeasedExecutionsOnly(t *testing.T) {
	h := newHeld()
	leased := &record.Execution{ID: ff.SoloExecutionID("a", ff.DefaultPartitions()), State: ff.StateVector{Ownership: ff.Leased}}
	h.note(leased)
	if e, ok := h.lookup(leased.ID); !ok || e != leased {
		t.Error("a leased execution is not held")
	}
	ended := *leased
	ended.State.Ownership = ff.Unowned
	h.note(&ended)
	if _, ok := h.lookup(leased.ID); ok {
		t.Error("an execution nobody leases is held")
	}
	h.note(leased)
	h.forget(leased.ID)
	if _, ok := h.lookup(leased.ID); ok {
		t.Error("a forgotten execution is held")
	}
}
