package bench

import (
	"math"
	"slices"
	"time"
)

// Result is what a run measured; its JSON form is one object. A figure that is absent was not measured by the scenario.
type Result struct {
	Scenario      Scenario          `json:"scenario"`
	Store         string            `json:"store"`            // sqlite, memory, postgres, or http: a server that ran already
	Served        bool              `json:"served,omitempty"` // the store was served by a process of its own, and measured through a client
	Version       string            `json:"version,omitempty"`
	ServerVersion string            `json:"server_version,omitempty"`
	Settings      map[string]string `json:"settings,omitempty"`
	Durable       bool              `json:"durable"` // an acknowledged commit survives a loss of power
	GOMAXPROCS    int               `json:"gomaxprocs"`
	GOGC          int               `json:"gogc"` // the garbage collector's target in percent; -1: off

	// What the place can do at most, measured just before: the median time to make a page durable, 0 where that cannot be
	// seen; how many transactions of one INSERT one connection commits; the median time of a statement that does nothing.
	FsyncUS        float64 `json:"fsync_us,omitempty"`
	RawCommitsPerS float64 `json:"raw_commits_per_s,omitempty"`
	RoundTripUS    float64 `json:"round_trip_us,omitempty"`

	Executions   int `json:"executions,omitempty"`
	Workers      int `json:"workers,omitempty"`
	Callers      int `json:"callers,omitempty"`
	Bulk         int `json:"bulk,omitempty"`
	PayloadBytes int `json:"payload_bytes,omitempty"`
	Backlog      int `json:"backlog,omitempty"`
	Repeat       int `json:"repeat,omitempty"` // how many runs the figures are medians of; absent: one run

	SubmitPerS   float64 `json:"submit_per_s,omitempty"`
	EndToEndPerS float64 `json:"end_to_end_per_s,omitempty"`
	// RatioToRaw is SubmitPerS to RawCommitsPerS, for one caller who submits one at a time and so has a commit for each.
	RatioToRaw float64 `json:"ratio_to_raw,omitempty"`
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

	// Flows: how many nodes each has, and how many went from submission to end in a second.
	Nodes     int     `json:"nodes,omitempty"`
	FlowsPerS float64 `json:"flows_per_s,omitempty"`

	// Steps: how many each execution has, and how many were recorded in a second.
	Steps     int     `json:"steps,omitempty"`
	StepsPerS float64 `json:"steps_per_s,omitempty"`

	// Usage: reports counted in a second. Limits: the rate with limits to the one without.
	ReportsPerS float64 `json:"reports_per_s,omitempty"`
	LimitsRatio float64 `json:"limits_ratio,omitempty"`

	// Stream: frames appended in a second. Events: events read in a second, by one reader.
	FramesPerS float64 `json:"frames_per_s,omitempty"`
	EventsPerS float64 `json:"events_per_s,omitempty"`

	// StatementsPerS is what the database ran while workers were idle or kept leases, and for those who followed a stream;
	// RenewalsPerS the leases renewed.
	StatementsPerS float64 `json:"statements_per_s,omitempty"`
	RenewalsPerS   float64 `json:"renewals_per_s,omitempty"`

	// Tails: the percentiles and StatementsPerS for viewers of an engine that is not the writer's.
	OtherP50MS          float64 `json:"other_p50_ms,omitempty"`
	OtherP99MS          float64 `json:"other_p99_ms,omitempty"`
	OtherStatementsPerS float64 `json:"other_statements_per_s,omitempty"`

	// Steady: CapacityPerS is what was got through with callers that never paused, OfferedPerS what was submitted of it.
	CapacityPerS float64 `json:"capacity_per_s,omitempty"`
	OfferedPerS  float64 `json:"offered_per_s,omitempty"`
	// Steady: sizes in the end, in bytes, and their growth in bytes per minute after the warm-up: this process's resident
	// memory, its live heap, and all tables with their indexes (SQLite: the pages of the file that are not free). Negative:
	// it shrank. 0: it did not change, or cannot be seen.
	RSSBytes    float64 `json:"rss_bytes,omitempty"`
	RSSGrowth   float64 `json:"rss_growth_per_min,omitempty"`
	HeapBytes   float64 `json:"heap_bytes,omitempty"`
	HeapGrowth  float64 `json:"heap_growth_per_min,omitempty"`
	TableBytes  float64 `json:"table_bytes,omitempty"`
	TableGrowth float64 `json:"table_growth_per_min,omitempty"`
	// TrimmedPerS is how many finished executions the engine removed each second after the warm-up; OfferedPerS in the long
	// run.
	TrimmedPerS float64 `json:"trimmed_per_s,omitempty"`

	// Remote: EmbeddedPerS is the rate without a server, RemoteRatio the one through the server, EndToEndPerS, to it.
	EmbeddedPerS float64 `json:"embedded_per_s,omitempty"`
	RemoteRatio  float64 `json:"remote_ratio,omitempty"`

	DBCPUS     float64 `json:"db_cpu_s"`
	ClientCPUS float64 `json:"client_cpu_s"`
	// Of the process that served the store: its CPU, and its resident memory in the end, in bytes.
	ServerCPUS        float64 `json:"server_cpu_s,omitempty"`
	ServerRSSBytes    float64 `json:"server_rss_bytes,omitempty"`
	CPUUsPerExecution float64 `json:"cpu_us_per_execution,omitempty"`
	DurationS         float64 `json:"duration_s"`
	// ForeignCPUShare is what programs that have no part in the run used of the machine's CPU, 0 to 1. Linux alone tells.
	ForeignCPUShare float64 `json:"foreign_cpu_share"`
	// StealShare is what the host of a virtual machine kept back of its CPU, 0 to 1. Linux alone tells.
	StealShare float64 `json:"steal_share"`

	Notes []string `json:"notes,omitempty"`
}

// figures are all that runs of the same scenario differ in, but Routing.
func (r *Result) figures() []*float64 {
	return []*float64{
		&r.FsyncUS, &r.RawCommitsPerS, &r.RoundTripUS, &r.SubmitPerS, &r.EndToEndPerS, &r.RatioToRaw,
		&r.P50MS, &r.P95MS, &r.P99MS, &r.SmallBacklogPerS, &r.LargeBacklogPerS, &r.BacklogRatio, &r.BacklogCPURatio,
		&r.FlowsPerS, &r.StepsPerS, &r.ReportsPerS, &r.LimitsRatio, &r.FramesPerS, &r.EventsPerS, &r.StatementsPerS, &r.RenewalsPerS, &r.OtherP50MS, &r.OtherP99MS, &r.OtherStatementsPerS, &r.CapacityPerS, &r.OfferedPerS,
		&r.RSSBytes, &r.RSSGrowth, &r.HeapBytes, &r.HeapGrowth, &r.TableBytes, &r.TableGrowth, &r.TrimmedPerS,
		&r.EmbeddedPerS, &r.RemoteRatio, &r.DBCPUS, &r.ClientCPUS, &r.ServerCPUS, &r.ServerRSSBytes, &r.CPUUsPerExecution, &r.DurationS, &r.ForeignCPUShare, &r.StealShare,
	}
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
