package worker

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/flowfabric/flowfabric/internal/tracing"
)

// childWithin is how soon after its submit an attempt must begin to be part of the trace of that. Traces are not kept open for
// longer.
const childWithin = 10 * time.Second

// outcomes are the words of ff_worker_task_duration_seconds.
var outcomes = map[action]string{
	complete: "complete", fail: "fail", delay: "delay", cancel: "cancel", release: "release", await: "wait_children", suspend: "suspend", told: "lost",
}

// observing is a run of a handler while it is under way.
type observing struct {
	s     *session
	t     *Task
	span  trace.Span // nil for none
	began time.Time
}

// observe begins to observe a run of a handler (chapter 80, section 11).
func (s *session) observe(ctx context.Context, t *Task) (*observing, context.Context) {
	o := &observing{s: s, t: t, began: s.clock.Now()}
	s.metrics.TasksInFlight.Add(1)
	if s.cfg.TracerProvider == nil {
		return o, ctx
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("execution_id", t.ID().String()), attribute.String("kind", t.Kind()), attribute.String("lane", string(t.Lane())),
		attribute.String("namespace", string(t.Namespace())), attribute.Int("attempt_index", t.Fence().AttemptIndex),
		attribute.Int64("lease_epoch", int64(t.Fence().Epoch)), attribute.String("worker_id", string(s.cfg.WorkerID)),
		attribute.String("worker_instance_id", string(s.cfg.InstanceID)),
	)}
	if !t.claimed.FlowID.IsZero() {
		options = append(options, trace.WithAttributes(attribute.String("flow_id", t.claimed.FlowID.String())))
	}
	switch from := tracing.SpanOf(t.claimed.TraceParent); {
	case !from.IsValid():
		options = append(options, trace.WithNewRoot())
	case t.follows():
		ctx = trace.ContextWithRemoteSpanContext(ctx, from)
	default:
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: from}))
	}
	ctx, o.span = s.tracer.Start(ctx, "ff.task", options...)
	t.span = o.span.SpanContext()
	return o, ctx
}

// follows reports whether a run follows at once from its submit, so that it is part of that trace. Otherwise, behind a delay,
// a retry, a suspension or other members of its flow, it begins a trace of its own, which is linked to that.
func (t *Task) follows() bool {
	return !t.continues() && t.claimed.FlowID.IsZero() && t.claimed.ClaimedAt.Sub(t.claimed.CreatedAt) < childWithin
}

// end ends it with what follows from how the handler ended.
func (o *observing) end(out outcome) {
	m := o.s.metrics
	m.TasksInFlight.Add(-1)
	word := outcomes[out.action]
	m.TaskDuration.Observe(o.s.clock.Now().Sub(o.began), o.t.Kind(), word)
	if o.span == nil {
		return
	}
	o.span.SetAttributes(attribute.String("outcome", word))
	if out.action == fail {
		o.span.SetAttributes(attribute.String("failure_category", string(out.category)))
		tracing.Fail(o.span, string(out.category))
	}
	o.span.End()
}

// spanOf is ctx in the span of the last run of a task's handler, if there is one.
func spanOf(ctx context.Context, t *Task) context.Context {
	if !t.span.IsValid() {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, t.span)
}

// inStep begins the span of a step that is done, and returns what ends it.
func (s *session) inStep(ctx context.Context, id stepID) (context.Context, func(error)) {
	if s.cfg.TracerProvider == nil {
		return ctx, func(error) {}
	}
	ctx, span := s.tracer.Start(ctx, "ff.step", trace.WithAttributes(attribute.String("step", id.name), attribute.String("step_key", id.key)))
	return ctx, func(err error) { tracing.End(span, err) }
}
