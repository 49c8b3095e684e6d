// Package tracing is what engine, worker, client and server have in common about OpenTelemetry: how a trace goes on from the
// submit of an execution to its attempts (chapter 80, section 11). It knows the API alone; who runs a program gives the SDK.
package tracing

import (
	"context"
	"encoding/hex"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/intercept"
)

// scope names what makes the spans.
const scope = "github.com/flowfabric/flowfabric"

// Header is where a request says what trace it is part of.
const Header = "Traceparent"

// TracerOf returns the tracer of a provider. Nil gives one whose spans are nothing.
func TracerOf(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer(scope)
}

// ParentOf returns the span ctx is in; empty for none.
func ParentOf(ctx context.Context) flowfabric.TraceParent {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	var text [flowfabric.TraceParentBytes]byte
	id, span := sc.TraceID(), sc.SpanID()
	flags := [1]byte{byte(sc.TraceFlags() & trace.FlagsSampled)}
	copy(text[:], "00-")
	hex.Encode(text[3:], id[:])
	text[35] = '-'
	hex.Encode(text[36:], span[:])
	text[52] = '-'
	hex.Encode(text[53:], flags[:])
	return flowfabric.TraceParent(text[:])
}

// SpanOf returns the span a parent names, which is not of this process. It is not valid if p is empty or malformed.
func SpanOf(p flowfabric.TraceParent) trace.SpanContext {
	if p == "" || p.Validate() != nil {
		return trace.SpanContext{}
	}
	var id trace.TraceID
	var span trace.SpanID
	var flags [1]byte
	_, _ = hex.Decode(id[:], []byte(p[3:35])) // it is valid
	_, _ = hex.Decode(span[:], []byte(p[36:52]))
	_, _ = hex.Decode(flags[:], []byte(p[53:55]))
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
}

// Continue returns ctx in the span that a request names in its header, if it does.
func Continue(ctx context.Context, header string) context.Context {
	if sc := SpanOf(flowfabric.TraceParent(header)); sc.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	return ctx
}

// polling are the operations that go on all the time: one that is part of no trace begins none.
var polling = map[string]bool{
	"claim": true, "renew": true, "renew_many": true, "heartbeat_worker": true, "register_worker": true, "progress": true,
	"read_events": true, "tail_stream": true, "list_lanes": true,
}

// Around returns what makes a span of each operation, named ff. and the operation.
func Around(tracer trace.Tracer) intercept.Around {
	return func(ctx context.Context, c intercept.Call) (context.Context, func(error)) {
		if polling[c.Op] && !trace.SpanContextFromContext(ctx).IsValid() {
			return ctx, func(error) {}
		}
		ctx, span := tracer.Start(ctx, "ff."+c.Op)
		if !span.IsRecording() {
			return ctx, func(error) { span.End() }
		}
		span.SetAttributes(attributesOf(&c)...)
		return ctx, func(err error) { End(span, err) }
	}
}

// attributesOf are what a span says of its call, in the words of chapter 80, section 11.
func attributesOf(c *intercept.Call) (list []attribute.KeyValue) {
	add := func(set bool, key, value string) {
		if set {
			list = append(list, attribute.String(key, value))
		}
	}
	add(!c.ExecutionID.IsZero(), "execution_id", c.ExecutionID.String())
	add(!c.FlowID.IsZero(), "flow_id", c.FlowID.String())
	add(!c.WaitpointID.IsZero(), "waitpoint_id", c.WaitpointID.String())
	add(!c.BudgetID.IsZero(), "budget_id", c.BudgetID.String())
	add(c.Lane != "", "lane", string(c.Lane))
	add(c.Namespace != "", "namespace", string(c.Namespace))
	add(c.WorkerID != "", "worker_id", string(c.WorkerID))
	add(c.WorkerInstanceID != "", "worker_instance_id", string(c.WorkerInstanceID))
	if !c.Fence.IsZero() {
		list = append(list, attribute.Int64("lease_epoch", int64(c.Fence.Epoch)), attribute.Int("attempt_index", c.Fence.AttemptIndex))
	}
	return list
}

// End ends a span with what came of it. The text of an error may hold what users wrote, so it is its code that is told.
func End(span trace.Span, err error) {
	if err != nil {
		text := "error"
		if coded, ok := errors.AsType[*flowfabric.Error](err); ok {
			text = string(coded.Code)
		}
		Fail(span, text)
	}
	span.End()
}

// Fail says that what a span is of has failed, with a word that says how.
func Fail(span trace.Span, how string) {
	span.SetStatus(codes.Error, how)
	span.SetAttributes(attribute.String("error.type", how))
}
