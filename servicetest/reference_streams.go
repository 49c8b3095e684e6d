package servicetest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

func testRefStreams(e *env) {
	a := e.api(ffserver.Config{})
	c := e.running(ff.Submit{})
	path := at(c.ExecutionID, "/attempts/0/stream")
	appended, err := e.svc.AppendFrames(e.Context(), ff.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: []ff.Frame{
		{Type: "token", Payload: []byte("a"), CorrelationID: "c-1"},
		{Type: "blob", Payload: []byte{0xff, 0}, Encoding: ff.FrameBinary},
		{Type: "live", Payload: []byte("l"), Mode: ff.FrameLive, Live: ff.LiveFrame{TTL: time.Minute}},
		{Type: "sum", Payload: []byte(`{"n":1}`), Encoding: ff.FrameJSON, Mode: ff.FrameSummary},
	}})
	e.ok(err)
	now := fmt.Sprint(e.pace.now())
	e.equal("ids", appended.Frames[3].ID.String(), now+"-3")
	frame := func(n int, fields string) string {
		return fmt.Sprintf(`{"id":"%s-%d","fields":{"ts":"%s","source":"worker",%s}}`, now, n, now, fields)
	}
	frames := []string{
		frame(0, `"frame_type":"token","payload":"a","encoding":"utf8","mode":"durable","correlation_id":"c-1"`),
		frame(1, `"frame_type":"blob","payload":"/wA=","encoding":"base64","mode":"durable"`),
		frame(2, `"frame_type":"live","payload":"l","encoding":"utf8","mode":"best_effort"`),
		frame(3, `"frame_type":"sum","payload":"{\"n\":1}","encoding":"json","mode":"summary","summary_version":"1"`),
	}
	page := func(of ...int) string {
		var list []string
		for _, n := range of {
			list = append(list, frames[n])
		}
		return fmt.Sprintf(`{"frames":[%s],"count":%d}`, strings.Join(list, ","), len(of))
	}
	for query, want := range map[string]string{
		"": page(0, 1, 2, 3), "?from=start&to=end": page(0, 1, 2, 3), "?limit=2": page(0, 1), "?from=" + now + "-1&to=" + now + "-2": page(1, 2),
		"?from=" + now: page(0, 1, 2, 3), "?to=" + now: page(0, 1, 2, 3), "?to=" + now + "-0": page(0), "?from=end": page(), "?to=start": page(), "?to=0-0": page(),
		"?to=0": page(), "?limit=1000&unknown=1": page(0, 1, 2, 3),
	} {
		a.is("GET", path+query, "", 200, want)
	}
	for query, want := range map[string]string{
		"": page(0, 1, 2, 3), "?after=" + now + "-1": page(2, 3), "?after=" + now: page(1, 2, 3), "?after=" + now + "-3&block_ms=0": page(),
		"?visibility=exclude_best_effort": page(0, 1, 3), "?visibility=all&limit=1": page(0),
	} {
		a.is("GET", path+"/tail"+query, "", 200, want)
	}
	a.is("GET", at(c.ExecutionID, "/attempts/1/stream"), "", 200, page())
	for query, text := range map[string]string{
		"?from=-": "Failed to deserialize query string: from: ", "?to=%2B": "Failed to deserialize query string: to: ", "?from=": "Failed to deserialize query string: from: ",
		"?from=1-2-3": "Failed to deserialize query string: from: ", "?from=1&from=2": "Failed to deserialize query string: from: duplicate field",
		"?limit=x": "Failed to deserialize query string: limit: ", "?limit=0": "limit must be >= 1",
		"?limit=1001": "limit exceeds REST ceiling 1000; paginate via from/to for larger spans",
	} {
		a.refusedWith("GET", path+query, "", 400, text)
	}
	for query, text := range map[string]string{
		"?after=start":            "after: XREAD cursor must be a concrete entry id; pass '0-0' to start from the beginning",
		"?after=end":              "after: XREAD cursor must be a concrete entry id; pass '0-0' to start from the beginning",
		"?after=x":                "Failed to deserialize query string: after: ",
		"?block_ms=30001":         "block_ms exceeds 30000ms ceiling",
		"?block_ms=30001&limit=0": "block_ms exceeds 30000ms ceiling",
		"?limit=0&after=start":    "limit must be >= 1",
		"?limit=1001":             "limit exceeds REST ceiling 1000; paginate via after for larger spans",
		"?block_ms=-1":            "Failed to deserialize query string: block_ms: ",
		"?visibility=none":        "Failed to deserialize query string: visibility: ",
	} {
		a.refusedWith("GET", path+"/tail"+query, "", 400, text)
	}
	for _, index := range []string{"x", "-1", "4294967296", "1.0"} {
		a.refusedWith("GET", at(c.ExecutionID, "/attempts/"+index+"/stream"), "", 400, "Invalid URL: ")
		a.refusedWith("GET", at(c.ExecutionID, "/attempts/"+index+"/stream/tail"), "", 400, "Invalid URL: ")
	}
	a.refusedWith("GET", "/v1/executions/x/attempts/0/stream/tail?after=end", "", 400, "after: ") // the order of the checks
	a.refusedWith("GET", "/v1/executions/x/attempts/0/stream/tail", "", 400, "invalid execution_id: ")
	e.advance(time.Second)
	_, err = e.svc.Fail(e.Context(), ff.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "r"})
	e.ok(err)
	a.is("GET", path+"/tail?block_ms=30000&after="+now+"-3", "", 200, fmt.Sprintf(`{"frames":[],"count":0,"closed_at":%d,"closed_reason":"attempt_failure"}`, e.pace.now()))
}

// testRefStreamBurst: of five tails at once two wait, and three are told to come again; then there is room for others.
func testRefStreamBurst(e *env) {
	a := e.api(ffserver.Config{MaxStreamOps: 2})
	c := e.running(ff.Submit{})
	path := at(c.ExecutionID, "/attempts/0/stream")
	answers := make(chan reply, 5)
	var tails sync.WaitGroup
	for range 5 {
		tails.Go(func() { answers <- a.ask("GET", path+"/tail?block_ms=2000", "") })
	}
	for range 3 {
		got := <-answers
		want := `{"error":"too many concurrent stream_ops calls (server max: 2); retry with backoff","kind":"resource_exhausted","retryable":true}`
		if got.status != 429 || got.header.Get("Retry-After") != "1" {
			e.Fatalf("%d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.text)
		}
		e.equal("the refusal", refusalOf(a.parse(got.text), map[string]any{}), a.parse([]byte(want)))
	}
	a.refusedWith("GET", path, "", 429, "too many concurrent stream_ops calls") // one pool for both
	e.eventually("the tails have waited", func() bool { return e.pace.made(2*time.Second) >= 2 })
	e.pace.Advance(2 * time.Second)
	for range 2 {
		got := <-answers
		e.equal("a tail", []any{got.status, string(got.text)}, []any{200, `{"frames":[],"count":0}`})
	}
	tails.Wait()
	a.is("GET", path, "", 200, `{"frames":[],"count":0}`)
}
