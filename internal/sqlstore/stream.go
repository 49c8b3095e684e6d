package sqlstore

import (
	"bytes"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// keyOfAttempt are the first columns of what belongs to an attempt, and the first three of its key.
func keyOfAttempt[R any](id func(*R) *flowfabric.ExecutionID, attempt func(*R) *int, rest ...Column[R]) []Column[R] {
	return keyOfExecution(id, append([]Column[R]{integer("attempt_index", Int32, attempt)}, rest...)...)
}

// streams is ff_stream_meta.
var streams = Table[record.Stream]{Name: "ff_stream_meta", Keys: 3, Columns: slices.Concat(
	keyOfAttempt(func(s *record.Stream) *flowfabric.ExecutionID { return &s.ExecutionID }, func(s *record.Stream) *int { return &s.AttemptIndex }),
	[]Column[record.Stream]{
		integer("version", Int64, func(s *record.Stream) *int64 { return &s.Version }),
		integer("created_at_ms", Int64, func(s *record.Stream) *flowfabric.Timestamp { return &s.CreatedAt }),
		integer("frame_count", Int64, func(s *record.Stream) *int64 { return &s.Count }),
		integer("total_bytes", Int64, func(s *record.Stream) *int64 { return &s.Bytes }),
		integer("last_ts_ms", Int64, func(s *record.Stream) *flowfabric.Timestamp { return &s.Last.MS }),
		integer("last_seq", Int64, func(s *record.Stream) *uint64 { return &s.Last.Seq }),
		integer("durable_kept", Int32, func(s *record.Stream) *int { return &s.Durable }),
		integer("summary_kept", Int32, func(s *record.Stream) *int { return &s.Summary }),
		integer("live_kept", Int32, func(s *record.Stream) *int { return &s.Live }),
		integer("lease_epoch", Int64, func(s *record.Stream) *uint64 { return &s.Epoch }),
		integer("last_producer_seq", Int64, func(s *record.Stream) *uint64 { return &s.LastSeq }),
		integer("ema_rate_uhz", Int64, func(s *record.Stream) *int64 { return &s.Rate }),
		optionalInteger("last_append_ts_ms", Int64, func(s *record.Stream) *flowfabric.Timestamp { return &s.LiveAt }),
		integer("maxlen_applied_last", Int32, func(s *record.Stream) *int { return &s.LiveMax }),
		optionalInteger("expires_at_ms", Int64, func(s *record.Stream) *flowfabric.Timestamp { return &s.ExpiresAt }),
		integer("replay_count", Int32, func(s *record.Stream) *int { return &s.Replays }),
	},
)}

// summaries is ff_stream_summary. Its version column guards writes; patch_count is the version its readers are told.
var summaries = Table[record.Summary]{Name: "ff_stream_summary", Keys: 3, Columns: slices.Concat(
	keyOfAttempt(func(s *record.Summary) *flowfabric.ExecutionID { return &s.ExecutionID }, func(s *record.Summary) *int { return &s.AttemptIndex }),
	[]Column[record.Summary]{
		integer("version", Int64, func(s *record.Summary) *int64 { return &s.Version }),
		{
			Name: "document_json", Kind: Blob,
			Write:   func(s *record.Summary, w Writer) { w.Blob(s.Document) },
			Read:    func(s *record.Summary, v Reader) { s.Document = v.Blob() },
			Changed: func(a, b *record.Summary) bool { return !bytes.Equal(a.Document, b.Document) },
		},
		integer("patch_count", Int64, func(s *record.Summary) *int64 { return &s.Patches }),
		integer("first_applied_ms", Int64, func(s *record.Summary) *flowfabric.Timestamp { return &s.FirstAt }),
		integer("last_updated_ms", Int64, func(s *record.Summary) *flowfabric.Timestamp { return &s.UpdatedAt }),
	},
)}

// Frames is ff_stream_frame.
var Frames = Table[record.Frame]{Name: "ff_stream_frame", Keys: 6, Columns: slices.Concat(
	keyOfAttempt(
		func(f *record.Frame) *flowfabric.ExecutionID { return &f.ExecutionID }, func(f *record.Frame) *int { return &f.AttemptIndex },
		text("mode", func(f *record.Frame) *flowfabric.FrameMode { return &f.Mode }),
		integer("ts_ms", Int64, func(f *record.Frame) *flowfabric.Timestamp { return &f.ID.MS }),
		integer("seq", Int64, func(f *record.Frame) *uint64 { return &f.ID.Seq }),
		text("kind", func(f *record.Frame) *flowfabric.FrameKind { return &f.Kind }),
		text("frame_type", func(f *record.Frame) *string { return &f.Type }),
		Column[record.Frame]{
			Name: "payload", Kind: Blob,
			Write: func(f *record.Frame, w Writer) { w.Blob(f.Payload) },
			Read:  func(f *record.Frame, v Reader) { f.Payload = v.Blob() },
		},
		text("encoding", func(f *record.Frame) *flowfabric.FrameEncoding { return &f.Encoding }),
		optionalText("correlation_id", "", func(f *record.Frame) *string { return &f.CorrelationID }),
		optionalInteger("summary_version", Int64, func(f *record.Frame) *int64 { return &f.SummaryVersion }),
		optionalInteger("produced_at_ms", Int64, func(f *record.Frame) *flowfabric.Timestamp { return &f.ProducedAt }),
	),
)}
