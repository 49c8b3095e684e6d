package tokens_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/flowfabric/flowfabric/tokens"
)

// closer is a body that tells whether it was closed.
type closer struct {
	io.Reader
	closed bool
	err    error
}

func (c *closer) Close() error {
	c.closed = true
	return c.err
}

const messageStart = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","model":"m","usage":{"input_tokens":25,"output_tokens":1}}}

`

var startUsage = tokens.Usage{Provider: "anthropic", Model: "m", ResponseID: "msg_1", Input: 25, Output: 1, Total: 26}

func TestBody_StreamThatIsBrokenOffCountsWithWhatItHasTold(t *testing.T) {
	const delta = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n"
	sent := &closer{Reader: strings.NewReader(messageStart + delta)}
	var r reports
	body := call(t, answer(eventMedia, sent), &r)
	if _, err := io.ReadFull(body, make([]byte, len(messageStart)+20)); err != nil {
		t.Fatal(err)
	}
	r.expect(t)
	if err := body.Close(); err != nil || !sent.closed {
		t.Errorf("close: %v, closed below: %v", err, sent.closed)
	}
	r.expect(t, startUsage)
	if err := body.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	r.expect(t, startUsage)
}

func TestBody_StreamThatHasToldNothingIsNotReported(t *testing.T) {
	var r reports
	body := call(t, answer(eventMedia, strings.NewReader("data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tokens\":5}}\n\n")), &r)
	if _, err := io.ReadFull(body, make([]byte, 22)); err != nil {
		t.Fatal(err)
	}
	body.Close()
	r.expect(t)
}

func TestBody_DocumentThatWasReadUpToItsBraceCountsAtClose(t *testing.T) {
	var r reports
	body := call(t, answer(jsonMedia, strings.NewReader(oneDocument+"\n")), &r)
	if _, err := io.ReadFull(body, make([]byte, len(oneDocument))); err != nil {
		t.Fatal(err)
	}
	r.expect(t)
	body.Close()
	r.expect(t, oneUsage)
}

func TestBody_ReportsAsSoonAsTheLastEventIsRead(t *testing.T) {
	for _, last := range []string{
		"data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n",
		"data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1,\"total_tokens\":6}}}\n\n",
	} {
		var r reports
		const more = ": a connection that stays open\n\n"
		body := call(t, answer(eventMedia, strings.NewReader(last+more)), &r)
		if _, err := io.ReadFull(body, make([]byte, len(last))); err != nil {
			t.Fatal(err)
		}
		r.expect(t, oneUsage)
		if rest, err := io.ReadAll(body); err != nil || string(rest) != more {
			t.Errorf("rest %q, %v", rest, err)
		}
		body.Close()
		r.expect(t, oneUsage)
	}
}

func TestBody_ErrorOfReportComesAfterTheWholeBodyAndFromClose(t *testing.T) {
	exceeded := errors.New("budget exceeded")
	for _, tc := range []struct{ media, text string }{
		{jsonMedia, oneDocument},
		{eventMedia, "data: " + oneDocument + "\n\ndata: [DONE]\n\n: more\n\n"},
	} {
		r := reports{fail: exceeded}
		body := call(t, answer(tc.media, iotest.OneByteReader(strings.NewReader(tc.text))), &r)
		got, err := io.ReadAll(body)
		if string(got) != tc.text || !errors.Is(err, exceeded) {
			t.Errorf("read %q, %v; want all of it and the error of the report", got, err)
		}
		if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, exceeded) {
			t.Errorf("read on: %d, %v", n, err)
		}
		if err := body.Close(); !errors.Is(err, exceeded) {
			t.Errorf("close: %v", err)
		}
		r.expect(t, oneUsage)
	}
}

func TestBody_ErrorOfReportAtCloseJoinsThatOfTheBody(t *testing.T) {
	exceeded, torn := errors.New("budget exceeded"), errors.New("torn down")
	r := reports{fail: exceeded}
	body := call(t, answer(eventMedia, &closer{Reader: strings.NewReader(messageStart), err: torn}), &r)
	if _, err := io.ReadFull(body, make([]byte, len(messageStart))); err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); !errors.Is(err, exceeded) || !errors.Is(err, torn) {
		t.Errorf("close: %v; want both errors", err)
	}
}

func TestBody_ErrorOfTheBodyIsPassedOnAndWhatWasToldCounts(t *testing.T) {
	reset, exceeded := errors.New("connection reset"), errors.New("budget exceeded")
	broken := func() io.Reader { return io.MultiReader(strings.NewReader(messageStart), iotest.ErrReader(reset)) }

	var r reports
	if got, err := io.ReadAll(call(t, answer(eventMedia, broken()), &r)); string(got) != messageStart || !errors.Is(err, reset) {
		t.Errorf("read %q, %v; want the error as it is", got, err)
	}
	r.expect(t, startUsage)

	failing := reports{fail: exceeded}
	_, err := io.ReadAll(call(t, answer(eventMedia, broken()), &failing))
	if !errors.Is(err, reset) || !errors.Is(err, exceeded) {
		t.Errorf("error %v; want both", err)
	}
	failing.expect(t, startUsage)
}

func TestBody_ReportHasTheContextOfTheRequest(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "task 7"))
	called := false
	transport := &tokens.Transport{
		Base: answer(eventMedia, strings.NewReader(messageStart)),
		Report: func(ctx context.Context, _ tokens.Usage) error {
			called = true
			if ctx.Value(key{}) != "task 7" || ctx.Err() == nil {
				t.Errorf("value %v, error %v; want those of the request", ctx.Value(key{}), ctx.Err())
			}
			return nil
		},
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://model.test/", http.NoBody)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len(messageStart))); err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	if !called {
		t.Error("nothing was reported")
	}
}

func TestBody_CloseEndsAReadThatWaits(t *testing.T) {
	pr, pw := io.Pipe()
	var r reports
	body := call(t, answer(eventMedia, pr), &r)
	ended := make(chan error, 1)
	read := make(chan struct{})
	go func() {
		_, err := io.ReadFull(body, make([]byte, len(messageStart)))
		close(read)
		if err == nil {
			_, err = body.Read(make([]byte, 1))
		}
		ended <- err
	}()
	if _, err := pw.Write([]byte(messageStart)); err != nil {
		t.Fatal(err)
	}
	<-read
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the read ended with %v", err)
	}
	r.expect(t, startUsage)
}

func TestBody_ReportThatPanicsIsNotCalledAgain(t *testing.T) {
	calls := 0
	transport := &tokens.Transport{
		Base:   answer(jsonMedia, strings.NewReader(oneDocument)),
		Report: func(context.Context, tokens.Usage) error { calls++; panic("no budget") },
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://model.test/", http.NoBody)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = io.ReadAll(resp.Body)
	}()
	if err := resp.Body.Close(); err != nil || calls != 1 {
		t.Errorf("close: %v; %d calls, want 1", err, calls)
	}
}
