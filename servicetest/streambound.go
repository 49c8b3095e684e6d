package servicetest

import (
	"strconv"

	ff "github.com/flowfabric/flowfabric"
)

// streamBoundTests are those that keep thousands of frames, which every audit of their store goes over.
var streamBoundTests = []behaviour{
	{"APolicyOfStreamsIsBounded", testStreamPolicyBounds},
	{"TheNewestFramesAreKept", testStreamKept},
	{"APageEndsAtItsBounds", testStreamPageBounds},
}

// appendNumbered appends frames whose payloads are the numbers from first to last.
func (e *env) appendNumbered(c ff.Claimed, first, last int) {
	e.Helper()
	for first <= last {
		frames := make([]ff.Frame, min(ff.MaxAppendFrames, last-first+1))
		for i := range frames {
			frames[i].Payload = strconv.AppendInt(nil, int64(first+i), 10)
		}
		e.append(c, frames...)
		first += len(frames)
	}
}

// numbers are the first and the last payload of a page, and how many there are.
func numbers(page ff.StreamPage) [3]string {
	n := len(page.Frames)
	if n == 0 {
		return [3]string{"", "", "0"}
	}
	return [3]string{string(page.Frames[0].Payload), string(page.Frames[n-1].Payload), strconv.Itoa(n)}
}

// testStreamKept: chapter 50, section 3. A stream keeps exactly as many durable frames as its policy says, 10,000 without
// one, and all are counted.
func testStreamKept(e *env) {
	c := e.running(ff.Submit{})
	e.appendNumbered(c, 1, 10_000)
	e.equal("as many as are kept", numbers(e.stream(c.ExecutionID, 0)), [3]string{"1", "10000", "10000"})
	e.appendNumbered(c, 10_001, 10_001)
	e.equal("one more", numbers(e.stream(c.ExecutionID, 0)), [3]string{"2", "10001", "10000"})
	info, err := e.svc.DescribeStream(e.Context(), c.ExecutionID, 0)
	e.ok(err)
	e.equal("J4: count", info.Count, int64(10_001))
	d := e.running(ff.Submit{Policy: &ff.Policy{Stream: &ff.StreamPolicy{MaxFrames: 5}}})
	e.appendNumbered(d, 1, 5)
	e.equal("a small policy, as many", numbers(e.stream(d.ExecutionID, 0)), [3]string{"1", "5", "5"})
	e.appendNumbered(d, 6, 6)
	e.equal("a small policy, one more", numbers(e.stream(d.ExecutionID, 0)), [3]string{"2", "6", "5"})
	e.appendNumbered(d, 7, 1006)
	e.equal("a small policy, many at once", numbers(e.stream(d.ExecutionID, 0)), [3]string{"1002", "1006", "5"})
}

// testStreamPageBounds: a page has at most 10,000 frames, and ends with the frame that brings it to 4 MiB.
func testStreamPageBounds(e *env) {
	c := e.running(ff.Submit{Policy: &ff.Policy{Stream: &ff.StreamPolicy{MaxFrames: 10_001}}})
	e.appendNumbered(c, 1, 10_001)
	first := e.stream(c.ExecutionID, 0)
	e.equal("a full page", numbers(first), [3]string{"1", "10000", "10000"})
	e.equal("there is more", first.More, true)
	rest := e.after(c, first)
	e.equal("the rest", numbers(rest), [3]string{"10001", "10001", "1"})
	e.equal("that is all", rest.More, false)

	for _, tc := range []struct {
		name        string
		short, want int // bytes the first frame lacks; frames of the first page of 66
	}{{"at the bound", 0, 64}, {"a byte below it", 1, 65}} {
		d := e.running(ff.Submit{})
		sizes := make([]int, 66)
		for i := range sizes {
			sizes[i] = 64 << 10
		}
		sizes[0] -= tc.short
		for len(sizes) > 0 {
			frames := make([]ff.Frame, min(16, len(sizes))) // a call takes 1 MiB
			for i := range frames {
				frames[i].Payload = make([]byte, sizes[i])
			}
			e.append(d, frames...)
			sizes = sizes[len(frames):]
		}
		page := e.stream(d.ExecutionID, 0)
		e.equal(tc.name+": page", []any{len(page.Frames), page.More}, []any{tc.want, true})
		rest := e.after(d, page)
		e.equal(tc.name+": rest", []any{len(rest.Frames), rest.More}, []any{66 - tc.want, false})
	}
}

// after is the page behind a page.
func (e *env) after(c ff.Claimed, page ff.StreamPage) ff.StreamPage {
	e.Helper()
	next, err := e.svc.ReadStream(e.Context(), ff.ReadStream{
		ExecutionID: c.ExecutionID, From: page.Frames[len(page.Frames)-1].ID.Next(), Limit: ff.MaxStreamPage,
	})
	e.ok(err)
	return next
}

// testStreamPolicyBounds: what a policy may say.
func testStreamPolicyBounds(e *env) {
	for _, tc := range []struct {
		name   string
		policy ff.StreamPolicy
		want   ff.Code
	}{
		{"most frames", ff.StreamPolicy{MaxFrames: 100_000}, ""},
		{"a frame more", ff.StreamPolicy{MaxFrames: 100_001}, "invalid_policy_json"},
		{"fewer than none", ff.StreamPolicy{MaxFrames: -1}, "invalid_policy_json"},
		{"most bytes", ff.StreamPolicy{MaxBytes: 16 << 30}, ""},
		{"a byte more", ff.StreamPolicy{MaxBytes: 16<<30 + 1}, "invalid_policy_json"},
		{"fewer bytes than none", ff.StreamPolicy{MaxBytes: -1}, "invalid_policy_json"},
	} {
		_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{Policy: &ff.Policy{Stream: &tc.policy}}))
		e.refused(tc.name, err, tc.want)
	}
}
