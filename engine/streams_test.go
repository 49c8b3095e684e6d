package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
)

// slowReads is a store whose reads of frames wait until they are let go, once hold is set.
type slowReads struct {
	store.Store
	hold atomic.Pointer[chan struct{}]
}

func (s *slowReads) View(ctx context.Context, reads store.Reads) (*store.Tx, error) {
	if hold := s.hold.Load(); hold != nil && len(reads.Frames) > 0 {
		<-*hold
	}
	return s.Store.View(ctx, reads)
}

// opened is an engine over a store, closed in the end.
func opened(t *testing.T, st store.Store, cfg Config) *Engine {
	t.Helper()
	e, err := Open(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestTailStream_EndsWithTheEngine: chapter 50, section 4.4.
func TestTailStream_EndsWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := opened(t, memory.New(memory.Config{}), Config{})
		tail := func() error {
			_, err := e.TailStream(context.Background(), ff.TailStream{ExecutionID: ff.ExecutionIDFrom(1, [16]byte{1}), Wait: ff.MaxTailWait})
			return err
		}
		waiting := make(chan error, 3)
		for range cap(waiting) {
			go func() { waiting <- tail() }()
		}
		synctest.Wait()
		select {
		case err := <-waiting:
			t.Fatalf("the tail did not wait: %v", err)
		default:
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range cap(waiting) {
			if err := <-waiting; !errors.Is(err, ff.ErrUnavailable) {
				t.Errorf("error %v, want %v", err, ff.ErrUnavailable)
			}
		}
		if err := tail(); !errors.Is(err, ff.ErrUnavailable) {
			t.Errorf("after the end: error %v, want %v", err, ff.ErrUnavailable)
		}
	})
}

// TestStreamReads_OneTooManyIsRefused: chapter 50, section 4.4 and J19. Who waits for frames is not reading.
func TestStreamReads_OneTooManyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &slowReads{Store: memory.New(memory.Config{})}
		e := opened(t, st, Config{StreamReads: 1})
		id := ff.ExecutionIDFrom(1, [16]byte{1})
		waiting := make(chan error, 1)
		go func() {
			_, err := e.TailStream(t.Context(), ff.TailStream{ExecutionID: id, Wait: ff.MaxTailWait})
			waiting <- err
		}()
		synctest.Wait()
		if _, err := e.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id}); err != nil {
			t.Errorf("a read beside one that waits: %v", err)
		}
		hold := make(chan struct{})
		st.hold.Store(&hold)
		reading := make(chan error, 1)
		go func() {
			_, err := e.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id})
			reading <- err
		}()
		synctest.Wait()
		want := map[string]string{"pool": "stream_ops", "max": "1", "retry_after_ms": "100"}
		_, read := e.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id})
		_, tailed := e.TailStream(t.Context(), ff.TailStream{ExecutionID: id})
		for call, err := range map[string]error{"read": read, "tail": tailed} {
			var coded *ff.Error
			if !errors.As(err, &coded) || coded.Code != "resource_exhausted" {
				t.Errorf("%s: error %v, want resource_exhausted", call, err)
			} else if diff := cmp.Diff(want, coded.Attrs); diff != "" {
				t.Errorf("%s: attributes (-want +got):\n%s", call, diff)
			}
		}
		close(hold)
		if err := <-reading; err != nil {
			t.Errorf("the read that was first: %v", err)
		}
		if _, err := e.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id}); err != nil {
			t.Errorf("a read after it: %v", err)
		}
		if err := <-waiting; err != nil {
			t.Errorf("the tail that waited: %v", err)
		}
	})
}

// TestConfig_StreamReadsIsBounded: at the bounds, and one beyond.
func TestConfig_StreamReadsIsBounded(t *testing.T) {
	for n, want := range map[int]bool{-1: false, 1: true, 100_000: true, 100_001: false} {
		e, err := Open(t.Context(), memory.New(memory.Config{}), Config{StreamReads: n})
		if (err == nil) != want || err != nil && !errors.Is(err, ff.ErrInvalidInput) {
			t.Errorf("%d: error %v; want it taken: %v", n, err, want)
		}
		if err == nil {
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}
