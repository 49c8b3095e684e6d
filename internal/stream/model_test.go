package stream

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// model is a stream as chapter 50 describes it: all that was ever appended, and how much of each mode is kept.
type model struct {
	policy  ff.StreamPolicy
	history map[ff.FrameMode][]string // payloads, oldest first, without live frames that have expired
	bytes   int64
	count   int64
	seq     uint64 // the last number under the lease
	replays int
	begun   bool
	kept    bool // a durable or summary frame was ever appended
	doc     any
	patches int64

	rate         float64 // section 3.2, in frames a second
	liveAt       ff.Timestamp
	k            int
	floor, ceil  int
	readable     ff.Timestamp // live frames are, at least until then
	liveAppended bool         // by the last append
}

func newModel(p ff.StreamPolicy) *model {
	return &model{policy: p, history: map[ff.FrameMode][]string{}, doc: map[string]any{}}
}

// patch is what a frame of mode summary brings; bad ones are refused.
type patch struct {
	text string
	bad  bool
}

var patches = []patch{
	{text: `{"a":1}`},
	{text: `{"a":{"b":2,"c":null}}`},
	{text: `{"a":null}`},
	{text: `{"b":["__ff_null__",{}]}`},
	{text: `{}`},
	{text: `{"a":{"d":{"e":"__ff_null__"}}}`},
	{"{", true},
	{"[1]", true},
	{`"x"`, true},
	{`{"a":1}{}`, true},
	{"{\"a\":\"\xff\"}", true},
}

// accepts tells whether a call goes through: all of it, or nothing.
func (m *model) accepts(frames []ff.Frame) bool {
	bytes := m.bytes
	for _, f := range frames {
		if m.isDuplicate(&f) {
			continue
		}
		bytes += int64(len(f.Payload))
		for _, p := range patches {
			if f.Mode == ff.FrameSummary && p.bad && p.text == string(f.Payload) {
				return false
			}
		}
	}
	return bytes == m.bytes || bytes <= m.policy.MaxBytes
}

// isDuplicate: the numbers of a call rise, so those of the call itself make none.
func (m *model) isDuplicate(f *ff.Frame) bool { return f.Seq != 0 && f.Seq <= m.seq }

// lease is a new one: its numbers begin anew.
func (m *model) lease() { m.seq = 0 }

// append takes in a call that goes through. replays is how often the execution was replayed.
func (m *model) append(frames []ff.Frame, replays int, now ff.Timestamp) {
	if !m.begun {
		m.replays = replays
	}
	m.liveAppended = false
	seq := m.seq
	for i := range frames {
		f := &frames[i]
		if m.isDuplicate(f) {
			continue
		}
		seq = max(seq, f.Seq)
		m.begun = true
		if m.replays != replays {
			m.replays = replays
			m.add(ff.FrameDurable, fmt.Sprintf(`{"replay":%d}`, replays))
		}
		m.count++
		m.bytes += int64(len(f.Payload))
		m.add(f.Mode, string(f.Payload))
		switch f.Mode {
		case ff.FrameDurable:
		case ff.FrameSummary:
			m.fold(f.Payload)
		case ff.FrameLive:
			m.live(&f.Live, now)
		}
	}
	m.seq = seq
	m.trim(ff.FrameDurable, int(m.policy.MaxFrames))
	m.trim(ff.FrameSummary, 64)
}

func (m *model) add(mode ff.FrameMode, payload string) {
	m.history[mode] = append(m.history[mode], payload)
	m.kept = m.kept || mode != ff.FrameLive
}

func (m *model) trim(mode ff.FrameMode, most int) {
	list := m.history[mode]
	m.history[mode] = list[max(0, len(list)-most):]
}

func (m *model) fold(data []byte) {
	var p any
	if err := json.Unmarshal(data, &p); err != nil {
		panic(err) // the patches are above
	}
	m.doc = foldModel(m.doc, p)
	m.patches++
}

// live is the table of section 3.2.
func (m *model) live(c *ff.LiveFrame, now ff.Timestamp) {
	m.floor, m.ceil = cmp.Or(c.Floor, 64), cmp.Or(c.Ceiling, 16_384)
	m.ceil = max(m.ceil, m.floor)
	ttl := float64(c.TTL) / float64(time.Second)
	if m.liveAt == 0 {
		m.rate = float64(m.floor) / (2 * ttl)
		m.k = m.floor
	} else {
		alpha := c.Alpha
		if alpha <= 0 || alpha > 1 || math.IsNaN(alpha) {
			alpha = 0.2
		}
		dt := max(int64(now-m.liveAt), 1)
		m.rate = alpha*1000/float64(dt) + (1-alpha)*m.rate
		m.k = max(m.floor, min(m.ceil, int(math.Ceil(m.rate*ttl*2))))
	}
	m.liveAt = max(m.liveAt, now)
	m.readable = now.Add(c.TTL)
	m.liveAppended = true
}

// expire is the end of the live frames: what comes after begins anew.
func (m *model) expire() {
	m.history[ff.FrameLive] = nil
	m.rate, m.liveAt, m.readable = 0, 0, 0
}

// held is an active execution whose lease goes on and on.
func held() *record.Execution {
	e := &record.Execution{
		ID: ff.ExecutionIDFrom(1, [16]byte{1}), AttemptID: ff.AttemptID{1}, AttemptIndex: 2, LeaseID: ff.LeaseID{1}, Epoch: 1,
		LeaseExpiresAt: math.MaxInt64,
	}
	e.State.Phase, e.State.Ownership = ff.PhaseActive, ff.Leased
	return e
}

func fenceOf(e *record.Execution) ff.Fence {
	return ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex}
}
