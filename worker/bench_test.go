package worker_test

import (
	"context"
	"sync/atomic"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/worker"
)

// instant is an engine that has n executions, hands them out at once and stores nothing.
type instant struct {
	ff.Service
	left, unacked atomic.Int64
	stop          context.CancelFunc
	task          ff.Claimed
}

func (s *instant) Claim(ctx context.Context, cmd ff.Claim) ([]ff.Claimed, error) {
	n := min(int64(cmd.Max), s.left.Load())
	if n == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.left.Add(-n)
	claimed := make([]ff.Claimed, n)
	for i := range claimed {
		claimed[i] = s.task
	}
	return claimed, nil
}

func (s *instant) RenewMany(_ context.Context, cmds []ff.Renew) ([]ff.RenewResult, error) {
	return make([]ff.RenewResult, len(cmds)), nil
}

func (s *instant) Complete(context.Context, ff.Complete) error {
	if s.unacked.Add(-1) == 0 {
		s.stop()
	}
	return nil
}

func (s *instant) RegisterWorker(context.Context, ff.RegisterWorker) (ff.RegisterResult, error) {
	return ff.RegisterResult{}, nil
}

func (s *instant) HeartbeatWorker(context.Context, ff.HeartbeatWorker) (ff.HeartbeatResult, error) {
	return ff.HeartbeatResult{Registered: true}, nil
}

func (s *instant) MarkWorkerDead(context.Context, ff.MarkWorkerDead) (ff.MarkDeadResult, error) {
	return ff.MarkDeadResult{}, nil
}

func (s *instant) RecordStep(_ context.Context, cmd ff.RecordStep) (ff.StepMemo, error) {
	return ff.StepMemo{Name: cmd.Name, Key: cmd.Key, Position: cmd.Position, Result: cmd.Result, Encoding: cmd.Encoding}, nil
}

func (s *instant) AppendFrames(_ context.Context, cmd ff.AppendFrames) (ff.Appended, error) {
	return ff.Appended{Frames: make([]ff.AppendedFrame, len(cmd.Frames))}, nil
}

// The cost of the worker itself, per frame, of a hundred in a task.
func BenchmarkStream(b *testing.B) {
	const frames = 100
	ctx, stop := context.WithCancel(b.Context())
	svc := &instant{stop: stop, task: task(1, "send", `{}`)}
	tasks := int64((b.N + frames - 1) / frames)
	svc.left.Store(tasks)
	svc.unacked.Store(tasks)
	w := worker.New(svc, config())
	worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
		out := worker.Stream(ctx)
		for range frames {
			if err := out.Text("token", "word"); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := w.Run(ctx); err != nil {
		b.Fatal(err)
	}
}

// The cost of the worker itself, per step, of a hundred in a task.
func BenchmarkStep(b *testing.B) {
	const steps = 100
	ctx, stop := context.WithCancel(b.Context())
	svc := &instant{stop: stop, task: task(1, "send", `{}`)}
	tasks := int64((b.N + steps - 1) / steps)
	svc.left.Store(tasks)
	svc.unacked.Store(tasks)
	w := worker.New(svc, config())
	worker.Handle(w, "send", func(ctx context.Context, _ *worker.Task, _ struct{}) (struct{}, error) {
		for range steps {
			if _, err := worker.Step(ctx, "step", func(context.Context) (receipt, error) { return receipt{Sent: 1}, nil }); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := w.Run(ctx); err != nil {
		b.Fatal(err)
	}
}

// The cost of the worker itself, per task: claimed, run, completed.
func BenchmarkTask(b *testing.B) {
	noop := func(_ context.Context, _ *worker.Task, in []byte) ([]byte, error) { return in, nil }
	typed := func(_ context.Context, _ *worker.Task, in mail) (receipt, error) { return receipt{}, nil }
	for name, c := range map[string]struct {
		slots    int
		register func(*worker.Worker)
	}{
		"bytes/slots=16":   {16, func(w *worker.Worker) { worker.Handle(w, "send", noop) }},
		"bytes/slots=2000": {2000, func(w *worker.Worker) { worker.Handle(w, "send", noop) }},
		"json/slots=16":    {16, func(w *worker.Worker) { worker.Handle(w, "send", typed) }},
	} {
		b.Run(name, func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			svc := &instant{stop: stop, task: task(1, "send", `{"to":"ann"}`)}
			svc.left.Store(int64(b.N))
			svc.unacked.Store(int64(b.N))
			w := worker.New(svc, worker.Config{Lanes: []ff.LaneID{"mail"}, Concurrency: c.slots})
			c.register(w)
			b.ReportAllocs()
			b.ResetTimer()
			if err := w.Run(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}
