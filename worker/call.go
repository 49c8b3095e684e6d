package worker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// stepID is what a step is known by, within its execution.
type stepID struct{ name, key string }

// call is one call of a step, a sleep or a wait by a handler.
type call struct {
	memos *memos
	id    stepID
}

// insideStep is the key of a context inside a step; its value is the call.
type insideStep struct{}

// begin checks a call. A key of nil is the number of the call with that name in this run.
func begin(ctx context.Context, name string, key *string) (call, error) {
	t, ok := TaskFrom(ctx)
	switch {
	case !ok:
		return call{}, Permanent(fmt.Errorf("step %q: %w", name, ErrNoTask))
	case ctx.Value(insideStep{}) != nil:
		return call{}, Permanent(fmt.Errorf("step %q: %w", name, ErrNestedStep))
	}
	if err := flowfabric.ValidateName("step name", name); err != nil {
		return call{}, Permanent(fmt.Errorf("step: %w", err))
	}
	c := call{memos: t.memos(), id: stepID{name: name}}
	if key == nil {
		c.id.key = c.memos.number(name)
		return c, nil
	}
	c.id.key = *key
	err := flowfabric.ValidateName("step key", *key)
	if err == nil && strings.HasPrefix(*key, numberMark) {
		err = &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: "step key: " + numberMark + " begins the keys of steps that are numbered"}
	}
	if err != nil {
		return call{}, Permanent(fmt.Errorf("step %q: %w", name, err))
	}
	return c, nil
}

// numberMark begins the key of a step that was given none.
const numberMark = "#"

// record is the record of a call that has not been remembered before.
func (c call) record() flowfabric.RecordStep {
	return flowfabric.RecordStep{Name: c.id.name, Key: c.id.key, Position: c.memos.place()}
}

// StepKey returns a text that names the step ctx is inside of to the outside world, as an idempotency key: the same in every
// run of this step of this execution, until it is replayed. It is 32 characters of 0-9 and a-f. Outside of a step: "".
func StepKey(ctx context.Context) string {
	c, ok := ctx.Value(insideStep{}).(call)
	if !ok {
		return ""
	}
	sum := c.id.derive("ff-step-1", c.memos.task)
	return hex.EncodeToString(sum[:])
}

// derive makes 16 bytes that follow from a purpose, the execution, its replay and the step: a UUID of version 8. Texts are
// framed by their length, so that no two steps are the same bytes.
func (id stepID) derive(purpose string, t *Task) [16]byte {
	h := sha256.New()
	for _, text := range []string{purpose, t.ID().String(), id.name, id.key} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // never fails
		h.Write([]byte(text))
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(t.ReplayCount())))
	u := [16]byte(h.Sum(nil))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u
}

// insist makes an idempotent call of the engine that a handler waits for, again while it does not get through. It ends with
// ctx; an answer that the lease is gone ends the handler's context. Errors say what was tried, and the name of it if it has one.
func insist[R any](ctx context.Context, t *Task, what, name string, ask func(ctx context.Context) (R, error)) (R, error) {
	tried := func(err error) error {
		if name == "" {
			return fmt.Errorf("%s: %w", what, err)
		}
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	for pause := firstReportPause; ; pause = min(2*pause, longestReportPause) {
		answer, err := ask(ctx)
		if err == nil {
			return answer, nil
		}
		loss := lossOf(err)
		switch {
		case loss != nil:
			t.session.loseLease(ctx, t, loss)
			return answer, tried(loss)
		case refused(err):
			return answer, Permanent(tried(err))
		case !mayRepeat(err):
			return answer, tried(err)
		}
		if ctx.Err() == nil {
			t.session.logOf(t).WarnContext(ctx, "a call for a handler did not get through; it will be repeated", "error", tried(err))
		}
		if !loop.Sleep(ctx, t.session.clock, loop.Jitter(pause), nil) {
			return answer, tried(context.Cause(ctx))
		}
	}
}

// recordGrace is how long the record of a step that is done may take when its context has ended, but not its lease.
const recordGrace = 2 * time.Second

// outlasting returns a context for the record of what ran under ctx: it ends with the lease, and recordGrace after ctx when
// that ends for another reason. The second result releases it.
func outlasting(ctx context.Context, t *Task, c clock.Clock) (context.Context, func()) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		if !t.session.leases.gone(t) {
			loop.Sleep(longer, c, recordGrace, nil)
		}
		end(context.Cause(ctx))
	})
	return longer, func() {
		forget()
		end(nil)
	}
}
