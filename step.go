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
	ExecutionID ExecutionID
	Fence       Fence
	Name        string // 1 to [MaxNameBytes]
	// Key tells steps of one name apart: by default the worker numbers them.
	Key string
	// Position orders the steps of an execution: the order in which a run of the handler came to them.
	Position int
	Result   []byte // at most [MaxStepBytes]
	Encoding string
	// Error, with Category, is remembered instead of a result. It counts until the execution is retried or replayed; one
	// of category [FailurePermanent] for ever.
	Error    string
	Category FailureCategory
	// For gives the memo a time: the storage clock's when it is recorded, and so much more.
	For time.Duration
}

// StepMemo is a step as it is remembered.
type StepMemo struct {
	Name         string
	Key          string
	Position     int
	Result       []byte
	Encoding     string
	Error        string
	Category     FailureCategory
	AttemptIndex int    // the attempt that recorded it,
	Epoch        uint64 // under which lease
	RecordedAt   Timestamp
	Until        Timestamp // RecordedAt and RecordStep.For; 0 if that was 0
	// Repeated, in an answer of RecordStep: it was remembered before, and this is what.
	Repeated bool
}

// ListSteps asks for the steps of an execution that count, by name and key.
type ListSteps struct {
	ExecutionID ExecutionID
	After       string // Next of the page before
	Limit       int    // 1 to [MaxPage]; default [DefaultPage]. A page may be shorter, for its size
}

// StepRetention says what a replay keeps of the steps that were done.
type StepRetention struct {
	DropAll bool
	// DropFrom drops the first step of that name and all that came after it.
	DropFrom string
}
