package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

const (
	lane = "demo"
	kind = "count"
)

// WorkerConfig is what a worker process is told.
type WorkerConfig struct {
	Name     string // also its worker instance id
	DB       string // path of the SQLite file
	Dir      string // the folder whose files are counted
	Slots    int
	Prefetch int
	LeaseTTL time.Duration
	// Pace is how long counting a file takes at least, on average, so that there is something to watch.
	Pace time.Duration
}

// Work counts files until stdin is closed or ctx ends, and reports on stdout.
func Work(ctx context.Context, cfg WorkerConfig, stdin io.Reader, stdout io.Writer) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
	st, err := sqlite.Open(ctx, cfg.DB, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close(context.WithoutCancel(ctx))) }()
	out := &reporter{w: stdout}
	w := worker.New(reporting{eng, out}, worker.Config{
		Lanes: []flowfabric.LaneID{lane}, WorkerID: "demo", InstanceID: flowfabric.WorkerInstanceID(cfg.Name),
		Concurrency: cfg.Slots, Prefetch: cfg.Prefetch, LeaseTTL: cfg.LeaseTTL, DrainTimeout: time.Second,
	})
	worker.Handle(w, kind, func(ctx context.Context, t *worker.Task, in counting) (counted, error) {
		out.tell(begun, t.ID())
		if !loop.Sleep(ctx, clock.Real(), paceOf(in.Path, cfg.Pace), nil) {
			return counted{}, ctx.Err()
		}
		if t.Attempt() == 0 && failsFirst(in.Path) {
			return counted{}, errors.New("the first attempt fails on purpose")
		}
		return count(filepath.Join(cfg.Dir, in.Path))
	})
	return w.Run(ctx)
}

// what a worker process reports.
type what string

const (
	begun    what = "begun"    // a handler was entered
	retrying what = "retrying" // an attempt failed; it was acknowledged that another follows
	failed   what = "failed"   // the execution failed for good, acknowledged
	done     what = "done"     // the completion was acknowledged
	exited   what = "exited"   // the process has ended
)

// reporting is a service that reports what was acknowledged.
type reporting struct {
	flowfabric.Service
	out *reporter
}

// Complete implements [flowfabric.Workers].
func (r reporting) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	err := r.Service.Complete(ctx, cmd)
	if err == nil {
		r.out.tell(done, cmd.ExecutionID)
	}
	return err
}

// Fail implements [flowfabric.Workers].
func (r reporting) Fail(ctx context.Context, cmd flowfabric.Fail) (flowfabric.FailResult, error) {
	res, err := r.Service.Fail(ctx, cmd)
	switch {
	case err != nil:
	case res.Retrying:
		r.out.tell(retrying, cmd.ExecutionID)
	default:
		r.out.tell(failed, cmd.ExecutionID)
	}
	return res, err
}

// reporter writes one line for each report. A report that cannot be written is lost: who reads is gone.
type reporter struct {
	mu sync.Mutex
	w  io.Writer
}

func (r *reporter) tell(w what, id flowfabric.ExecutionID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.w, w, id)
}

// readReports calls tell for each line of a worker's output. A line that a kill cut off is dropped.
func readReports(from io.Reader, tell func(what, flowfabric.ExecutionID)) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		w, text, _ := strings.Cut(lines.Text(), " ")
		if id, err := flowfabric.ParseExecutionID(text); err == nil {
			tell(what(w), id)
		}
	}
}
