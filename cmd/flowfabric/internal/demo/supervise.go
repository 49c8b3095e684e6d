package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
)

const (
	// killShare is the share of the work that is done when a process is killed.
	killShare = 0.3
	// look is how often the run looks for what its processes did not report.
	look = 200 * time.Millisecond
	// patience is how long nothing may happen before the run is given up; the check tells what is missing.
	patience = 30 * time.Second
	// lost bounds what a killed process can have completed without having reported it.
	lost = 64
)

// supervise follows the processes until all executions have ended, and kills one on the way.
func (d *demonstration) supervise(ctx context.Context) error {
	quietSince := d.clock.Now()
	for len(d.ended) < len(d.ids) {
		t := d.clock.NewTimer(look)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("interrupted: %w", context.Cause(ctx))
		case e := <-d.fleet.events:
			t.Stop()
			quietSince = d.clock.Now()
			if err := d.take(e); err != nil {
				return err
			}
		case <-t.C:
			if d.clock.Now().Sub(quietSince) > patience {
				d.cfg.Watcher.Note(fmt.Sprintf("nothing has happened for %s: giving up", patience))
				return nil
			}
			if err := d.askForRest(ctx); err != nil {
				return err
			}
		}
		d.cfg.Watcher.Progress(len(d.ended), len(d.ids))
	}
	return nil
}

// take takes in an event and kills a process when it is time.
func (d *demonstration) take(e event) error {
	e.note()
	switch e.what {
	case done, failed:
		d.ended[e.id] = true
	case exited:
		if !e.from.killed {
			return fmt.Errorf("worker process %s ended by itself: %s", e.from.name, e.from.cmd.ProcessState)
		}
	default:
	}
	if d.victim != nil || len(d.ended) < int(killShare*float64(len(d.ids))) {
		return nil
	}
	if p := d.fleet.busiest(); len(p.holds) > 0 {
		return d.kill(p)
	}
	return nil
}

func (d *demonstration) kill(p *process) error {
	d.victim, d.held = p, len(p.holds)
	if err := p.kill(); err != nil {
		return fmt.Errorf("kill worker process %s: %w", p.name, err)
	}
	d.killedAt = flowfabric.TimestampOf(d.clock.Now()) // the store's clock is this machine's, too
	d.cfg.Watcher.Note(fmt.Sprintf("killed worker process %s (pid %d) with SIGKILL, in the middle of %d files; its leases run out within %s",
		p.name, p.cmd.Process.Pid, d.held, leaseTTL))
	return nil
}

// askForRest asks the store about the last executions: a killed process may have completed some without reporting it.
func (d *demonstration) askForRest(ctx context.Context) error {
	if len(d.ids)-len(d.ended) > lost {
		return nil
	}
	for _, id := range d.ids {
		if d.ended[id] {
			continue
		}
		res, err := d.eng.Result(ctx, id)
		if err != nil {
			return fmt.Errorf("result of %s: %w", id, err)
		}
		if res.Outcome != flowfabric.OutcomeNone {
			d.ended[id] = true
		}
	}
	return nil
}
