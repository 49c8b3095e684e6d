package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
)

// slowViews is a store whose reads of frames wait until they are let go.
type slowViews struct {
	store.Store
	hold chan struct{}
}

func (s *slowViews) View(ctx context.Context, r store.Reads) (*store.Tx, error) {
	if len(r.Frames) > 0 {
		<-s.hold
	}
	return s.Store.View(ctx, r)
}

func TestStreams_ReadsAreBoundedAndWaitsEndWithTheEngine(t *testing.T) { // J19, J20
	synctest.Test(t, func(t *testing.T) {
		st := &slowViews{Store: memory.New(memory.Config{}), hold: make(chan struct{})}
		e, err := Open(t.Context(), st, Config{StreamReads: 1})
		if err != nil {
			t.Fatal(err)
		}
		id := ff.SoloExecutionID("mail", ff.DefaultPartitions())
		read := func() error { _, err := e.ReadStream(t.Context(), ff.ReadStream{ExecutionID: id}); return err }
		tail := func() error {
			_, err := e.TailStream(t.Context(), ff.TailStream{ExecutionID: id, Wait: ff.MaxTailWait})
			return err
		}
		first := make(chan error, 1)
		go func() { first <- read() }()
		synctest.Wait()
		for what, err := range map[string]error{"a read": read(), "a tail": tail()} {
			var coded *ff.Error
			if !errors.As(err, &coded) || coded.Code != ff.CodeResourceExhausted || coded.Attrs["pool"] != "stream_ops" || coded.Attrs["max"] != "1" {
				t.Errorf("%s beside another: %v, want resource_exhausted of stream_ops, at most 1", what, err)
			}
		}
		close(st.hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
		waiting := make(chan error, 3)
		for range cap(waiting) {
			go func() { waiting <- tail() }()
			synctest.Wait()
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for range cap(waiting) {
			if err := <-waiting; !errors.Is(err, ff.ErrUnavailable) {
				t.Errorf("a wait at the end of the engine: %v, want unavailable", err)
			}
		}
		if err := tail(); !errors.Is(err, ff.ErrUnavailable) {
			t.Errorf("a wait after the end: %v, want unavailable", err)
		}
	})
}
