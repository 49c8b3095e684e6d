package stream

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// TestAppend_KeepsTheInvariants performs random appends, with leases, replays and time between them, and compares what the
// rules write with the model: J1, J2, J4, J8, J10 to J12 of chapter 50, trimming by mode (FIX-E5), and duplicates.
func TestAppend_KeepsTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"append":          m.append,
			"append again":    m.append,
			"append by other": m.appendByOther,
			"lease":           m.lease,
			"replay":          m.replay,
			"pass":            m.pass,
			"expire":          m.expire,
			"":                m.check,
		})
	})
}

// machine is a stream as a store keeps it, beside its model.
type machine struct {
	model  *model
	e      *record.Execution
	now    ff.Timestamp
	meta   *record.Stream
	sum    *record.Summary
	frames map[ff.FrameMode][]record.Frame
	last   ff.FrameID
	modes  []ff.FrameMode  // that are appended
	ttls   []time.Duration // of live ones
	tag    int
}

func newMachine(t *rapid.T) *machine {
	p := ff.StreamPolicy{
		MaxFrames: rapid.SampledFrom([]int64{1, 3, 8, 10_000}).Draw(t, "max frames"),
		MaxBytes:  rapid.SampledFrom([]int64{40, 500, 1 << 20}).Draw(t, "max bytes"),
	}
	m := &machine{model: newModel(p), e: held(), now: 1_000_000, frames: map[ff.FrameMode][]record.Frame{}}
	m.modes = rapid.SampledFrom([][]ff.FrameMode{
		{ff.FrameDurable, ff.FrameSummary, ff.FrameLive}, {ff.FrameDurable, ff.FrameLive}, {ff.FrameLive}, {ff.FrameLive},
	}).Draw(t, "modes")
	m.ttls = rapid.SampledFrom([][]time.Duration{{time.Millisecond, 100 * time.Millisecond, 4 * time.Second}, {4 * time.Second}}).Draw(t, "ttls")
	m.e.Policy = &ff.Policy{Stream: &p}
	return m
}

func (m *machine) draw(t *rapid.T) []ff.Frame {
	numbered := rapid.Bool().Draw(t, "numbered")
	seq := m.model.seq + 1
	if numbered && rapid.IntRange(0, 2).Draw(t, "repeat") == 0 {
		seq = rapid.Uint64Range(1, m.model.seq+1).Draw(t, "from seq")
	}
	frames := make([]ff.Frame, rapid.SampledFrom([]int{1, 1, 2, 3, 5, 70}).Draw(t, "frames"))
	one := rapid.Bool().Draw(t, "of one mode")
	mode := rapid.SampledFrom(m.modes)
	for i := range frames {
		f := &frames[i]
		if m.tag++; i == 0 || !one {
			f.Mode = mode.Draw(t, "mode")
		} else {
			f.Mode = frames[0].Mode
		}
		switch f.Mode {
		case ff.FrameDurable:
			f.Payload = fmt.Append(nil, m.tag)
		case ff.FrameSummary:
			n := len(patches) - 1
			if rapid.IntRange(0, 3).Draw(t, "good") > 0 || i > 3 {
				n = 5
			}
			f.Payload = []byte(patches[rapid.IntRange(0, n).Draw(t, "patch")].text)
		case ff.FrameLive:
			f.Payload = fmt.Append(nil, m.tag)
			f.Live = ff.LiveFrame{
				TTL:     rapid.SampledFrom(m.ttls).Draw(t, "ttl"),
				Floor:   rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "floor"),
				Ceiling: rapid.SampledFrom([]int{0, 2, 7}).Draw(t, "ceiling"),
				Alpha:   rapid.SampledFrom([]float64{0, 0.5, 1, 2}).Draw(t, "alpha"),
			}
		}
		if numbered && rapid.IntRange(0, 4).Draw(t, "has number") > 0 {
			f.Seq = seq
			seq += rapid.Uint64Range(1, 3).Draw(t, "step")
		}
	}
	return frames
}

func (m *machine) call(t *rapid.T, frames []ff.Frame, fence ff.Fence) (Change, error) {
	cmd, err := Check(ff.AppendFrames{ExecutionID: m.e.ID, Fence: fence, Frames: frames})
	if err != nil {
		t.Fatal(err)
	}
	before := [3]any{copyOf(m.e), copyOf(m.meta), copyOf(m.sum)}
	ch, err := Append(m.e, m.meta, m.sum, &cmd, m.now)
	if after := [3]any{copyOf(m.e), copyOf(m.meta), copyOf(m.sum)}; !reflect.DeepEqual(before, after) {
		t.Fatalf("what is stored was changed in place: %+v, before %+v", after, before)
	}
	if err != nil && !reflect.DeepEqual(ch, Change{}) {
		t.Fatalf("refused with %v, and yet a change: %+v", err, ch)
	}
	return ch, err
}

// copyOf is a record whose bytes are its own.
func copyOf[R any](r *R) any {
	if r == nil {
		return nil
	}
	n := *r
	if s, ok := any(&n).(*record.Summary); ok {
		s.Document = append([]byte(nil), s.Document...)
	}
	return n
}

func (m *machine) append(t *rapid.T) {
	frames := m.draw(t)
	ch, err := m.call(t, frames, fenceOf(m.e))
	if accepted := m.model.accepts(frames); accepted != (err == nil) {
		t.Fatalf("error %v, want the call accepted: %t", err, accepted)
	}
	if err != nil { // J10: nothing was changed
		return
	}
	var ids []ff.FrameID
	for i, got := range ch.Result.Frames {
		if got.Duplicate != m.model.isDuplicate(&frames[i]) {
			t.Fatalf("frame %d with number %d behind %d: duplicate %t", i, frames[i].Seq, m.model.seq, got.Duplicate)
		}
		if !got.Duplicate {
			ids = append(ids, got.ID)
		}
	}
	m.model.append(frames, m.e.ReplayCount, m.now)
	if ch.Result.Count != m.model.count {
		t.Fatalf("J4: count %d, want %d", ch.Result.Count, m.model.count)
	}
	if wrote := ch.Stream != nil; wrote != (len(ids) > 0) {
		t.Fatalf("%d frames are new, and the stream is written: %t", len(ids), wrote)
	}
	m.write(t, &ch)
	if m.model.liveAppended {
		m.checkLive(t)
	}
}

// write does what a store does: it appends, then trims from the old end.
func (m *machine) write(t *rapid.T, ch *Change) {
	for _, f := range ch.Frames {
		if f.ID.Compare(m.last) <= 0 {
			t.Fatalf("J1: %s comes behind %s", f.ID, m.last)
		}
		m.last = f.ID
		m.frames[f.Mode] = append(m.frames[f.Mode], f)
	}
	for _, trim := range ch.Trims {
		m.frames[trim.Mode] = m.frames[trim.Mode][trim.Count:]
	}
	if ch.Stream != nil {
		m.meta = ch.Stream
	}
	if ch.Summary != nil {
		m.sum = ch.Summary
	}
}

// checkLive: J11, and the bound of the table, but for one that the millionths of the stored rate may make.
func (m *machine) checkLive(t *rapid.T) {
	k := m.meta.LiveMax
	if k < m.model.floor || k > m.model.ceil {
		t.Fatalf("J11: %d are kept at most; between %d and %d may be", k, m.model.floor, m.model.ceil)
	}
	if k < m.model.k-1 || k > m.model.k+1 {
		t.Fatalf("%d are kept at most, want %d", k, m.model.k)
	}
	m.model.trim(ff.FrameLive, k)
	if !m.model.kept && m.meta.ExpiresAt < m.model.readable {
		t.Fatalf("the frames go at %d; they are readable until %d", m.meta.ExpiresAt, m.model.readable)
	}
}

// appendByOther: J2, whoever is not the holder changes nothing.
func (m *machine) appendByOther(t *rapid.T) {
	f, e := fenceOf(m.e), *m.e
	switch rapid.IntRange(0, 5).Draw(t, "other") {
	case 0:
		f.Epoch++
	case 1:
		f.LeaseID[5] ^= 1
	case 2:
		f.AttemptIndex++
	case 3:
		f.AttemptID[5] ^= 1
	case 4:
		m.e.LeaseExpiresAt = m.now
	case 5:
		m.e.State.Phase, m.e.State.Ownership = ff.PhaseSuspended, ff.Unowned
	}
	_, err := m.call(t, m.draw(t), f)
	want := ff.CodeStaleOwner
	if m.e.State.Phase != ff.PhaseActive {
		want = ff.CodeStreamClosed
	}
	if codeOf(err) != want {
		t.Fatalf("error %v, want %s", err, want)
	}
	m.e = &e
}

func (m *machine) lease(*rapid.T) {
	m.e.Epoch++
	m.e.LeaseID[0]++
	m.model.lease()
}

func (m *machine) replay(t *rapid.T) {
	m.e.ReplayCount++
	m.lease(t)
}

// pass lets time pass; now and then the clock is set back.
func (m *machine) pass(t *rapid.T) {
	m.now += ff.Timestamp(rapid.SampledFrom([]int64{1, 3, 200, 5_000, 30_000, -2, -1_000}).Draw(t, "ms"))
}

// expire is the look of the sweep.
func (m *machine) expire(t *rapid.T) {
	if m.meta == nil {
		return
	}
	ch, over := Expire(m.meta, m.now)
	if !over {
		return
	}
	if m.model.kept {
		t.Fatal("J12: a stream with frames that are kept has expired")
	}
	if m.now < m.model.readable {
		t.Fatalf("expired at %d; frames are readable until %d", m.now, m.model.readable)
	}
	m.model.expire()
	m.write(t, &ch)
}

// check compares what is stored with the model.
func (m *machine) check(t *rapid.T) {
	if m.meta == nil {
		if m.model.begun {
			t.Fatal("there is no stream")
		}
		return
	}
	kept := map[ff.FrameMode]int{ff.FrameDurable: m.meta.Durable, ff.FrameSummary: m.meta.Summary, ff.FrameLive: m.meta.Live}
	for mode, n := range kept {
		var payloads []string
		for _, f := range m.frames[mode] {
			payloads = append(payloads, string(f.Payload))
		}
		want := append([]string(nil), m.model.history[mode]...)
		if diff := cmp.Diff(want, payloads); diff != "" {
			t.Fatalf("%s frames (-want +got):\n%s", mode, diff)
		}
		if n != len(want) {
			t.Fatalf("%d %s frames are counted, want %d", n, mode, len(want))
		}
	}
	if m.meta.Count != m.model.count || m.meta.Bytes != m.model.bytes {
		t.Fatalf("J4: %d frames of %d bytes, want %d of %d", m.meta.Count, m.meta.Bytes, m.model.count, m.model.bytes)
	}
	if m.model.kept && m.meta.ExpiresAt != 0 {
		t.Fatalf("J12: it has frames that are kept, and expires at %d", m.meta.ExpiresAt)
	}
	if m.sum == nil {
		if m.model.patches > 0 {
			t.Fatal("there is no summary")
		}
		return
	}
	var doc any
	if err := json.Unmarshal(m.sum.Document, &doc); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(doc, m.model.doc) || m.sum.Patches != m.model.patches {
		t.Fatalf("J8: document %s of version %d, want %v of version %d", m.sum.Document, m.sum.Patches, m.model.doc, m.model.patches)
	}
}
