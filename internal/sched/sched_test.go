package sched

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

func TestClaim_NoWorkIsNoError(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		began := clock.Real().Now()
		b.equal("at once", b.kinds(want(0, 1, "mail")), []string(nil))
		b.equal("time waited", clock.Real().Now().Sub(began), time.Duration(0))
		b.equal("after waiting", b.kinds(want(7*time.Second, 1, "mail")), []string(nil))
		b.equal("time waited", clock.Real().Now().Sub(began), 7*time.Second)
	})
}

func TestClaim_PollFindsWhatNobodyTold(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		c := b.start(b.Context(), want(time.Minute, 1, "mail"))
		b.submit("mail", "a")
		began := clock.Real().Now()
		<-c.done
		b.equal("got", kindsOf(c.got), []string{"a"})
		if waited := clock.Real().Now().Sub(began); waited > poll {
			b.Errorf("it took %s, the poll is %s", waited, poll)
		}
	})
}

func TestWake_MakesTheLanesClaimsLook(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		mail, print := b.start(b.Context(), want(time.Minute, 1, "mail")), b.start(b.Context(), want(time.Minute, 1, "print", "other"))
		b.submit("mail", "a")
		b.submit("print", "b")
		began := clock.Real().Now()
		b.Wake("mail")
		<-mail.done
		b.equal("woken", kindsOf(mail.got), []string{"a"})
		b.equal("of another lane", print.running(), true)
		b.Wake("")
		<-print.done
		b.equal("woken with all", kindsOf(print.got), []string{"b"})
		b.equal("time waited", clock.Real().Now().Sub(began), time.Duration(0))
	})
}

// TestClaim_WakeWhileNobodyWaitsIsRemembered: a claim may wait without looking only while nothing has been told since the
// last look.
func TestClaim_WakeWhileNobodyWaitsIsRemembered(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		b.equal("first", b.kinds(want(0, 1, "mail")), []string(nil))
		b.submit("mail", "a")
		b.Wake("mail")
		began := clock.Real().Now()
		b.equal("second", b.kinds(want(time.Minute, 1, "mail")), []string{"a"})
		b.equal("time waited", clock.Real().Now().Sub(began), time.Duration(0))
	})
}

func TestClaim_WaitingClaimsShareOneQuery(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		var calls []*call
		for range 50 {
			calls = append(calls, b.start(b.Context(), want(time.Minute, 1, "mail")))
		}
		before := b.store.batches.Load()
		for range 50 {
			b.submit("mail", "a")
		}
		b.Wake("mail")
		for _, c := range calls {
			<-c.done
			b.equal("got", kindsOf(c.got), []string{"a"})
		}
		b.equal("batches", b.store.batches.Load()-before, int32(1))
	})
}

func TestClaim_FirstComeFirstServed(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		first, second := b.start(b.Context(), want(time.Minute, 2, "mail")), b.start(b.Context(), want(time.Minute, 2, "mail"))
		for _, kind := range []string{"a", "b", "c"} {
			b.submit("mail", kind)
		}
		b.Wake("mail")
		<-first.done
		<-second.done
		b.equal("how many", []int{len(first.got), len(second.got)}, []int{2, 1})
	})
}

// TestClaim_FindsWorkOnEveryShard: whatever the number of shards, every one is looked at.
func TestClaim_FindsWorkOnEveryShard(t *testing.T) {
	for _, shards := range []int{1, 2, 3, 8} {
		inBubble(t, shards, func(b *bench) {
			lanes := lanesOf(b.store)
			for round := range 3 {
				for _, lane := range lanes {
					b.submit(lane, "a")
					if got := b.kinds(want(0, 1, lanes...)); len(got) != 1 {
						b.Errorf("%d shards, round %d: the work of lane %q was not found", shards, round, lane)
					}
				}
			}
		})
	}
}

// TestClaim_RotatesLanesAndShards: a lane that always has work does not starve the others.
func TestClaim_RotatesLanesAndShards(t *testing.T) {
	for _, shards := range []int{1, 2, 8} {
		inBubble(t, shards, func(b *bench) {
			lanes := append(lanesOf(b.store), "mail", "print")
			for _, lane := range lanes {
				for range 100 {
					b.submit(lane, string(lane))
				}
			}
			seen := make(map[string]int)
			for range 100 {
				seen[b.kinds(want(0, 1, lanes...))[0]]++
			}
			for _, lane := range lanes {
				if seen[string(lane)] == 0 {
					b.Errorf("%d shards: of 100 claims none was of lane %q: %v", shards, lane, seen)
				}
			}
		})
	}
}

// TestClaim_TimeIsUpDuringAPass: a claim whose time is up while a pass is serving it is answered when the pass has ended,
// not when work comes.
func TestClaim_TimeIsUpDuringAPass(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		b.store.hold = make(chan struct{})
		c := b.start(b.Context(), want(time.Second, 1, "mail"))
		b.after(2 * time.Second)
		b.equal("during the pass", c.running(), true)
		close(b.store.hold)
		synctest.Wait()
		b.equal("after the pass", c.running(), false)
		b.equal("got", len(c.got), 0)
		b.equal("error", c.err, nil)
	})
}

func TestClaim_CancelledDuringAPassGivesBack(t *testing.T) {
	for _, work := range []bool{false, true} {
		inBubble(t, 1, func(b *bench) {
			if work {
				b.submit("mail", "a")
			}
			b.store.hold = make(chan struct{})
			ctx, cancel := context.WithCancel(b.Context())
			c := b.start(ctx, want(time.Minute, 1, "mail"))
			cancel()
			close(b.store.hold)
			synctest.Wait()
			b.equal("answered", !c.running(), true)
			b.equal("got", len(c.got), 0)
			if !errors.Is(c.err, ff.ErrTimeout) || !errors.Is(c.err, context.Canceled) {
				b.Errorf("error is %v", c.err)
			}
			if work {
				got, err := b.Claim(b.Context(), want(0, 1, "mail"))
				if err != nil || len(got) != 1 || !got[0].Resumed || got[0].Fence.Epoch != 2 {
					b.Errorf("what was given back is claimed as %+v, %v", got, err)
				}
			}
		})
	}
}

func TestClaim_CancelledWhileWaiting(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		c := b.start(ctx, want(time.Minute, 1, "mail"))
		cancel()
		<-c.done
		if !errors.Is(c.err, ff.ErrTimeout) {
			b.Errorf("error is %v", c.err)
		}
		b.submit("mail", "a")
		b.equal("another claim", b.kinds(want(0, 1, "mail")), []string{"a"})
	})
}

// TestClaim_FailureOfOneShardKeepsWhatAnotherGave: a lease that was given is told to its holder, whatever comes after.
func TestClaim_FailureOfOneShardKeepsWhatAnotherGave(t *testing.T) {
	inBubble(t, 2, func(b *bench) {
		lanes := lanesOf(b.store)
		b.submit(lanes[0], "a")
		b.submit(lanes[1], "b")
		broken := errors.New("broken")
		b.store.hold = make(chan struct{})
		blocker := b.start(b.Context(), want(time.Minute, 1, lanes...)) // its pass collects the two that follow
		first, second := b.start(b.Context(), want(time.Minute, 1, lanes...)), b.start(b.Context(), want(time.Minute, 1, lanes...))
		begun := b.store.batches.Load()
		b.store.refuse = func(n int32) error {
			if n >= begun+2 { // the pass of the blocker is under way, the first shard of the next pass works
				return broken
			}
			return nil
		}
		close(b.store.hold)
		synctest.Wait()
		<-blocker.done
		<-first.done
		<-second.done
		b.equal("the first", len(first.got) == 1 && first.err == nil, true)
		b.equal("the second", len(second.got) == 0 && errors.Is(second.err, broken), true)
	})
}

func TestClaim_KeepsNothingOfTheCallers(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		lanes := []ff.LaneID{"mail"}
		b.equal("first", b.kinds(want(0, 1, lanes...)), []string(nil))
		lanes[0] = "other"
		b.submit("mail", "a")
		b.equal("second", b.kinds(want(0, 1, "mail")), []string{"a"})
	})
}

func TestRoutes_WorkIsGivenToWhoCanDoIt(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		b.submit("mail", "gpu", "gpu")
		b.submit("mail", "gpu and linux", "gpu", "linux")
		b.submit("mail", "any")
		offering := func(capabilities ...string) ff.Claim {
			c := want(0, 10, "mail")
			c.Capabilities = capabilities
			return c
		}
		b.equal("without capabilities", b.kinds(offering()), []string{"any"})
		b.equal("with another", b.kinds(offering("cpu")), []string(nil))
		b.equal("with one", b.kinds(offering("gpu")), []string{"gpu"})
		b.equal("with more", b.kinds(offering("arm", "gpu", "linux")), []string{"gpu and linux"})
	})
}

// TestRoutes_ANewOneIsSeen: a route that another process registers is found by the next claim that finds nothing, at most
// a tenth of a second late.
func TestRoutes_ANewOneIsSeen(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		offer := want(0, 1, "mail")
		offer.Capabilities = []string{"gpu"}
		b.equal("before", b.kinds(offer), []string(nil))
		b.submit("mail", "a", "gpu")
		b.after(100 * time.Millisecond)
		b.equal("after", b.kinds(offer), []string{"a"})
		b.submit("mail", "b", "gpu")
		b.equal("once known", b.kinds(offer), []string{"b"})
		if b.Known("mail", 0) || b.Known("other", 1) {
			b.Error("a route nobody registered is known")
		}
	})
}

func TestClose_AnswersWaitingClaims(t *testing.T) {
	inBubble(t, 1, func(b *bench) {
		c := b.start(b.Context(), want(time.Minute, 1, "mail"))
		b.group.Close()
		<-c.done
		if !errors.Is(c.err, ff.ErrUnavailable) {
			b.Errorf("error is %v", c.err)
		}
	})
}
