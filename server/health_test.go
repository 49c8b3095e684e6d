package server_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/server"
)

// ailing is a service whose store does not answer.
type ailing struct {
	flowfabric.Service
	err error
}

func (a *ailing) ListLanes(context.Context, flowfabric.ListLanes) (flowfabric.Page[flowfabric.LaneSnapshot], error) {
	return flowfabric.Page[flowfabric.LaneSnapshot]{}, a.err
}

func TestServer_TellsHowItIs(t *testing.T) {
	down := &flowfabric.Error{Code: flowfabric.CodeUnavailable, Detail: "secret"}
	for _, c := range []struct {
		path   string
		err    error
		status int
		want   string
	}{
		{"/livez", nil, 200, "ok"},
		{"/livez", down, 200, "ok"},
		{"/healthz", nil, 200, "ok"},
		{"/healthz", down, 500, "engine: ping: unavailable"},
		{"/healthz", errors.New("secret"), 500, "engine: ping: bug"},
		{"/readyz", nil, 200, "ok"},
		{"/readyz", down, 503, "backend op unavailable: ping"},
	} {
		h := over(t, &ailing{err: c.err}, server.Config{Token: "t"}) // which these need not present
		status, _, answer := ask(t, h, "GET", c.path, "")
		got, _ := answer["status"].(string)
		if status >= 300 {
			got, _ = answer["error"].(string)
		}
		if status != c.status || got != c.want {
			t.Errorf("%s with %v: %d %v; want %d %s", c.path, c.err, status, answer, c.status, c.want)
		}
	}
}

func TestServer_WithATokenNothingElseIsToldWithoutIt(t *testing.T) {
	h := over(t, &ailing{}, server.Config{Token: "the token"})
	for _, c := range []struct {
		method, path, header string
		status               int
	}{
		{"GET", "/v1/lanes", "Bearer the token", 200},
		{"GET", "/v1/lanes", "bearer the token", 200},
		{"GET", "/v1/lanes", "", 401},
		{"GET", "/v1/lanes", "the token", 401},
		{"GET", "/v1/lanes", "Basic the token", 401},
		{"GET", "/v1/lanes", "Bearer the toke", 401},
		{"GET", "/v1/lanes", "Bearer the token ", 401},
		{"GET", "/v1/nothing", "", 401},
		{"POST", "/v1/calls/submit", "", 401},
		{"POST", "/v1/leases/complete", "Bearer", 401},
		{"GET", "/v1/nothing", "Bearer the token", 404},
	} {
		status, _, answer := ask(t, h, c.method, c.path, "{}", "Authorization", c.header, "X-Request-Id", "r")
		if status != c.status {
			t.Errorf("%s %s with %q: status %d, want %d", c.method, c.path, c.header, status, c.status)
		}
		want := map[string]any{"error": "missing or invalid Authorization header", "code": "unauthorized", "request_id": "r"}
		if diff := cmp.Diff(want, answer); status == http.StatusUnauthorized && diff != "" {
			t.Errorf("%s: answer (-want +got):\n%s", c.path, diff)
		}
	}
}
