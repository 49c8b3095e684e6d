package server

import (
	"net/http"
	"time"

	"github.com/flowfabric/flowfabric/internal/loop"
)

// beatStep is the time in which signs of life of workers are taken together.
const beatStep = 500 * time.Millisecond

// inStep holds a sign of life until the next step of the clock, so that those of many workers share a commit: each process gives
// its own at a moment of its own, in no hurry.
func (s *Server) inStep(r *http.Request) {
	if s.beatAtOnce {
		return
	}
	loop.Sleep(r.Context(), s.cfg.Clock, beatStep-time.Duration(s.cfg.Clock.Now().UnixNano())%beatStep, s.serving.Done())
}
