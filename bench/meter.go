package bench

import (
	"fmt"
	"runtime"
	"time"
)

// reading is what time and CPU a moment finds.
type reading struct {
	at               time.Time
	client, server   time.Duration
	machine          time.Duration // of all programs
	machineIsVisible bool
}

func (r *run) read(db database) reading {
	now := reading{at: r.clock.Now(), client: processCPU(), server: db.cpu()}
	now.machine, now.machineIsVisible = machineCPU()
	return now
}

// metered runs fn and adds to the result what it took: time, CPU, and CPU for each of n executions.
func (r *run) metered(db database, n int, fn func() error) error {
	before := r.read(db)
	if err := fn(); err != nil {
		return err
	}
	after := r.read(db)
	took, client, server := after.at.Sub(before.at), after.client-before.client, after.server-before.server
	r.res.DurationS += took.Seconds()
	r.res.ClientCPUS += client.Seconds()
	r.res.DBCPUS += server.Seconds()
	if n > 0 {
		r.res.CPUUsPerExecution = (client + server).Seconds() * 1e6 / float64(n)
	}
	if after.machineIsVisible {
		r.foreign += after.machine - before.machine - client - server
	}
	return nil
}

// quiet is the share of the machine's CPU that others may use before a run is worth little.
const quiet = 0.05

// tellForeign adds to the result what other programs used of the machine's CPU while the meter ran.
func (r *run) tellForeign() {
	r.res.ForeignCPUShare = max(0, r.foreign.Seconds()/(r.res.DurationS*float64(runtime.NumCPU())))
	if r.res.ForeignCPUShare > quiet {
		r.res.note(fmt.Sprintf("other programs used %.0f%% of the CPU: the figures are worth little", 100*r.res.ForeignCPUShare))
	}
}
