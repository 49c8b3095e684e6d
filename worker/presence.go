package worker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// livenessShare is how many signs of life a worker gives within its liveness TTL.
const livenessShare = 3

// waitShare is the part of the TTL after which a claim that waits has been a sign of life: the engine gives it at half of that.
const waitShare = 30

// registryTimeout bounds the first and the last call of a worker.
const registryTimeout = 2 * time.Second

// livenessTTL is how long the worker counts as live without a sign of life: longer than it takes until a lease it does
// not renew is lost.
func (c Config) livenessTTL() time.Duration {
	return min(max(2*c.LeaseTTL, flowfabric.MinLivenessTTL), flowfabric.MaxLeaseTTL)
}

// register announces the worker. The registry informs; a worker that cannot be registered works all the same.
func (s *session) register(ctx context.Context) error {
	_, err := s.svc.RegisterWorker(ctx, flowfabric.RegisterWorker{
		WorkerID: s.cfg.WorkerID, WorkerInstanceID: s.cfg.InstanceID, Lanes: s.cfg.Lanes, Capabilities: s.cfg.Capabilities,
		LivenessTTL: s.cfg.livenessTTL(),
	})
	return err
}

// registerFirst is register before the first claim: beside it, it would open a second connection to a server.
func (s *session) registerFirst(ctx context.Context) (registered bool) {
	ctx, stop := context.WithTimeout(ctx, registryTimeout)
	defer stop()
	err := s.register(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "the worker was not registered; it will be tried again", "error", err)
	}
	return err == nil
}

// announce gives signs of life, one call for all tasks of the worker, until ctx ends, and registers it where it is not. A claim
// that waits is a sign of life by itself.
func (s *session) announce(ctx context.Context, registered bool) {
	if registered && !loop.Sleep(ctx, s.clock, s.untilNextSign(), nil) {
		return
	}
	loop.Every(ctx, s.clock, s.log, "announce the worker", nil, func(ctx context.Context) (time.Duration, error) {
		ctx, stop := context.WithTimeout(ctx, s.cfg.livenessTTL()/livenessShare)
		defer stop()
		switch {
		case s.waits():
			return s.untilNextSign(), nil
		case registered:
			beat, err := s.svc.HeartbeatWorker(ctx, flowfabric.HeartbeatWorker{WorkerInstanceID: s.cfg.InstanceID})
			if err != nil || beat.Registered {
				return s.untilNextSign(), err
			}
		}
		err := s.register(ctx)
		registered = err == nil
		return s.untilNextSign(), err
	})
}

// waits reports whether the claim that is under way has been a sign of life by now.
func (s *session) waits() bool {
	since := s.waitsSince.Load()
	return since != 0 && s.clock.Now().UnixNano()-since >= int64(s.cfg.livenessTTL()/waitShare)
}

// untilNextSign is the pause until the workers of this process give their next sign together: the engine then has one
// commit for all of them. Processes do not act in step.
func (s *session) untilNextSign() time.Duration {
	every := s.cfg.livenessTTL() / livenessShare
	since := time.Duration(s.clock.Now().UnixNano()) + time.Duration(float64(every)*moment())
	return every - since%every
}

// moment is where in the pause between two signs the process has its moment, from 0 to 1.
var moment = sync.OnceValue(rand.Float64)

// signOff tells the registry that the worker has ended. If that does not get through, its registration runs out.
func (s *session) signOff() {
	ctx, stop := context.WithTimeout(s.base, registryTimeout)
	defer stop()
	_, err := s.svc.MarkWorkerDead(ctx, flowfabric.MarkWorkerDead{WorkerInstanceID: s.cfg.InstanceID, Reason: "shutdown"})
	if err != nil {
		s.log.DebugContext(ctx, "the end of the worker was not recorded", "error", err)
	}
}

// leaseWatcher is a service in this process, which can tell at once that it has taken a lease away.
type leaseWatcher interface {
	WatchLeases(id flowfabric.WorkerInstanceID) (lost <-chan flowfabric.ExecutionID, stop func())
}

// watch renews at once what is said to be lost: the answer tells why.
func (s *session) watch(ctx context.Context) {
	w, ok := s.svc.(leaseWatcher)
	if !ok {
		return
	}
	lost, stop := w.WatchLeases(s.cfg.InstanceID)
	defer stop()
	for {
		select {
		case id := <-lost:
			s.leases.suspect(id)
		case <-ctx.Done():
			return
		}
	}
}

// suspect has the lease of an execution renewed now.
func (l *leases) suspect(id flowfabric.ExecutionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.ID() == id {
			now := l.clock.Now()
			t.lease.renewAt, l.nextLook = now, now
			l.wake.Wake()
			return
		}
	}
}
