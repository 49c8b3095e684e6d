package server_test

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// house is an engine in memory whose clock stands still, and counts how often keys are looked up.
type house struct {
	flowfabric.Service
	clock   *clock.Sim
	lookups atomic.Int64
	down    atomic.Bool
}

func (h *house) VerifyKey(ctx context.Context, cmd flowfabric.VerifyKey) (flowfabric.KeySnapshot, error) {
	h.lookups.Add(1)
	if h.down.Load() {
		return flowfabric.KeySnapshot{}, &flowfabric.Error{Code: flowfabric.CodeUnavailable}
	}
	return h.Service.VerifyKey(ctx, cmd)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{clock: clock.NewSim(time.Unix(1_700_000_000, 0))}
	st := memory.New(memory.Config{Clock: func() flowfabric.Timestamp { return flowfabric.TimestampOf(h.clock.Now()) }})
	eng, err := engine.Open(t.Context(), st, engine.Config{Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h.Service = eng
	return h
}

// serve serves the house; keys are asked for.
func (h *house) serve(t *testing.T, cfg server.Config) *server.Server {
	t.Helper()
	cfg.RequireKey, cfg.Clock = true, h.clock
	s := over(t, h, cfg)
	s.BeatAtOnce()
	return s
}

func (h *house) key(t *testing.T, cmd flowfabric.CreateKey) flowfabric.IssuedKey {
	t.Helper()
	if cmd.Name == "" {
		cmd.Name = "key"
	}
	issued, err := h.CreateKey(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func admin() []flowfabric.Role { return []flowfabric.Role{flowfabric.RoleAdmin} }

func bearer(text flowfabric.KeyText) []string {
	return []string{"Authorization", "Bearer " + text.Reveal(), "X-Request-Id", "r"}
}

var parameter = regexp.MustCompile(`\{[a-z_]+\}`)

func TestAuthority_NoRouteAnswersWithoutIt(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{Token: "the token"})
	good, revoked := h.key(t, flowfabric.CreateKey{Roles: admin()}), h.key(t, flowfabric.CreateKey{Roles: admin()})
	expired, rotated := h.key(t, flowfabric.CreateKey{Roles: admin(), ExpiresIn: time.Second}), h.key(t, flowfabric.CreateKey{Roles: admin()})
	if _, err := h.RevokeKey(t.Context(), flowfabric.RevokeKey{KeyID: revoked.Key.KeyID}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RotateKey(t.Context(), flowfabric.RotateKey{KeyID: rotated.Key.KeyID}); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Second)
	text := good.Text.Reveal()
	bad := map[string]string{
		"none": "", "no token": "Bearer", "another scheme": "Basic " + text, "no scheme": text, "revoked": "Bearer " + revoked.Text.Reveal(),
		"expired": "Bearer " + expired.Text.Reveal(), "rotated": "Bearer " + rotated.Text.Reveal(), "cut off": "Bearer " + text[:len(text)-1],
		"another secret": "Bearer " + text[:21] + revoked.Text.Reveal()[21:], "another token": "Bearer the toke", "a JWT": "Bearer a.b.c",
		"too long": "Bearer " + strings.Repeat("a", 16<<10+1), "two spaces": "Bearer  " + text,
	}
	// Who watches a server has no authority, what describes the API is no secret, and a signal has an authority of its own.
	free := []string{
		"GET /docs", "GET /healthz", "GET /livez", "GET /openapi.json", "GET /readyz", "GET /v1/openapi.json", "POST /v1/calls/deliver_signal", "POST /v1/calls/seal_link", "POST /v1/calls/signal_by_link",
		"POST /v1/executions/{id}/signal", "POST /v1/signals/{link}",
	}
	var open []string
	for _, r := range s.Routes() {
		if r.Path == "/docs" { // is no JSON
			open = append(open, r.Method+" "+r.Path)
			continue
		}
		path := parameter.ReplaceAllString(r.Path, "a")
		for name, header := range bad {
			status, _, answer := ask(t, s, r.Method, path, "{}", "Authorization", header, "X-Request-Id", "r")
			if status != 401 {
				if pattern := r.Method + " " + r.Path; !slices.Contains(open, pattern) {
					open = append(open, pattern)
				}
				continue
			}
			want := map[string]any{"error": "missing or invalid Authorization header", "code": "unauthorized", "request_id": "r"}
			if diff := cmp.Diff(want, answer); diff != "" {
				t.Errorf("%s %s, %s: answer (-want +got):\n%s", r.Method, r.Path, name, diff)
			}
		}
		for _, header := range []string{"Bearer " + text, "bearer " + text, "Bearer the token"} {
			if status, _, answer := ask(t, s, r.Method, path, "{}", "Authorization", header); status == 401 || status == 403 {
				t.Errorf("%s %s with a good key: %d %v", r.Method, r.Path, status, answer)
			}
		}
	}
	slices.Sort(open)
	if diff := cmp.Diff(free, open); diff != "" {
		t.Errorf("routes without an authority (-want +got):\n%s", diff)
	}
	if status, _, _ := ask(t, s, "GET", "/v1/nothing", ""); status != 401 {
		t.Errorf("where there is nothing, status %d, want 401", status)
	}
}

func TestAuthority_RolesAreWhatTheySay(t *testing.T) {
	for role, want := range map[flowfabric.Role]string{
		"viewer": "viewer", "submitter": "viewer submitter", "worker": "viewer worker", "operator": "viewer submitter operator",
		"admin": "viewer submitter worker operator admin", "": "", "root": "",
	} {
		h := newHouse(t)
		s := over(t, h, server.Config{Authenticator: known{Name: "ann", Roles: []flowfabric.Role{role}}})
		var may []string
		for _, needed := range []struct {
			role, op string
		}{{"viewer", "list_lanes"}, {"submitter", "submit"}, {"worker", "renew"}, {"operator", "replay"}, {"admin", "create_quota"}} {
			status, _, answer := ask(t, s, "POST", "/v1/calls/"+needed.op, "{}", "Authorization", "Bearer t", "X-Request-Id", "r")
			if status != 403 {
				may = append(may, needed.role)
				continue
			}
			want := map[string]any{
				"error": "forbidden", "kind": "forbidden", "retryable": false, "code": "forbidden", "op": needed.op,
				"detail": "it needs the role " + needed.role, "request_id": "r",
			}
			if diff := cmp.Diff(want, answer); diff != "" {
				t.Errorf("%s by %s: answer (-want +got):\n%s", needed.op, role, diff)
			}
		}
		if got := strings.Join(may, " "); got != want {
			t.Errorf("%q may do what %q may, want %q", role, got, want)
		}
	}
}

// known is an authority that takes every token for the same.
type known server.Principal

func (k known) Authenticate(context.Context, string) (server.Principal, error) {
	return server.Principal(k), nil
}

// No role of a worker lets it override who holds a lease, and none but its own lets it cancel.
func TestAuthority_AWorkerActsForLeasesItHolds(t *testing.T) {
	s := over(t, newHouse(t), server.Config{Authenticator: known{Name: "w", Roles: []flowfabric.Role{"worker"}}})
	id := `"execution_id":"` + unknown + `"`
	fence := `"fence":{"lease_id":"550e8400-e29b-41d4-a716-446655440000","epoch":1,"attempt_id":"550e8400-e29b-41d4-a716-446655440001"}`
	for _, c := range []struct {
		op, body string
		status   int
	}{
		{"complete", fence, 404},
		{"complete", `"source":"operator_override"`, 403},
		{"fail", `"source":"operator_override"`, 403},
		{"delay", `"source":"operator_override","for_ms":1000`, 403},
		{"cancel", `"source":"lease_holder",` + fence, 404},
		{"cancel", `"source":"worker",` + fence, 404},
		{"cancel", fence, 403},
		{"cancel", `"source":"lease_holder"`, 403},
		{"cancel", `"source":"system_timeout",` + fence, 403},
		{"cancel", `"source":"anybody",` + fence, 403},
	} {
		if status, _, answer := ask(t, s, "POST", "/v1/calls/"+c.op, "{"+id+","+c.body+"}", "Authorization", "Bearer t"); status != c.status {
			t.Errorf("%s %s: %d %v, want %d", c.op, c.body, status, answer, c.status)
		}
	}
}

func TestAuthority_IsBelievedForFiveSeconds(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	k := h.key(t, flowfabric.CreateKey{Roles: admin()})
	status := func(text flowfabric.KeyText) int {
		status, _, _ := ask(t, s, "GET", "/v1/lanes", "", bearer(text)...)
		return status
	}
	for range 100 {
		if got := status(k.Text); got != 200 {
			t.Fatalf("status %d", got)
		}
	}
	if got := h.lookups.Load(); got != 1 {
		t.Errorf("100 requests looked the key up %d times, want once", got)
	}
	if _, err := h.RevokeKey(t.Context(), flowfabric.RevokeKey{KeyID: k.Key.KeyID}); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(5*time.Second - time.Millisecond)
	before := status(k.Text)
	h.clock.Advance(time.Millisecond)
	for range 100 {
		if got := status(k.Text); before != 200 || got != 401 {
			t.Fatalf("a revoked key: status %d within five seconds and %d after", before, got)
		}
	}
	if got := h.lookups.Load(); got != 2 {
		t.Errorf("a refused key was looked up %d times, want twice in all", got)
	}
}

func TestAuthority_StrangersCostLittleAndKeepNobodyOut(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	k := h.key(t, flowfabric.CreateKey{Roles: admin()})
	if status, _, _ := ask(t, s, "GET", "/v1/lanes", "", bearer(k.Text)...); status != 200 {
		t.Fatal(status)
	}
	h.lookups.Store(0)
	made := 0
	flood := func() (got [2]int) {
		for range 1000 {
			made++
			text := flowfabric.NewKeyText([flowfabric.KeyIDBytes]byte{byte(made >> 8), byte(made)}, [flowfabric.KeySecretBytes]byte{})
			status, header, answer := ask(t, s, "GET", "/v1/lanes", "", bearer(text)...)
			switch status {
			case 401:
				got[0]++
			case 429:
				got[1]++
				if answer["code"] != "rate_limit_exceeded" || header.Get("Retry-After") != "1" {
					t.Fatalf("Retry-After %q, %v", header.Get("Retry-After"), answer)
				}
			}
		}
		return got
	}
	// The key took one of the hundred there are at once; fifty come back each second.
	if got, want := flood(), [2]int{99, 901}; got != want || h.lookups.Load() != 99 {
		t.Errorf("refused and held off: %v, want %v; %d lookups, want 99", got, want, h.lookups.Load())
	}
	h.clock.Advance(time.Second)
	if got, want := flood(), [2]int{50, 950}; got != want {
		t.Errorf("a second later: %v, want %v", got, want)
	}
	h.clock.Advance(4 * time.Second)
	flood()
	if status, _, _ := ask(t, s, "GET", "/v1/lanes", "", bearer(k.Text)...); status != 200 {
		t.Errorf("meanwhile a key that is known is answered %d", status)
	}
}

func TestAuthority_OneLookUpAnswersAllWhoWait(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	k := h.key(t, flowfabric.CreateKey{Roles: admin()})
	var group sync.WaitGroup
	for range 500 {
		group.Go(func() {
			if status, _, answer := ask(t, s, "GET", "/v1/lanes", "", bearer(k.Text)...); status != 200 {
				t.Errorf("%d %v", status, answer)
			}
		})
	}
	group.Wait()
	if got := h.lookups.Load(); got != 1 {
		t.Errorf("%d lookups, want one", got)
	}
}

func TestAuthority_ThatCannotBeAskedRefusesNobody(t *testing.T) {
	h := newHouse(t)
	s := h.serve(t, server.Config{})
	k := h.key(t, flowfabric.CreateKey{Roles: admin()})
	h.down.Store(true)
	if status, _, answer := ask(t, s, "GET", "/v1/lanes", "", bearer(k.Text)...); status != 503 {
		t.Errorf("without the store: %d %v, want 503", status, answer)
	}
	h.down.Store(false)
	if status, _, answer := ask(t, s, "GET", "/v1/lanes", "", bearer(k.Text)...); status != 200 {
		t.Errorf("when it is back: %d %v", status, answer)
	}
}

func TestServe_WithoutAnyAuthorityOnLoopbackOnly(t *testing.T) {
	for _, c := range []struct {
		addr string
		cfg  server.Config
		good bool
	}{
		{"127.0.0.1:0", server.Config{}, true},
		{"0.0.0.0:0", server.Config{}, false},
		{":0", server.Config{}, false},
		{"0.0.0.0:0", server.Config{Token: "t"}, true},
		{"0.0.0.0:0", server.Config{RequireKey: true}, true},
		{"0.0.0.0:0", server.Config{Authenticator: known{}}, true},
	} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err = over(t, &blocking{}, c.cfg).Serve(ctx, l)
		if c.good && err != nil || !c.good && !errors.Is(err, flowfabric.ErrInvalidInput) {
			t.Errorf("%s with %+v: %v", c.addr, c.cfg, err)
		}
		if _, err := l.Accept(); err == nil {
			t.Errorf("%s: the listener is still open", c.addr)
		}
	}
}
