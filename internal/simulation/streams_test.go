package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/internal/stream"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// streams are what was appended in a world, and what must be true of it.
type streams struct {
	of       map[record.StreamKey]*written
	seq      map[ff.LeaseID]uint64 // the last number that was accepted
	appended int                   // numbers the frames
	refused  int
}

// written is a stream as those know it that have appended to it.
type written struct {
	accepted map[ff.FrameMode][]string // payloads, in order
	count    int64
	closed   *closure // at the last audit
}

// closure is what a stream was when it was closed. A replay opens it again.
type closure struct {
	last    ff.FrameID
	replays int
}

func newStreams() streams {
	return streams{of: make(map[record.StreamKey]*written), seq: make(map[ff.LeaseID]uint64)}
}

func (s *streams) writtenTo(key record.StreamKey) *written {
	if s.of[key] == nil {
		s.of[key] = &written{accepted: make(map[ff.FrameMode][]string)}
	}
	return s.of[key]
}

// appendFrames is an append by a holder, or by somebody who was the holder once, and does not know better.
func (w *world) appendFrames() {
	c, ok := w.grant()
	if !ok {
		return
	}
	key := record.StreamKey{ExecutionID: c.ExecutionID, AttemptIndex: c.Fence.AttemptIndex}
	frames, holds := w.frames(c), w.holds(c)
	before := w.streamOf(key)
	applied, err := w.send(ff.AppendFrames{ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: frames})
	w.note("append %d frames to %s, attempt %d, holding it: %t: %v", len(frames), c.ExecutionID, key.AttemptIndex, holds, err)
	switch {
	case holds && err != nil && !errors.Is(err, errLost):
		w.broken("the holder may not append: %v", err)
	case !holds && applied:
		w.broken("J2: somebody without the lease has appended")
	case !holds && !errors.Is(err, errLost) && !errors.Is(err, ff.ErrStaleOwner) && !errors.Is(err, ff.ErrStreamClosed):
		w.broken("an append without the lease is told %v", err)
	}
	after := w.streamOf(key)
	if applied {
		if added := w.accept(key, c.Fence.LeaseID, frames); added != (after.Last.Compare(before.Last) > 0) {
			w.broken("J1: an append that added frames, %t, has moved the end from %s to %s", added, before.Last, after.Last)
		}
		return
	}
	w.streams.refused++
	if after != before {
		w.broken("J2, J10: an append that was not accepted has made %+v of %+v", after, before)
	}
}

// frames are new ones with numbers, new ones without, or some of those the lease has sent before, and new ones.
func (w *world) frames(c ff.Claimed) []ff.Frame {
	frames := make([]ff.Frame, 1+w.rng.IntN(3))
	last := w.streams.seq[c.Fence.LeaseID]
	seq := last - min(last, w.rng.Uint64N(3)*w.rng.Uint64N(2))
	numbered := w.rng.IntN(4) > 0
	for i := range frames {
		w.streams.appended++
		f := &frames[i]
		f.Payload = fmt.Append(nil, w.streams.appended)
		switch f.Mode, _ = pick(w, []ff.FrameMode{ff.FrameDurable, ff.FrameDurable, ff.FrameSummary, ff.FrameLive}); f.Mode {
		case ff.FrameDurable:
		case ff.FrameSummary:
			f.Payload = fmt.Appendf(nil, `{"n":%d}`, w.streams.appended)
		case ff.FrameLive:
			f.Live = ff.LiveFrame{TTL: 700 * time.Millisecond, Floor: 2, Ceiling: 4}
		}
		if numbered {
			seq++
			f.Seq = seq
		}
	}
	return frames
}

// send appends, again if the reply is lost and the frames have numbers. It reports whether the frames were accepted, which a
// caller whose reply is lost does not know.
func (w *world) send(cmd ff.AppendFrames) (applied bool, err error) {
	op, err := w.rules.AppendFrames(cmd, new(ff.Appended), new(ops.AppendedFrames))
	if err != nil {
		w.broken("append: %v", err)
	}
	for {
		err = w.disk.Apply(w.Context(), []*store.Unit{&op.Unit})
		refused := op.Outcome()
		applied = applied || w.disk.lastApplied && refused == nil
		switch {
		case errors.Is(err, errLost):
			if cmd.Frames[0].Seq == 0 || w.rng.IntN(4) == 0 {
				return applied, err
			}
		case err != nil:
			w.broken("%v", err)
		case refused != nil:
			w.coded(refused)
			return applied, refused
		default:
			return applied, nil
		}
	}
}

// accept takes in what was appended, without what the lease had appended before, and reports whether anything is left.
func (w *world) accept(key record.StreamKey, lease ff.LeaseID, frames []ff.Frame) (added bool) {
	is := w.streams.writtenTo(key)
	for _, f := range frames {
		if f.Seq != 0 {
			if f.Seq <= w.streams.seq[lease] {
				continue
			}
			w.streams.seq[lease] = f.Seq
		}
		added = true
		is.count++
		is.accepted[f.Mode] = append(is.accepted[f.Mode], string(f.Payload))
	}
	return added
}

// streamOf reads what is known of a stream; the zero value for none.
func (w *world) streamOf(key record.StreamKey) record.Stream {
	tx, err := w.disk.View(w.Context(), store.Reads{Records: []record.Key{key}})
	if err != nil {
		w.broken("view: %v", err)
	}
	if s := store.Get[*record.Stream](tx, key); s != nil {
		return *s
	}
	return record.Stream{}
}

// keepsStreams looks at all streams there are: J3, J4, J8, and that every mode keeps the newest of what was accepted.
func (w *world) keepsStreams(d *store.Dump) {
	executions := make(map[ff.ExecutionID]*record.Execution)
	for _, e := range d.Executions {
		executions[e.ID] = e
	}
	attempts := make(map[record.AttemptKey]*record.Attempt)
	for _, a := range d.Attempts {
		attempts[a.Key()] = a
	}
	frames := make(map[record.StreamKey][]*record.Frame)
	for _, f := range d.Frames {
		frames[f.StreamKey] = append(frames[f.StreamKey], f)
	}
	there := make(map[record.StreamKey]bool)
	for _, rec := range d.Records {
		if sum, ok := rec.(*record.Summary); ok {
			w.keepsSummary(sum)
		}
		s, ok := rec.(*record.Stream)
		if !ok {
			continue
		}
		there[s.StreamKey] = true
		is := w.streams.writtenTo(s.StreamKey)
		if s.Count != is.count {
			w.broken("J4: the stream of %s counts %d frames; %d were accepted", s.ExecutionID, s.Count, is.count)
		}
		w.keepsFrames(s, is, frames[s.StreamKey])
		e := executions[s.ExecutionID]
		at, _ := stream.Closed(e, attempts[record.AttemptKey{ExecutionID: s.ExecutionID, Index: s.AttemptIndex}], s.AttemptIndex, d.Now)
		w.staysClosed(s, is, e, at)
	}
	for key, is := range w.streams.of {
		if !there[key] && is.count > 0 {
			if executions[key.ExecutionID] != nil {
				w.broken("the stream of %s is gone before its execution", key.ExecutionID)
			}
			delete(w.streams.of, key)
		}
	}
}

func (w *world) keepsFrames(s *record.Stream, is *written, frames []*record.Frame) {
	kept := make(map[ff.FrameMode][]string)
	for _, f := range frames {
		if f.Type != stream.ReplayMark {
			kept[f.Mode] = append(kept[f.Mode], string(f.Payload))
		}
	}
	for mode, accepted := range is.accepted {
		want := accepted
		switch mode {
		case ff.FrameDurable:
		case ff.FrameSummary:
			want = accepted[max(0, len(accepted)-64):]
		case ff.FrameLive: // of these, nothing need be left
			want = accepted[max(0, len(accepted)-len(kept[mode])):]
		}
		if !slices.Equal(kept[mode], want) {
			w.broken("the stream of %s keeps %s frames %v; accepted were %v", s.ExecutionID, mode, kept[mode], accepted)
		}
	}
}

// keepsSummary: every patch replaces the whole of it.
func (w *world) keepsSummary(sum *record.Summary) {
	patches := w.streams.writtenTo(record.StreamKey(sum.SummaryKey)).accepted[ff.FrameSummary]
	if n := len(patches); int64(n) != sum.Patches || patches[n-1] != string(sum.Document) {
		w.broken("J8: the summary of %s is %s of version %d; accepted were %v", sum.ExecutionID, sum.Document, sum.Patches, patches)
	}
}

// staysClosed: J3, nothing comes behind what was last when the stream was closed.
func (w *world) staysClosed(s *record.Stream, is *written, e *record.Execution, at ff.Timestamp) {
	if at == 0 {
		is.closed = nil
		return
	}
	if was := is.closed; was != nil && was.replays == e.ReplayCount && was.last != s.Last {
		w.broken("J3: the stream of %s was closed at %s, and now ends at %s", s.ExecutionID, was.last, s.Last)
	}
	is.closed = &closure{last: s.Last, replays: e.ReplayCount}
}
