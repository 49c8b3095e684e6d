package stream

import (
	"encoding/json"
	"errors"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store/record"
)

// ReplayMark is the type of the frame behind which a replay goes on with the stream of its attempt.
const ReplayMark = "replay"

// maxSummaryFrames is how many patches of a summary are kept.
const maxSummaryFrames = 64

// Change is what an append writes. Stream is nil when every frame is a duplicate: then nothing is written.
type Change struct {
	Stream  *record.Stream
	Summary *record.Summary // nil if it stays
	Frames  []record.Frame
	Trims   []record.FrameTrim
	Result  ff.Appended
}

// Append appends the frames of cmd, which Check has passed, to the stream of the attempt its fence names (chapter 50,
// section 2). meta and sum are as stored, nil when there is none; sum is looked at only if [NeedsSummary]. All frames are
// appended, or none.
func Append(e *record.Execution, meta *record.Stream, sum *record.Summary, cmd *ff.AppendFrames, now ff.Timestamp) (Change, error) {
	if err := checkOwner(e, cmd.Fence, now); err != nil {
		return Change{}, err
	}
	a := begin(e, meta, cmd.Fence, now)
	a.result.Frames = make([]ff.AppendedFrame, len(cmd.Frames))
	for i := range cmd.Frames {
		f := &cmd.Frames[i]
		if f.Seq != 0 && f.Seq <= a.meta.LastSeq {
			a.result.Frames[i].Duplicate = true
			continue
		}
		if err := a.fold(f, sum); err != nil {
			return Change{}, inFrame(i, err)
		}
		a.mark(e.ReplayCount)
		a.result.Frames[i] = a.add(f)
	}
	a.result.Count = a.meta.Count
	if len(a.frames) == 0 {
		return Change{Result: a.result}, nil
	}
	return a.finish(e.Policy.StreamOrDefault())
}

// NeedsSummary reports whether an append has to know the summary.
func NeedsSummary(cmd *ff.AppendFrames) bool {
	for i := range cmd.Frames {
		if cmd.Frames[i].Mode == ff.FrameSummary {
			return true
		}
	}
	return false
}

// checkOwner makes checks 2 to 5 of section 2. A stream whose attempt is active and leased is open.
func checkOwner(e *record.Execution, f ff.Fence, now ff.Timestamp) error {
	err := lifecycle.CheckHolder(e, f, now)
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, ff.ErrFenceRequired) || errors.Is(err, ff.ErrPartialFence):
		return err
	case e.State.Phase != ff.PhaseActive:
		return &ff.Error{Code: ff.CodeStreamClosed, Detail: "only an active execution has an open stream; this one is " + string(e.Public), Err: err}
	default:
		return &ff.Error{Code: ff.CodeStaleOwner, Detail: "the lease is not yours any more; stop working on the execution", Err: err}
	}
}

// appending is an append under way.
type appending struct {
	key    record.StreamKey
	meta   *record.Stream
	live   *ff.LiveFrame // of the last live frame
	sum    *summing
	frames []record.Frame
	result ff.Appended
	now    ff.Timestamp
}

// begin copies what is known of the stream, or makes it. A replay that comes to the stream of an earlier run leaves a mark
// in it, which no worker has appended: it counts only among what is kept.
func begin(e *record.Execution, meta *record.Stream, fence ff.Fence, now ff.Timestamp) *appending {
	a := &appending{key: record.StreamKey{ExecutionID: e.ID, AttemptIndex: fence.AttemptIndex}, now: now}
	if meta == nil {
		a.meta = &record.Stream{StreamKey: a.key, CreatedAt: now, Epoch: fence.Epoch, Replays: e.ReplayCount}
		return a
	}
	n := *meta
	a.meta = &n
	if n.Epoch != fence.Epoch {
		n.Epoch, n.LastSeq = fence.Epoch, 0
	}
	return a
}

// mark comes before the first frame that a replay appends.
func (a *appending) mark(replays int) {
	if a.meta.Replays == replays {
		return
	}
	a.meta.Replays = replays
	payload, _ := json.Marshal(map[string]int{"replay": replays}) // cannot fail
	a.put(record.Frame{Mode: ff.FrameDurable, Kind: ff.FrameEvent, Type: ReplayMark, Encoding: ff.FrameJSON, Payload: payload})
}

// put gives a frame its place.
func (a *appending) put(f record.Frame) ff.FrameID {
	f.StreamKey = a.key
	f.ID = nextID(a.meta.Last, a.now)
	a.meta.Last = f.ID
	a.frames = append(a.frames, f)
	switch f.Mode {
	case ff.FrameSummary:
		a.meta.Summary++
	case ff.FrameLive:
		a.meta.Live++
	default:
		a.meta.Durable++
	}
	return f.ID
}

// nextID is above last even if the clock is behind it (J1).
func nextID(last ff.FrameID, now ff.Timestamp) ff.FrameID {
	if now > last.MS {
		return ff.FrameID{MS: now}
	}
	return last.Next()
}

// add appends a frame.
func (a *appending) add(f *ff.Frame) ff.AppendedFrame {
	frame := record.Frame{
		Mode: f.Mode, Kind: f.Kind, Type: f.Type, Payload: f.Payload, Encoding: f.Encoding, CorrelationID: f.CorrelationID,
		ProducedAt: f.ProducedAt,
	}
	if f.Mode == ff.FrameSummary {
		frame.SummaryVersion = a.sum.patches
	}
	done := ff.AppendedFrame{ID: a.put(frame), SummaryVersion: frame.SummaryVersion}
	a.meta.Count++
	a.meta.Bytes += int64(len(f.Payload))
	if f.Seq != 0 {
		a.meta.LastSeq = f.Seq
	}
	if f.Mode == ff.FrameLive {
		a.live = &f.Live
		measure(a.meta, &f.Live, a.now)
	}
	return done
}

// fold applies a patch to the summary.
func (a *appending) fold(f *ff.Frame, stored *record.Summary) error {
	if f.Mode != ff.FrameSummary {
		return nil
	}
	if a.sum == nil {
		var err error
		if a.sum, err = open(stored); err != nil {
			return err
		}
	}
	return a.sum.apply(f.Payload)
}

// finish checks the bounds of bytes, and trims each mode by its own bound.
func (a *appending) finish(p ff.StreamPolicy) (Change, error) {
	if a.meta.Bytes > p.MaxBytes {
		return Change{}, &ff.Error{Code: ff.CodeRetentionLimitExceeded, Detail: fmt.Sprintf(
			"the stream would come to %d bytes in all; its policy (stream_policy.max_bytes) allows %d", a.meta.Bytes, p.MaxBytes)}
	}
	ch := Change{Stream: a.meta, Frames: a.frames, Result: a.result}
	if a.sum != nil {
		var err error
		if ch.Summary, err = a.sum.close(record.SummaryKey(a.key), a.now); err != nil {
			return Change{}, err
		}
	}
	if a.live != nil {
		expireLater(a.meta, a.live, a.now)
		ch.trim(ff.FrameLive, &a.meta.Live, a.meta.LiveMax)
	}
	if a.meta.Durable+a.meta.Summary > 0 {
		a.meta.ExpiresAt = 0 // for good: of these, some are always kept
	}
	ch.trim(ff.FrameDurable, &a.meta.Durable, int(p.MaxFrames))
	ch.trim(ff.FrameSummary, &a.meta.Summary, maxSummaryFrames)
	return ch, nil
}

// trim removes what is kept of a mode beyond its bound.
func (ch *Change) trim(mode ff.FrameMode, kept *int, most int) {
	if over := *kept - most; over > 0 {
		ch.Trims = append(ch.Trims, record.FrameTrim{StreamKey: ch.Stream.StreamKey, Mode: mode, Count: over})
		*kept = most
	}
}

// inFrame says which frame of a call was refused.
func inFrame(i int, err error) error {
	e, ok := err.(*ff.Error) //nolint:errorlint // made here, not wrapped
	if !ok {
		return err
	}
	n := *e
	n.Detail = fmt.Sprintf("frame %d: %s", i, e.Detail)
	return &n
}
