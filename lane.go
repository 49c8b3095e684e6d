package flowfabric

// LaneState says what a lane lets through (chapter 10, section 2.1).
type LaneState string

// Lane states.
const (
	LaneActive   LaneState = "active"   // takes submissions and hands them out
	LanePaused   LaneState = "paused"   // takes submissions, hands out nothing
	LaneDraining LaneState = "draining" // refuses submissions, hands out what it has
	LaneDisabled LaneState = "disabled" // refuses submissions, hands out nothing
)

// Intake reports whether the lane takes submissions.
func (s LaneState) Intake() bool { return s != LaneDraining && s != LaneDisabled }

// HandsOut reports whether work of the lane may be claimed.
func (s LaneState) HandsOut() bool { return s != LanePaused && s != LaneDisabled }

// Bounds of a lane's settings.
const (
	DefaultLaneWeight  = 1
	MaxLaneWeight      = 1000
	MaxLaneConcurrency = 100_000
)

// UpdateLane changes settings of a lane; nil fields stay. A lane nobody has used yet may be set up beforehand.
type UpdateLane struct {
	Lane  LaneID     `json:"lane,omitzero"`
	State *LaneState `json:"state,omitzero"`
	// Weight is the lane's share when a worker asks for several lanes that all have work: 1 to [MaxLaneWeight].
	Weight *int `json:"weight,omitzero"`
	// MaxConcurrency bounds how many executions of the lane are under a lease at once, among those claimed since a bound
	// was first set: 0 (no bound) to [MaxLaneConcurrency].
	MaxConcurrency *int   `json:"max_concurrency,omitzero"`
	Reason         string `json:"reason,omitzero"` // recorded with the event, at most [MaxReasonBytes]
	Actor          string `json:"actor,omitzero"`  // recorded with the event, at most [MaxNameBytes]
}

// LaneSnapshot is what is set for a lane.
type LaneSnapshot struct {
	Lane           LaneID    `json:"lane,omitzero"`
	State          LaneState `json:"state,omitzero"`
	Weight         int       `json:"weight,omitzero"`
	MaxConcurrency int       `json:"max_concurrency,omitzero"` // 0: no bound
	RegisteredAt   Timestamp `json:"registered_at,omitzero"`
	UpdatedAt      Timestamp `json:"updated_at,omitzero"`
}

// LaneCounts says how much work a lane has. Counting stops at [MaxLaneCount] of a kind; Capped tells that it did.
type LaneCounts struct {
	Lane     LaneID    `json:"lane,omitzero"`
	Waiting  int       `json:"waiting,omitzero"`   // claimable
	Active   int       `json:"active,omitzero"`    // under a lease, or lost by its worker and not claimed again
	Delayed  int       `json:"delayed,omitzero"`   // waiting for a time
	OldestAt Timestamp `json:"oldest_at,omitzero"` // when the oldest claimable execution was created; 0: none
	Capped   bool      `json:"capped,omitzero"`
}

// MaxLaneCount is where counting of a lane's work stops.
const MaxLaneCount = 10_000

// ListLanes asks for lanes that were used or set up, in byte order.
type ListLanes struct {
	After string `json:"after,omitzero"` // cursor of the previous page
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}
