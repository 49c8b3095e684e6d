package crashtest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

const (
	lane     = "crash"
	leaseTTL = 2 * time.Second
)

// node is a process: an engine, or a client of a server, with callers that submit and a worker, or without one of them.
type node struct {
	Name   string
	Store  string // "sqlite:PATH", or the URL of a migrated Postgres database
	Conns  int    // of Postgres; 0: the store's default
	Server string // URL of the server it is a client of; empty: it opens the store

	Callers int           // submit, each one call at a time
	Flows   int           // of the callers submit flows
	Steps   bool          // callers submit work of several steps
	Pause   time.Duration // of a caller after a call
	Limited *limited      // callers submit work under these limits, and report usage

	Slots int           // handlers that run at once; 0: no worker
	TTL   time.Duration // of its leases; 0: leaseTTL
	Work  time.Duration // how long a handler takes
	Flaky bool          // a third of the first attempts fail
	Count bool          // report how many were completed, not which
}

// What a node reports, a line each, once it was acknowledged.
const (
	ackReady     = "ready"
	ackSubmitted = "submitted" // id
	ackCompleted = "completed" // id
	ackBegan     = "began"     // id/step
	ackRecorded  = "recorded"  // id/step
	ackSpent     = "spent"     // key of a report
	ackCount     = "count"     // completed since the last count
	ackRefused   = "refused"   // operation, code, whether it may be tried again
)

// report writes whole lines to standard output.
type report struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func (r *report) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
	_ = r.out.Flush()
}

func (r *report) refused(op string, err error) {
	var e *flowfabric.Error
	if !errors.As(err, &e) {
		e = &flowfabric.Error{Code: "uncoded"}
	}
	r.say("%s %s %s %t", ackRefused, op, e.Code, flowfabric.Retryable(err))
	fmt.Fprintln(os.Stderr, "node:", op, err)
}

// run is the main function of a node. It ends when its standard input is closed.
func (n *node) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	svc, stop, err := n.connect(ctx)
	if err != nil && ctx.Err() != nil {
		return nil // told to end before it had begun
	}
	if err != nil {
		return err
	}
	defer stop()
	rep := &report{out: bufio.NewWriter(os.Stdout)}
	rep.say(ackReady)
	var wg sync.WaitGroup
	for i := range n.Callers {
		submit := n.submit
		switch {
		case i < n.Flows:
			submit = n.submitFlows
		case n.Limited != nil:
			submit = n.submitLimited
		}
		wg.Go(func() { submit(ctx, svc, rep) })
	}
	if n.Slots > 0 {
		err = n.work(ctx, svc, rep)
	}
	wg.Wait()
	return err
}

// connect returns what the node works on, and what closes it.
func (n *node) connect(ctx context.Context) (flowfabric.Service, func(), error) {
	if n.Server != "" {
		// More tries than the default: the next kill may come while a call is still trying to get over the last.
		c, err := client.New(n.Server, client.Config{Tries: 20})
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	}
	st, err := n.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return eng, func() {
		_ = eng.Close(context.WithoutCancel(ctx))
		_ = st.Close()
	}, nil
}

// workPolicy lets work be tried again as often as it takes.
var workPolicy = flowfabric.Retry(20, flowfabric.FixedBackoff(10*time.Millisecond))

// submit creates executions and reports each that was acknowledged.
func (n *node) submit(ctx context.Context, svc flowfabric.Service, rep *report) {
	kind := "work"
	if n.Steps {
		kind = kindOfSteps
	}
	for ctx.Err() == nil {
		res, err := svc.Submit(ctx, flowfabric.Submit{Lane: lane, Kind: kind, Policy: workPolicy})
		switch {
		case err == nil:
			rep.say("%s %s", ackSubmitted, res.ID)
		case ctx.Err() == nil:
			rep.refused("submit", err)
		}
		loop.Sleep(ctx, wall, max(n.Pause, time.Microsecond), nil)
	}
}

// work runs executions.
func (n *node) work(ctx context.Context, on flowfabric.Service, rep *report) error {
	cfg := worker.Config{
		Lanes: []flowfabric.LaneID{lane}, WorkerID: "crash", InstanceID: flowfabric.WorkerInstanceID(n.Name),
		Concurrency: n.Slots, LeaseTTL: cmp.Or(n.TTL, leaseTTL),
	}
	var svc flowfabric.Service = &acknowledging{Service: on, rep: rep}
	if n.Count {
		c := &counting{Service: on, rep: rep}
		go c.tell(ctx)
		svc = c
	}
	w := worker.New(svc, cfg)
	worker.Handle(w, "work", func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		if n.Work > 0 {
			loop.Sleep(ctx, wall, n.Work, nil)
		}
		return "ok", n.failSome(t)
	})
	n.handleSteps(w, rep)
	n.handleLimited(w, rep)
	worker.Handle(w, kindOfBroken, func(context.Context, *worker.Task, struct{}) (string, error) {
		return "", worker.Permanent(errors.New("it fails on purpose"))
	})
	return w.Run(ctx)
}

// failSome is the error of a third of the first attempts.
func (n *node) failSome(t *worker.Task) error {
	if id := t.ID().UUID(); n.Flaky && t.Attempt() == 0 && id[15]%3 == 0 {
		return fmt.Errorf("the first attempt of %s fails on purpose", t.ID())
	}
	return nil
}

// acknowledging reports each completion that was acknowledged, and each call that was refused.
type acknowledging struct {
	flowfabric.Service
	rep *report
}

func (a *acknowledging) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	err := a.Service.Complete(ctx, cmd)
	switch {
	case err == nil:
		a.rep.say("%s %s", ackCompleted, cmd.ExecutionID)
	case ctx.Err() == nil:
		a.rep.refused("complete", err)
	}
	return err
}

func (a *acknowledging) Claim(ctx context.Context, cmd flowfabric.Claim) ([]flowfabric.Claimed, error) {
	got, err := a.Service.Claim(ctx, cmd)
	if err != nil && ctx.Err() == nil {
		a.rep.refused("claim", err)
	}
	return got, err
}

// counting counts completions.
type counting struct {
	flowfabric.Service
	rep *report
	n   atomic.Int64
}

func (c *counting) Complete(ctx context.Context, cmd flowfabric.Complete) error {
	err := c.Service.Complete(ctx, cmd)
	if err == nil {
		c.n.Add(1)
	} else if ctx.Err() == nil {
		c.rep.refused("complete", err)
	}
	return err
}

func (c *counting) tell(ctx context.Context) {
	for loop.Sleep(ctx, wall, 50*time.Millisecond, nil) {
		if n := c.n.Swap(0); n > 0 {
			c.rep.say("%s %d", ackCount, n)
		}
	}
}

// open opens the node's store.
func (n *node) open(ctx context.Context) (store.Store, error) {
	if path, ok := strings.CutPrefix(n.Store, "sqlite:"); ok {
		return sqlite.Open(ctx, path, nil)
	}
	return postgres.Open(ctx, n.Store, &postgres.Config{MaxConns: n.Conns})
}
