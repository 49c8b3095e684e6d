package server_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/server"
)

// page asks for /metrics.
func page(t *testing.T, h http.Handler, method string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/metrics", nil))
	return w
}

// TestMetrics_AreOpenAndTellOfRequests: chapter 70, route 29, and chapter 80, section 10.
func TestMetrics_AreOpenAndTellOfRequests(t *testing.T) {
	h := serving(t, server.Config{Token: "secret", Metrics: observe.NewMetrics(), Version: "v1.2.3"})
	auth := []string{"Authorization", "Bearer secret"}
	ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail","kind":"send"}`, auth...)
	ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail","kind":"send"}`, auth...)
	ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail"}`, auth...)
	ask(t, h, "POST", "/v1/calls/submit", `{}`)
	ask(t, h, "GET", "/v1/executions/not-an-id", "", auth...)
	ask(t, h, "BREW", "/coffee/7f3c", "", auth...)
	ask(t, h, "GET", "/healthz", "")
	page(t, h, "GET")
	w := page(t, h, "GET")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("status %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	for _, line := range []string{
		`ff_http_requests_total{method="POST",path="/v1/calls/submit",status="200"} 2`,
		`ff_http_requests_total{method="POST",path="/v1/calls/submit",status="400"} 1`,
		`ff_http_requests_total{method="POST",path="/v1/calls/submit",status="401"} 1`,
		`ff_http_requests_total{method="OTHER",path="unknown",status="404"} 1`,
		`ff_http_requests_total{method="GET",path="/healthz",status="200"} 1`,
		`ff_http_request_duration_seconds_count{method="POST",path="/v1/calls/submit",status="200"} 2`,
		`ff_store_op_duration_seconds_count{op="submit",outcome="ok"} 2`,
		`ff_build_info{version="v1.2.3"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("it has no line %s", line)
		}
	}
	for _, text := range []string{"7f3c", "not-an-id", "BREW", `path="/metrics"`} {
		if strings.Contains(w.Body.String(), text) {
			t.Errorf("it tells of %s", text)
		}
	}
	if !strings.Contains(w.Body.String(), "\ngo_goroutines ") {
		t.Error("it tells nothing of the process")
	}
	if w := page(t, h, "POST"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestMetrics_AreNotThereWhenTheyAreOff(t *testing.T) {
	h := serving(t, server.Config{Token: "secret"})
	if w := page(t, h, "GET"); w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
}

// TestTraces_ARequestGoesOnInTheSpanOfItsCaller: a header that is no good is as good as none.
func TestTraces_ARequestGoesOnInTheSpanOfItsCaller(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct{ header, trace, span string }{
		{good, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"},
		{"", "", "0000000000000000"},
		{strings.ToUpper(good), "", "0000000000000000"},
		{good + "0", "", "0000000000000000"},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", "", "0000000000000000"},
	} {
		exporter := tracetest.NewInMemoryExporter()
		provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
		h := serving(t, server.Config{TracerProvider: provider})
		ask(t, h, "POST", "/v1/calls/submit", `{"lane":"mail","kind":"send"}`, "Traceparent", c.header)
		ask(t, h, "GET", "/healthz", "", "Traceparent", c.header)
		spans := slices.DeleteFunc(exporter.GetSpans(), func(s tracetest.SpanStub) bool { return s.Name == "GET /openapi.json" }) // of the check of answers
		if len(spans) != 2 && len(spans) != 3 || spans[0].Name != "ff.submit" || spans[1].Name != "POST /v1/calls/submit" {
			t.Fatalf("%q: %v", c.header, spans)
		}
		request := spans[1]
		if c.trace != "" && request.SpanContext.TraceID().String() != c.trace || request.Parent.SpanID().String() != c.span {
			t.Errorf("%q: trace %s, parent %s", c.header, request.SpanContext.TraceID(), request.Parent.SpanID())
		}
		for _, kv := range []attribute.KeyValue{
			attribute.String("http.route", "/v1/calls/submit"), attribute.String("http.request.method", "POST"), attribute.Int("http.response.status_code", 200),
		} {
			if !slices.Contains(request.Attributes, kv) {
				t.Errorf("%q: it has no attribute %v", c.header, kv)
			}
		}
		if !slices.Contains(spans[0].Attributes, attribute.String("lane", "mail")) {
			t.Errorf("%q: the span of the operation has %v", c.header, spans[0].Attributes)
		}
	}
}
