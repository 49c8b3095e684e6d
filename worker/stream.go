package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/flowfabric/flowfabric"
)

// TextChunk is the type of the frames that [StreamWriter.Write] makes.
const TextChunk = "text_chunk"

// liveTTL is how long frames of [StreamWriter.Live] stay readable.
const liveTTL = 30 * time.Second

// StreamWriter writes to the stream of the attempt a handler runs in; see [Stream]. Its methods are safe for concurrent use,
// until the handler has returned.
type StreamWriter struct {
	ctx context.Context // of the call of Stream: io.Writer has no other place for it
	out *output         // nil without a task
}

// Stream returns the output of the task whose handler runs under ctx: frames that anyone may read and follow while the handler
// runs, and later; see [flowfabric.Streams] and [flowfabric.Follow].
//
// Frames are sent in order, each once, by calls of their own: one alone at once, and those that come while a call is under way
// together with the next. What waits is bounded by what one call may carry, [flowfabric.MaxAppendFrames] and
// [flowfabric.MaxAppendBytes]; when that is full, writing waits. All that was written is sent before the engine hears how the
// handler ended, be that a result, an error or a wait; [StreamWriter.Flush] waits for it earlier.
//
// A call that does not get through is repeated while the lease lasts, and adds no frame twice. When the lease is gone, writing
// fails with [ErrLeaseLost] or [ErrCancelled], and the handler's context ends. When the engine refuses a frame, that and all
// behind it are not in the stream: writing fails from then on with what the engine said, and a handler that completes or waits without
// having met that error fails with it. Both are for good. When ctx ends, a writing that waits fails with its cause.
//
// A handler that runs again writes again, behind what it wrote before: in the same stream if the attempt goes on, in that of
// the next attempt after a retry. What is written inside of a [Step] is not written again once the step is recorded. Do not
// number frames of the same lease by calls of AppendFrames beside it.
//
// Without a task every method fails with [ErrNoTask].
func Stream(ctx context.Context) *StreamWriter {
	t, ok := TaskFrom(ctx)
	if !ok {
		return &StreamWriter{ctx: ctx}
	}
	return &StreamWriter{ctx: ctx, out: t.output()}
}

// Write writes text: durable frames of type [TextChunk]. Pieces that wait are joined, and large ones are cut, so that frames do
// not tell how the text was written; their payloads one behind the other are the text. It implements [io.Writer].
func (w *StreamWriter) Write(text []byte) (int, error) {
	written := 0
	for written < len(text) {
		piece := text[written:]
		if len(piece) > flowfabric.MaxFrameBytes {
			piece = wholeRunes(piece[:flowfabric.MaxFrameBytes])
		}
		if err := w.put(flowfabric.Frame{Payload: piece, Type: TextChunk}, joined); err != nil {
			return written, err
		}
		written += len(piece)
	}
	return written, nil
}

// wholeRunes leaves out the beginning of a character at the end of a text that was cut.
func wholeRunes(text []byte) []byte {
	for back := 1; back < utf8.UTFMax && back < len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				return text[:at]
			}
			break
		}
	}
	return text
}

// Text writes a durable frame of a type: at most [flowfabric.MaxFrameBytes].
func (w *StreamWriter) Text(frameType, text string) error {
	return w.Frame(flowfabric.Frame{Payload: []byte(text), Type: frameType})
}

// JSON writes a durable frame of a type with v as JSON: at most [flowfabric.MaxFrameBytes].
func (w *StreamWriter) JSON(frameType string, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a frame of type %q: %w", frameType, err)
	}
	return w.Frame(flowfabric.Frame{Payload: payload, Type: frameType, Encoding: flowfabric.FrameJSON})
}

// Summary changes the summary of the stream by a JSON merge patch: what patch is as JSON, which must be an object. A member
// that is null takes that member away, one that is left out stays (RFC 7396).
func (w *StreamWriter) Summary(patch any) error {
	payload, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode the patch of a summary: %w", err)
	}
	return w.Frame(flowfabric.Frame{Payload: payload, Encoding: flowfabric.FrameJSON, Mode: flowfabric.FrameSummary})
}

// Live writes a frame of a type for who is watching now, with v as JSON: it stays readable for 30 s. It never waits: if there is no
// room for it, it is left out.
func (w *StreamWriter) Live(frameType string, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a live frame of type %q: %w", frameType, err)
	}
	f := flowfabric.Frame{
		Payload: payload, Type: frameType, Encoding: flowfabric.FrameJSON, Mode: flowfabric.FrameLive,
		Live: flowfabric.LiveFrame{TTL: liveTTL},
	}
	if err := checkFrame(&f); err != nil {
		return err
	}
	return w.put(f, dropped)
}

// Frame writes a frame of any kind. Seq must be 0: frames are numbered here. The payload is copied. It fails with
// [flowfabric.ErrRetentionLimitExceeded] and [flowfabric.ErrInvalidInput] for what cannot be sent, which writes nothing and
// lets others go on.
func (w *StreamWriter) Frame(f flowfabric.Frame) error {
	if err := checkFrame(&f); err != nil {
		return err
	}
	return w.put(f, apart)
}

// Flush waits until all that was written is in the stream.
func (w *StreamWriter) Flush() error {
	if w.out == nil {
		return errNoStream()
	}
	return w.out.flush(w.ctx)
}

func (w *StreamWriter) put(f flowfabric.Frame, how queueing) error {
	if w.out == nil {
		return errNoStream()
	}
	return w.out.put(w.ctx, f, how)
}

func errNoStream() error { return Permanent(fmt.Errorf("write to the stream: %w", ErrNoTask)) }

// checkFrame refuses what would be refused later, when other frames are behind it.
func checkFrame(f *flowfabric.Frame) error {
	switch {
	case len(f.Payload) > flowfabric.MaxFrameBytes:
		return &flowfabric.Error{Code: flowfabric.CodeRetentionLimitExceeded, Detail: fmt.Sprintf(
			"the payload of the frame has %d bytes; at most %d are allowed: use Write, or several frames", len(f.Payload), flowfabric.MaxFrameBytes)}
	case f.Seq != 0:
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: "seq is set; leave it out, frames are numbered as they are written"}
	}
	return flowfabric.ValidateText("frame_type", f.Type, flowfabric.MaxNameBytes)
}
