package sqlite

import (
	"fmt"
	"math"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// sqlFrameRange is one mode of one stream.
const sqlFrameRange = "partition_key = ? AND execution_id = ? AND attempt_index = ? AND mode = ?"

var sqlFrames = selectBy(&sqlstore.Frames, sqlFrameRange+` AND (ts_ms, seq) >= (?, ?) AND (ts_ms, seq) <= (?, ?)
	ORDER BY ts_ms, seq LIMIT 0 + ?`)

// Frames are trimmed in two steps: the place of the last one to go, and a deletion up to there. With the first inside the
// second SQLite would note every key before it deletes one.
const (
	sqlOldFrame   = "SELECT ts_ms, seq FROM ff_stream_frame WHERE " + sqlFrameRange + " ORDER BY ts_ms, seq LIMIT 1 OFFSET ?"
	sqlTrimFrames = "DELETE FROM ff_stream_frame WHERE " + sqlFrameRange + " AND (ts_ms, seq) <= (?, ?)"
)

func writeFrameRange(s *statement, f *record.Frame) {
	const columns = 4
	for i := range columns {
		sqlstore.Frames.Columns[i].Write(f, s)
	}
}

// framesOf answers q. Of each mode it reads no more than the answer may hold.
func (r *reads) framesOf(q *store.FramesQuery) ([]*record.Frame, error) {
	var found []*record.Frame
	for _, mode := range q.Modes {
		writeFrameRange(r.frames, &record.Frame{StreamKey: q.Stream, Mode: mode})
		r.frames.Int(int64(q.From.MS))
		r.frames.Int(int64(q.From.Seq))
		r.frames.Int(int64(q.To.MS))
		r.frames.Int(int64(q.To.Seq))
		r.frames.Int(int64(q.Limit))
		for size := 0; ; {
			more, err := r.frames.step()
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
			f := scan(r.frames, &sqlstore.Frames)
			found = append(found, f)
			if size += len(f.Payload); size >= q.Bytes {
				if err := r.frames.reset(); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	return q.Cut(found), nil
}

// writeFrames appends, then trims.
func (w *writes) writeFrames(ch *store.Changes) error {
	if err := writeEach(w.frame, &sqlstore.Frames, ch.Frames); err != nil {
		return err
	}
	for i := range ch.FrameTrims {
		if err := w.trim(&ch.FrameTrims[i]); err != nil {
			return fmt.Errorf("trim frames of %s: %w", ch.FrameTrims[i].ExecutionID, err)
		}
	}
	return nil
}

// trim removes the oldest frames of a mode of a stream, all of them if there are no more than t says.
func (w *writes) trim(t *record.FrameTrim) error {
	of := &record.Frame{StreamKey: t.StreamKey, Mode: t.Mode}
	writeFrameRange(w.oldFrame, of)
	w.oldFrame.Int(int64(t.Count - 1))
	found, err := w.oldFrame.step()
	if err != nil {
		return err
	}
	ms, seq := int64(math.MaxInt64), int64(math.MaxInt64)
	if found {
		ms, seq = w.oldFrame.stmt.ColumnInt64(0), w.oldFrame.stmt.ColumnInt64(1)
		if err := w.oldFrame.reset(); err != nil {
			return err
		}
	}
	writeFrameRange(w.trimFrames, of)
	w.trimFrames.Int(ms)
	w.trimFrames.Int(seq)
	return w.trimFrames.run()
}
