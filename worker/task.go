package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric"
)

// Task is one claimed execution, in the hands of its handler. Its methods are safe for concurrent use; they must not be
// used after the handler has returned. Slices and maps it returns are shared and must not be changed.
type Task struct {
	claimed        flowfabric.Claimed
	claimedAt      time.Time // by the worker's clock: when the claim was answered
	session        *session
	resultEncoding string
	steps          atomic.Pointer[memos]  // nil until the first step
	out            atomic.Pointer[output] // nil until the handler asks for its stream
	reports        atomic.Uint64          // of what was consumed
	span           trace.SpanContext      // of the last run of the handler

	// Guarded by session.leases.mu.
	lease    lease
	progress report
}

// TaskFrom returns the task whose handler runs under ctx.
func TaskFrom(ctx context.Context) (*Task, bool) {
	t, ok := ctx.Value(taskKey{}).(*Task)
	return t, ok
}

type taskKey struct{}

// ID returns the id of the execution.
func (t *Task) ID() flowfabric.ExecutionID { return t.claimed.ExecutionID }

// Kind returns the kind, by which the handler was chosen.
func (t *Task) Kind() string { return t.claimed.Kind }

// Lane returns the lane of the execution.
func (t *Task) Lane() flowfabric.LaneID { return t.claimed.Lane }

// Namespace returns the tenant of the execution.
func (t *Task) Namespace() flowfabric.Namespace { return t.claimed.Namespace }

// Tags returns the tags of the execution.
func (t *Task) Tags() map[string]string { return t.claimed.Tags }

// Payload returns the payload as it was submitted.
func (t *Task) Payload() []byte { return t.claimed.Payload }

// PayloadEncoding returns the submitter's hint on the payload.
func (t *Task) PayloadEncoding() string { return t.claimed.PayloadEncoding }

// Attempt returns the index of the attempt, from 0.
func (t *Task) Attempt() int { return t.claimed.Fence.AttemptIndex }

// AttemptType says why the attempt was made.
func (t *Task) AttemptType() flowfabric.AttemptType { return t.claimed.AttemptType }

// Resumed says that the attempt had begun before, here or elsewhere, and continues: after a [Delay], a [Sleep], a
// [WaitSignal], a drain or a revocation.
func (t *Task) Resumed() bool { return t.claimed.Resumed }

// RetryCount returns how many attempts failed before this one.
func (t *Task) RetryCount() int { return t.claimed.RetryCount }

// ReplayCount returns how often the execution was replayed.
func (t *Task) ReplayCount() int { return t.claimed.ReplayCount }

// Fence returns the proof of the lease, for calls to the engine on the task's behalf.
func (t *Task) Fence() flowfabric.Fence { return t.claimed.Fence }

// CreatedAt returns when the execution was created, by the storage clock.
func (t *Task) CreatedAt() flowfabric.Timestamp { return t.claimed.CreatedAt }

// LeaseExpiresAt returns when the lease runs out unless it is renewed again, by the storage clock.
func (t *Task) LeaseExpiresAt() flowfabric.Timestamp {
	t.session.leases.mu.Lock()
	defer t.session.leases.mu.Unlock()
	return t.lease.expiresAt
}

// Progress reports how far the handler is: percent, clamped to 0..100, and a message, cut at
// [flowfabric.MaxReasonBytes]. It never waits: the latest report is sent with the next renewal, after one second, or
// when the handler returns, whichever comes first. Reports overtaken by then are not sent.
func (t *Task) Progress(percent int, message string) {
	percent = min(max(percent, 0), 100)
	message = clip(message, flowfabric.MaxReasonBytes)
	t.session.leases.report(t, flowfabric.Progress{Percent: &percent, Message: &message})
}

// Heartbeat reports details, anything JSON can hold, in the way of Progress. It fails, and reports nothing, when details
// do not encode or exceed [flowfabric.MaxProgressDetailBytes]. Keeping the lease alive does not need it.
func (t *Task) Heartbeat(details any) error {
	encoded, err := json.Marshal(details)
	if err != nil {
		return fmt.Errorf("encode heartbeat details: %w", err)
	}
	if len(encoded) > flowfabric.MaxProgressDetailBytes {
		return fmt.Errorf("heartbeat details have %d bytes; at most %d are allowed", len(encoded), flowfabric.MaxProgressDetailBytes)
	}
	t.session.leases.report(t, flowfabric.Progress{Details: encoded})
	return nil
}
