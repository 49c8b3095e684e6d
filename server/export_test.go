package server

import "github.com/flowfabric/flowfabric/internal/wire"

// Route is a route as tests see it.
type Route struct {
	Method, Path string
	Op           *wire.Op
}

// Routes lists what a server serves.
func (s *Server) Routes() (list []Route) {
	for _, r := range s.routes {
		list = append(list, Route{r.method, r.path, r.op})
	}
	return list
}
