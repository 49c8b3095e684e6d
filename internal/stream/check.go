package stream

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

// Check checks what can be told of an append without any record, and fills in defaults in a copy. It fails with
// [ff.ErrInvalidInput], and with [ff.ErrRetentionLimitExceeded] for payloads beyond their bound.
func Check(cmd ff.AppendFrames) (ff.AppendFrames, error) {
	if n := len(cmd.Frames); n < 1 || n > ff.MaxAppendFrames {
		return cmd, invalid("frames", fmt.Sprintf("are %d; between 1 and %d go in one call", n, ff.MaxAppendFrames))
	}
	size, seq := 0, uint64(0)
	cmd.Frames = slices.Clone(cmd.Frames)
	for i := range cmd.Frames {
		f := &cmd.Frames[i]
		if err := checkFrame(f); err != nil {
			return cmd, inFrame(i, err)
		}
		if f.Seq != 0 {
			if f.Seq <= seq {
				return cmd, inFrame(i, invalid("seq", "must be above that of the frames before it in the call"))
			}
			seq = f.Seq
		}
		size += len(f.Payload)
	}
	if size > ff.MaxAppendBytes {
		return cmd, &ff.Error{Code: ff.CodeRetentionLimitExceeded, Detail: fmt.Sprintf(
			"the payloads have %d bytes; at most %d go in one call: use several", size, ff.MaxAppendBytes)}
	}
	for i := range cmd.Frames {
		f := &cmd.Frames[i]
		f.Payload = append([]byte{}, f.Payload...) // the record outlives the call
		f.Kind, f.Encoding, f.Mode = cmp.Or(f.Kind, ff.FrameEvent), cmp.Or(f.Encoding, ff.FrameUTF8), cmp.Or(f.Mode, ff.FrameDurable)
		f.Type = cmp.Or(f.Type, string(f.Kind))
	}
	return cmd, nil
}

const maxSeq = 1<<63 - 1

func checkFrame(f *ff.Frame) error {
	if len(f.Payload) > ff.MaxFrameBytes {
		return &ff.Error{Code: ff.CodeRetentionLimitExceeded, Detail: fmt.Sprintf(
			"the payload has %d bytes; at most %d are allowed", len(f.Payload), ff.MaxFrameBytes)}
	}
	switch f.Kind {
	case "", ff.FrameEvent, ff.FrameStdout, ff.FrameStderr, ff.FrameBlob:
	default:
		return invalid("kind", "is not known")
	}
	switch f.Encoding {
	case "", ff.FrameUTF8, ff.FrameJSON, ff.FrameMsgpack, ff.FrameBinary:
	default:
		return invalid("encoding", "is not known")
	}
	switch {
	case f.Seq > maxSeq:
		return invalid("seq", "must be below 2^63")
	case f.ProducedAt < 0:
		return invalid("produced_at", "must not be negative")
	}
	if err := ff.ValidateText("frame_type", f.Type, ff.MaxNameBytes); err != nil {
		return err
	}
	if err := ff.ValidateText("correlation_id", f.CorrelationID, ff.MaxNameBytes); err != nil {
		return err
	}
	return checkMode(f)
}

func checkMode(f *ff.Frame) error {
	switch f.Mode {
	case ff.FrameLive:
		return checkLive(&f.Live)
	case "", ff.FrameDurable, ff.FrameSummary:
		if f.Live != (ff.LiveFrame{}) {
			return invalid("live", "is of mode best_effort; leave it out")
		}
		return nil
	default:
		return invalid("mode", "is not known")
	}
}

func checkLive(l *ff.LiveFrame) error {
	switch {
	case l.TTL < time.Millisecond || l.TTL > ff.MaxLiveTTL:
		return invalid("live.ttl", fmt.Sprintf("is %s; it must be between 1ms and %s", l.TTL, ff.MaxLiveTTL))
	case l.Floor < 0 || l.Floor > MaxLiveCeiling:
		return invalid("live.floor", fmt.Sprintf("is %d; it must be between 0 and %d", l.Floor, MaxLiveCeiling))
	case l.Ceiling < 0 || l.Ceiling > MaxLiveCeiling:
		return invalid("live.ceiling", fmt.Sprintf("is %d; it must be between 0 and %d", l.Ceiling, MaxLiveCeiling))
	}
	return nil
}

func invalid(field, problem string) error {
	return &ff.Error{Code: ff.CodeInvalidInput, Detail: field + " " + problem, Attrs: map[string]string{"field": field}}
}
