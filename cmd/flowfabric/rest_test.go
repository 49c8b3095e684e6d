package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

var garbage []byte

func TestGiveBack_FreesWhatAProcessAtRestHasLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var freed atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			giveBack(ctx, clock.Real(), func() { freed.Add(1) })
		}()
		for _, look := range []struct {
			allocated int
			freed     int64
		}{
			{0, 0},
			{8 << 20, 1},
			{0, 1},
			{100 << 20, 1}, // it is under load
			{0, 2},
		} {
			synctest.Wait()
			for n := 0; n < look.allocated; n += 1 << 20 {
				garbage = make([]byte, 1<<20)
			}
			<-clock.Real().NewTimer(10 * time.Second).C
			synctest.Wait()
			if got := freed.Load(); got != look.freed {
				t.Errorf("after %d MB: freed %d times, want %d", look.allocated>>20, got, look.freed)
			}
		}
		cancel()
		<-ended
	})
}
