package servicetest

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// Chapter 50, section 4.4: who waits for a stream.
var tailTests = []behaviour{
	{"AWaitEndsWithTheAppend", testTailWakes},
	{"FIX_E8_AWaitEndsWithTheAttempt", testTailClose},
	{"ViewersMayComeLate", testTailLate},
	{"EveryViewerSeesEverythingOnce", testTailMany},
	{"AWaitIsForItsAttempt", testTailAttempts},
}

// tailing is a wait under way.
type tailing struct {
	page ff.StreamPage
	err  error
	done chan struct{}
}

func (e *env) tailing(q ff.TailStream) *tailing {
	t := &tailing{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.page, t.err = e.svc.TailStream(e.Context(), q)
	}()
	return t
}

// tailed waits for the answer of a wait, which must come before its time is over.
func (e *env) tailed(what string, t *tailing) ff.StreamPage {
	e.Helper()
	start := e.pace.now()
	e.eventually(what, func() bool {
		e.pace.Advance(100 * time.Millisecond)
		select {
		case <-t.done:
			return true
		default:
			return false
		}
	})
	e.ok(t.err)
	if passed := e.pace.now().Sub(start); passed > 25*time.Second {
		e.Errorf("%s: the answer came %s later", what, passed)
	}
	return t.page
}

func testTailWakes(e *env) {
	c := e.running(ff.Submit{})
	q := ff.TailStream{ExecutionID: c.ExecutionID, Wait: ff.MaxTailWait}
	for i := range 3 {
		waits := e.tailing(q)
		res := e.append(c, said(strconv.Itoa(i))...)
		page := e.tailed("the append", waits)
		e.equal("what came", texts(page), strconv.Itoa(i))
		e.equal("its id", page.Frames[0].ID, res.Frames[0].ID)
		q.After = page.Frames[0].ID
	}
	hidden := e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, After: q.After, Wait: ff.MaxTailWait, Visibility: ff.VisibleWithoutLive})
	e.append(c, ff.Frame{Payload: []byte("live"), Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Minute}})
	e.append(c, said("kept")...)
	e.equal("what it asked for", texts(e.tailed("a durable frame", hidden)), "kept")
}

func testTailClose(e *env) {
	for want, end := range map[ff.StreamClosed]func(c ff.Claimed) error{
		ff.StreamClosedSuccess: func(c ff.Claimed) error {
			return e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
		},
		ff.StreamClosedFailure: func(c ff.Claimed) error {
			return errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Category: ff.FailurePermanent}))
		},
		ff.StreamClosedCancelled: func(c ff.Claimed) error {
			return errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID}))
		},
	} {
		c := e.running(ff.Submit{})
		last := e.append(c, said("1")...).Frames[0].ID
		waits := e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, After: last, Wait: ff.MaxTailWait})
		e.ok(end(c))
		page := e.tailed("the end", waits)
		e.equal("what came", len(page.Frames), 0)
		e.equal("why", page.ClosedReason, want)
		e.equal("and for the next", e.tailed("at once", e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, After: last, Wait: ff.MaxTailWait})).ClosedReason, want)
	}
}

func testTailLate(e *env) {
	c := e.running(ff.Submit{})
	early := e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, Wait: ff.MaxTailWait})
	e.append(c, said("1", "2", "3")...)
	e.equal("early", texts(e.tailed("an append", early)), "1 2 3")
	late := e.tailed("late", e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, Wait: ff.MaxTailWait, Limit: 2}))
	e.equal("from the beginning", []any{texts(late), late.More}, []any{"1 2", true})
	rest := e.tailed("later", e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, After: late.Frames[1].ID, Wait: ff.MaxTailWait}))
	e.equal("on from there", texts(rest), "3")
	live := e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, After: rest.Frames[0].ID, Wait: ff.MaxTailWait})
	e.append(c, said("4")...)
	e.equal("then live", texts(e.tailed("live", live)), "4")
}

func testTailMany(e *env) {
	const viewers, frames = 200, 60
	c := e.running(ff.Submit{})
	var following sync.WaitGroup
	var lock sync.Mutex
	var wrong []string
	ended := make(chan struct{})
	for i := range viewers {
		following.Go(func() {
			q := ff.TailStream{ExecutionID: c.ExecutionID, Wait: ff.MaxTailWait, Limit: 1 + i%7}
			seen := 0
			for {
				page, err := e.svc.TailStream(e.Context(), q)
				for _, f := range page.Frames {
					if q.After = f.ID; string(f.Payload) != strconv.Itoa(seen) {
						err = fmt.Errorf("frame %d is %s", seen, f.Payload)
					}
					seen++
				}
				if err == nil && (page.ClosedAt == 0 || len(page.Frames) > 0) {
					continue
				}
				if err != nil || seen != frames {
					lock.Lock()
					wrong = append(wrong, fmt.Sprintf("viewer %d has seen %d: %v", i, seen, err))
					lock.Unlock()
				}
				return
			}
		})
	}
	for i := range frames {
		e.append(c, said(strconv.Itoa(i))...)
	}
	e.complete(c)
	go func() { following.Wait(); close(ended) }()
	e.eventually("all viewers are done", func() bool {
		e.pace.Advance(100 * time.Millisecond)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	e.equal("viewers that missed something", wrong, []string(nil))
}

func testTailAttempts(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, nil)})
	next := e.tailing(ff.TailStream{ExecutionID: c.ExecutionID, AttemptIndex: 1, Wait: ff.MaxTailWait})
	e.append(c, said("first")...)
	e.ok(errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Category: ff.FailureTransient})))
	e.advance(time.Second)
	again := e.soonClaims(1)[0]
	e.append(again, said("second")...)
	e.equal("the second attempt", texts(e.tailed("its append", next)), "second")
	e.complete(again)
}
