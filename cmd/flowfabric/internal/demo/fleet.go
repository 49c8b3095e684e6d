package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// event is what happened in a worker process.
type event struct {
	from *process
	what what
	id   flowfabric.ExecutionID
	err  error // of exited
}

// fleet is the worker processes of a run.
type fleet struct {
	events    chan event
	processes []*process
	running   sync.WaitGroup
}

// process is one of them. What it holds is as its reports tell; it is used by the goroutine that reads the events.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	holds  map[flowfabric.ExecutionID]bool
	done   int
	killed bool
}

func newFleet() *fleet { return &fleet{events: make(chan event, 256)} }

// start adds a process.
func (f *fleet) start(name string, cmd *exec.Cmd) error {
	p := &process{name: name, cmd: cmd, holds: make(map[flowfabric.ExecutionID]bool)}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	p.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start worker process %s: %w", name, err)
	}
	f.processes = append(f.processes, p)
	f.running.Go(func() {
		readReports(stdout, func(w what, id flowfabric.ExecutionID) { f.events <- event{from: p, what: w, id: id} })
		f.events <- event{from: p, what: exited, err: cmd.Wait()}
	})
	return nil
}

// note takes in what an event says of its process.
func (e event) note() {
	switch e.what {
	case begun:
		e.from.holds[e.id] = true
	case done:
		e.from.done++
		delete(e.from.holds, e.id)
	default:
		delete(e.from.holds, e.id)
	}
}

// busiest is the living process that holds most.
func (f *fleet) busiest() *process {
	var most *process
	for _, p := range f.processes {
		if !p.killed && (most == nil || len(p.holds) > len(most.holds)) {
			most = p
		}
	}
	return most
}

// kill ends a process the hard way: SIGKILL, which it cannot notice.
func (p *process) kill() error {
	p.killed = true
	return p.cmd.Process.Kill()
}

// stop tells all processes to stop, kills who has not within a bound, and waits for all. It returns the errors of those
// that ended otherwise than told.
func (f *fleet) stop(ctx context.Context) error {
	for _, p := range f.processes {
		_ = p.stdin.Close() // one that has ended is told nothing
	}
	late, inTime := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		if loop.Sleep(late, clock.Real(), 10*time.Second, nil) {
			for _, p := range f.processes {
				_ = p.cmd.Process.Kill()
			}
		}
	}()
	go func() {
		f.running.Wait()
		inTime()
		close(f.events)
	}()
	var errs []error
	for e := range f.events {
		if e.what == exited && e.err != nil && !e.from.killed {
			errs = append(errs, fmt.Errorf("worker process %s: %w", e.from.name, e.err))
		}
	}
	return errors.Join(errs...)
}
