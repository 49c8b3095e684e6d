package observe_test

import (
	"context"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/memory"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// BenchmarkLifecycle is what observing costs: 250 executions are submitted, claimed and completed, by nobody observed, with
// metrics, with metrics that are sampled all the time, and with spans, of which one in a hundred is kept.
func BenchmarkLifecycle(b *testing.B) {
	for kind, open := range map[string]func(b *testing.B) store.Store{
		"memory": func(*testing.B) store.Store { return memory.New(memory.Config{}) },
		"SQLite": func(b *testing.B) store.Store {
			st, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "app.db"), nil)
			if err != nil {
				b.Fatal(err)
			}
			return st
		},
	} {
		provider := sdk.NewTracerProvider(sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(0.01))))
		for name, cfg := range map[string]observe.Config{
			"none": {}, "metrics": {Metrics: observe.NewMetrics()}, "all": {Metrics: observe.NewMetrics(), TracerProvider: provider},
		} {
			b.Run(kind+"/"+name, func(b *testing.B) { lifecycles(b, open(b), cfg) })
		}
	}
}

func lifecycles(b *testing.B, st store.Store, cfg observe.Config) {
	eng, err := engine.Open(b.Context(), st, engine.Config{Metrics: cfg.Metrics})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := eng.Close(context.Background()); err != nil {
			b.Error(err)
		}
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	}()
	svc := observe.Service(eng, cfg)
	const most = 250
	cmds := make([]flowfabric.Submit, most)
	for i := range cmds {
		cmds[i] = flowfabric.Submit{Lane: "mail", Kind: "send"}
	}
	spent := cpu(b)
	for b.Loop() {
		if _, err := svc.SubmitMany(b.Context(), cmds); err != nil {
			b.Fatal(err)
		}
		for left := most; left > 0; {
			got, err := svc.Claim(b.Context(), flowfabric.Claim{Lanes: []flowfabric.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Max: most, Wait: time.Second})
			if err != nil {
				b.Fatal(err)
			}
			left -= len(got)
			var group sync.WaitGroup
			for _, c := range got {
				group.Go(func() {
					if err := svc.Complete(b.Context(), flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
						b.Error(err)
					}
				})
			}
			group.Wait()
		}
	}
	b.ReportMetric(float64(most*b.N)/b.Elapsed().Seconds(), "executions/s")
	b.ReportMetric(float64((cpu(b)-spent).Nanoseconds())/1000/float64(most*b.N), "cpu-µs/execution")
}

// cpu is what the process has used: on a machine that does other things, the time that passes says little.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
