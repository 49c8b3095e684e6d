package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/apicheck"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a server over an engine in memory, with something before it, and a client.
type bed struct {
	*client.Client
	eng    *engine.Engine
	before atomic.Pointer[hook]
	calls  atomic.Int64
}

// hook sees every request before the server does; true: it has answered.
type hook func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool

func newBed(t *testing.T, before hook) *bed {
	t.Helper()
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close(context.Background()) })
	srv, err := server.New(eng, server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	checked := apicheck.Checked(t, srv)
	b := &bed{eng: eng}
	b.before.Store(&before)
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/capabilities" {
			b.calls.Add(1)
			if before := *b.before.Load(); before != nil && before(w, r, checked) {
				return
			}
		}
		checked.ServeHTTP(w, r)
	}))
	t.Cleanup(listening.Close)
	if b.Client, err = client.New(listening.URL, client.Config{Timeout: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

var command = flowfabric.Submit{Lane: "mail", Kind: "send"}

// cut ends a connection without an answer.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestNew_RefusesWhatIsNoServer(t *testing.T) {
	for _, base := range []string{"", "localhost:9090", "ftp://host", "http://", "http://host/?a=b", "http://host#x", "http://ho st"} {
		if _, err := client.New(base, client.Config{}); !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%q: %v, want invalid_input", base, err)
		}
	}
	for name, cfg := range map[string]client.Config{"timeout": {Timeout: time.Millisecond}, "long": {Timeout: time.Hour}, "tries": {Tries: 101}} {
		if _, err := client.New("http://localhost", cfg); !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%s: %v, want invalid_input", name, err)
		}
	}
}

func TestClient_ALostAnswerOfASubmissionMakesOneExecution(t *testing.T) {
	var lost atomic.Int64
	b := newBed(t, func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if lost.Add(1) <= 2 {
			serve.ServeHTTP(httptest.NewRecorder(), r) // it is done, and nobody learns of it
			cut(w)
		}
		return false
	})
	res, err := b.Submit(t.Context(), command)
	if err != nil || res.Outcome != flowfabric.Duplicate {
		t.Fatalf("%+v, %v; want the duplicate of the first try", res, err)
	}
	page, err := b.List(t.Context(), flowfabric.ListExecutions{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d executions, %v; want one", len(page.Items), err)
	}
}

func TestClient_WhatMayNotBeRepeatedIsNot(t *testing.T) {
	b := newBed(t, nil)
	res, err := b.Submit(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Cancel(t.Context(), flowfabric.Cancel{ExecutionID: res.ID}); err != nil {
		t.Fatal(err)
	}
	b.calls.Store(0)
	lose := hook(func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		serve.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
		return true
	})
	b.before.Store(&lose)
	_, err = b.Replay(t.Context(), flowfabric.Replay{ExecutionID: res.ID})
	if !errors.Is(err, flowfabric.ErrTimeout) || b.calls.Load() != 1 {
		t.Errorf("%d calls, %v; want one, and that its outcome is not known", b.calls.Load(), err)
	}
	b.before.Store(new(hook))
	if s, err := b.Describe(t.Context(), res.ID); err != nil || s.ReplayCount != 1 {
		t.Errorf("%d replays, %v", s.ReplayCount, err)
	}
}

func TestClient_WhatTheServerHasNotDoneIsRepeatedWhenItAsksFor(t *testing.T) {
	var asked []time.Time
	b := newBed(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		asked = append(asked, time.Now()) //nolint:forbidigo // the pause is real
		if len(asked) > 1 {
			return false
		}
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":"busy","code":"resource_exhausted","retryable":true,"retry_after_ms":200}`))
		return true
	})
	if _, err := b.Replay(t.Context(), flowfabric.Replay{}); !errors.Is(err, flowfabric.ErrInvalidInput) {
		t.Errorf("replay: %v, want the answer of the second try", err)
	}
	if len(asked) != 2 || asked[1].Sub(asked[0]) < 200*time.Millisecond {
		t.Errorf("asked at %v, want twice, 200 ms apart at least", asked)
	}
}

func TestClient_AServerThatIsNotThereIsUnavailable(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	_ = l.Close()
	c, err := client.New(base, client.Config{Tries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Describe(t.Context(), flowfabric.ExecutionID{}); !errors.Is(err, flowfabric.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
}

// Only who knows that nothing was done may say so: it tells a caller to make the call anew.
func TestClient_WhatAnEarlierTryMayHaveDoneIsNotCalledUndone(t *testing.T) {
	for name, tc := range map[string]struct {
		lost bool
		want error
	}{
		"every try was turned away":       {false, flowfabric.ErrUnavailable},
		"the answer of the first is lost": {true, flowfabric.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			b := newBed(t, func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
				if calls.Add(1) == 1 && tc.lost {
					serve.ServeHTTP(httptest.NewRecorder(), r)
					cut(w)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte(`{"error":"closing","code":"unavailable","retryable":true,"retry_after_ms":1}`))
				return true
			})
			_, err := b.Submit(t.Context(), command)
			if !errors.Is(err, tc.want) || calls.Load() != 4 {
				t.Errorf("%d tries, %v; want four and %v", calls.Load(), err, tc.want)
			}
			if errors.Is(err, flowfabric.ErrTimeout) && !strings.Contains(err.Error(), "an earlier try") {
				t.Errorf("%v; want to be told of the earlier try", err)
			}
		})
	}
}

// The first try of a claim saves the server the look for what an earlier one was granted; a repeat has to ask for it.
func TestClient_OnlyTheFirstTryOfAClaimIsTheFirst(t *testing.T) {
	var tries []flowfabric.Claim
	b := newBed(t, func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/claim") {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		var cmd flowfabric.Claim
		if err := wire.Unmarshal(body, &cmd); err != nil {
			t.Error(err)
		}
		tries = append(tries, cmd)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if len(tries) == 1 {
			serve.ServeHTTP(httptest.NewRecorder(), r)
			cut(w)
		}
		return false
	})
	res, err := b.Submit(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	claim := flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1"}
	got, err := b.Claim(t.Context(), claim)
	if err != nil || len(got) != 1 || got[0].ExecutionID != res.ID {
		t.Errorf("claimed %+v, %v; want what the first try was granted", got, err)
	}
	claim.RequestID = "mine"
	if _, err := b.Claim(t.Context(), claim); err != nil {
		t.Error(err)
	}
	var first []bool
	for _, cmd := range tries {
		first = append(first, cmd.FirstTry)
	}
	if !slices.Equal(first, []bool{true, false, false}) || tries[0].RequestID != tries[1].RequestID || tries[2].RequestID != "mine" {
		t.Errorf("tries %+v; want the first to say so, its repeat not, nor one whose id is the caller's", tries)
	}
}

func TestClient_ACallEndsWithItsContext(t *testing.T) {
	b := newBed(t, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool { <-r.Context().Done(); return true })
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := b.Describe(ctx, flowfabric.ExecutionID{}); !errors.Is(err, flowfabric.ErrTimeout) || !errors.Is(err, why) {
		t.Errorf("%v, want timeout because of the context", err)
	}
	if err := b.Complete(ctx, flowfabric.Complete{}); !errors.Is(err, flowfabric.ErrTimeout) || !errors.Is(err, why) {
		t.Errorf("a batched call: %v, want timeout because of the context", err)
	}
}

func TestClient_ReportsThatComeTogetherGoTogether(t *testing.T) {
	const n = 500
	b := newBed(t, nil)
	cmds := make([]flowfabric.Submit, n)
	for i := range cmds {
		cmds[i] = command
	}
	if _, err := b.SubmitMany(t.Context(), cmds); err != nil {
		t.Fatal(err)
	}
	claimed, err := b.Claim(t.Context(), flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Max: n})
	if err != nil || len(claimed) != n {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	b.calls.Store(0)
	var group sync.WaitGroup
	for _, c := range claimed {
		group.Go(func() {
			if err := b.Complete(t.Context(), flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte("1")}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if calls := b.calls.Load(); calls > n/4 {
		t.Errorf("%d requests for %d reports", calls, n)
	}
	for _, c := range claimed {
		if r, err := b.eng.Result(t.Context(), c.ExecutionID); err != nil || string(r.Payload) != "1" {
			t.Fatalf("result %+v, %v", r, err)
		}
	}
}

func TestClient_EachReportOfABatchHasItsOwnAnswer(t *testing.T) {
	b := newBed(t, nil)
	res, err := b.Submit(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := b.Complete(t.Context(), flowfabric.Complete{ExecutionID: res.ID}); !errors.Is(err, flowfabric.ErrFenceRequired) {
				t.Errorf("%v, want fence_required", err)
			}
		})
	}
	group.Wait()
}

func TestClient_WhatALostClaimWasGrantedIsGivenBack(t *testing.T) {
	var lost atomic.Bool
	b := newBed(t, func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/claim") || !lost.CompareAndSwap(false, true) {
			return false
		}
		serve.ServeHTTP(httptest.NewRecorder(), r)
		return false // it takes too long to say so: the caller has gone
	})
	if _, err := b.Submit(t.Context(), command); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ends := after(*b.before.Load(), cancel)
	b.before.Store(&ends)
	claim := flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1"}
	if _, err := b.Claim(ctx, claim); !errors.Is(err, flowfabric.ErrTimeout) {
		t.Fatalf("%v, want timeout", err)
	}
	b.Close() // waits for it
	got, err := b.Claim(t.Context(), flowfabric.Claim{Lanes: claim.Lanes, WorkerID: "w", WorkerInstanceID: "w-2"})
	if err != nil || len(got) != 1 || !got[0].Resumed {
		t.Errorf("%+v, %v; want the attempt that was given back", got, err)
	}
}

// after ends the caller's context behind a request.
func after(before hook, cancel context.CancelFunc) hook {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		done := before(w, r, serve)
		once.Do(func() {
			cancel()
			<-r.Context().Done()
		})
		return done
	}
}

func TestWorker_RunsOnAServerAsOnAnEngine(t *testing.T) {
	b := newBed(t, nil)
	w := worker.New(b.Client, worker.Config{Lanes: []flowfabric.LaneID{"mail"}, Concurrency: 8, PollWait: time.Second})
	worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, in int) (int, error) {
		if t.Attempt() == 0 && in%10 == 0 {
			return 0, errors.New("once")
		}
		if err := worker.Stream(ctx).Text("n", "working"); err != nil {
			return 0, err
		}
		return worker.Step(ctx, "double", func(context.Context) (int, error) { return 2 * in, nil })
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	ids := make([]flowfabric.ExecutionID, 40)
	for i := range ids {
		res, err := b.Submit(t.Context(), flowfabric.Submit{
			Lane: "mail", Kind: "send", Payload: []byte(strconv.Itoa(i)),
			Policy: flowfabric.Retry(1, &flowfabric.Backoff{Type: flowfabric.BackoffFixed, DelayMS: 1}),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = res.ID
	}
	for i, id := range ids {
		res, err := b.Wait(t.Context(), id, 20*time.Second)
		if want := strconv.Itoa(2 * i); err != nil || res.Outcome != flowfabric.OutcomeSuccess || string(res.Payload) != want {
			t.Errorf("execution %d: %+v, %v; want %s", i, res, err, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A worker whose key is limited to its lane runs as any other.
func TestWorker_WithAKeyOfItsLane(t *testing.T) {
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close(context.Background()) }()
	srv, err := server.New(eng, server.Config{RequireKey: true})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	key, err := eng.CreateKey(t.Context(), flowfabric.CreateKey{
		Name: "mailer", Roles: []flowfabric.Role{flowfabric.RoleWorker}, Lanes: []flowfabric.LaneID{"mail"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(web.URL, client.Config{Token: key.Text.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Submit(t.Context(), flowfabric.Submit{Lane: "mail", Kind: "send"}); !errors.Is(err, flowfabric.ErrForbidden) {
		t.Errorf("a worker submits: %v, want forbidden", err)
	}
	w := worker.New(c, worker.Config{Lanes: []flowfabric.LaneID{"mail"}})
	worker.Handle(w, "send", func(ctx context.Context, task *worker.Task, in int) (int, error) {
		return worker.Step(ctx, "double", func(context.Context) (int, error) { return 2 * in, nil })
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	made, err := eng.Submit(t.Context(), flowfabric.Submit{Lane: "mail", Kind: "send", Payload: []byte("21")})
	if err != nil {
		t.Fatal(err)
	}
	res, err := eng.Wait(t.Context(), made.ID, time.Minute)
	if err != nil || string(res.Payload) != "42" {
		t.Errorf("result %+v, %v", res, err)
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	wrong, err := client.New(web.URL, client.Config{Token: "ffk_wrong"})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	if _, err := wrong.ListLanes(t.Context(), flowfabric.ListLanes{}); !errors.Is(err, flowfabric.ErrUnauthorized) {
		t.Errorf("with a wrong key: %v, want unauthorized", err)
	}
}
