package ops

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/internal/stream"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// AppendedFrames are the frames an append has added to a stream, behind the one that was the last before.
type AppendedFrames struct {
	Stream       record.StreamKey
	Before, Last ff.FrameID
	Frames       []record.Frame
}

// AppendFrames appends to a stream; out gets what it came to, and added what was added. The unit writes the stream's record
// and guards the execution, whose own row is not written.
func (r Rules) AppendFrames(cmd ff.AppendFrames, out *ff.Appended, added *AppendedFrames) (*Op, error) {
	const name = "append frames"
	if err := r.checkID(cmd.ExecutionID); err != nil {
		return nil, named(name, err)
	}
	cmd, err := stream.Check(cmd)
	if err != nil {
		return nil, named(name, err)
	}
	index := max(cmd.Fence.AttemptIndex, 0) // a negative one is refused with the fence
	key := record.StreamKey{ExecutionID: cmd.ExecutionID, AttemptIndex: index}
	summary := record.SummaryKey(key)
	needsSummary := stream.NeedsSummary(&cmd)
	op := r.onMember(name, cmd.ExecutionID, false, func(tx *store.Tx, e *record.Execution, _ *record.Attempt) (lifecycle.Change, error) {
		var sum *record.Summary
		if needsSummary {
			sum = store.Get[*record.Summary](tx, summary)
		}
		meta := store.Get[*record.Stream](tx, key)
		ch, err := stream.Append(e, meta, sum, &cmd, tx.Now())
		if err != nil {
			return lifecycle.Change{}, err
		}
		*out, *added = ch.Result, AppendedFrames{Stream: key}
		if ch.Stream != nil {
			added.Last, added.Frames = ch.Stream.Last, ch.Frames
			if meta != nil {
				added.Before = meta.Last
			}
			tx.GuardExecution(e.ID)
			putStream(tx, &ch)
		}
		return lifecycle.Change{}, nil
	})
	op.Reads.Records = []record.Key{key}
	if needsSummary {
		op.Reads.Records = append(op.Reads.Records, summary)
	}
	return op, nil
}

func putStream(tx *store.Tx, ch *stream.Change) {
	tx.Put(ch.Stream)
	if ch.Summary != nil {
		tx.Put(ch.Summary)
	}
	tx.AppendFrames(ch.Frames...)
	for _, t := range ch.Trims {
		tx.TrimFrames(t)
	}
}

// SweepStreams removes the frames of up to limit streams of a shard that only ever had live ones, and whose time is over.
// handled gets how many were due.
func (r Rules) SweepStreams(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "sweep streams"}
	op.Partition, op.Order = shard, order
	op.Reads.DueRecords = []store.DueRecordsQuery{{Family: record.Streams, Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.DueRecords(0)
		*handled = len(due)
		for _, rec := range due {
			if ch, over := stream.Expire(rec.(*record.Stream), tx.Now()); over { // it may have been appended to since
				putStream(tx, &ch)
			}
		}
		return nil
	}
	return op
}

// ReadStream reads frames and closure as of one instant.
func (r Rules) ReadStream(ctx context.Context, st store.Store, q ff.ReadStream) (ff.StreamPage, error) {
	page, err := r.readStream(ctx, st, q)
	return page, named("read stream", err)
}

// CheckTail validates a question for what is behind a place.
func (r Rules) CheckTail(q ff.TailStream) error {
	const name = "tail stream"
	if err := checkSpan("wait", q.Wait, 0, ff.MaxTailWait); err != nil {
		return named(name, err)
	}
	_, err := r.framesQuery(framesBehind(&q))
	return named(name, err)
}

func framesBehind(q *ff.TailStream) *ff.ReadStream {
	return &ff.ReadStream{
		ExecutionID: q.ExecutionID, AttemptIndex: q.AttemptIndex, From: stored(q.After).Next(), Limit: q.Limit, Visibility: q.Visibility,
	}
}

// TailStream reads behind a place, and tells the last frame of the stream as of the same instant. It does not wait.
func (r Rules) TailStream(ctx context.Context, st store.Store, q ff.TailStream) (ff.StreamPage, ff.FrameID, error) {
	page, tx, err := r.readStreamWith(ctx, st, framesBehind(&q), record.StreamKey{ExecutionID: q.ExecutionID, AttemptIndex: q.AttemptIndex})
	if err != nil {
		return page, ff.FrameID{}, named("tail stream", err)
	}
	return page, lastOf(tx, q.ExecutionID, q.AttemptIndex), nil
}

func lastOf(tx *store.Tx, id ff.ExecutionID, attempt int) ff.FrameID {
	if s := store.Get[*record.Stream](tx, record.StreamKey{ExecutionID: id, AttemptIndex: attempt}); s != nil {
		return s.Last
	}
	return ff.FrameID{}
}

// StreamState is how a stream stands: its last frame, and whether it is closed.
type StreamState struct {
	Last   ff.FrameID
	Closed bool
}

// TailFrames reads behind a place and does not tell whether the stream is closed: one query.
func (r Rules) TailFrames(ctx context.Context, st store.Store, q ff.TailStream) (page ff.StreamPage, err error) {
	fq, err := r.framesQuery(framesBehind(&q))
	if err == nil {
		var tx *store.Tx
		if tx, err = st.View(ctx, store.Reads{Frames: []store.FramesQuery{fq}}); err == nil {
			page = framesPage(tx, &fq)
		}
	}
	return page, named("tail stream", err)
}

// LookAtStreams tells how streams stand, in the order of keys; whether they are closed only if closure is set. Without, it is
// one query.
func (r Rules) LookAtStreams(ctx context.Context, st store.Store, keys []record.StreamKey, closure bool) ([]StreamState, error) {
	var reads store.Reads
	for _, key := range keys {
		if closure {
			reads.Executions = append(reads.Executions, key.ExecutionID)
			reads.Attempts = append(reads.Attempts, attemptOf(key))
		}
		reads.Records = append(reads.Records, key)
	}
	tx, err := st.View(ctx, reads)
	if err != nil {
		return nil, err
	}
	states := make([]StreamState, len(keys))
	for i, key := range keys {
		states[i].Last = lastOf(tx, key.ExecutionID, key.AttemptIndex)
		if closure {
			at, _ := closedOf(tx, attemptOf(key))
			states[i].Closed = at != 0
		}
	}
	return states, nil
}

func (r Rules) readStream(ctx context.Context, st store.Store, q ff.ReadStream) (ff.StreamPage, error) {
	page, _, err := r.readStreamWith(ctx, st, &q)
	return page, err
}

// readStreamWith reads frames and closure, and other records, as of one instant.
func (r Rules) readStreamWith(ctx context.Context, st store.Store, q *ff.ReadStream, also ...record.Key) (page ff.StreamPage, tx *store.Tx, err error) {
	fq, err := r.framesQuery(q)
	if err != nil {
		return page, nil, err
	}
	att := attemptOf(fq.Stream)
	tx, err = st.View(ctx, store.Reads{
		Executions: []ff.ExecutionID{q.ExecutionID}, Attempts: []record.AttemptKey{att}, Frames: []store.FramesQuery{fq}, Records: also,
	})
	if err != nil {
		return page, nil, err
	}
	page = framesPage(tx, &fq)
	page.ClosedAt, page.ClosedReason = closedOf(tx, att)
	return page, tx, nil
}

// framesPage is the answer to a query for frames, the unit's first.
func framesPage(tx *store.Tx, fq *store.FramesQuery) (page ff.StreamPage) {
	size := 0
	for _, f := range tx.Frames(0) {
		size += len(f.Payload)
		page.Frames = append(page.Frames, frameOf(f))
	}
	page.More = len(page.Frames) == fq.Limit || size >= fq.Bytes
	return page
}

func attemptOf(s record.StreamKey) record.AttemptKey {
	return record.AttemptKey{ExecutionID: s.ExecutionID, Index: s.AttemptIndex}
}

func closedOf(tx *store.Tx, key record.AttemptKey) (ff.Timestamp, ff.StreamClosed) {
	att := tx.Attempt(key)
	return stream.Closed(lifecycle.Normalize(tx.Execution(key.ExecutionID), att), att, key.Index, tx.Now())
}

func (r Rules) framesQuery(q *ff.ReadStream) (store.FramesQuery, error) {
	fq := store.FramesQuery{From: stored(q.From), To: stored(q.To), Limit: cmp.Or(q.Limit, ff.DefaultPage), Bytes: ff.MaxStreamPageBytes}
	var err error
	if fq.Stream, err = r.streamKey(q.ExecutionID, q.AttemptIndex); err != nil {
		return fq, err
	}
	switch {
	case fq.Limit < 1:
		return fq, invalid("limit", "must be at least 1")
	case fq.Limit > ff.MaxStreamPage:
		return fq, invalid("limit", fmt.Sprintf("must be at most %d", ff.MaxStreamPage))
	case q.From.MS < 0 || q.To.MS < 0:
		return fq, invalid("from and to", "must not be before 0-0")
	}
	switch q.Visibility {
	case "", ff.VisibleAll:
		fq.Modes = []ff.FrameMode{ff.FrameDurable, ff.FrameSummary, ff.FrameLive}
	case ff.VisibleWithoutLive:
		fq.Modes = []ff.FrameMode{ff.FrameDurable, ff.FrameSummary}
	default:
		return fq, invalid("visibility", "must be all or exclude_best_effort")
	}
	if q.To == (ff.FrameID{}) {
		fq.To = ff.FrameID{MS: math.MaxInt64, Seq: math.MaxInt64}
	}
	return fq, nil
}

// stored is id as far as a store can tell: no frame has a greater number.
func stored(id ff.FrameID) ff.FrameID {
	return ff.FrameID{MS: id.MS, Seq: min(id.Seq, math.MaxInt64-1)}
}

func (r Rules) streamKey(id ff.ExecutionID, attempt int) (record.StreamKey, error) {
	if err := r.checkID(id); err != nil {
		return record.StreamKey{}, err
	}
	if attempt < 0 || attempt > math.MaxInt32 {
		return record.StreamKey{}, invalid("attempt_index", "must be between 0 and 2,147,483,647")
	}
	return record.StreamKey{ExecutionID: id, AttemptIndex: attempt}, nil
}

// Told are frames as readers see them.
func Told(list []record.Frame) []ff.StreamFrame {
	told := make([]ff.StreamFrame, len(list))
	for i := range list {
		told[i] = frameOf(&list[i])
		told[i].Payload = bytes.Clone(list[i].Payload) // the caller's
	}
	return told
}

func frameOf(f *record.Frame) ff.StreamFrame {
	return ff.StreamFrame{
		ID: f.ID, Kind: f.Kind, Type: f.Type, Payload: f.Payload, Encoding: f.Encoding, Mode: f.Mode, CorrelationID: f.CorrelationID,
		SummaryVersion: f.SummaryVersion, ProducedAt: f.ProducedAt,
	}
}

// DescribeStream tells of a stream without its frames.
func (r Rules) DescribeStream(ctx context.Context, st store.Store, id ff.ExecutionID, attempt int) (ff.StreamInfo, error) {
	const name = "describe stream"
	key, err := r.streamKey(id, attempt)
	if err != nil {
		return ff.StreamInfo{}, named(name, err)
	}
	tx, err := st.View(ctx, store.Reads{
		Executions: []ff.ExecutionID{id}, Attempts: []record.AttemptKey{attemptOf(key)}, Records: []record.Key{key},
	})
	if err != nil {
		return ff.StreamInfo{}, named(name, err)
	}
	info := ff.StreamInfo{ExecutionID: id, AttemptIndex: attempt}
	if s := store.Get[*record.Stream](tx, key); s != nil {
		info.CreatedAt, info.Count, info.Bytes, info.Last = s.CreatedAt, s.Count, s.Bytes, s.Last
	}
	info.ClosedAt, info.ClosedReason = closedOf(tx, attemptOf(key))
	return info, nil
}

// ReadSummary returns the summary of a stream.
func (r Rules) ReadSummary(ctx context.Context, st store.Store, id ff.ExecutionID, attempt int) (ff.StreamSummary, error) {
	const name = "read summary"
	key, err := r.streamKey(id, attempt)
	if err != nil {
		return ff.StreamSummary{}, named(name, err)
	}
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{record.SummaryKey(key)}})
	if err != nil {
		return ff.StreamSummary{}, named(name, err)
	}
	s := store.Get[*record.Summary](tx, record.SummaryKey(key))
	if s == nil {
		return ff.StreamSummary{}, nil
	}
	return ff.StreamSummary{Document: s.Document, Version: s.Patches, FirstAt: s.FirstAt, UpdatedAt: s.UpdatedAt}, nil
}
