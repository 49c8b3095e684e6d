package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

// tripper makes requests without a network, so that tests own their time.
type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func through(t *testing.T, trip tripper, cfg client.Config) *client.Client {
	t.Helper()
	cfg.HTTP = &http.Client{Transport: trip}
	c, err := client.New("http://flows.test", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answered is an answer as a server gives it.
func answered(r *http.Request, status int, body string, header ...string) *http.Response {
	w := httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	res := w.Result()
	res.Request = r
	return res
}

func TestClient_ComesAgainWhenTheServerSays(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		header, body string
		want         time.Duration
	}{
		"429 in a header":           {429, "7", ``, 7 * time.Second},
		"503 in a header":           {503, "2", `<html>`, 2 * time.Second},
		"503 in the body, exactly":  {503, "2", `{"error":"x","code":"unavailable","retry_after_ms":1500}`, 1500 * time.Millisecond},
		"429 in the body, a minute": {429, "60", `{"error":"x","code":"resource_exhausted","retry_after_ms":60000}`, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var times []time.Time
				c1 := through(t, func(r *http.Request) (*http.Response, error) {
					times = append(times, clock.Real().Now())
					if len(times) == 1 {
						return answered(r, c.status, c.body, "Retry-After", c.header), nil
					}
					return answered(r, http.StatusOK, `{}`), nil
				}, client.Config{})
				if _, err := c1.ListLanes(t.Context(), flowfabric.ListLanes{}); err != nil {
					t.Fatal(err)
				}
				if len(times) != 2 || times[1].Sub(times[0]) != c.want {
					t.Errorf("asked at %v, want twice, %s apart", times, c.want)
				}
			})
		})
	}
}

// A worker whose server is away for a minute asks now and then, and works again when it is back.
func TestWorker_DoesNotSpinWhileTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := server.New(eng, server.Config{})
		if err != nil {
			t.Fatal(err)
		}
		began := clock.Real().Now()
		var lock sync.Mutex
		tries := map[string][]time.Duration{} // by who tried
		tripFor := func(who string) tripper {
			return func(r *http.Request) (*http.Response, error) {
				if at := clock.Real().Now().Sub(began); at < time.Minute {
					lock.Lock()
					defer lock.Unlock()
					tries[who] = append(tries[who], at)
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
				}
				w := httptest.NewRecorder()
				srv.ServeHTTP(w, r)
				return w.Result(), nil
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done, ended := make(chan time.Duration, 1), make(chan error, 2)
		for _, who := range []string{"one", "other"} {
			c := through(t, tripFor(who), client.Config{})
			w := worker.New(c, worker.Config{Lanes: []flowfabric.LaneID{"mail"}, PollWait: 10 * time.Second})
			worker.Handle(w, "send", func(context.Context, *worker.Task, struct{}) (struct{}, error) {
				done <- clock.Real().Now().Sub(began)
				return struct{}{}, nil
			})
			go func() { ended <- w.Run(ctx) }()
		}
		if _, err := eng.Submit(t.Context(), command); err != nil {
			t.Fatal(err)
		}
		if at := <-done; at > time.Minute+7*time.Second {
			t.Errorf("the work was begun %s after the start, want soon after the minute", at)
		}
		lock.Lock()
		defer lock.Unlock()
		for who, at := range tries {
			// A claim of four tries each 2.5 to 5 seconds, and likewise the signs of life: some two requests a second.
			if len(at) < 20 || len(at) > 200 {
				t.Errorf("%s asked %d times within the minute", who, len(at))
			}
			late := 0
			for _, when := range at {
				if when > 30*time.Second {
					late++
				}
			}
			if late > 100 {
				t.Errorf("%s asked %d times within the last half minute", who, late)
			}
		}
		same := 0
		for i, at := range tries["one"][1:] {
			if i+1 < len(tries["other"]) && tries["other"][i+1] == at {
				same++
			}
		}
		if same > 5 {
			t.Errorf("%d tries of both workers were at one moment", same)
		}
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := eng.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// A peer that does not speak as it should costs a caller no more than its time: every call ends with a code.
func TestClient_APeerThatDoesNotAnswerEndsInAnError(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		answer string
		hangUp bool
		want   error
	}{
		"says nothing":                 {"", false, flowfabric.ErrTimeout},
		"hangs up":                     {"", true, flowfabric.ErrTimeout},
		"stops within the head":        {"HTTP/1.1 200 OK\r\nContent-Ty", false, flowfabric.ErrTimeout},
		"hangs up within the head":     {"HTTP/1.1 200 OK\r\nContent-Ty", true, flowfabric.ErrTimeout},
		"stops within the body":        {head + "Content-Length: 100\r\n\r\n{\"at\":", false, flowfabric.ErrTimeout},
		"hangs up within the body":     {head + "Content-Length: 100\r\n\r\n{\"at\":", true, flowfabric.ErrTimeout},
		"hangs up within a chunk":      {head + "Transfer-Encoding: chunked\r\n\r\n64\r\n{\"at\":", true, flowfabric.ErrTimeout},
		"speaks another protocol":      {"220 smtp.example.com ESMTP\r\n", true, flowfabric.ErrTimeout},
		"is a proxy that has lost it":  {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>", true, flowfabric.ErrTimeout},
		"is a proxy that gave it up":   {"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>", true, flowfabric.ErrTimeout},
		"is not a server of this kind": {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>", true, flowfabric.ErrBug},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := peer(t, c.answer, c.hangUp)
			b, err := client.New(url, client.Config{Timeout: 150 * time.Millisecond, Tries: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			began := clock.Real().Now()
			_, err = b.ListLanes(t.Context(), flowfabric.ListLanes{})
			if !errors.Is(err, c.want) {
				t.Errorf("a read: %v, want %v", err, c.want)
			}
			if err := b.Complete(t.Context(), flowfabric.Complete{}); !errors.Is(err, c.want) {
				t.Errorf("a report: %v, want %v", err, c.want)
			}
			claim := flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Wait: 100 * time.Millisecond}
			if _, err := b.Claim(t.Context(), claim); !errors.Is(err, c.want) {
				t.Errorf("a claim: %v, want %v", err, c.want)
			}
			if took := clock.Real().Now().Sub(began); took > 10*time.Second {
				t.Errorf("they took %s, want two tries of 150 ms each, and 100 ms more for each of the claim", took)
			}
		})
	}
}

// peer accepts connections, answers each request with the same text and then says nothing more, or hangs up.
func peer(t *testing.T, answer string, hangUp bool) (url string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	over := make(chan struct{})
	serve := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		buf := make([]byte, 64<<10)
		if n, err := c.Read(buf); err != nil || !bytes.Contains(buf[:n], []byte("HTTP/1.1")) {
			return
		}
		_, _ = io.WriteString(c, answer)
		if !hangUp {
			<-over
		}
	}
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		close(over)
		_ = l.Close()
		conns.Wait()
	})
	return "http://" + l.Addr().String()
}

// What ten thousand handlers report at once travels in few requests, over few connections.
func TestClient_ManyReportsTakeFewRequestsAndConnections(t *testing.T) {
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close(context.WithoutCancel(t.Context())) }()
	srv, err := server.New(eng, server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var lock sync.Mutex
	opened, atOnce, most, requests := 0, 0, 0, map[string]int{}
	listening := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		requests[r.URL.Path]++
		atOnce++
		most = max(most, atOnce)
		lock.Unlock()
		srv.ServeHTTP(w, r)
		lock.Lock()
		atOnce--
		lock.Unlock()
	}))
	listening.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			lock.Lock()
			opened++
			lock.Unlock()
		}
	}
	listening.Start()
	defer listening.Close()
	c, err := client.New(listening.URL, client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	held := claimed(t, eng, 10_000)
	var group sync.WaitGroup
	for _, h := range held {
		group.Go(func() {
			if err := c.Complete(t.Context(), flowfabric.Complete{ExecutionID: h.ExecutionID, Fence: h.Fence}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for range 100 {
		if _, err := c.ListLanes(t.Context(), flowfabric.ListLanes{}); err != nil {
			t.Fatal(err)
		}
	}
	lock.Lock()
	defer lock.Unlock()
	t.Logf("%d connections, %d requests at once, requests %v", opened, most, requests)
	if got := requests["/v1/leases/complete"]; got < 10 || got > 60 {
		t.Errorf("%d requests for 10,000 reports, want 10 to 60", got)
	}
	if most > 4 {
		t.Errorf("%d requests at once, want 4 at most", most)
	}
	// A request that finds no idle connection has one dialled, and goes on the first that is free, that one or another: each
	// of the four may leave one behind that it did not need.
	if opened > 2*4+1 {
		t.Errorf("%d connections for four requests at once", opened)
	}
}

// claimed submits and claims n executions.
func claimed(t *testing.T, eng *engine.Engine, n int) (held []flowfabric.Claimed) {
	t.Helper()
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = command
	}
	if _, err := eng.SubmitMany(t.Context(), cmds); err != nil {
		t.Fatal(err)
	}
	for len(held) < n {
		got, err := eng.Claim(t.Context(), flowfabric.Claim{
			Lanes: []flowfabric.LaneID{command.Lane}, WorkerID: "w", WorkerInstanceID: "w-1", Max: min(n-len(held), flowfabric.MaxClaim), LeaseTTL: time.Hour,
		})
		if err != nil || len(got) == 0 {
			t.Fatalf("%d claimed of %d, %v", len(held), n, err)
		}
		held = append(held, got...)
	}
	return held
}

// What a server says of itself is not taken for more than it is.
func TestClient_AnEndlessAnswerIsCutOff(t *testing.T) {
	c := through(t, func(r *http.Request) (*http.Response, error) {
		res := answered(r, http.StatusOK, "")
		res.Body = io.NopCloser(io.LimitReader(spaces{}, 1<<40))
		return res, nil
	}, client.Config{})
	if _, err := c.ListLanes(t.Context(), flowfabric.ListLanes{}); !errors.Is(err, flowfabric.ErrBug) || !strings.Contains(err.Error(), "list_lanes") {
		t.Errorf("%v, want that the answer cannot be read", err)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
