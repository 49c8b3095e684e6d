package memory

import (
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// frames are the frames of the streams on one shard, by execution, so that they go with it.
type frames map[flowfabric.ExecutionID]map[frameRange][]*record.Frame

// frameRange is one mode of one stream of an execution. Its frames are ascending by id.
type frameRange struct {
	attempt int
	mode    flowfabric.FrameMode
}

// write appends, then trims.
func (f frames) write(ch *store.Changes) {
	for i := range ch.Frames {
		frame := &ch.Frames[i]
		of := f[frame.ExecutionID]
		if of == nil {
			of = make(map[frameRange][]*record.Frame)
			f[frame.ExecutionID] = of
		}
		r := frameRange{frame.AttemptIndex, frame.Mode}
		of[r] = append(of[r], frame)
	}
	for _, t := range ch.FrameTrims {
		r := frameRange{t.AttemptIndex, t.Mode}
		list := f[t.ExecutionID][r]
		switch gone := min(t.Count, len(list)); {
		case gone == 0:
		case gone == len(list):
			delete(f[t.ExecutionID], r)
		default:
			clear(list[:gone]) // readers have copies
			f[t.ExecutionID][r] = list[gone:]
		}
	}
}

// query answers q.
func (f frames) query(q *store.FramesQuery) []*record.Frame {
	var found []*record.Frame
	for _, mode := range q.Modes {
		list := f[q.Stream.ExecutionID][frameRange{q.Stream.AttemptIndex, mode}]
		from, _ := slices.BinarySearchFunc(list, q.From, func(x *record.Frame, id flowfabric.FrameID) int { return x.ID.Compare(id) })
		for _, frame := range list[from:min(len(list), from+q.Limit)] {
			if frame.ID.Compare(q.To) > 0 {
				break
			}
			found = append(found, frame)
		}
	}
	return q.Cut(found)
}

func (f frames) all() (list []*record.Frame) {
	for of := range maps.Values(f) {
		for part := range maps.Values(of) {
			list = append(list, part...)
		}
	}
	return list
}

func compareFrames(x, y *record.Frame) int {
	if c := record.CompareKeys(x.StreamKey, y.StreamKey); c != 0 {
		return c
	}
	return x.ID.Compare(y.ID)
}
