package server

import (
	"net/http"

	"github.com/flowfabric/flowfabric"
)

// Config configures a [Server]. The zero value serves everything to everyone: bind it to loopback only.
type Config struct{}

// Server serves a [flowfabric.Service] over HTTP. It is an [http.Handler].
type Server struct {
	svc flowfabric.Service
	mux *http.ServeMux
}

// New returns a server of svc, which must outlive it.
func New(svc flowfabric.Service, _ Config) (*Server, error) {
	s := &Server{svc: svc, mux: http.NewServeMux()}
	s.routeCalls()
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }
