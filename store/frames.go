package store

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// FramesQuery asks for frames of a stream, ascending by id, from From to To, both inclusive.
type FramesQuery struct {
	Stream   record.StreamKey
	From, To flowfabric.FrameID // Seq at most math.MaxInt64
	Modes    []flowfabric.FrameMode
	Limit    int // 1 to [flowfabric.MaxStreamPage]
	// Bytes bounds the payloads: the answer ends with the frame that reaches it.
	Bytes int
}

// Cut makes the answer to q of the first frames of each of its modes: it orders list and cuts it off at the bounds.
func (q *FramesQuery) Cut(list []*record.Frame) []*record.Frame {
	slices.SortFunc(list, func(x, y *record.Frame) int { return x.ID.Compare(y.ID) })
	size := 0
	for i, f := range list {
		if size += len(f.Payload); i+1 == q.Limit || size >= q.Bytes {
			return list[:i+1]
		}
	}
	return list
}

// AddFrames adds the ordered answer to the load's next FramesQuery.
func (b *Batch) AddFrames(l *Load, list []*record.Frame) {
	l.unit.loadedFrames = append(l.unit.loadedFrames, list)
}

// Frames returns the answer to the unit's i-th FramesQuery: frames as they are stored, without those of the batch.
func (tx *Tx) Frames(i int) []*record.Frame { return tx.unit.loadedFrames[i] }

// AppendFrames appends frames to streams, in order. Their ids must be above those that were ever appended to the stream,
// and the unit must also put the stream's record, whose version guards them.
func (tx *Tx) AppendFrames(frames ...record.Frame) {
	tx.unit.frames = append(tx.unit.frames, frames...)
}

// TrimFrames removes frames from the old end of a mode of a stream, counting those of the same batch. As for AppendFrames,
// the unit must also put the stream's record.
func (tx *Tx) TrimFrames(t record.FrameTrim) { tx.unit.trims = append(tx.unit.trims, t) }

// trimmed adds up what units trim of the same mode of the same stream, in the order of the first of them.
func trimmed(trims []record.FrameTrim) []record.FrameTrim {
	type part struct {
		of   record.StreamKey
		mode flowfabric.FrameMode
	}
	at := make(map[part]int, len(trims))
	var sums []record.FrameTrim
	for _, t := range trims {
		p := part{t.StreamKey, t.Mode}
		if i, ok := at[p]; ok {
			sums[i].Count += t.Count
			continue
		}
		at[p] = len(sums)
		sums = append(sums, t)
	}
	return sums
}
