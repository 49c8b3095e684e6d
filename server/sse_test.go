package server_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// sseEvent is one event as a browser sees it. A comment is an event with the name ":".
type sseEvent struct{ Name, ID, Data, Retry string }

// viewer reads server-sent events of a connection.
type viewer struct {
	t    *testing.T
	conn net.Conn
	res  *http.Response
	text *bufio.Reader
}

// view asks for a path.
func view(t *testing.T, p *pipes, path string, header ...string) *viewer {
	t.Helper()
	conn := p.dial(t)
	send(t, conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n"+strings.Join(append(header, "\r\n"), "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it ends with the connection
	if err != nil {
		t.Fatal(err)
	}
	return &viewer{t: t, conn: conn, res: res, text: bufio.NewReader(res.Body)}
}

// next returns the next event, or false at the end.
func (v *viewer) next() (sseEvent, bool) {
	v.t.Helper()
	var e sseEvent
	for {
		line, err := v.text.ReadString('\n')
		if err == io.EOF {
			return e, false
		}
		if err != nil {
			v.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return e, true
		}
		field, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimPrefix(value, " "); field {
		case "":
			e.Name = ":"
		case "event":
			e.Name = value
		case "id":
			e.ID = value
		case "data":
			e.Data += value
		case "retry":
			e.Retry = value
		default:
			v.t.Fatalf("the line %q is of no event", line)
		}
	}
}

// take returns the next event that is no comment.
func (v *viewer) take() sseEvent {
	v.t.Helper()
	for {
		e, ok := v.next()
		if !ok {
			v.t.Fatal("the events have ended")
		}
		if e.Name != ":" {
			return e
		}
	}
}

func (e sseEvent) member(t *testing.T, name string) any {
	t.Helper()
	var data map[string]any
	if err := json.Unmarshal([]byte(e.Data), &data); err != nil {
		t.Fatalf("%q: %v", e.Data, err)
	}
	return data[name]
}

// stage is an engine behind a server, and a worker.
type stage struct {
	*engine.Engine
	t     *testing.T
	pipes *pipes
	stop  func()
}

func newStage(t *testing.T, cfg server.Config) *stage {
	t.Helper()
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close(context.Background()) })
	p, stop := run(t, eng, cfg)
	return &stage{Engine: eng, t: t, pipes: p, stop: stop}
}

// claim submits an execution and claims it.
func (s *stage) claim(policy *flowfabric.Policy) flowfabric.Claimed {
	s.t.Helper()
	if _, err := s.Submit(s.t.Context(), flowfabric.Submit{Lane: "l", Kind: "k", Policy: policy}); err != nil {
		s.t.Fatal(err)
	}
	return s.claimNext()
}

func (s *stage) claimNext() flowfabric.Claimed {
	s.t.Helper()
	list, err := s.Claim(s.t.Context(), flowfabric.Claim{
		Lanes: []flowfabric.LaneID{"l"}, WorkerID: "w", WorkerInstanceID: "w1", Max: 1, LeaseTTL: time.Hour, Wait: time.Minute,
	})
	if err != nil || len(list) != 1 {
		s.t.Fatalf("claimed %v, %v", list, err)
	}
	return list[0]
}

func (s *stage) write(c *flowfabric.Claimed, texts ...string) {
	s.t.Helper()
	cmd := flowfabric.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence}
	for _, text := range texts {
		cmd.Frames = append(cmd.Frames, flowfabric.Frame{Payload: []byte(text)})
	}
	if _, err := s.AppendFrames(s.t.Context(), cmd); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) complete(c *flowfabric.Claimed) {
	s.t.Helper()
	if err := s.Complete(s.t.Context(), flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
		s.t.Fatal(err)
	}
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // of a bubble

// payload is the text of a frame.
func payload(t *testing.T, frame any) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(frame.(map[string]any)["payload"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (e sseEvent) payload(t *testing.T) string {
	t.Helper()
	var frame any
	if err := json.Unmarshal([]byte(e.Data), &frame); err != nil {
		t.Fatal(err)
	}
	return payload(t, frame)
}

func tailOf(c *flowfabric.Claimed) string {
	return "/v1/executions/" + c.ExecutionID.String() + "/attempts/0/stream/events"
}

// TestTailLive_SendsFramesAsTheyAreWrittenAndEndsWithTheAttempt: also by the path of the reference, to who accepts events there.
func TestTailLive_SendsFramesAsTheyAreWrittenAndEndsWithTheAttempt(t *testing.T) {
	for _, path := range []string{"events", "tail"} {
		t.Run(path, func(t *testing.T) { testTailLive(t, path) })
	}
}

func testTailLive(t *testing.T, path string) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(nil)
		s.write(&c, "one", "two\nlines")
		v := view(t, s.pipes, strings.TrimSuffix(tailOf(&c), "events")+path)
		if got := v.res.Header.Get("Content-Type"); got != "text/event-stream" || v.res.StatusCode != 200 || v.res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d, %v", v.res.StatusCode, v.res.Header)
		}
		first, second := v.take(), v.take()
		if first.Name != "frame" || first.payload(t) != "one" || first.ID == "" || first.member(t, "id") != first.ID {
			t.Errorf("first: %+v", first)
		}
		if second.payload(t) != "two\nlines" || second.ID == first.ID {
			t.Errorf("second: %+v", second)
		}
		for range 40 { // 10 minutes: longer than any request may take
			_, _ = v.next()
		}
		s.write(&c, "three")
		if e := v.take(); e.payload(t) != "three" {
			t.Errorf("third: %+v", e)
		}
		s.complete(&c)
		end := v.take()
		if end.Name != "closed" || end.ID != "" || end.member(t, "closed_reason") != "attempt_success" || end.member(t, "closed_at") == nil {
			t.Errorf("end: %+v", end)
		}
		if e, more := v.next(); more {
			t.Errorf("and then %+v", e)
		}
	})
}

func TestTailLive_GoesOnBehindTheLastEventThatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(nil)
		s.write(&c, "one", "two", "three")
		s.complete(&c)
		v := view(t, s.pipes, tailOf(&c))
		id := v.take().ID
		for name, again := range map[string]*viewer{
			"header":            view(t, s.pipes, tailOf(&c), "Last-Event-ID: "+id),
			"query":             view(t, s.pipes, tailOf(&c)+"?after="+id),
			"header over query": view(t, s.pipes, tailOf(&c)+"?after=0-0", "Last-Event-ID: "+id),
		} {
			var got []string
			for e := again.take(); e.Name == "frame"; e = again.take() {
				got = append(got, e.payload(t))
			}
			if diff := cmp.Diff([]string{"two", "three"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestTailLive_ManyFramesComeWholeAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(nil)
		big := strings.Repeat("x", 60<<10)
		for range 3 {
			s.write(&c, big, big, big, big)
		}
		for range 5 {
			texts := make([]string, 100)
			for i := range texts {
				texts[i] = "small"
			}
			s.write(&c, texts...)
		}
		s.complete(&c)
		v := view(t, s.pipes, tailOf(&c))
		sizes := map[int]int{}
		last := flowfabric.FrameID{}
		for e := v.take(); e.Name == "frame"; e = v.take() {
			id, err := flowfabric.ParseFrameID(e.ID)
			if err != nil || id.Compare(last) <= 0 {
				t.Fatalf("%s comes behind %s, %v", e.ID, last, err)
			}
			last = id
			sizes[len(e.payload(t))]++
		}
		if diff := cmp.Diff(map[int]int{60 << 10: 12, 5: 500}, sizes); diff != "" {
			t.Errorf("frames by size (-want +got):\n%s", diff)
		}
	})
}

func TestLive_SomethingIsSentAtLeastEvery15Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(nil)
		for _, path := range []string{tailOf(&c), "/v1/executions/" + c.ExecutionID.String() + "/follow", "/v1/events/operator/subscribe"} {
			v := view(t, s.pipes, path)
			if e, ok := v.next(); !ok || e.Data != "" {
				t.Errorf("%s begins with %+v", path, e)
			}
			last := time.Now() //nolint:forbidigo // of the bubble
			for range 4 {
				e, ok := v.next()
				now := time.Now() //nolint:forbidigo // of the bubble
				if since := now.Sub(last); !ok || e.Data != "" || since > 15*time.Second || since < 5*time.Second {
					t.Errorf("%s: %+v after %s", path, e, since)
				}
				last = now
			}
			_ = v.conn.Close()
		}
	})
}

func TestLive_WhatIsRefusedIsAnAnswer(t *testing.T) {
	h := serving(t, server.Config{})
	for _, c := range []struct {
		path, lastEventID, code string
		status                  int
	}{
		{"/v1/executions/7/attempts/0/stream/events", "", "invalid_input", 400},
		{"/v1/executions/" + unknown + "/attempts/x/stream/events", "", "invalid_input", 400},
		{"/v1/executions/" + unknown + "/attempts/0/stream/events?affter=1-0", "", "invalid_input", 400},
		{"/v1/executions/" + unknown + "/attempts/0/stream/events?visibility=none", "", "invalid_input", 400},
		{"/v1/executions/" + unknown + "/attempts/0/stream/events", "abc", "invalid_input", 400},
		{"/v1/executions/" + unknown + "/follow", "", "execution_not_found", 404},
		{"/v1/executions/" + unknown + "/follow", "abc", "invalid_input", 400},
		{"/v1/events/weather/subscribe", "", "invalid_input", 400},
		{"/v1/events/completion/subscribe?cursor=abc", "", "invalid_input", 400},
		{"/v1/events/completion/subscribe", "abc", "invalid_input", 400},
	} {
		status, _, answer := ask(t, h, "GET", c.path, "", "Last-Event-ID", c.lastEventID)
		if status != c.status || answer["code"] != c.code {
			t.Errorf("%s, %q: %d %v", c.path, c.lastEventID, status, answer)
		}
	}
}

func TestSubscribe_SendsEventsAndGoesOnBehindTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		v := view(t, s.pipes, "/v1/events/completion/subscribe")
		now := v.take() // where it begins
		if now.ID == "" || now.Data != "" {
			t.Errorf("it begins with %+v", now)
		}
		first := s.claim(nil)
		s.complete(&first)
		e := v.take()
		if e.Name != "completion" || e.member(t, "execution_id") != first.ExecutionID.String() || e.member(t, "type") != "success" {
			t.Errorf("the event is %+v", e)
		}
		_ = v.conn.Close()

		second := s.claim(nil)
		s.complete(&second)
		again := view(t, s.pipes, "/v1/events/completion/subscribe?cursor=oldest", "Last-Event-ID: "+e.ID)
		if e := again.take(); e.member(t, "execution_id") != second.ExecutionID.String() {
			t.Errorf("the first event of the second viewer is %+v", e)
		}
		all := view(t, s.pipes, "/v1/events/completion/subscribe?cursor=oldest&filter.execution_id="+second.ExecutionID.String())
		if e := all.take(); e.member(t, "execution_id") != second.ExecutionID.String() {
			t.Errorf("the first event that matches is %+v", e)
		}
	})
}

func TestSubscribe_WhatDoesNotMatchMovesThePlaceOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		v := view(t, s.pipes, "/v1/events/completion/subscribe?filter.types=failed")
		first := v.take()
		c := s.claim(nil)
		s.complete(&c)
		moved := v.take()
		if moved.Data != "" || moved.ID == "" || moved.ID == first.ID {
			t.Errorf("the place is %+v, after %+v", moved, first)
		}
	})
}

func TestFollow_SendsEveryAttemptToTheEndOfTheExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(flowfabric.Retry(1, flowfabric.FixedBackoff(20*time.Second)))
		s.write(&c, "one")
		v := view(t, s.pipes, "/v1/executions/"+c.ExecutionID.String()+"/follow")
		type item struct {
			Name    string
			Attempt any
			Payload string
		}
		var got []item
		var ids []string
		read := func(v *viewer) {
			e := v.take()
			i := item{Name: e.Name, Attempt: e.member(t, "attempt_index")}
			if e.Name == "frame" {
				i.Payload = payload(t, e.member(t, "frame"))
			}
			got, ids = append(got, i), append(ids, e.ID)
		}
		read(v)
		read(v)
		if _, err := s.Fail(t.Context(), flowfabric.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "r", Category: flowfabric.FailureTransient}); err != nil {
			t.Fatal(err)
		}
		read(v)
		pass(20 * time.Second)
		c = s.claimNext()
		s.write(&c, "two")
		s.complete(&c)
		for range 4 {
			read(v)
		}
		want := []item{
			{"begins", 0.0, ""},
			{"frame", 0.0, "one"},
			{"ends", 0.0, ""},
			{"begins", 1.0, ""},
			{"frame", 1.0, "two"},
			{"ends", 1.0, ""},
			{"done", nil, ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if _, more := v.next(); more {
			t.Error("there is something behind the end")
		}
		got = nil
		again := view(t, s.pipes, "/v1/executions/"+c.ExecutionID.String()+"/follow", "Last-Event-ID: "+ids[2])
		for range 4 {
			read(again)
		}
		if diff := cmp.Diff(want[3:], got); diff != "" {
			t.Errorf("events behind the end of the first attempt (-want +got):\n%s", diff)
		}
	})
}

func TestLive_AStopSendsViewersElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		c := s.claim(nil)
		var viewers []*viewer
		for _, path := range []string{tailOf(&c), "/v1/executions/" + c.ExecutionID.String() + "/follow", "/v1/events/completion/subscribe"} {
			v := view(t, s.pipes, path)
			_, _ = v.next() // it waits now
			viewers = append(viewers, v)
		}
		start := time.Now() //nolint:forbidigo // of the bubble
		go s.stop()
		for i, v := range viewers {
			e, _ := v.next()
			if ms := len(e.Retry); ms != 4 || e.Name != "" {
				t.Errorf("viewer %d is told %+v", i, e)
			}
			if _, more := v.next(); more {
				t.Errorf("viewer %d goes on", i)
			}
		}
		if took := time.Since(start); took > time.Second { //nolint:forbidigo // of the bubble
			t.Errorf("the stop took %s", took)
		}
	})
}

func TestLive_AViewerThatDoesNotReadIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{MaxWaits: 1})
		c := s.claim(nil)
		slow := view(t, s.pipes, tailOf(&c))
		_, _ = slow.next()
		s.write(&c, "nobody reads this")
		pass(29 * time.Second)
		if v := view(t, s.pipes, tailOf(&c)); v.res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%d while it may still read", v.res.StatusCode)
		}
		pass(2 * time.Second)
		v := view(t, s.pipes, tailOf(&c))
		if v.res.StatusCode != http.StatusOK {
			t.Fatalf("%d when it should be gone", v.res.StatusCode)
		}
		if e := v.take(); e.payload(t) != "nobody reads this" {
			t.Errorf("the next viewer sees %+v", e)
		}
	})
}

func TestLive_AViewerThatHasGoneIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{MaxWaits: 1})
		c := s.claim(nil)
		v := view(t, s.pipes, tailOf(&c))
		_, _ = v.next()
		_ = v.conn.Close()
		synctest.Wait()
		if v := view(t, s.pipes, tailOf(&c)); v.res.StatusCode != http.StatusOK {
			t.Errorf("%d: the place is taken", v.res.StatusCode)
		}
	})
}

// failing is a service whose second tail fails.
type failing struct {
	flowfabric.Service
	calls int
	err   error
}

func (f *failing) TailStream(context.Context, flowfabric.TailStream) (flowfabric.StreamPage, error) {
	if f.calls++; f.calls > 1 {
		return flowfabric.StreamPage{}, f.err
	}
	return flowfabric.StreamPage{}, nil
}

func (f *failing) ReadEvents(context.Context, flowfabric.ReadEvents) (flowfabric.EventPage, error) {
	if f.calls++; f.calls > 1 {
		return flowfabric.EventPage{}, f.err
	}
	return flowfabric.EventPage{Next: "c1"}, nil
}

func TestLive_ALaterFailureIsTheLastEvent(t *testing.T) {
	gap := &flowfabric.Error{Code: flowfabric.CodeEventGap, Attrs: map[string]string{"oldest": "c9"}}
	for _, path := range []string{"/v1/executions/" + unknown + "/attempts/0/stream/events", "/v1/events/lease_history/subscribe"} {
		synctest.Test(t, func(t *testing.T) {
			p, _ := run(t, &failing{err: gap}, server.Config{})
			v := view(t, p, path)
			e := v.take()
			if e.ID == "c1" && e.Data == "" { // where it begins
				e = v.take()
			}
			attrs, _ := e.member(t, "attrs").(map[string]any)
			if e.Name != "error" || e.ID != "" || e.member(t, "code") != "event_gap" || attrs["oldest"] != "c9" {
				t.Errorf("%s: %+v", path, e)
			}
			if _, more := v.next(); more {
				t.Errorf("%s goes on", path)
			}
		})
	}
}

func TestLive_TheHeadAloneIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, server.Config{})
		conn := s.pipes.dial(t)
		send(t, conn, "HEAD /v1/events/completion/subscribe HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodHead}) //nolint:bodyclose // it has none
		if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}
