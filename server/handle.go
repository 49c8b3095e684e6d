package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == metricsPath {
		s.route(&recorder{ResponseWriter: w}, r)
		return
	}
	id := r.Header.Get("X-Request-Id")
	if !printable(id) {
		id = rand.Text()
	}
	w.Header().Set("X-Request-Id", id)
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
	rec := &recorder{ResponseWriter: w, timeout: s.cfg.WriteTimeout}
	start := s.cfg.Clock.Now()
	seen, r := s.begin(r, start)
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
			s.cfg.Logger.ErrorContext(r.Context(), "a request panicked", "request_id", id, "trace_id", traceID(r.Context()), "route", template(r), "panic", p, "stack", string(debug.Stack()))
			if rec.status == 0 {
				writeError(rec, r, flowfabric.ErrBug)
			}
		}
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("route", template(r)),
			slog.Int("status", rec.status), slog.Duration("took", s.cfg.Clock.Now().Sub(start)), slog.String("request_id", id), slog.String("trace_id", traceID(r.Context())))
		seen.end(r, rec.status)
	}()
	if s.cors.handle(rec, r) {
		return
	}
	var ok bool
	if r, ok = s.admit(rec, r); ok {
		s.route(rec, r)
	}
}

// route answers with JSON where the mux would with text.
func (s *Server) route(w *recorder, r *http.Request) {
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	missed(w, r, h)
}

// missed answers for the mux, h, what it has no route for.
func missed(w *recorder, r *http.Request, h http.Handler) {
	miss := &recorder{ResponseWriter: discard{header: http.Header{}}}
	h.ServeHTTP(miss, r)
	body := wire.ErrorBody{Error: "not found", Code: "not_found"}
	if miss.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", miss.Header().Get("Allow"))
		body = wire.ErrorBody{Error: "method not allowed", Code: "method_not_allowed"}
	}
	writeBody(w, r, max(miss.status, http.StatusNotFound), body)
}

// discard is where an answer goes that is written anew.
type discard struct{ header http.Header }

func (d discard) Header() http.Header            { return d.header }
func (d discard) Write(text []byte) (int, error) { return len(text), nil }
func (d discard) WriteHeader(int)                {}

// recorder remembers the status of an answer, and bounds how long the caller may take over each part of it.
type recorder struct {
	http.ResponseWriter
	status  int
	timeout time.Duration
}

// Write implements [io.Writer].
func (r *recorder) Write(text []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.timeout > 0 { // that of a connection; one that cannot have it has other bounds
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(machine.Now().Add(r.timeout))
	}
	return r.ResponseWriter.Write(text)
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

type requestKey struct{}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// printable reports whether a request id of a caller is taken: 1 to 128 printable characters.
func printable(id string) bool {
	for _, c := range []byte(id) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return id != "" && len(id) <= 128
}
