package bench_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/bench"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// What one run leaves on a server does not disturb the next.
func TestRun_MeasuresAServerThatRuns(t *testing.T) {
	eng, err := engine.Open(t.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close(context.WithoutCancel(t.Context())) }()
	srv, err := server.New(eng, server.Config{Family: "memory", Version: "v9", Token: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(srv)
	defer listening.Close()
	measured := 0
	for _, scenario := range bench.Scenarios() {
		o := small[scenario]
		o.Store, o.Scenario, o.Token = listening.URL, scenario, "hunter2"
		if o.Duration > 0 {
			o.Duration = 100 * time.Millisecond
		}
		if !o.Measures(scenario) {
			continue
		}
		measured++
		t.Run(string(scenario), func(t *testing.T) {
			res, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if res.Store != "http" || res.DurationS <= 0 || res.Served {
				t.Errorf("result = %+v", res)
			}
		})
	}
	if measured != 20 {
		t.Errorf("%d scenarios can be measured on a server that runs; want 20", measured)
	}
}
