package flowfabric

import "time"

// Bounds of durable steps.
const (
	// MaxStepBytes bounds the result of a step.
	MaxStepBytes = 256 << 10
	// MaxStepPageBytes is about how many bytes of results one page of steps has.
	MaxStepPageBytes = 4 << 20
)

// RecordStep remembers what a step of a handler came to, so that a later run of the handler gets it instead of doing the
// step again. The first that is recorded counts; a repeat is told what that was.
type RecordStep struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	Fence       Fence       `json:"fence,omitzero"`
	Name        string      `json:"name,omitzero"` // 1 to [MaxNameBytes]
	// Key tells steps of one name apart: by default the worker numbers them.
	Key string `json:"key,omitzero"`
	// Position orders the steps of an execution: the order in which a run of the handler came to them.
	Position int    `json:"position,omitzero"`
	Result   []byte `json:"result,omitzero"` // at most [MaxStepBytes]
	Encoding string `json:"encoding,omitzero"`
	// Error, with Category, is remembered instead of a result. It counts until the execution is retried or replayed; one
	// of category [FailurePermanent] for ever.
	Error    string          `json:"error,omitzero"`
	Category FailureCategory `json:"category,omitzero"`
	// For gives the memo a time: the storage clock's when it is recorded, and so much more.
	For time.Duration `json:"for_ms,omitzero"`
}

// StepMemo is a step as it is remembered.
type StepMemo struct {
	Name         string          `json:"name,omitzero"`
	Key          string          `json:"key,omitzero"`
	Position     int             `json:"position,omitzero"`
	Result       []byte          `json:"result,omitzero"`
	Encoding     string          `json:"encoding,omitzero"`
	Error        string          `json:"error,omitzero"`
	Category     FailureCategory `json:"category,omitzero"`
	AttemptIndex int             `json:"attempt_index,omitzero"` // the attempt that recorded it,
	Epoch        uint64          `json:"epoch,omitzero"`         // under which lease
	RecordedAt   Timestamp       `json:"recorded_at,omitzero"`
	Until        Timestamp       `json:"until,omitzero"` // RecordedAt and RecordStep.For; 0 if that was 0
	// Repeated, in an answer of RecordStep: it was remembered before, and this is what.
	Repeated bool `json:"repeated,omitzero"`
}

// ListSteps asks for the steps of an execution that count, by name and key.
type ListSteps struct {
	ExecutionID ExecutionID `json:"execution_id,omitzero"`
	After       string      `json:"after,omitzero"` // Next of the page before
	Limit       int         `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]. A page may be shorter, for its size
}

// StepRetention says what a replay keeps of the steps that were done.
type StepRetention struct {
	DropAll bool `json:"drop_all,omitzero"`
	// DropFrom drops the first step of that name and all that came after it.
	DropFrom string `json:"drop_from,omitzero"`
}
