package storetest

import (
	"errors"
	"reflect"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

var frameTests = []behaviour{
	{"FramesKeepEveryField", testFrameFields},
	{"FramesComeInOrderOfTheirIDs", testFrameOrder},
	{"BoundsOfARangeAreInclusive", testFrameBounds},
	{"ModesAreChosenBeforeTheLimit", testFrameModes},
	{"LimitsOfFramesAndBytesHold", testFrameLimits},
	{"TrimTakesTheOldestOfItsMode", testFrameTrim},
	{"TrimsOfABatchAddUp", testFrameTrimsAddUp},
	{"AppendOfAFailingUnitIsNotWritten", testFramesOfFailingUnit},
	{"AppendOnAStaleStreamIsRefused", testFramesGuarded},
	{"StreamsDoNotMix", testFramesOfOthers},
	{"FramesGoWithTheirExecution", testFramesTrimmed},
	{"FramesOutliveARestart", testFramesReopened},
}

var allModes = []ff.FrameMode{ff.FrameDurable, ff.FrameSummary, ff.FrameLive}

func streamOf(n, attempt int) record.StreamKey {
	return record.StreamKey{ExecutionID: id(n), AttemptIndex: attempt}
}

// frameAt is a frame of a mode, with a payload that names its id.
func frameAt(of record.StreamKey, mode ff.FrameMode, ms ff.Timestamp, seq uint64) record.Frame {
	at := ff.FrameID{MS: ms, Seq: seq}
	return record.Frame{StreamKey: of, Mode: mode, ID: at, Kind: ff.FrameEvent, Type: "t", Encoding: ff.FrameUTF8, Payload: []byte(at.String())}
}

// appendUnit appends and trims, and writes the stream's record.
func appendUnit(of record.StreamKey, trims []record.FrameTrim, frames ...record.Frame) *store.Unit {
	return unit(store.Reads{Records: []record.Key{of}}, func(tx *store.Tx) error {
		n := &record.Stream{StreamKey: of}
		if s := store.Get[*record.Stream](tx, of); s != nil {
			*n = *s
		}
		n.Count += int64(len(frames))
		tx.Put(n)
		tx.AppendFrames(frames...)
		for _, t := range trims {
			tx.TrimFrames(t)
		}
		return nil
	})
}

// everything asks for all frames of a stream.
func everything(of record.StreamKey) store.FramesQuery {
	return store.FramesQuery{
		Stream: of, To: ff.FrameID{MS: 1<<63 - 1, Seq: 1<<63 - 1}, Modes: allModes, Limit: ff.MaxStreamPage, Bytes: ff.MaxStreamPageBytes,
	}
}

// frameIDs are the ids of the answer.
func (e *env) frameIDs(q store.FramesQuery) []string {
	e.Helper()
	list := []string{}
	for _, f := range e.view(store.Reads{Frames: []store.FramesQuery{q}}).Frames(0) {
		list = append(list, f.ID.String())
	}
	return list
}

func testFrameFields(e *env) {
	of := streamOf(1, 7)
	full := record.Frame{
		StreamKey: of, Mode: ff.FrameSummary, ID: ff.FrameID{MS: start + 1, Seq: 1 << 60}, Kind: ff.FrameBlob, Type: "artifact 'ä'",
		Payload: []byte{0, 0xff, 'x'}, Encoding: ff.FrameBinary, CorrelationID: "c-1", SummaryVersion: 1 << 61, ProducedAt: start - 5,
	}
	if zero := unset("Frame", reflect.ValueOf(&full)); len(zero) > 0 {
		e.Fatalf("the full frame leaves %q unset", zero)
	}
	bare := record.Frame{StreamKey: of, Mode: ff.FrameDurable, ID: ff.FrameID{MS: start}, Kind: ff.FrameEvent, Type: "event", Encoding: ff.FrameUTF8}
	e.do(appendUnit(of, nil, bare, full))
	got := e.view(store.Reads{Frames: []store.FramesQuery{everything(of)}}).Frames(0)
	e.equal("frames", got, []*record.Frame{&bare, &full})
	e.equal("dump", e.dump().Frames, []*record.Frame{&bare, &full})
}

func testFrameOrder(e *env) {
	of := streamOf(1, 0)
	e.do(
		appendUnit(of, nil, frameAt(of, ff.FrameDurable, 9, 0), frameAt(of, ff.FrameLive, 9, 1), frameAt(of, ff.FrameDurable, 10, 0)),
		appendUnit(of, nil, frameAt(of, ff.FrameSummary, 10, 1), frameAt(of, ff.FrameDurable, 10, 2), frameAt(of, ff.FrameLive, 100, 0)),
	)
	e.equal("all", e.frameIDs(everything(of)), []string{"9-0", "9-1", "10-0", "10-1", "10-2", "100-0"})
}

func testFrameBounds(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil, frameAt(of, ff.FrameDurable, 9, 5), frameAt(of, ff.FrameDurable, 10, 0), frameAt(of, ff.FrameDurable, 10, 1), frameAt(of, ff.FrameDurable, 11, 0)))
	for _, c := range []struct {
		name     string
		from, to ff.FrameID
		want     []string
	}{
		{"both ends are there", ff.FrameID{MS: 9, Seq: 5}, ff.FrameID{MS: 10, Seq: 1}, []string{"9-5", "10-0", "10-1"}},
		{"between frames", ff.FrameID{MS: 9, Seq: 6}, ff.FrameID{MS: 10, Seq: 0}, []string{"10-0"}},
		{"a whole millisecond", ff.FrameID{MS: 10}, ff.FrameID{MS: 10, Seq: 1<<63 - 1}, []string{"10-0", "10-1"}},
		{"backwards", ff.FrameID{MS: 11}, ff.FrameID{MS: 9}, []string{}},
		{"behind the last", ff.FrameID{MS: 11, Seq: 1}, ff.FrameID{MS: 20}, []string{}},
	} {
		q := everything(of)
		q.From, q.To = c.from, c.to
		e.equal(c.name, e.frameIDs(q), c.want)
	}
}

func testFrameModes(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil,
		frameAt(of, ff.FrameLive, 1, 0), frameAt(of, ff.FrameLive, 2, 0), frameAt(of, ff.FrameDurable, 3, 0), frameAt(of, ff.FrameSummary, 4, 0)))
	q := everything(of)
	q.Modes, q.Limit = []ff.FrameMode{ff.FrameDurable, ff.FrameSummary}, 1
	e.equal("without live ones", e.frameIDs(q), []string{"3-0"})
	q.Modes = nil
	e.equal("of no mode", e.frameIDs(q), []string{})
}

func testFrameLimits(e *env) {
	of := streamOf(1, 0)
	var frames []record.Frame
	for i := range 6 {
		f := frameAt(of, allModes[i%2], ff.Timestamp(i+1), 0)
		f.Payload = make([]byte, 100)
		frames = append(frames, f)
	}
	e.do(appendUnit(of, nil, frames...))
	q := everything(of)
	q.Limit = 4
	e.equal("four frames", e.frameIDs(q), []string{"1-0", "2-0", "3-0", "4-0"})
	for bytes, want := range map[int]int{1: 1, 100: 1, 101: 2, 300: 3, 301: 4, 600: 6, 601: 6} {
		q := everything(of)
		q.Bytes = bytes
		e.equal("frames of some bytes", len(e.frameIDs(q)), want)
	}
}

func testFrameTrim(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil,
		frameAt(of, ff.FrameDurable, 1, 0), frameAt(of, ff.FrameLive, 2, 0), frameAt(of, ff.FrameLive, 2, 1), frameAt(of, ff.FrameLive, 3, 0)))
	live := record.FrameTrim{StreamKey: of, Mode: ff.FrameLive, Count: 2}
	e.do(appendUnit(of, []record.FrameTrim{live}))
	e.equal("two of the live ones", e.frameIDs(everything(of)), []string{"1-0", "3-0"})
	// Those of the same unit count.
	e.do(appendUnit(of, []record.FrameTrim{live}, frameAt(of, ff.FrameLive, 4, 0), frameAt(of, ff.FrameLive, 5, 0)))
	e.equal("one old, one new", e.frameIDs(everything(of)), []string{"1-0", "5-0"})
	live.Count = 99
	e.do(appendUnit(of, []record.FrameTrim{live}))
	e.equal("more than there are", e.frameIDs(everything(of)), []string{"1-0"})
	e.do(appendUnit(of, []record.FrameTrim{live}))
	e.equal("of none", e.frameIDs(everything(of)), []string{"1-0"})
}

func testFrameTrimsAddUp(e *env) {
	of, other := streamOf(1, 0), streamOf(1, 1)
	e.do(appendUnit(other, nil, frameAt(other, ff.FrameDurable, 1, 0)))
	one := record.FrameTrim{StreamKey: of, Mode: ff.FrameDurable, Count: 1}
	e.do(
		appendUnit(of, nil, frameAt(of, ff.FrameDurable, 1, 0), frameAt(of, ff.FrameDurable, 2, 0)),
		appendUnit(of, []record.FrameTrim{one}, frameAt(of, ff.FrameDurable, 3, 0)),
		appendUnit(of, []record.FrameTrim{one}, frameAt(of, ff.FrameDurable, 4, 0)),
	)
	e.equal("of the stream", e.frameIDs(everything(of)), []string{"3-0", "4-0"})
	e.equal("of the other", e.frameIDs(everything(other)), []string{"1-0"})
}

func testFramesOfFailingUnit(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil, frameAt(of, ff.FrameDurable, 1, 0)))
	refused := errors.New("refused")
	bad := unit(store.Reads{}, func(tx *store.Tx) error {
		tx.AppendFrames(frameAt(of, ff.FrameDurable, 2, 0))
		tx.TrimFrames(record.FrameTrim{StreamKey: of, Mode: ff.FrameDurable, Count: 1})
		return refused
	})
	e.apply(bad, appendUnit(of, nil, frameAt(of, ff.FrameDurable, 3, 0)))
	if !errors.Is(bad.Err, refused) {
		e.Errorf("the unit's outcome is %v", bad.Err)
	}
	e.equal("frames", e.frameIDs(everything(of)), []string{"1-0", "3-0"})
}

func testFramesGuarded(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil, frameAt(of, ff.FrameDurable, 1, 0)))
	runs := 0
	late := unit(store.Reads{Records: []record.Key{of}}, func(tx *store.Tx) error {
		n := *store.Get[*record.Stream](tx, of)
		runs++
		n.Count++
		tx.Put(&n)
		tx.AppendFrames(frameAt(of, ff.FrameDurable, ff.Timestamp(n.Count), 0))
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- e.retry(late) }()
	if err := e.retry(unit(store.Reads{Records: []record.Key{of}}, late.Decide)); err != nil {
		e.Fatal(err)
	}
	if err := <-done; err != nil {
		e.Fatal(err)
	}
	e.equal("each has its own id", e.frameIDs(everything(of)), []string{"1-0", "2-0", "3-0"})
}

func testFramesOfOthers(e *env) {
	streams := []record.StreamKey{streamOf(1, 0), streamOf(1, 1), streamOf(2, 0)}
	for i, of := range streams {
		e.do(appendUnit(of, nil, frameAt(of, ff.FrameDurable, ff.Timestamp(i+1), 0)))
	}
	tx := e.view(store.Reads{Frames: []store.FramesQuery{everything(streams[2]), everything(streams[0]), everything(streams[1]), everything(streamOf(3, 0))}})
	for i, want := range []string{"3-0", "1-0", "2-0"} {
		if got := tx.Frames(i); len(got) != 1 || got[0].ID.String() != want {
			e.Errorf("question %d is answered with %v, want %s", i, got, want)
		}
	}
	e.equal("of none", len(tx.Frames(3)), 0)
}

func testFramesTrimmed(e *env) {
	e.put(finished(1, start+1), finished(2, start+2))
	for n := 1; n <= 2; n++ {
		for attempt := range 2 {
			of := streamOf(n, attempt)
			var frames []record.Frame
			for i := range 20 {
				frames = append(frames, frameAt(of, allModes[i%3], ff.Timestamp(i+1), 0))
			}
			e.do(appendUnit(of, nil, frames...))
		}
	}
	e.ms(1)
	e.equal("trimmed", e.trim(store.Trim{}), store.Trimmed{Executions: 1})
	d := e.dump()
	e.equal("frames that are left", len(d.Frames), 40)
	if slices.ContainsFunc(d.Frames, func(f *record.Frame) bool { return f.ExecutionID == id(1) }) {
		e.Error("frames of a removed execution are there")
	}
	e.equal("records that are left", len(d.Records), 2)
}

func testFramesReopened(e *env) {
	of := streamOf(1, 0)
	e.do(appendUnit(of, nil, frameAt(of, ff.FrameDurable, 1, 0), frameAt(of, ff.FrameLive, 2, 0)))
	if !e.reopen() {
		e.Skip("the store does not outlive a restart")
	}
	e.equal("frames", e.frameIDs(everything(of)), []string{"1-0", "2-0"})
}
