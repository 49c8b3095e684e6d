package server

import (
	"context"
	"net/http"
	"reflect"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// routeHealth serves what watches a server: is it alive, and should it get requests?
func (s *Server) routeHealth() {
	ok := map[string]string{"status": "ok"}
	s.health("/livez", "Tell that the process is alive", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, ok) })
	s.health("/healthz", "Tell whether the store answers", func(w http.ResponseWriter, r *http.Request) {
		if err := s.ping(r.Context()); err != nil {
			again := true
			writeBody(w, r, http.StatusInternalServerError, wire.ErrorBody{
				Error: "engine: ping: " + string(wire.BodyOf(err).Code), Code: wire.BodyOf(err).Code, Retryable: &again,
			})
			return
		}
		write(w, http.StatusOK, ok)
	})
	s.health("/readyz", "Tell whether this server should get requests", func(w http.ResponseWriter, r *http.Request) {
		err := s.serving.Err()
		if err != nil {
			err = &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "serve", Detail: "the server stops"}
		} else if err = s.ping(r.Context()); err != nil {
			err = &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "ping", Detail: "the store does not answer"}
		}
		if err != nil {
			writeError(w, r, err)
			return
		}
		write(w, http.StatusOK, ok)
	})
}

// health adds one of them: unbounded, for who watches a server under load has to know.
func (s *Server) health(path, summary string, handle http.HandlerFunc) {
	s.add(route{
		method: http.MethodGet, path: path, name: path[1:], summary: summary, open: true, handle: handle,
		answers: []answer{{status: http.StatusOK, body: reflect.TypeFor[map[string]string]()}}, fails: []int{http.StatusServiceUnavailable},
	})
}

// ping asks the store for something small.
func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := s.svc.ListLanes(ctx, flowfabric.ListLanes{Limit: 1})
	return err
}
