package storetest

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// streams checks what chapter 50 says of streams at rest: every frame is of a stream that is there, none is behind its last
// id (J3), ids are unique and increase (J1), and the counts of what is kept agree with what is there. A stream that kept a
// frame for good does not expire (J12), and one that keeps live frames alone does.
func (a *audit) streams(d *store.Dump) {
	type kept struct{ durable, summary, live int }
	found := make(map[record.StreamKey]*kept)
	last := make(map[record.StreamKey]ff.FrameID)
	there := make(map[record.StreamKey]*record.Stream)
	for _, rec := range d.Records {
		if s, ok := rec.(*record.Stream); ok {
			there[s.StreamKey] = s
			found[s.StreamKey] = &kept{}
		}
	}
	for _, f := range d.Frames {
		s := there[f.StreamKey]
		if s == nil {
			a.add(f.ExecutionID, "has frame %s of attempt %d, and no stream", f.ID, f.AttemptIndex)
			continue
		}
		if f.ID.Compare(s.Last) > 0 {
			a.add(f.ExecutionID, "J3: frame %s is behind the last one, %s", f.ID, s.Last)
		}
		if f.ID.Compare(last[f.StreamKey]) <= 0 {
			a.add(f.ExecutionID, "J1: frame %s comes behind %s", f.ID, last[f.StreamKey])
		}
		last[f.StreamKey] = f.ID
		switch k := found[f.StreamKey]; f.Mode {
		case ff.FrameSummary:
			k.summary++
		case ff.FrameLive:
			k.live++
		default:
			k.durable++
		}
	}
	for key, s := range there {
		if have, want := *found[key], (kept{s.Durable, s.Summary, s.Live}); have != want {
			a.add(key.ExecutionID, "stream %d keeps %+v and says %+v", key.AttemptIndex, have, want)
		}
		if ends, should := s.ExpiresAt != 0, s.Live > 0 && s.Durable+s.Summary == 0; ends != should {
			a.add(key.ExecutionID, "J12: stream %d with %+v expires at %d", key.AttemptIndex, *found[key], s.ExpiresAt)
		}
	}
}
