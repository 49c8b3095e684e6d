package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/bench/internal/place"
)

// reading is what time and CPU a moment finds.
type reading struct {
	at                 time.Time
	client, db, server time.Duration
	machine            machine.Usage
}

func (r *run) read(db place.Place) reading {
	return reading{at: r.clock.Now(), client: machine.ProcessCPU(), db: db.CPU(), server: r.server.CPU(), machine: machine.CPU()}
}

// metered runs fn and adds to the result what it took: time, CPU, and CPU for each of n executions, and how large the server has
// become that runs beside.
func (r *run) metered(p place.Place, n int, fn func() error) error {
	before := r.read(p)
	if err := fn(); err != nil {
		return err
	}
	after := r.read(p)
	took, client, db, server := after.at.Sub(before.at), after.client-before.client, after.db-before.db, after.server-before.server
	r.res.DurationS += took.Seconds()
	r.res.ClientCPUS += client.Seconds()
	r.res.DBCPUS += db.Seconds()
	r.res.ServerCPUS += server.Seconds()
	r.res.ServerRSSBytes = max(r.res.ServerRSSBytes, float64(r.server.ResidentBytes()))
	if n > 0 {
		r.res.CPUUsPerExecution = (client + db + server).Seconds() * 1e6 / float64(n)
	}
	if after.machine.Known {
		r.foreign += after.machine.Busy - before.machine.Busy - client - db - server
		r.stolen += after.machine.Steal - before.machine.Steal
	}
	return nil
}

// quiet is the share of the machine's CPU that others may use before a run is worth little.
const quiet = 0.05

// tellForeign adds to the result what other programs, and other machines of the same host, used of the machine's CPU
// while the meter ran.
func (r *run) tellForeign() {
	all := r.res.DurationS * float64(runtime.NumCPU())
	r.res.ForeignCPUShare = max(0, r.foreign.Seconds()/all)
	r.res.StealShare = r.stolen.Seconds() / all
	if r.res.ForeignCPUShare > quiet {
		r.res.note(fmt.Sprintf("other programs used %.0f%% of the CPU: the figures are worth little", 100*r.res.ForeignCPUShare))
	}
	if r.res.StealShare > quiet {
		r.res.note(fmt.Sprintf("the host kept back %.0f%% of the CPU: the figures are worth little", 100*r.res.StealShare))
	}
}
