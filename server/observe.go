package server

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/internal/wire"
	"github.com/flowfabric/flowfabric/observe"
)

// metricsPath is where metrics are served: without authority, and outside what they and traces tell of requests (chapter 70,
// route 29).
const metricsPath = "/metrics"

func (s *Server) routeMetrics() {
	if s.cfg.Metrics == nil {
		return
	}
	s.cfg.Metrics.BuildInfo.Set(1, s.cfg.Version)
	page := observe.Handler(s.cfg.Metrics)
	s.add(route{
		method: http.MethodGet, path: metricsPath, name: "metrics", summary: "Metrics, in the text form of Prometheus.", open: true,
		answers: []answer{{status: http.StatusOK, body: reflect.TypeFor[string](), media: "text/plain; version=0.0.4; charset=utf-8"}},
		handle:  page.ServeHTTP,
	})
}

// unobserved are the paths of which no span tells: they are asked for all the time, and by nobody's request.
var unobserved = []string{"/healthz", "/livez", "/readyz"}

// methods are those that metrics tell by name.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions,
	http.MethodTrace,
}

// observed is a request while it is under way.
type observed struct {
	s     *Server
	span  trace.Span
	start time.Time
}

// begin begins to observe a request, which goes on in the span of its caller.
func (s *Server) begin(r *http.Request, start time.Time) (*observed, *http.Request) {
	o := &observed{s: s, start: start}
	ctx := tracing.Continue(r.Context(), r.Header.Get(tracing.Header))
	if s.cfg.TracerProvider != nil && !slices.Contains(unobserved, r.URL.Path) {
		ctx, o.span = s.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", methodOf(r)), attribute.String("request_id", requestID(ctx)),
		))
	}
	if ctx == r.Context() {
		return o, r
	}
	return o, r.WithContext(ctx)
}

// end ends it with the status of the answer.
func (o *observed) end(r *http.Request, status int) {
	if o.span == nil && o.s.cfg.Metrics == nil {
		return
	}
	if status == 0 {
		status = http.StatusOK
	}
	path := o.s.templateOf(r)
	if m := o.s.cfg.Metrics; m != nil {
		method, code := methodOf(r), strconv.Itoa(status)
		m.HTTPRequests.Inc(method, path, code)
		m.HTTPDuration.Observe(o.s.cfg.Clock.Now().Sub(o.start), method, path, code)
	}
	if o.span != nil {
		o.span.SetName(methodOf(r) + " " + path)
		o.span.SetAttributes(attribute.String("http.route", path), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			o.span.SetStatus(codes.Error, strconv.Itoa(status))
		}
		o.span.End()
	}
}

// templateOf is the path of the route a request is for, also where it was refused before it came there.
func (s *Server) templateOf(r *http.Request) string {
	pattern := r.Pattern
	if pattern == "" {
		_, pattern = s.mux.Handler(r)
	}
	if _, path, found := strings.Cut(pattern, " "); found {
		return path
	}
	return "unknown"
}

func methodOf(r *http.Request) string {
	if slices.Contains(methods, r.Method) {
		return r.Method
	}
	return "OTHER"
}

// traceID is that of the span ctx is in; empty for none.
func traceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// logFailure logs what is not the caller's to mend: defects, and a store that cannot be used. Callers are told the code alone.
func (s *Server) logFailure(ctx context.Context, op *wire.Op, err error) {
	status := wire.StatusOf(err)
	if status < http.StatusInternalServerError || ctx.Err() != nil {
		return
	}
	level := slog.LevelWarn
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.cfg.Logger.LogAttrs(ctx, level, "an operation failed", slog.String("op", op.Name), slog.String("kind", string(wire.BodyOf(err).Code)),
		slog.String("message", err.Error()), slog.String("request_id", requestID(ctx)), slog.String("trace_id", traceID(ctx)))
}
