package servicetest

import (
	"strconv"
	"strings"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// tailTests: chapter 50, section 4.3. Unless a test says so, nobody looks at the store meanwhile: waits end because the engine
// that commits says so.
var tailTests = []behaviour{
	{"AWaitEndsAtTheAppend", testTailAppend},
	{"FIX_E1_AWaitEndsWithTheStream", testTailClosed},
	{"AWaitEndsWithTheLease", testTailLease},
	{"J7_AWaitEndsAtItsTimeout", testTailTimeout},
	{"LateViewersSeeAllFromTheBeginning", testTailLate},
	{"AttemptsAreApart", testTailAttempts},
	{"AWaitIsForWhatIsVisible", testTailVisibility},
	{"AWaitGoesOnOverASuspension", testTailSuspended},
	{"ViewersOfAnotherEngineSeeTheSame", testTailElsewhere},
	{"AThousandViewersSeeEveryFrameInOrder", testTailMany},
}

// tailWait is shorter than the leases of tests and longer than the pauses of loops.
const tailWait = 3 * time.Second

// tailed is the answer to a tail.
type tailed struct {
	page ff.StreamPage
	err  error
}

// tail begins to wait for what is behind a place, and returns when the wait has begun.
func (e *env) tail(q ff.TailStream) <-chan tailed {
	e.Helper()
	answer := make(chan tailed, 1)
	before := e.pace.made(tailWait)
	q.Wait = tailWait
	go func() {
		page, err := e.svc.TailStream(e.Context(), q)
		answer <- tailed{page, err}
	}()
	e.eventually("the tail waits", func() bool { return e.pace.made(tailWait) > before })
	return answer
}

// answer is that of a tail, which must be there soon.
func (e *env) answer(what string, answer <-chan tailed) ff.StreamPage {
	e.Helper()
	var got tailed
	e.eventually(what, func() bool {
		select {
		case got = <-answer:
			return true
		default:
			return false
		}
	})
	e.ok(got.err)
	return got.page
}

// waits fails the test if a tail has been answered.
func (e *env) waits(what string, answer <-chan tailed) {
	e.Helper()
	select {
	case got := <-answer:
		e.Errorf("%s: answered with %q, closed %q, error %v", what, texts(got.page), got.page.ClosedReason, got.err)
	default:
	}
}

// viewing is who follows a stream to its end.
type viewing struct {
	done sync.WaitGroup
	seen []string
	end  ff.StreamClosed
	err  error
}

// view follows a stream, limit frames at a time, on a service.
func (e *env) view(svc ff.Service, id ff.ExecutionID, limit int) *viewing {
	v := new(viewing)
	q := ff.TailStream{ExecutionID: id, Limit: limit, Wait: tailWait}
	v.done.Go(func() {
		for v.err == nil && v.end == "" {
			var page ff.StreamPage
			page, v.err = svc.TailStream(e.Context(), q)
			for _, f := range page.Frames {
				v.seen, q.After = append(v.seen, string(f.Payload)), f.ID
			}
			if len(page.Frames) == 0 { // closed and empty is final
				v.end = page.ClosedReason
			}
		}
	})
	return v
}

// saw fails the test unless a viewer has seen texts, and the end of the stream by success.
func (e *env) saw(what string, v *viewing, want string) {
	e.Helper()
	v.done.Wait()
	if got := strings.Join(v.seen, " "); v.err != nil || got != want || v.end != "attempt_success" {
		e.Errorf("%s: saw %q and the end %q, error %v; want %q", what, got, v.end, v.err, want)
	}
}

func testTailAppend(e *env) {
	c := e.running(ff.Submit{})
	first := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	res := e.append(c, said("one", "two")...)
	e.equal("first", texts(e.answer("the append ends the wait", first)), "one two")
	second := e.tail(ff.TailStream{ExecutionID: c.ExecutionID, After: res.Frames[1].ID})
	e.append(c, said("three")...)
	page := e.answer("the next append ends the next wait", second)
	e.equal("second", texts(page), "three")
	e.equal("open", page.ClosedAt, ff.Timestamp(0))
}

// testTailClosed: chapter 50, section 1.2.
func testTailClosed(e *env) {
	for _, tc := range []struct {
		name string
		end  func(c ff.Claimed) error
		want ff.StreamClosed
	}{
		{"success", func(c ff.Claimed) error {
			return e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
		}, "attempt_success"},
		{"failure", func(c ff.Claimed) error {
			return errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: "transient"}))
		}, "attempt_failure"},
		{"cancel", func(c ff.Claimed) error {
			return errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: ff.SourceOperatorOverride, Reason: "x"}))
		}, "attempt_cancelled"},
	} {
		c := e.running(ff.Submit{})
		last := e.append(c, said("last")...).Frames[0].ID
		waiting := e.tail(ff.TailStream{ExecutionID: c.ExecutionID, After: last})
		e.ok(tc.end(c))
		page := e.answer(tc.name+" ends the wait", waiting)
		e.equal(tc.name, page, ff.StreamPage{ClosedAt: e.pace.now(), ClosedReason: tc.want})
		next := e.tail(ff.TailStream{ExecutionID: c.ExecutionID, After: last})
		e.equal(tc.name+": the next is told at once", e.answer("the end", next), page)
	}
}

// testTailLease: a lease that ran out ends its stream once that is noticed.
func testTailLease(e *env) {
	c := e.running(ff.Submit{})
	e.pace.Advance(leaseTTL - time.Second)
	waiting := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	e.waits("a second before", waiting)
	e.advance(time.Second)
	e.equal("reason", e.answer("the lease ends the wait", waiting).ClosedReason, ff.StreamClosed("lease_expired"))
}

func testTailTimeout(e *env) {
	c := e.running(ff.Submit{})
	waiting := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	e.pace.Advance(tailWait - time.Millisecond)
	e.pace.nudge()
	e.waits("a millisecond before", waiting)
	e.pace.Advance(time.Millisecond)
	e.equal("nothing, and open", e.answer("the timeout ends the wait", waiting), ff.StreamPage{})
}

func testTailLate(e *env) {
	c := e.running(ff.Submit{})
	early := e.view(e.svc, c.ExecutionID, 2)
	e.append(c, said("1", "2", "3")...)
	middle := e.view(e.svc, c.ExecutionID, 0)
	e.append(c, said("4")...)
	e.append(c, said("5", "6")...)
	late := e.view(e.svc, c.ExecutionID, 1)
	e.append(c, said("7")...)
	page := e.answer("what is there already", e.tail(ff.TailStream{ExecutionID: c.ExecutionID, Limit: 2}))
	e.equal("a page from the beginning", []any{texts(page), page.More}, []any{"1 2", true})
	e.complete(c)
	after := e.view(e.svc, c.ExecutionID, 3)
	for what, v := range map[string]*viewing{"early": early, "middle": middle, "late": late, "after the end": after} {
		e.saw(what, v, "1 2 3 4 5 6 7")
	}
}

func testTailAttempts(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(time.Second))})
	first := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	second := e.tail(ff.TailStream{ExecutionID: c.ExecutionID, AttemptIndex: 1})
	e.append(c, said("old")...)
	e.equal("first attempt", texts(e.answer("the append ends the wait for the first attempt", first)), "old")
	e.waits("the second attempt has not begun", second)
	e.ok(errOf(e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: "transient"})))
	e.waits("the first attempt has ended", second)
	e.advance(time.Second)
	d := e.claim()
	e.equal("next attempt", d.Fence.AttemptIndex, 1)
	e.append(d, said("new")...)
	e.equal("second attempt", texts(e.answer("the append ends the wait for the second attempt", second)), "new")
}

func testTailVisibility(e *env) {
	c := e.running(ff.Submit{})
	waiting := e.tail(ff.TailStream{ExecutionID: c.ExecutionID, Visibility: ff.VisibleWithoutLive})
	all := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	e.append(c, ff.Frame{Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second}, Payload: []byte("live")})
	e.equal("of all", texts(e.answer("a live frame ends the wait for all", all)), "live")
	e.waits("live frames are not wanted", waiting)
	e.append(c, said("kept")...)
	e.equal("without live frames", texts(e.answer("the append ends the wait", waiting)), "kept")
}

func testTailSuspended(e *env) {
	c := e.running(ff.Submit{})
	waiting := e.tail(ff.TailStream{ExecutionID: c.ExecutionID})
	points := e.suspend(c, ff.Suspend{Condition: ff.OnSignal("go")}).Waitpoints
	e.waits("suspended", waiting)
	e.ok(errOf(e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[0], "go"))))
	d := e.claim()
	e.waits("claimed again", waiting)
	e.append(d, said("after")...)
	e.equal("frames", texts(e.answer("the append ends the wait", waiting)), "after")
}

// testTailElsewhere: an engine that hears of nothing looks.
func testTailElsewhere(e *env) {
	other := e.engine()
	c := e.running(ff.Submit{})
	e.append(c, said("1", "2")...)
	v := e.view(other, c.ExecutionID, 0)
	e.append(c, said("3")...)
	e.append(c, said("4", "5")...)
	e.complete(c)
	done := make(chan struct{})
	go func() { v.done.Wait(); close(done) }()
	e.eventually("the viewer has seen the end", func() bool {
		e.pace.nudge()
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	e.saw("on another engine", v, "1 2 3 4 5")
}

func testTailMany(e *env) {
	c := e.running(ff.Submit{})
	e.append(c, said("1", "2", "3")...)
	viewers := make([]*viewing, 1000)
	for i := range viewers {
		viewers[i] = e.view(e.svc, c.ExecutionID, i%7) // 0: the default
	}
	want := []string{"1", "2", "3"}
	for n := 4; n <= 100; n += 2 {
		e.append(c, said(strconv.Itoa(n), strconv.Itoa(n+1))...)
		want = append(want, strconv.Itoa(n), strconv.Itoa(n+1))
	}
	e.complete(c)
	for i, v := range viewers {
		e.saw("viewer "+strconv.Itoa(i), v, strings.Join(want, " "))
	}
}
