package bench

import (
	"math"
	"slices"
	"time"
)

// Result is what a run measured; its JSON form is one object. A figure that is absent was not measured by the scenario.
type Result struct {
	Scenario      Scenario          `json:"scenario"`
	Store         string            `json:"store"` // sqlite, memory or postgres
	Version       string            `json:"version,omitempty"`
	ServerVersion string            `json:"server_version,omitempty"`
	Settings      map[string]string `json:"settings,omitempty"`
	Durable       bool              `json:"durable"` // an acknowledged commit survives a loss of power
	GOMAXPROCS    int               `json:"gomaxprocs"`
	GOGC          int               `json:"gogc"` // the garbage collector's target in percent; -1: off

	Executions   int `json:"executions,omitempty"`
	Workers      int `json:"workers,omitempty"`
	Callers      int `json:"callers,omitempty"`
	Bulk         int `json:"bulk,omitempty"`
	PayloadBytes int `json:"payload_bytes,omitempty"`
	Backlog      int `json:"backlog,omitempty"`

	SubmitPerS   float64 `json:"submit_per_s,omitempty"`
	EndToEndPerS float64 `json:"end_to_end_per_s,omitempty"`
	// Percentiles: of a call of Submit or SubmitMany, from submit to handler, or from opening to the first completion.
	P50MS float64 `json:"p50_ms,omitempty"`
	P95MS float64 `json:"p95_ms,omitempty"`
	P99MS float64 `json:"p99_ms,omitempty"`

	SmallBacklogPerS float64 `json:"small_backlog_per_s,omitempty"`
	LargeBacklogPerS float64 `json:"large_backlog_per_s,omitempty"`
	// BacklogRatio is the large rate to the small one, BacklogCPURatio the same by CPU per execution, which other programs
	// disturb less. 1: the backlog costs nothing.
	BacklogRatio    float64 `json:"backlog_ratio,omitempty"`
	BacklogCPURatio float64 `json:"backlog_cpu_ratio,omitempty"`

	Routing []RoutingResult `json:"routing,omitempty"`

	StatementsPerS float64 `json:"statements_per_s,omitempty"`

	DBCPUS            float64 `json:"db_cpu_s"`
	ClientCPUS        float64 `json:"client_cpu_s"`
	CPUUsPerExecution float64 `json:"cpu_us_per_execution,omitempty"`
	DurationS         float64 `json:"duration_s"`
	// ForeignCPUShare is what programs that have no part in the run used of the machine's CPU, 0 to 1. Linux alone tells.
	ForeignCPUShare float64 `json:"foreign_cpu_share"`

	Notes []string `json:"notes,omitempty"`
}

func (r *Result) note(text string) { r.Notes = append(r.Notes, text) }

// percentiles sets the three percentiles of times, by nearest rank. It sorts times.
func (r *Result) percentiles(times []time.Duration) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		rank := int(math.Ceil(share * float64(len(times))))
		return float64(times[rank-1]) / float64(time.Millisecond)
	}
	r.P50MS, r.P95MS, r.P99MS = at(.50), at(.95), at(.99)
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
