package server_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/server"
)

// beats answers signs of life, and tells when each came to it.
type beats struct {
	flowfabric.Service
	at chan time.Time
}

func (b *beats) HeartbeatWorker(context.Context, flowfabric.HeartbeatWorker) (flowfabric.HeartbeatResult, error) {
	b.at <- clock.Real().Now()
	return flowfabric.HeartbeatResult{Registered: true}, nil
}

// Signs of life of workers that know nothing of each other come to the engine at one moment, half a second later at most.
func TestServer_SignsOfLifeAreTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &beats{at: make(chan time.Time, 3)}
		h := over(t, svc, server.Config{})
		began := clock.Real().Now() // at a full second
		for range 3 {
			<-clock.Real().NewTimer(100 * time.Millisecond).C
			go func() {
				if status, _, _ := ask(t, h, http.MethodPost, "/v1/calls/heartbeat_worker", `{"worker_instance_id":"w-1"}`); status != 200 {
					t.Errorf("status %d", status)
				}
			}()
		}
		for range 3 {
			if after := (<-svc.at).Sub(began); after != 500*time.Millisecond {
				t.Errorf("a sign of life came %s after the full second, want 500ms", after)
			}
		}
	})
}
