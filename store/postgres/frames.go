package postgres

import (
	"github.com/flowfabric/flowfabric/internal/sqlstore"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Each mode of a stream is a range of the key. Parameters: an array for each part of the ranges.
var (
	// Of each range no more is read than the answer may hold; the lengths are known without the payloads.
	framesOf = newStatement(`SELECT k.n, ` + sqlstore.Frames.Names("c.") + `
	FROM unnest($1::smallint[], $2::uuid[], $3::integer[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
		$9::bigint[], $10::bigint[]) WITH ORDINALITY
		k(partition_key, execution_id, attempt_index, mode, from_ms, from_seq, to_ms, to_seq, most, bytes, n)
	CROSS JOIN LATERAL (SELECT * FROM (
		SELECT r.*, sum(octet_length(r.payload)) OVER (ORDER BY r.ts_ms, r.seq ROWS UNBOUNDED PRECEDING) - octet_length(r.payload) AS before
		FROM (SELECT * FROM ff_stream_frame f
			WHERE f.partition_key = k.partition_key AND f.execution_id = k.execution_id AND f.attempt_index = k.attempt_index
			AND f.mode = k.mode AND (f.ts_ms, f.seq) >= (k.from_ms, k.from_seq) AND (f.ts_ms, f.seq) <= (k.to_ms, k.to_seq)
			ORDER BY f.ts_ms, f.seq LIMIT k.most) r) w
		WHERE w.before < k.bytes) c`)
	trimFrames = newStatement(`DELETE FROM ff_stream_frame WHERE ctid = ANY (ARRAY(
	SELECT o.row_at FROM unnest($1::smallint[], $2::uuid[], $3::integer[], $4::text[], $5::bigint[])
		k(partition_key, execution_id, attempt_index, mode, most)
	CROSS JOIN LATERAL (SELECT f.ctid AS row_at FROM ff_stream_frame f
		WHERE f.partition_key = k.partition_key AND f.execution_id = k.execution_id AND f.attempt_index = k.attempt_index
		AND f.mode = k.mode ORDER BY f.ts_ms, f.seq LIMIT k.most) o))`)
)

// frameParams are an array for each of the first columns of frames that name a range of them.
func frameParams(ranges []record.Frame) [][]byte {
	const columns = 4
	params := make([][]byte, columns)
	for i := range params {
		c := &sqlstore.Frames.Columns[i]
		params[i] = arrayParam(c.Kind, func(a *array) {
			for j := range ranges {
				c.Write(&ranges[j], a)
			}
		})
	}
	return params
}

func int64Params[T any](list []T, field func(*T) int64) []byte {
	return arrayParam(sqlstore.Int64, func(a *array) {
		for i := range list {
			a.Int(field(&list[i]))
		}
	})
}

// frames answers a FramesQuery.
func frames(l *store.Load, asked store.FramesQuery) *query {
	var found []*record.Frame
	q := &query{}
	q.send = func(t *trip) {
		if len(asked.Modes) == 0 {
			return
		}
		ranges := make([]record.Frame, len(asked.Modes))
		for i, mode := range asked.Modes {
			ranges[i] = record.Frame{StreamKey: asked.Stream, Mode: mode}
		}
		params := frameParams(ranges)
		for _, bound := range []int64{
			int64(asked.From.MS), int64(asked.From.Seq), int64(asked.To.MS), int64(asked.To.Seq), int64(asked.Limit), int64(asked.Bytes),
		} {
			params = append(params, int64Params(ranges, func(*record.Frame) int64 { return bound }))
		}
		var sc scanner
		t.send(framesOf, params, func(values [][]byte) error {
			found = append(found, scan(&sc, &sqlstore.Frames, values[1:]))
			return nil
		})
	}
	q.deliver = func(b *store.Batch) { b.AddFrames(l, asked.Cut(found)) }
	return q
}

// sendFrames appends, then trims.
func sendFrames(t *trip, sh *shapes, ch *store.Changes) {
	sendEntries(t, sh, insert, &sqlstore.Frames, ch.Frames)
	if len(ch.FrameTrims) == 0 {
		return
	}
	ranges := make([]record.Frame, len(ch.FrameTrims))
	for i, trim := range ch.FrameTrims {
		ranges[i] = record.Frame{StreamKey: trim.StreamKey, Mode: trim.Mode}
	}
	t.send(trimFrames, append(frameParams(ranges), int64Params(ch.FrameTrims, func(f *record.FrameTrim) int64 { return int64(f.Count) })), nil)
}
