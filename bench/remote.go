package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/bench/internal/place"
	"github.com/flowfabric/flowfabric/client"
)

// stopTimeout is how long the server of a run may take to stop before it is killed.
const stopTimeout = 20 * time.Second

// remote drains executions embedded and through the server, as many each, in turns, and compares.
func (r *run) remote(ctx context.Context, b *bed) error {
	n := r.opts.Executions
	r.res.Executions, r.res.Workers, r.res.PayloadBytes = n, r.opts.Workers, r.opts.PayloadBytes
	return r.withEngine(ctx, b.db, func(here *bed) error {
		var took [2]time.Duration
		const turns = 2
		for range turns {
			for i, of := range []*bed{here, b} {
				if _, err := r.timedLoad(ctx, here, n/turns); err != nil {
					return err
				}
				if err := r.metered(b.db, n/turns, func() error {
					d, err := r.drain(ctx, of, n/turns)
					took[i] += d
					return err
				}); err != nil {
					return err
				}
			}
		}
		r.res.EmbeddedPerS, r.res.EndToEndPerS = perSecond(n/turns*turns, took[0]), perSecond(n/turns*turns, took[1])
		r.res.RemoteRatio = took[0].Seconds() / took[1].Seconds()
		return nil
	})
}

// withClient runs fn with a client of the server at url. Each other one has connections of its own.
func (r *run) withClient(p place.Place, url string, fn func(*bed) error) error {
	connect := func() (flowfabric.Service, func(), error) {
		c, err := client.New(url, client.Config{Token: r.opts.Token})
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrOptions, err)
		}
		return c, c.Close, nil
	}
	svc, stop, err := connect()
	if err != nil {
		return err
	}
	defer stop()
	return fn(&bed{db: p, svc: svc, another: connect})
}

// withServer runs fn with a client of a server that serves p in a process of its own.
func (r *run) withServer(ctx context.Context, p place.Place, fn func(*bed) error) (err error) {
	r.res.Served = true
	cmd := exec.CommandContext(ctx, r.opts.Program, "serve")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.Env = append(os.Environ(), "FF_STORE_URL="+p.URL(), "FF_LISTEN_ADDR=127.0.0.1:0", "FF_LOG_FORMAT=json", "FF_LOG_LEVEL=info")
	logs, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	r.server = machine.Process(cmd.Process.Pid)
	lines := bufio.NewScanner(logs)
	addr, said := listening(lines)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, logs)
	}()
	defer func() {
		r.server = 0
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-drained
		if waited := cmd.Wait(); waited != nil && ctx.Err() == nil {
			err = errors.Join(err, fmt.Errorf("the server: %w%s", waited, said))
		}
	}()
	if addr == "" {
		return errors.New("the server did not start")
	}
	return r.withClient(p, "http://"+addr, fn)
}

// listening reads the log of a server until it says where it listens, and what went wrong until then.
func listening(lines *bufio.Scanner) (addr, wrong string) {
	for lines.Scan() {
		var line struct{ Level, Msg, Addr, Error string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Level == "ERROR" {
			wrong += "\n" + strings.TrimSpace(lines.Text())
			continue
		}
		if line.Msg == "HTTP API listening" {
			return line.Addr, wrong
		}
	}
	return "", wrong
}
