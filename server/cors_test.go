package server_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/server"
)

// said are the headers for browsers of an answer.
func said(t *testing.T, h http.Handler, method, path, origin string) (int, map[string]string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := map[string]string{}
	for name, values := range w.Header() {
		if rest, ok := strings.CutPrefix(name, "Access-Control-"); ok || name == "Vary" {
			got[rest] = strings.Join(values, "; ")
		}
	}
	if w.Code == http.StatusOK && method == http.MethodOptions && w.Body.Len() > 0 {
		t.Errorf("a preflight is answered with %q", w.Body)
	}
	return w.Code, got
}

const (
	methods = "GET,POST,PUT,PATCH,DELETE"
	headers = "content-type,last-event-id,traceparent,x-request-id"
	vary    = "origin, access-control-request-method, access-control-request-headers"
)

// TestCORS_TellsBrowsersWhoMayCall has the cases of chapter 70, sections 6 and 12.
func TestCORS_TellsBrowsersWhoMayCall(t *testing.T) {
	for _, c := range []struct {
		name         string
		origins      []string
		token        string
		method, path string
		origin       string
		status       int
		want         map[string]string
	}{
		{"any, preflight", []string{"*"}, "", "OPTIONS", "/v1/lanes", "https://a.example", 200, map[string]string{
			"Allow-Origin": "*", "Allow-Methods": "*", "Allow-Headers": "*",
		}},
		{"any, without an origin, at no path", []string{"*"}, "", "OPTIONS", "/nothing", "", 200, map[string]string{
			"Allow-Origin": "*", "Allow-Methods": "*", "Allow-Headers": "*",
		}},
		{"any, call", []string{"*"}, "", "GET", "/livez", "https://a.example", 200, map[string]string{"Allow-Origin": "*", "Expose-Headers": "*"}},
		{"any beside others", []string{"https://a.example", "*"}, "", "GET", "/livez", "https://b.example", 200, map[string]string{
			"Allow-Origin": "*", "Expose-Headers": "*",
		}},
		{"any with a token names its header", []string{"*"}, "t", "OPTIONS", "/v1/lanes", "https://a.example", 200, map[string]string{
			"Allow-Origin": "*", "Allow-Methods": methods, "Allow-Headers": "authorization," + headers,
		}},
		{"a refusal can be read", []string{"*"}, "t", "GET", "/v1/lanes", "https://a.example", 401, map[string]string{
			"Allow-Origin": "*", "Expose-Headers": "*",
		}},
		{"list, preflight", []string{"https://a.example", "http://b.example:8080"}, "", "OPTIONS", "/v1/lanes", "http://b.example:8080", 200, map[string]string{
			"Allow-Origin": "http://b.example:8080", "Allow-Methods": methods, "Allow-Headers": headers, "Vary": vary,
		}},
		{"list with a token, preflight", []string{"https://a.example"}, "t", "OPTIONS", "/v1/lanes", "https://a.example", 200, map[string]string{
			"Allow-Origin": "https://a.example", "Allow-Methods": methods, "Allow-Headers": "authorization," + headers, "Vary": vary,
		}},
		{"list, call", []string{"https://a.example"}, "", "GET", "/livez", "https://a.example", 200, map[string]string{
			"Allow-Origin": "https://a.example", "Expose-Headers": "retry-after,x-request-id", "Vary": vary,
		}},
		{"list, in other words", []string{"HTTPS://A.example:443"}, "", "GET", "/livez", "https://a.example", 200, map[string]string{
			"Allow-Origin": "https://a.example", "Expose-Headers": "retry-after,x-request-id", "Vary": vary,
		}},
		{"list, another", []string{"https://a.example"}, "", "OPTIONS", "/v1/lanes", "https://a.example.evil", 200, map[string]string{
			"Allow-Methods": methods, "Allow-Headers": headers, "Vary": vary,
		}},
		{"mixed list", []string{"::", "https://a.example"}, "", "GET", "/livez", "https://a.example", 200, map[string]string{
			"Allow-Origin": "https://a.example", "Expose-Headers": "retry-after,x-request-id", "Vary": vary,
		}},
		{"empty list", nil, "", "OPTIONS", "/v1/lanes", "https://a.example", 200, map[string]string{
			"Allow-Methods": methods, "Allow-Headers": headers, "Vary": vary,
		}},
		{"metrics are not for pages", []string{"*"}, "", "OPTIONS", "/metrics", "https://a.example", 404, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := over(t, &ailing{}, server.Config{CORSOrigins: c.origins, Token: c.token})
			status, got := said(t, h, c.method, c.path, c.origin)
			if diff := cmp.Diff(c.want, got); diff != "" || status != c.status {
				t.Errorf("status %d, want %d; headers (-want +got):\n%s", status, c.status, diff)
			}
		})
	}
}

func TestCORS_WhatIsNoOriginIsLeftOutOrRefused(t *testing.T) {
	var log bytes.Buffer
	bad := []string{"null", "a.example", "https://a.example/path", "https://", "https://a b", "https://u@a.example", "https://a.example?q", "", "https://a.example/"}
	_, err := server.New(&ailing{}, server.Config{CORSOrigins: bad, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !errors.Is(err, flowfabric.ErrInvalidInput) || !strings.Contains(err.Error(), "all configured origins failed to parse") {
		t.Errorf("%v", err)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != len(bad) {
		t.Errorf("%d warnings for %d origins:\n%s", got, len(bad), &log)
	}
}
