package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/flowfabric/flowfabric"
)

// Errors of steps that are used where they cannot work. No retry would help.
var (
	// ErrNoTask: the context is not of a handler.
	ErrNoTask = errors.New("the context is not that of a handler; pass on the one the handler was given")
	// ErrNestedStep: a step, a sleep or a wait was begun inside a step.
	ErrNestedStep = errors.New("a step inside a step; begin it after the outer one, or call its function")
)

// StepError is what a step came to that failed. Its text is that of the error of the step's function, cut at
// [flowfabric.MaxReasonBytes], and so is its failure category, as by [Permanent] and [FailWith]. In the run that met the
// error [errors.Is] and [errors.As] find what the function returned, too; a later run has the text alone, so whatever a
// handler decides by should be in the result of the step.
type StepError struct {
	Name, Key string
	Message   string
	Category  flowfabric.FailureCategory
	cause     error
}

// Error returns the message.
func (e *StepError) Error() string { return e.Message }

// Unwrap returns what has the category of the error.
func (e *StepError) Unwrap() error { return e.cause }

// StepOption says how a step is remembered.
type StepOption func(*stepOptions)

type stepOptions struct{ key *string }

// Key tells steps of one name apart, instead of the number of the call with that name in this run of the handler: 1 to
// [flowfabric.MaxNameBytes], not beginning with "#". Give keys where the order of calls is not always the same: in goroutines,
// and in loops over what may change.
func Key(key string) StepOption { return func(o *stepOptions) { o.key = &key } }

// Step does fn once: what it returns is recorded under the task's lease before Step returns, and a later run of the handler,
// after a crash, a suspension or a retry, gets it without a call of fn. A crash between the end of fn and its record repeats
// fn, so make its effects on others repeatable, by [StepKey] for instance.
//
// The result is recorded like that of a handler, at most [flowfabric.MaxStepBytes], and what Step returns has been through
// the record, in the first run too. An error is recorded as well, and told as a [*StepError]. It counts while the attempt goes
// on, over crashes and suspensions, so that a handler which has dealt with it finds it again; a retry or a replay does the
// step again, unless the error is [Permanent].
//
// Not recorded are an error by which a handler ends its run, such as [Delay], any error once ctx has ended, and a panic. When
// the lease is gone, Step fails with [ErrLeaseLost] or [ErrCancelled], and the handler's context ends. Two calls at once
// with the same name and key both run; both return what was recorded first.
//
// Step may be called from goroutines that end before the handler. It fails with [ErrNestedStep], [ErrNoTask], and with
// [flowfabric.ErrInvalidInput] for a bad name or key.
func Step[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error), opts ...StepOption) (T, error) {
	var o stepOptions
	for _, set := range opts {
		set(&o)
	}
	c, err := begin(ctx, name, o.key)
	if err != nil {
		var none T
		return none, err
	}
	return step(ctx, c, fn)
}

// step is Step of a call that was checked.
func step[T any](ctx context.Context, c call, fn func(ctx context.Context) (T, error)) (T, error) {
	var none T
	memo, err := c.do(ctx, func(ctx context.Context) ([]byte, string, error) {
		ctx, done := c.memos.task.session.inStep(ctx, c.id)
		out, err := fn(ctx)
		done(err)
		if err != nil {
			return nil, "", err
		}
		result, encoding, err := encode(out, flowfabric.MaxStepBytes)
		return result, encoding, Permanent(err)
	})
	if err != nil {
		return none, err
	}
	return resultOf[T](c, &memo)
}

// resultOf is the result that is remembered of a step.
func resultOf[T any](c call, memo *flowfabric.StepMemo) (T, error) {
	var none T
	result := memo.Result
	switch any(none).(type) {
	case []byte, json.RawMessage: // the memo is kept, and the caller may change what it gets
		result = slices.Clone(result)
	}
	out, err := decode[T](result)
	if err != nil {
		return none, Permanent(fmt.Errorf("step %q, %s, was recorded as something else; replay without it: %w", c.id.name, c.id.key, err))
	}
	return out, nil
}

// do returns what is remembered of a step, or else does it and records what it came to.
func (c call) do(ctx context.Context, fn func(ctx context.Context) ([]byte, string, error)) (flowfabric.StepMemo, error) {
	memo, found, err := c.memos.find(ctx, c.id, isStep)
	switch {
	case err != nil:
		return memo, err
	case found:
		return memo, errorOf(&memo, nil)
	}
	cmd := c.record()
	var failed error
	cmd.Result, cmd.Encoding, failed = fn(context.WithValue(ctx, insideStep{}, c))
	if failed != nil {
		if ctx.Err() != nil || endsRun(failed) {
			return memo, failed
		}
		cmd.Error, cmd.Category = messageOf(failed), categoryOf(failed)
	}
	if memo, err = c.memos.record(ctx, cmd); err != nil {
		return memo, err
	}
	return memo, errorOf(&memo, failed)
}

// errorOf is the error a step came to; nil: it came to a result. failed is what its function returned in this run, if it did:
// unless another call was faster, it is what is remembered.
func errorOf(memo *flowfabric.StepMemo, failed error) error {
	if memo.Error == "" {
		return nil
	}
	if failed == nil || messageOf(failed) != memo.Error {
		failed = FailWith(memo.Category, errors.New(memo.Error))
	}
	return &StepError{Name: memo.Name, Key: memo.Key, Message: memo.Error, Category: memo.Category, cause: failed}
}

// messageOf is the text by which an error is remembered; never empty, which would be a result.
func messageOf(err error) string {
	if text := clip(err.Error(), flowfabric.MaxReasonBytes); text != "" {
		return text
	}
	return fmt.Sprintf("%T", err)
}

// endsRun reports whether err is not what a step came to, but ends the run of the handler.
func endsRun(err error) bool {
	for _, end := range []error{ErrNestedStep, ErrNoTask, ErrLeaseLost, ErrCancelled, ErrShutdown} {
		if errors.Is(err, end) {
			return true
		}
	}
	var (
		later *delayed
		kids  *children
		wait  *parked
		stop  *cancelled
	)
	return errors.As(err, &later) || errors.As(err, &kids) || errors.As(err, &wait) || errors.As(err, &stop)
}
