package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/apicheck"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// at is a route of the document.
type at struct {
	method, path string
	operation
}

// address is the path with something for each parameter.
func (a at) address() string {
	path := a.path
	for _, p := range a.Parameters {
		if p.In != "path" {
			continue
		}
		value := "x"
		switch {
		case p.Schema["format"] == "uuid":
			value = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
		case p.Schema["pattern"] != nil:
			value = unknown
		case p.Schema["type"] == "integer":
			value = "0"
		case p.Schema["enum"] != nil:
			value = p.Schema["enum"].([]any)[0].(string)
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
	}
	return path
}

// allRoutes are the routes of the document, in order.
func allRoutes(t testing.TB, h http.Handler) []at {
	t.Helper()
	var all []at
	doc := read(t, h)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			all = append(all, at{strings.ToUpper(method), path, doc.Paths[path][method]})
		}
	}
	return all
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestServer_ABodyMayBeAsLargeAsItsRouteSays: one byte more is refused. Of the routes of one kind with one bound, one is tried.
func TestServer_ABodyMayBeAsLargeAsItsRouteSays(t *testing.T) {
	h := serving(t, server.Config{})
	tried := map[string]bool{}
	for _, a := range allRoutes(t, h) {
		if a.Body == nil {
			continue
		}
		if kind := fmt.Sprint(strings.SplitN(a.path, "/", 4)[:3], a.MaxBytes); tried[kind] {
			continue
		} else {
			tried[kind] = true
		}
		for size, want := range map[int64]int{a.MaxBytes: http.StatusBadRequest, a.MaxBytes + 1: http.StatusRequestEntityTooLarge} {
			r := httptest.NewRequestWithContext(t.Context(), a.method, a.address(), io.LimitReader(endless{}, size))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var answer map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if w.Code != want {
				t.Errorf("%s %s, %d bytes: %d %v", a.method, a.path, size, w.Code, answer)
			}
			if large := w.Code == http.StatusRequestEntityTooLarge; large && (answer["limit_bytes"] != float64(a.MaxBytes) || answer["route"] != a.path || answer["error"] != "payload_too_large") {
				t.Errorf("%s %s: %v", a.method, a.path, answer)
			}
		}
	}
	if len(tried) < 8 {
		t.Errorf("%d kinds of routes have a body", len(tried))
	}
}

// garbage are bodies that mean nothing, or too much.
var garbage = []string{
	"", "null", "[]", `"x"`, "0", "{", `{"`, `{"a`, `{"a":`, "{}x", "{}{}", "\xff\xfe", `{"execution_id":null}`, `{"execution_id":7}`, `{"items":null}`,
	`{"items":[null,0,"x",[],{}]}`, `{"items":[{"execution_id":{}}]}`, strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 5_000), `{"limit":-1}`,
	`{"limit":99999999999999999999}`, `{"wait_ms":-1}`, `{"wait_ms":1e400}`, `{"lanes":[""]}`, `{"id":"{fp:99999}:6ba7b810-9dad-41d1-80b4-00c04fd430c8"}`,
	`{"tags":{"":""}}`, `{"policy":{"retry_policy":null}}`, `{"limit":1.5}`, `{"condition":{"Composite":{}}}`, `{"execution_id":"{fp:65535}:ffffffff-ffff-ffff-ffff-ffffffffffff"}`,
}

// thrower throws requests at a server over an engine in memory.
type thrower struct {
	srv    http.Handler
	routes []at
}

func newThrower(tb testing.TB) *thrower {
	tb.Helper()
	eng, err := engine.Open(tb.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = eng.Close(context.Background()) })
	srv, err := server.New(eng, server.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return &thrower{srv: srv, routes: allRoutes(tb, srv)}
}

// throw makes a request that may be anything, and fails the test if that is the server's fault.
func (th *thrower) throw(t testing.TB, a *at, query, body string) {
	t.Helper()
	patience := time.Second
	if a.Class == "waits" {
		patience = 5 * time.Millisecond // nobody waits for garbage
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !slices.ContainsFunc(a.Parameters, func(p param) bool { return p.In == "query" }) {
		query = "" // it is not looked at
	}
	r, err := http.NewRequestWithContext(ctx, a.method, "http://h"+a.address(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	apicheck.Checked(t, th.srv).ServeHTTP(w, r)
	if w.Code >= 500 && w.Code != http.StatusServiceUnavailable && ctx.Err() == nil {
		t.Errorf("%s %s?%s with %.200q: %d %s", a.method, a.address(), query, body, w.Code, w.Body)
	}
}

func TestServer_GarbageIsNeverTheServersFault(t *testing.T) {
	th := newThrower(t)
	for i := range th.routes {
		a := &th.routes[i]
		for j := range garbage {
			if (i+j)%10 == 0 && a.Body != nil { // each has its share
				th.throw(t, a, "", garbage[j])
			}
		}
		for _, query := range []string{"", "a=b", "limit=-1", "limit=x", "limit=1&limit=2", "after=%ff", "wait_ms=1e99", "cursor=%00", "%zz", "states=,,", "filter.types=,"} {
			if a.Body == nil {
				th.throw(t, a, query, "")
			}
		}
	}
}

func FuzzServer(f *testing.F) {
	th := newThrower(f)
	for i := range th.routes {
		f.Add(uint16(i), "limit=1", `{"execution_id":"`+unknown+`","limit":1}`)
	}
	for _, body := range garbage {
		f.Add(uint16(0), "", body)
	}
	f.Fuzz(func(t *testing.T, route uint16, query, body string) {
		th.throw(t, &th.routes[int(route)%len(th.routes)], query, body)
	})
}

// TestServe_SlowCallersHoldNothingForLong: over sockets, with bounds that a test can wait for.
func TestServe_SlowCallersHoldNothingForLong(t *testing.T) {
	const bound = 100 * time.Millisecond
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	cfg := server.Config{HeaderTimeout: bound, BodyTimeout: 2 * bound, WriteTimeout: 2 * bound, IdleTimeout: bound, MaxWrites: 100}
	go func() { ended <- over(t, &ailing{}, cfg).Serve(ctx, l) }()
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for i := range 100 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		for _, text := range []string{
			"", "GET /livez HTTP/1.1\r\nHost: ", "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", head + "\r\n{", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{",
		}[i%5 : i%5+1] {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := clock.Real().Now()
	for i, conn := range conns {
		if err := conn.SetReadDeadline(start.Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	for deadline := start.Add(10 * time.Second); runtime.NumGoroutine() > before+1; runtime.Gosched() {
		if clock.Real().Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
