package sched

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// After an outage every worker repeats its claim. A look for what they hold passes over all leases, so it is one for all that came
// while the one before was under way.
func TestClaim_RepeatsShareTheirLooks(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		const workers = 300
		repeat := func(i int) ff.Claim {
			cmd := want(0, 1, "mail")
			cmd.WorkerInstanceID, cmd.RequestID = ff.WorkerInstanceID(fmt.Sprintf("w-%d", i)), "r"
			return cmd
		}
		held := make([]ff.ExecutionID, workers)
		for i := range held {
			b.submit("mail", "a")
			first := repeat(i)
			first.FirstTry = true
			got, err := b.Claim(b.Context(), first)
			if err != nil || len(got) != 1 {
				b.Fatal(got, err)
			}
			held[i] = got[0].ExecutionID
		}
		b.equal("looks of first tries", b.store.looks.Load(), int32(0))
		b.store.holdLooks = make(chan struct{})
		var calls []*call
		for i := range workers {
			calls = append(calls, b.start(b.Context(), repeat(i)))
		}
		close(b.store.holdLooks)
		for i, c := range calls {
			<-c.done
			if c.err != nil || len(c.got) != 1 || c.got[0].ExecutionID != held[i] {
				b.Fatalf("worker %d got %+v, %v; want what it holds, %s", i, c.got, c.err, held[i])
			}
		}
		b.equal("looks", b.store.looks.Load(), int32(2))
	})
}

func TestClaim_ARepeatWhoseCallerLeavesOrWhoseEngineClosesEnds(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		b.store.holdLooks = make(chan struct{})
		cmd := want(0, 1, "mail")
		cmd.RequestID = "r"
		ctx, leave := context.WithCancel(b.Context())
		gone := b.start(ctx, cmd)
		leave()
		<-gone.done
		b.equal("one that left times out", errors.Is(gone.err, ff.ErrTimeout), true)
		cmd.RequestID = "s"
		waits := b.start(b.Context(), cmd)
		b.equal("waits for the look", waits.running(), true)
		go b.group.Close()
		<-waits.done
		b.equal("unavailable at the end", errors.Is(waits.err, ff.ErrUnavailable), true)
		cmd.RequestID = "t"
		_, err := b.Claim(b.Context(), cmd)
		b.equal("unavailable after the end", errors.Is(err, ff.ErrUnavailable), true)
		synctest.Wait()
	})
}

func TestClaim_AFailedLookFailsItsRepeats(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		b.store.failLooks = errors.New("broken")
		cmd := want(0, 1, "mail")
		cmd.RequestID = "r"
		if _, err := b.Claim(b.Context(), cmd); !errors.Is(err, b.store.failLooks) {
			b.Errorf("%v, want that of the look", err)
		}
		b.store.failLooks = nil
		b.equal("the next", b.kinds(cmd), []string(nil))
	})
}

// Leases counts the looks, and can hold them up or fail them.
func (s *tapped) Leases(ctx context.Context, q store.LeaseQuery) ([]*record.Execution, error) {
	s.looks.Add(1)
	if s.holdLooks != nil {
		select {
		case <-s.holdLooks:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.failLooks != nil {
		return nil, s.failLooks
	}
	return s.Store.Leases(ctx, q)
}
