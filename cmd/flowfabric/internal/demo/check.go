package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// history is what the store keeps of one execution.
type history struct {
	execution   *record.Execution
	attempts    []*record.Attempt
	completions []string // types of its completion events
}

// check reads everything from the store and compares it with the files.
func (d *demonstration) check(ctx context.Context) (*Report, error) {
	dump, err := d.st.Dump(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	rep := &Report{
		Dir: d.dir, Files: len(d.ids), Skipped: d.found.skipped, Pace: d.pace, DoneBy: make(map[string]int),
	}
	if d.victim != nil {
		rep.Killed = &Killed{Name: d.victim.name, PID: d.victim.cmd.Process.Pid, Held: d.held, LeaseTTL: leaseTTL}
	}
	if len(dump.Executions) != len(d.ids) {
		rep.problem("%d executions are stored, %d were submitted", len(dump.Executions), len(d.ids))
	}
	histories := historiesOf(dump)
	for i, id := range d.ids {
		h := histories[id]
		if h == nil || h.execution == nil {
			rep.problem("%s: its execution is not stored", d.found.files[i].Path)
			continue
		}
		d.tally(rep, h)
		d.checkFile(rep, d.found.files[i], h)
	}
	rep.finish()
	return rep, nil
}

func historiesOf(dump *store.Dump) map[flowfabric.ExecutionID]*history {
	all := make(map[flowfabric.ExecutionID]*history, len(dump.Executions))
	of := func(id flowfabric.ExecutionID) *history {
		if all[id] == nil {
			all[id] = &history{}
		}
		return all[id]
	}
	for _, e := range dump.Executions {
		of(e.ID).execution = e
	}
	for _, a := range dump.Attempts {
		of(a.ExecutionID).attempts = append(of(a.ExecutionID).attempts, a)
	}
	for _, ev := range dump.Events {
		if ev.Family == record.FamilyCompletion {
			of(ev.ExecutionID).completions = append(of(ev.ExecutionID).completions, ev.Type)
		}
	}
	return all
}

// checkFile checks that a file was completed exactly once, with the right result.
func (d *demonstration) checkFile(rep *Report, f file, h *history) {
	if f.changed(d.dir) {
		rep.Changed++
		return
	}
	if got := h.execution.State.Outcome; got != flowfabric.OutcomeSuccess {
		rep.problem("%s: its execution is %s, not completed: %s", f.Path, h.execution.Public, h.execution.FailureReason)
		return
	}
	if !slices.Equal(h.completions, []string{string(flowfabric.OutcomeSuccess)}) {
		rep.problem("%s: its completion events are %v, not one success", f.Path, h.completions)
	}
	if n := h.successes(); n != 1 {
		rep.problem("%s: %d attempts succeeded, not one", f.Path, n)
	}
	var res counted
	if err := json.Unmarshal(h.execution.Result, &res); err != nil {
		rep.problem("%s: its result cannot be read: %v", f.Path, err)
		return
	}
	rep.add(f.Path, res)
	want, err := hashFile(filepath.Join(d.dir, f.Path))
	switch {
	case err != nil:
		rep.problem("%s: %v", f.Path, err)
	case want != res.SHA256:
		rep.problem("%s: the result has SHA-256 %s, the file %s", f.Path, res.SHA256, want)
	}
}

func (h *history) successes() (n int) {
	for _, a := range h.attempts {
		if a.Outcome == record.AttemptSucceeded {
			n++
		}
	}
	return n
}

// tally counts what happened to an execution on its way.
func (d *demonstration) tally(rep *Report, h *history) {
	e := h.execution
	rep.Retries += e.RetryCount
	if rep.first == 0 || e.CreatedAt < rep.first {
		rep.first = e.CreatedAt
	}
	rep.last = max(rep.last, e.CompletedAt)
	for i, a := range h.attempts {
		switch {
		case a.Outcome == record.AttemptSucceeded:
			rep.DoneBy[string(a.WorkerInstanceID)]++
		case a.Outcome == record.AttemptReclaimed && rep.Killed != nil && string(a.WorkerInstanceID) == rep.Killed.Name:
			rep.Killed.Reclaimed++
			if i+1 < len(h.attempts) {
				again := h.attempts[i+1].StartedAt
				rep.Killed.ReclaimedWithin = max(rep.Killed.ReclaimedWithin, again.Sub(d.killedAt))
			}
		}
	}
}
