package sqlite

import (
	"fmt"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// sqlFrameRange is one mode of one stream.
const sqlFrameRange = "partition_key = ? AND execution_id = ? AND attempt_index = ? AND mode = ?"

var sqlFrames = selectBy(&sqlstore.Frames, sqlFrameRange+` AND (ts_ms, seq) >= (?, ?) AND (ts_ms, seq) <= (?, ?)
	ORDER BY ts_ms, seq LIMIT ?`)

// sqlTrimFrames removes up to the last of the oldest ones.
const sqlTrimFrames = "DELETE FROM ff_stream_frame WHERE " + sqlFrameRange + ` AND (ts_ms, seq) <= (
	SELECT ts_ms, seq FROM (SELECT ts_ms, seq FROM ff_stream_frame WHERE ` + sqlFrameRange + ` ORDER BY ts_ms, seq LIMIT ?)
	ORDER BY ts_ms DESC, seq DESC LIMIT 1)`

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
		t := &ch.FrameTrims[i]
		f := &record.Frame{StreamKey: t.StreamKey, Mode: t.Mode}
		writeFrameRange(w.trimFrames, f)
		writeFrameRange(w.trimFrames, f)
		w.trimFrames.Int(int64(t.Count))
		if err := w.trimFrames.run(); err != nil {
			return fmt.Errorf("trim frames of %s: %w", t.ExecutionID, err)
		}
	}
	return nil
}
