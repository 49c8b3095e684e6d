package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestServe_DiagnosticsAreOnAListenerOfTheirOwn: profiles there alone, metrics on both, nowhere with a token.
func TestServe_DiagnosticsAreOnAListenerOfTheirOwn(t *testing.T) {
	s := serveAs(t, map[string]string{"FF_STORE_URL": "memory:", "FF_API_TOKEN": "hunter2", "FF_METRICS_ADDR": "127.0.0.1:0"})
	defer s.end(t)
	var diagnostics string
	for _, line := range s.logs {
		if line["msg"] == "diagnostics listening" {
			diagnostics = "http://" + line["addr"].(string)
		}
	}
	s.post(t, "submit", "hunter2", `{"lane":"mail","kind":"send"}`)
	for _, c := range []struct {
		url  string
		want int
		has  string
	}{
		{diagnostics + "/debug/pprof/", http.StatusOK, "goroutine"},
		{diagnostics + "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile:"},
		{diagnostics + "/debug/pprof/cmdline", http.StatusOK, ""},
		{diagnostics + "/metrics", http.StatusOK, `ff_executions_created_total{lane="mail"} 1`},
		{diagnostics + "/v1/capabilities", http.StatusNotFound, ""},
		{s.api + "/metrics", http.StatusOK, `ff_executions_created_total{lane="mail"} 1`},
		{s.api + "/debug/pprof/", http.StatusUnauthorized, ""},
	} {
		if status, body := get(t, c.url); status != c.want || !strings.Contains(body, c.has) {
			t.Errorf("%s: status %d, %.200s", c.url, status, body)
		}
	}
}

func TestServe_MetricsCanBeOff(t *testing.T) {
	s := serveAs(t, map[string]string{"FF_STORE_URL": "memory:", "FF_METRICS": "false"})
	defer s.end(t)
	if status, _ := get(t, s.api+"/metrics"); status != http.StatusNotFound {
		t.Errorf("status %d", status)
	}
}

// TestServe_ExportsSpans to where the standard variables say, before it ends.
func TestServe_ExportsSpans(t *testing.T) {
	var spans atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" && r.Header.Get("X-Key") == "k" && err == nil && strings.Contains(string(body), "ff.submit") && strings.Contains(string(body), "orders") {
			spans.Add(1)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	s := serveAs(t, map[string]string{
		"FF_STORE_URL": "memory:", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_SERVICE_NAME": "orders",
	})
	s.post(t, "submit", "", `{"lane":"mail","kind":"send"}`)
	s.end(t)
	if spans.Load() == 0 {
		t.Error("no span came")
	}
}

func TestExporting_IsAskedForByTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, false},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, false},
	} {
		if got := exporting(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
