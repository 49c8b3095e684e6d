package servicetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
)

var streamTests = []behaviour{
	{"FramesAreReadAsTheyWereAppended", testStreamFrames},
	{"AnAppendIsCheckedInOrder", testStreamChecks},
	{"BoundsHoldAtTheBound", testStreamBounds},
	{"BadAppendsAreRefusedWhole", testStreamInput},
	{"ARepeatedSeqIsADuplicate", testStreamRepeat},
	{"EachModeIsTrimmedByItsOwnBound", testStreamModes},
	{"VisibilityComesBeforeTheLimit", testStreamVisibility},
	{"J5_PagesMakeUpTheWhole", testStreamPages},
	{"J6_ATailFindsEveryFrameOnce", testStreamTail},
	{"J7_ATailWaitsNoLongerThanAsked", testStreamTailWait},
	{"TheEndOfAnAttemptClosesItsStream", testStreamClosed},
	{"ASuspensionLeavesTheStreamOpen", testStreamSuspended},
	{"AReplayGoesOnBehindAMark", testStreamReplay},
	{"ASummaryFoldsItsPatches", testStreamSummary},
	{"J12_LiveFramesExpireUnlessAnyIsKept", testStreamLive},
	{"StreamsGoWithTheirExecution", testStreamRetention},
}

func (e *env) tryAppend(c ff.Claimed, frames ...ff.Frame) (ff.Appended, error) {
	return e.svc.AppendFrames(e.Context(), ff.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: frames})
}

func (e *env) append(c ff.Claimed, frames ...ff.Frame) ff.Appended {
	e.Helper()
	res, err := e.tryAppend(c, frames...)
	e.ok(err)
	return res
}

// said are frames with a text each.
func said(texts ...string) (frames []ff.Frame) {
	for _, text := range texts {
		frames = append(frames, ff.Frame{Payload: []byte(text)})
	}
	return frames
}

func (e *env) stream(id ff.ExecutionID, attempt int) ff.StreamPage {
	e.Helper()
	page, err := e.svc.ReadStream(e.Context(), ff.ReadStream{ExecutionID: id, AttemptIndex: attempt, Limit: ff.MaxStreamPage})
	e.ok(err)
	return page
}

// texts are the payloads of a page, between blanks.
func texts(page ff.StreamPage) string {
	var list []string
	for _, f := range page.Frames {
		list = append(list, string(f.Payload))
	}
	return strings.Join(list, " ")
}

func testStreamFrames(e *env) {
	c := e.running(ff.Submit{})
	e.equal("before the first", e.stream(c.ExecutionID, 0), ff.StreamPage{})
	at := e.pace.now()
	res := e.append(c,
		ff.Frame{Payload: []byte("one")},
		ff.Frame{Payload: []byte{0, 0xff}, Kind: ff.FrameBlob, Type: "artifact", Encoding: ff.FrameBinary, CorrelationID: "c-1", ProducedAt: 7})
	e.equal("answer", res, ff.Appended{Frames: []ff.AppendedFrame{{ID: ff.FrameID{MS: at}}, {ID: ff.FrameID{MS: at, Seq: 1}}}, Count: 2})
	e.equal("page", e.stream(c.ExecutionID, 0), ff.StreamPage{Frames: []ff.StreamFrame{
		{ID: ff.FrameID{MS: at}, Kind: "event", Type: "event", Payload: []byte("one"), Encoding: "utf8", Mode: "durable"},
		{
			ID: ff.FrameID{MS: at, Seq: 1}, Kind: "blob", Type: "artifact", Payload: []byte{0, 0xff}, Encoding: "binary", Mode: "durable",
			CorrelationID: "c-1", ProducedAt: 7,
		},
	}})
	info, err := e.svc.DescribeStream(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("info", info, ff.StreamInfo{ExecutionID: c.ExecutionID, CreatedAt: at, Count: 2, Bytes: 5, Last: ff.FrameID{MS: at, Seq: 1}})
	e.equal("of an attempt there is not", e.stream(c.ExecutionID, 5), ff.StreamPage{})
	e.equal("of an execution there is not", e.stream(ff.ExecutionIDFrom(1, [16]byte{9}), 0), ff.StreamPage{})
}

// testStreamChecks: chapter 50, section 2.
func testStreamChecks(e *env) {
	d := e.running(ff.Submit{})
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: d.ExecutionID, Fence: d.Fence}))
	c := e.running(ff.Submit{})
	e.append(c, said("first")...)
	big := ff.Frame{Payload: make([]byte, ff.MaxFrameBytes+1)}
	try := func(what string, change func(*ff.Fence), want ff.Code) {
		e.Helper()
		n := c
		change(&n.Fence)
		e.refused(what, errOf(e.tryAppend(n, said("x")...)), want)
		e.refused(what+", too large", errOf(e.tryAppend(n, big)), "retention_limit_exceeded")
	}
	try("no fence", func(f *ff.Fence) { *f = ff.Fence{} }, "fence_required")
	try("part of a fence", func(f *ff.Fence) { f.Epoch = 0 }, "partial_fence_triple")
	try("another epoch", func(f *ff.Fence) { f.Epoch++ }, "stale_owner_cannot_append")
	try("another lease", func(f *ff.Fence) { f.LeaseID[0] ^= 1 }, "stale_owner_cannot_append")
	try("another attempt", func(f *ff.Fence) { f.AttemptIndex++ }, "stale_owner_cannot_append")
	e.pace.Advance(time.Hour)
	try("lease ran out", func(*ff.Fence) {}, "stale_owner_cannot_append")
	e.equal("nothing was appended", texts(e.stream(c.ExecutionID, 0)), "first")
	c = d
	try("ended", func(*ff.Fence) {}, "stream_closed")
	e.equal("nothing was appended to the ended one", texts(e.stream(d.ExecutionID, 0)), "")
}

func testStreamBounds(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{Stream: &ff.StreamPolicy{MaxFrames: 3, MaxBytes: ff.MaxFrameBytes + 10}}})
	e.append(c, ff.Frame{Payload: bytes.Repeat([]byte("x"), ff.MaxFrameBytes)})
	e.append(c, said("12345", "67890")...)
	e.refused("a byte more", errOf(e.tryAppend(c, said("1")...)), "retention_limit_exceeded")
	e.append(c, said("")...)
	e.equal("the newest three", texts(e.stream(c.ExecutionID, 0)), "12345 67890 ")
	d := e.running(ff.Submit{})
	e.append(d, make([]ff.Frame, ff.MaxAppendFrames)...)
	e.refused("a frame more", errOf(e.tryAppend(d, make([]ff.Frame, ff.MaxAppendFrames+1)...)), "invalid_input")
	full := make([]ff.Frame, ff.MaxAppendBytes/ff.MaxFrameBytes)
	for i := range full {
		full[i].Payload = make([]byte, ff.MaxFrameBytes)
	}
	e.append(d, full...)
	e.refused("a byte more in the call", errOf(e.tryAppend(d, append(full, ff.Frame{Payload: []byte{1}})...)), "retention_limit_exceeded")
	for limit, want := range map[int]ff.Code{-1: "invalid_input", 1: "", ff.MaxStreamPage: "", ff.MaxStreamPage + 1: "invalid_input"} {
		_, err := e.svc.ReadStream(e.Context(), ff.ReadStream{ExecutionID: d.ExecutionID, Limit: limit})
		e.refused("limit", err, want)
	}
	_, err := e.svc.TailStream(e.Context(), ff.TailStream{ExecutionID: d.ExecutionID, Wait: ff.MaxTailWait + 1})
	e.refused("wait", err, "invalid_input")
}

func testStreamInput(e *env) {
	c := e.running(ff.Submit{})
	for what, bad := range map[string]ff.Frame{
		"kind":      {Kind: "noise"},
		"encoding":  {Encoding: "latin1"},
		"mode":      {Mode: "for ever"},
		"type":      {Type: strings.Repeat("x", ff.MaxNameBytes+1)},
		"text":      {CorrelationID: "\xff"},
		"no ttl":    {Mode: ff.FrameLive},
		"long ttl":  {Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: ff.MaxLiveTTL + 1}},
		"floor":     {Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second, Floor: -1}},
		"ceiling":   {Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second, Ceiling: 16_385}},
		"live":      {Live: ff.LiveFrame{TTL: time.Second}},
		"seq again": {Seq: 1},
		"patch":     {Mode: ff.FrameSummary, Payload: []byte("{")},
		"no object": {Mode: ff.FrameSummary, Payload: []byte("[1]")},
	} {
		e.refused(what, errOf(e.tryAppend(c, ff.Frame{Seq: 1, Payload: []byte("good")}, bad)), "invalid_input")
	}
	e.refused("none", errOf(e.tryAppend(c)), "invalid_input")
	deep := ff.Frame{Mode: ff.FrameSummary, Payload: []byte(strings.Repeat(`{"a":`, 17) + "{}" + strings.Repeat("}", 17))}
	e.refused("deep", errOf(e.tryAppend(c, ff.Frame{Payload: []byte("good")}, deep)), "patch_depth_exceeded")
	e.equal("nothing was appended", e.stream(c.ExecutionID, 0), ff.StreamPage{})
}

func testStreamRepeat(e *env) {
	c := e.running(ff.Submit{})
	numbered := func(from, to uint64) (frames []ff.Frame) {
		for n := from; n <= to; n++ {
			frames = append(frames, ff.Frame{Seq: n, Payload: []byte{byte('0' + n)}})
		}
		return frames
	}
	duplicates := func(res ff.Appended) (list []bool) {
		for _, f := range res.Frames {
			list = append(list, f.Duplicate)
		}
		return list
	}
	e.append(c, numbered(1, 3)...)
	e.equal("repeated whole", e.append(c, numbered(1, 3)...), ff.Appended{Frames: []ff.AppendedFrame{{Duplicate: true}, {Duplicate: true}, {Duplicate: true}}, Count: 3})
	e.equal("in part", duplicates(e.append(c, numbered(2, 5)...)), []bool{true, true, false, false})
	e.equal("with one that has no number", duplicates(e.append(c, append(numbered(5, 5), said("x")...)...)), []bool{true, false})
	e.equal("stream", texts(e.stream(c.ExecutionID, 0)), "1 2 3 4 5 x")
	e.ok(e.svc.Release(e.Context(), ff.Release{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	c = e.claim()
	e.equal("numbers of a new lease begin anew", duplicates(e.append(c, numbered(1, 1)...)), []bool{false})
	e.equal("stream", texts(e.stream(c.ExecutionID, 0)), "1 2 3 4 5 x 1")
}

func testStreamModes(e *env) {
	c := e.running(ff.Submit{})
	e.append(c, said("kept")...)
	live := ff.Frame{Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second, Floor: 2, Ceiling: 2}}
	for range 70 {
		e.append(c, live, ff.Frame{Mode: ff.FrameSummary, Payload: []byte(`{"a":1}`)})
	}
	count := map[ff.FrameMode]int{}
	for _, f := range e.stream(c.ExecutionID, 0).Frames {
		count[f.Mode]++
	}
	e.equal("kept", count, map[ff.FrameMode]int{"durable": 1, "summary": 64, "best_effort": 2})
}

func testStreamVisibility(e *env) {
	c := e.running(ff.Submit{})
	live := ff.Frame{Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second}, Payload: []byte("live")}
	e.append(c, live, live, ff.Frame{Payload: []byte("kept")})
	for visibility, want := range map[ff.Visibility]string{"": "live", "all": "live", "exclude_best_effort": "kept"} {
		page, err := e.svc.ReadStream(e.Context(), ff.ReadStream{ExecutionID: c.ExecutionID, Limit: 1, Visibility: visibility})
		e.ok(err)
		e.equal("read "+string(visibility), texts(page), want)
		page, err = e.svc.TailStream(e.Context(), ff.TailStream{ExecutionID: c.ExecutionID, Limit: 1, Visibility: visibility})
		e.ok(err)
		e.equal("tail "+string(visibility), texts(page), want)
	}
	_, err := e.svc.ReadStream(e.Context(), ff.ReadStream{ExecutionID: c.ExecutionID, Visibility: "some"})
	e.refused("unknown", err, "invalid_input")
}

func testStreamPages(e *env) {
	c := e.running(ff.Submit{})
	for range 7 {
		e.append(c, said("a", "b", "c")...)
		e.pace.Advance(time.Millisecond)
	}
	whole := e.stream(c.ExecutionID, 0)
	var list []ff.StreamFrame
	q := ff.ReadStream{ExecutionID: c.ExecutionID, Limit: 4}
	for {
		page, err := e.svc.ReadStream(e.Context(), q)
		e.ok(err)
		list = append(list, page.Frames...)
		if !page.More {
			break
		}
		q.From = page.Frames[len(page.Frames)-1].ID.Next()
	}
	e.equal("frames", len(list), 21)
	e.equal("pages", list, whole.Frames)
	q = ff.ReadStream{ExecutionID: c.ExecutionID, From: list[3].ID, To: list[5].ID}
	page, err := e.svc.ReadStream(e.Context(), q)
	e.ok(err)
	e.equal("both ends count", page.Frames, list[3:6])
	rapid.Check(e, func(t *rapid.T) {
		first := rapid.IntRange(0, 20).Draw(t, "first")
		last := rapid.IntRange(first, 20).Draw(t, "last")
		q := ff.ReadStream{ExecutionID: c.ExecutionID, From: list[first].ID, To: list[last].ID}
		var got []ff.StreamFrame
		for more := true; more; {
			q.Limit = rapid.IntRange(1, 9).Draw(t, "limit")
			page, err := e.svc.ReadStream(e.Context(), q)
			n := len(page.Frames)
			if err != nil || n > q.Limit || page.More != (n == q.Limit) {
				t.Fatalf("%d frames of %d, more: %t, error %v", n, q.Limit, page.More, err)
			}
			if got, more = append(got, page.Frames...), page.More; more {
				q.From = page.Frames[n-1].ID.Next()
			}
		}
		if diff := cmp.Diff(list[first:last+1], got, equality...); diff != "" {
			t.Fatalf("frames %d to %d (-want +got):\n%s", first, last, diff)
		}
	})
}

func testStreamTail(e *env) {
	c := e.running(ff.Submit{})
	var got []string
	var after ff.FrameID
	tail := func() ff.StreamPage {
		page, err := e.svc.TailStream(e.Context(), ff.TailStream{ExecutionID: c.ExecutionID, After: after, Limit: 2})
		e.ok(err)
		for _, f := range page.Frames {
			got, after = append(got, string(f.Payload)), f.ID
		}
		return page
	}
	e.equal("nothing yet", tail(), ff.StreamPage{})
	e.append(c, said("1", "2", "3")...)
	e.equal("more", tail().More, true)
	e.append(c, said("4")...)
	tail()
	e.append(c, said("5")...)
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	for page := tail(); page.ClosedAt == 0 || len(page.Frames) > 0; page = tail() {
	}
	e.equal("frames", strings.Join(got, " "), "1 2 3 4 5")
}

func testStreamTailWait(e *env) {
	c := e.running(ff.Submit{})
	page, err := e.svc.TailStream(e.Context(), ff.TailStream{ExecutionID: c.ExecutionID, Wait: 0})
	e.ok(err)
	e.equal("without waiting", page, ff.StreamPage{})
	type answer struct {
		page ff.StreamPage
		err  error
	}
	waiting := make(chan answer, 1)
	go func() {
		page, err := e.svc.TailStream(e.Context(), ff.TailStream{ExecutionID: c.ExecutionID, Wait: time.Second})
		waiting <- answer{page, err}
	}()
	var got answer
	e.eventually("the tail is answered", func() bool {
		e.pace.Advance(50 * time.Millisecond)
		e.pace.nudge()
		select {
		case got = <-waiting:
			return true
		default:
			return false
		}
	})
	e.ok(got.err)
	e.equal("nothing came", len(got.page.Frames), 0)
}

// testStreamClosed: chapter 50, section 1.2.
func testStreamClosed(e *env) {
	fail := func(c ff.Claimed) error {
		_, err := e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "no", Category: "transient"})
		return err
	}
	later := func(d time.Duration) func(ff.Claimed) error {
		return func(ff.Claimed) error { e.advance(d); return nil }
	}
	timeouts := func(t ff.TimeoutPolicy) *ff.Policy { return &ff.Policy{Timeouts: &t} }
	for _, tc := range []struct {
		name   string
		policy *ff.Policy
		end    func(c ff.Claimed) error
		want   ff.StreamClosed
	}{
		{"success", nil, func(c ff.Claimed) error {
			return e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
		}, "attempt_success"},
		{"failure", nil, fail, "attempt_failure"},
		{"failure with a retry", ff.Retry(1, ff.FixedBackoff(10_000*time.Hour)), fail, "attempt_failure"},
		{"cancel", nil, func(c ff.Claimed) error {
			return errOf(e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID, Source: ff.SourceOperatorOverride, Reason: "x"}))
		}, "attempt_cancelled"},
		{"attempt timeout", timeouts(ff.TimeoutPolicy{AttemptTimeoutMS: 1000}), later(time.Second), "expired"},
		{"deadline", timeouts(ff.TimeoutPolicy{ExecutionDeadlineMS: 1000}), later(time.Second), "expired"},
		{"suspension timeout", nil, func(c ff.Claimed) error {
			e.suspend(c, ff.Suspend{Condition: ff.OnSignal("go"), Timeout: time.Second})
			e.advance(time.Second)
			return nil
		}, "suspension_timeout"},
	} {
		c := e.running(ff.Submit{Policy: tc.policy})
		e.append(c, said("last")...)
		open := e.stream(c.ExecutionID, 0)
		e.equal(tc.name+": before", []any{open.ClosedAt, open.ClosedReason}, []any{ff.Timestamp(0), ff.StreamClosed("")})
		e.ok(tc.end(c))
		closed := e.stream(c.ExecutionID, 0)
		e.equal(tc.name, []any{texts(closed), closed.ClosedAt, closed.ClosedReason}, []any{"last", e.pace.now(), tc.want})
		e.refused(tc.name+": append", errOf(e.tryAppend(c, said("late")...)), "stream_closed")
	}
	c := e.running(ff.Submit{})
	e.append(c, said("last")...)
	e.pace.Advance(time.Hour)
	e.equal("lease ran out", e.stream(c.ExecutionID, 0).ClosedReason, ff.StreamClosed("lease_expired"))
	e.advance(0)
	d := e.claim()
	e.equal("same execution", d.ExecutionID, c.ExecutionID)
	e.equal("reclaimed", e.stream(c.ExecutionID, 0).ClosedReason, ff.StreamClosed("reclaimed"))
	e.append(d, said("new")...)
	e.equal("the next attempt has its own", texts(e.stream(c.ExecutionID, 1)), "new")
	e.equal("and the old one stays", texts(e.stream(c.ExecutionID, 0)), "last")
}

func testStreamSuspended(e *env) {
	c := e.running(ff.Submit{})
	e.append(c, said("before")...)
	points := e.suspend(c, ff.Suspend{Condition: ff.OnSignal("go")}).Waitpoints
	e.refused("while suspended", errOf(e.tryAppend(c, said("x")...)), "stream_closed")
	e.equal("open", e.stream(c.ExecutionID, 0).ClosedAt, ff.Timestamp(0))
	_, err := e.svc.DeliverSignal(e.Context(), signal(c.ExecutionID, points[0], "go"))
	e.ok(err)
	e.append(e.claim(), said("after")...)
	e.equal("one stream", texts(e.stream(c.ExecutionID, 0)), "before after")
}

func testStreamReplay(e *env) {
	c := e.running(ff.Submit{})
	e.append(c, said("first")...)
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID})
	e.ok(err)
	c = e.claim()
	e.append(c, ff.Frame{Payload: []byte("second"), Seq: 1})
	e.append(c, ff.Frame{Payload: []byte("third"), Seq: 2})
	page := e.stream(c.ExecutionID, 0)
	e.equal("frames", texts(page), `first {"replay":1} second third`)
	mark := page.Frames[1]
	e.equal("mark", []any{mark.Type, mark.Kind, mark.Encoding, mark.Mode}, []any{"replay", ff.FrameEvent, ff.FrameJSON, ff.FrameDurable})
	e.equal("open again", page.ClosedAt, ff.Timestamp(0))
}

func testStreamSummary(e *env) {
	c := e.running(ff.Submit{})
	none, err := e.svc.ReadSummary(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("none", none, ff.StreamSummary{})
	first := e.pace.now()
	patch := func(text string) ff.Frame { return ff.Frame{Mode: ff.FrameSummary, Payload: []byte(text)} }
	res := e.append(c, patch(`{"a":{"b":1,"c":2},"n":12345678901234567890.10}`), patch(`{"a":{"b":null},"z":"__ff_null__"}`))
	e.equal("versions", []int64{res.Frames[0].SummaryVersion, res.Frames[1].SummaryVersion}, []int64{1, 2})
	e.pace.Advance(time.Second)
	e.append(c, patch(`{"a":{}}`))
	s, err := e.svc.ReadSummary(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("summary", s, ff.StreamSummary{
		Document: json.RawMessage(`{"a":{"c":2},"n":12345678901234567890.10,"z":null}`), Version: 3, FirstAt: first, UpdatedAt: first + 1000,
	})
	e.refused("bad patch", errOf(e.tryAppend(c, patch(`{"a":9}`), patch(`"x"`))), "invalid_input")
	large := func(n int) ff.Frame {
		return patch(`{"` + strings.Repeat("k", n) + `":"` + strings.Repeat("x", 60<<10) + `"}`)
	}
	e.refused("too large", errOf(e.tryAppend(c, large(1), large(2), large(3), large(4), large(5))), "retention_limit_exceeded")
	again, err := e.svc.ReadSummary(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("unchanged", again, s)
}

func testStreamLive(e *env) {
	live := ff.Frame{Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Second}, Payload: []byte("live")}
	c, d := e.running(ff.Submit{}), e.running(ff.Submit{})
	e.append(c, live)
	last := e.append(d, live).Frames[0].ID
	e.append(c, said("kept")...)
	e.advance(2*time.Second - time.Millisecond)
	e.equal("a millisecond early", texts(e.stream(d.ExecutionID, 0)), "live")
	e.advance(time.Millisecond)
	e.equal("of live frames alone", texts(e.stream(d.ExecutionID, 0)), "")
	e.equal("with one that is kept", texts(e.stream(c.ExecutionID, 0)), "live kept")
	if next := e.append(d, live).Frames[0].ID; next.Compare(last) <= 0 {
		e.Errorf("J1: %s comes behind %s", next, last)
	}
	e.append(d, said("kept")...)
	e.advance(10 * time.Second)
	e.equal("promoted", texts(e.stream(d.ExecutionID, 0)), "live kept")
}

func testStreamRetention(e *env) {
	keep := int64(1000)
	c := e.running(ff.Submit{Policy: &ff.Policy{RetentionMS: &keep}})
	e.append(c, ff.Frame{Payload: []byte("x")}, ff.Frame{Mode: ff.FrameSummary, Payload: []byte(`{"a":1}`)})
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
	e.equal("after the end", len(e.stream(c.ExecutionID, 0).Frames), 2)
	e.advance(time.Second)
	e.gone(c.ExecutionID)
	e.equal("after its retention", e.stream(c.ExecutionID, 0), ff.StreamPage{})
	s, err := e.svc.ReadSummary(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("summary", s, ff.StreamSummary{})
	for _, f := range e.dump().Frames {
		e.equal("a frame of what is gone", f.ExecutionID == c.ExecutionID, false)
	}
}
