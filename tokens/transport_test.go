package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/flowfabric/flowfabric/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip is a base transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer is a base that answers every request with a body of a media type.
func answer(media string, body io.Reader) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		rc, ok := body.(io.ReadCloser)
		if !ok {
			rc = io.NopCloser(body)
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {media}}, Body: rc, Request: req,
		}, nil
	}
}

// reports collects what is reported.
type reports struct {
	mu   sync.Mutex
	got  []tokens.Usage
	fail error
}

func (r *reports) report(_ context.Context, u tokens.Usage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, u)
	return r.fail
}

func (r *reports) expect(t rapid.TB, want ...tokens.Usage) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// call posts to a transport over base and returns the response's body.
func call(t rapid.TB, base http.RoundTripper, r *reports) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://model.test/v1/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&tokens.Transport{Base: base, Report: r.report}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Body
}

func TestRoundTrip_ReportsWhatAResponseUsed(t *testing.T) {
	for _, tc := range append(append([]response{}, documents...), streams...) {
		t.Run(tc.name, func(t *testing.T) {
			for name, body := range map[string]io.Reader{
				"whole":         strings.NewReader(tc.text),
				"byte by byte":  iotest.OneByteReader(strings.NewReader(tc.text)),
				"data with EOF": iotest.DataErrReader(strings.NewReader(tc.text)),
			} {
				var r reports
				got, err := io.ReadAll(call(t, answer(tc.media, body), &r))
				if err != nil || string(got) != tc.text {
					t.Errorf("%s: read %q, %v; want what was sent", name, got, err)
				}
				r.expect(t, tc.want...)
			}
		})
	}
}

// chunks reads text in pieces of the given sizes, over and over.
type chunks struct {
	text  []byte
	sizes []int
	next  int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.sizes[c.next%len(c.sizes)])], c.text)
	c.next++
	c.text = c.text[n:]
	return n, nil
}

func TestRoundTrip_PassesEveryByteOnAndCountsTheSameHoweverTheyCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tc := rapid.SampledFrom(append(append([]response{}, documents...), streams...)).Draw(t, "response")
		sizes := rapid.SliceOfN(rapid.IntRange(0, 80), 1, 8).Filter(func(s []int) bool {
			for _, n := range s {
				if n > 0 {
					return true
				}
			}
			return false
		}).Draw(t, "sizes")
		var r reports
		body := call(t, answer(tc.media, &chunks{text: []byte(tc.text), sizes: sizes}), &r)
		var got bytes.Buffer
		buf := make([]byte, rapid.IntRange(1, 200).Draw(t, "buffer"))
		for {
			n, err := body.Read(buf)
			got.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != tc.text {
			t.Errorf("read %q, want %q", got.String(), tc.text)
		}
		r.expect(t, tc.want...)
	})
}

func TestRoundTrip_PassesArbitraryBytesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		media := rapid.SampledFrom([]string{jsonMedia, eventMedia}).Draw(t, "media")
		var r reports
		got, err := io.ReadAll(call(t, answer(media, bytes.NewReader(text)), &r))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	})
}

const oneDocument = `{"usage":{"prompt_tokens":5,"completion_tokens":1}}`

var oneUsage = tokens.Usage{Provider: "openai", Input: 5, Output: 1, Total: 6}

func TestRoundTrip_LeavesOtherResponsesAlone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		method string
		status int
		header http.Header
		want   []tokens.Usage
	}{
		{"POST", http.MethodPost, 200, nil, []tokens.Usage{oneUsage}},
		{"created", http.MethodPost, 201, nil, []tokens.Usage{oneUsage}},
		{"encoding identity", http.MethodPost, 200, http.Header{"Content-Encoding": {"identity"}}, []tokens.Usage{oneUsage}},
		{"GET", http.MethodGet, 200, nil, nil},
		{"HEAD", http.MethodHead, 200, nil, nil},
		{"switching protocols", http.MethodPost, 101, nil, nil},
		{"redirect", http.MethodPost, 300, nil, nil},
		{"bad request", http.MethodPost, 400, nil, nil},
		{"overloaded", http.MethodPost, 529, nil, nil},
		{"compressed", http.MethodPost, 200, http.Header{"Content-Encoding": {"gzip"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r reports
			sent := io.NopCloser(strings.NewReader(oneDocument))
			base := roundTrip(func(*http.Request) (*http.Response, error) {
				h := http.Header{"Content-Type": {jsonMedia}}
				maps.Copy(h, tc.header)
				return &http.Response{StatusCode: tc.status, Header: h, Body: sent}, nil
			})
			req, _ := http.NewRequestWithContext(t.Context(), tc.method, "http://model.test/", http.NoBody)
			resp, err := (&tokens.Transport{Base: base, Report: r.report}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if untouched := resp.Body == sent; untouched == (tc.want != nil) {
				t.Errorf("body untouched: %v", untouched)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != oneDocument {
				t.Errorf("read %q, %v", got, err)
			}
			resp.Body.Close()
			r.expect(t, tc.want...)
		})
	}
}

func TestRoundTrip_ReturnsTheErrorOfTheBase(t *testing.T) {
	lost := errors.New("connection refused")
	base := roundTrip(func(*http.Request) (*http.Response, error) { return nil, lost })
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://model.test/", http.NoBody)
	resp, err := (&tokens.Transport{Base: base, Report: new(reports).report}).RoundTrip(req)
	if resp != nil {
		resp.Body.Close()
	}
	if resp != nil || !errors.Is(err, lost) {
		t.Errorf("got %v, %v; want the error as it is", resp, err)
	}
}

func TestRoundTrip_WithoutReportIsRefusedUnsent(t *testing.T) {
	base := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, errors.New("sent")
	})
	sent := &closer{Reader: strings.NewReader("{}")}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://model.test/", sent)
	resp, err := (&tokens.Transport{Base: base}).RoundTrip(req)
	if resp != nil {
		resp.Body.Close()
		t.Error("a response came back")
	}
	if err == nil || !strings.Contains(err.Error(), "Transport.Report is nil") {
		t.Errorf("error %v; want one that names Transport.Report", err)
	}
	if !sent.closed {
		t.Error("the request's body was not closed")
	}
}

func TestRoundTrip_NamesOfMoreThan256BytesAreLeftOut(t *testing.T) {
	for _, tc := range []struct {
		bytes int
		want  string
	}{{256, strings.Repeat("n", 256)}, {257, ""}} {
		name := strings.Repeat("n", tc.bytes)
		var r reports
		body := `{"id":"` + name + `","model":"` + name + `","usage":{"prompt_tokens":1}}`
		if _, err := io.ReadAll(call(t, answer(jsonMedia, strings.NewReader(body)), &r)); err != nil {
			t.Fatal(err)
		}
		r.expect(t, tokens.Usage{Provider: "openai", Model: tc.want, ResponseID: tc.want, Input: 1, Total: 1})
	}
}

func TestRoundTrip_LooksAtNoMoreThanMaxJSON(t *testing.T) {
	const limit = 8 << 20
	if tokens.MaxJSON != limit {
		t.Fatalf("MaxJSON is %d, want 8 MiB", tokens.MaxJSON)
	}
	document := func(size int) string { return oneDocument + strings.Repeat(" ", size-len(oneDocument)) }
	const small = "data: {\"usage\":{\"prompt_tokens\":2}}\n\n"
	for _, tc := range []struct {
		name, media, text string
		want              []tokens.Usage
	}{
		{"document at the bound", jsonMedia, document(limit), []tokens.Usage{oneUsage}},
		{"document beyond", jsonMedia, document(limit + 1), nil},
		{"event at the bound", eventMedia, "data: " + document(limit) + "\n\n", []tokens.Usage{oneUsage}},
		{"event beyond", eventMedia, "data: " + document(limit+1) + "\n\n", nil},
		{
			"events around one beyond", eventMedia, small + "data: " + document(2*limit) + "\n\n" + "data: {\"usage\":{\"prompt_tokens\":3}}\n\n",
			[]tokens.Usage{{Provider: "openai", Input: 3, Total: 3}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r reports
			got, err := io.ReadAll(call(t, answer(tc.media, strings.NewReader(tc.text)), &r))
			if err != nil || string(got) != tc.text {
				t.Errorf("read %d bytes, %v; want %d as they were sent", len(got), err, len(tc.text))
			}
			r.expect(t, tc.want...)
		})
	}
}
