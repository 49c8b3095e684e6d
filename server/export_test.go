package server

import "github.com/flowfabric/flowfabric/internal/wire"

// BeatAtOnce has signs of life of workers not wait for each other.
func (s *Server) BeatAtOnce() { s.beatAtOnce = true }

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
