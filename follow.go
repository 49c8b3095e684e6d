package flowfabric

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// StreamFollower is what [Follow] needs of a [Service].
type StreamFollower interface {
	TailStream(ctx context.Context, q TailStream) (StreamPage, error)
	Describe(ctx context.Context, id ExecutionID) (ExecutionSnapshot, error)
}

// FollowStream says what to follow.
type FollowStream struct {
	ExecutionID ExecutionID
	// After is where to go on: the Cursor of the last item that was dealt with. Empty: from the beginning.
	After      StreamCursor
	Visibility Visibility
}

// StreamCursor is a place in the streams of an execution, attempt after attempt. It stays good as long as the execution is kept.
type StreamCursor string

// StreamItemKind says what an item is.
type StreamItemKind string

// Kinds of items.
const (
	StreamBegins StreamItemKind = "begins" // an attempt; or one that has ended begins again: it was replayed
	StreamFrames StreamItemKind = "frame"
	StreamEnds   StreamItemKind = "ends" // the attempt; every frame of it was before
)

// StreamItem is one thing that happens in the streams of an execution.
type StreamItem struct {
	Kind         StreamItemKind
	AttemptIndex int
	Frame        StreamFrame  // of a frame
	ClosedAt     Timestamp    // of an end
	ClosedReason StreamClosed // of an end
	Cursor       StreamCursor // behind this item
}

// While no attempt goes on, Follow looks from time to time whether the execution has ended, ever more rarely.
const (
	firstLook  = time.Second
	rarestLook = 10 * time.Second
)

// Follow yields what an execution writes, attempt after attempt, as it is written: the frames of each attempt between the mark
// where it begins and the mark where it ends. An attempt begins with its first frame, or with its end if there is none. Follow
// ends by itself when the execution has ended and everything was yielded, and goes on over suspensions, retries and reclaims until
// then. An interrupted Follow that goes on behind the cursor of its last item yields what it would have yielded; frames that
// were trimmed meanwhile are left out.
//
// It yields an error as the last pair: [ErrInvalidInput] for a bad cursor, [ErrExecutionNotFound] also for an execution that is
// kept no longer, [ErrTimeout] when ctx has ended, and what else svc fails with. To go on after a passing one, follow again
// behind the last cursor.
func Follow(ctx context.Context, svc StreamFollower, q FollowStream) iter.Seq2[StreamItem, error] {
	return func(yield func(StreamItem, error) bool) {
		f := follower{svc: svc, q: q, yield: yield}
		if err := f.run(ctx); err != nil {
			yield(StreamItem{}, err)
		}
	}
}

// follower is a Follow under way.
type follower struct {
	svc   StreamFollower
	q     FollowStream
	yield func(StreamItem, error) bool
	at    streamPlace
	gone  bool // nobody wants more
	// pause is until the next look at the execution; 0: there was none yet.
	pause time.Duration
}

// streamPlace is what a cursor says.
type streamPlace struct {
	attempt int
	after   FrameID
	// marked says which mark the last one was: none of this attempt yet, its beginning, or its end.
	marked streamMark
}

type streamMark uint8

const (
	unmarked streamMark = iota
	begun
	ended
)

func (f *follower) run(ctx context.Context) error {
	var err error
	if f.at, err = parseStreamCursor(f.q.After); err != nil {
		return err
	}
	for !f.gone {
		more, err := f.tail(ctx, f.patience())
		if err == nil && !more && !f.gone {
			more, err = f.next(ctx)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// patience is how long to wait for more of the attempt.
func (f *follower) patience() time.Duration {
	switch {
	case f.pause == 0 || f.at.marked == ended:
		return 0
	case f.at.marked == unmarked:
		return f.pause
	default:
		return MaxTailWait
	}
}

// tail yields what comes next of the attempt, waiting for it if the attempt goes on. more: there may be more of it at once.
func (f *follower) tail(ctx context.Context, wait time.Duration) (more bool, err error) {
	page, err := f.page(ctx, f.at.attempt, f.at.after, wait)
	if err != nil {
		return false, err
	}
	return f.take(&page), nil
}

func (f *follower) page(ctx context.Context, attempt int, after FrameID, wait time.Duration) (StreamPage, error) {
	page, err := f.svc.TailStream(ctx, TailStream{
		ExecutionID: f.q.ExecutionID, AttemptIndex: attempt, After: after, Wait: wait, Visibility: f.q.Visibility,
	})
	if err != nil {
		return page, fmt.Errorf("follow attempt %d: %w", attempt, err)
	}
	return page, nil
}

// take yields a page. more: there may be more of the attempt at once.
func (f *follower) take(page *StreamPage) (more bool) {
	if fresh := len(page.Frames) > 0; fresh && f.at.marked != begun || page.ClosedAt != 0 && f.at.marked == unmarked {
		f.at.marked = begun
		f.tell(StreamItem{Kind: StreamBegins})
	}
	for i := range page.Frames {
		f.at.after = page.Frames[i].ID
		f.tell(StreamItem{Kind: StreamFrames, Frame: page.Frames[i]})
	}
	if page.ClosedAt == 0 || page.More {
		return len(page.Frames) > 0
	}
	if f.at.marked == begun {
		f.at.marked = ended
		f.tell(StreamItem{Kind: StreamEnds, ClosedAt: page.ClosedAt, ClosedReason: page.ClosedReason})
	}
	return false
}

// tell yields an item that leads to the place f is at, unless nobody wants it.
func (f *follower) tell(item StreamItem) {
	if f.gone {
		return
	}
	item.AttemptIndex, item.Cursor = f.at.attempt, f.at.cursor()
	f.gone = !f.yield(item, nil)
}

// next looks what follows when an attempt has no more frames at the moment: the same one goes on, another one has begun, or
// nothing, as the execution has ended.
func (f *follower) next(ctx context.Context) (more bool, err error) {
	f.pause = min(max(firstLook, 2*f.pause), rarestLook)
	snap, err := f.svc.Describe(ctx, f.q.ExecutionID)
	if err != nil {
		return false, fmt.Errorf("follow: %w", err)
	}
	last := -1
	if snap.Attempt != nil {
		last = snap.Attempt.Index
	}
	switch {
	case f.at.marked == ended && last > f.at.attempt:
		f.at = streamPlace{attempt: f.at.attempt + 1}
		return true, nil
	case snap.PublicState.finished() && (f.at.marked == ended || last < f.at.attempt):
		return f.tail(ctx, 0) // a replay may have come and gone since the last page
	case f.at.marked == ended:
		return true, f.probe(ctx)
	}
	return true, nil
}

// probe waits a moment for the attempt behind one that has ended, and goes over to it if there is something of it.
func (f *follower) probe(ctx context.Context) error {
	page, err := f.page(ctx, f.at.attempt+1, FrameID{}, f.pause)
	if err == nil && (len(page.Frames) > 0 || page.ClosedAt != 0) {
		f.at, f.pause = streamPlace{attempt: f.at.attempt + 1}, firstLook
		f.take(&page)
	}
	return err
}

// finished reports whether an execution in this state goes on only by a replay.
func (s PublicState) finished() bool {
	switch s {
	case PublicCompleted, PublicFailed, PublicCancelled, PublicExpired, PublicSkipped:
		return true
	default:
		return false
	}
}

// endWord is behind the cursor of an end: <attempt>:<frame id>/end.
const endWord = "/end"

// cursor is the text of a place with a mark before it.
func (p streamPlace) cursor() StreamCursor {
	text := fmt.Sprintf("%d:%s", p.attempt, p.after)
	if p.marked == ended {
		text += endWord
	}
	return StreamCursor(text)
}

func parseStreamCursor(c StreamCursor) (streamPlace, error) {
	if c == "" {
		return streamPlace{}, nil
	}
	p := streamPlace{marked: begun}
	text, isEnd := strings.CutSuffix(string(c), endWord)
	if isEnd {
		p.marked = ended
	}
	attempt, id, _ := strings.Cut(text, ":")
	ms, seq, _ := strings.Cut(id, "-")
	n, err1 := strconv.ParseUint(attempt, 10, 31)
	at, err2 := strconv.ParseUint(ms, 10, 63)
	number, err3 := strconv.ParseUint(seq, 10, 63)
	p.attempt, p.after = int(n), FrameID{MS: Timestamp(at), Seq: number}
	if err1 != nil || err2 != nil || err3 != nil || p.cursor() != c {
		return p, &Error{
			Code:   CodeInvalidInput,
			Detail: fmt.Sprintf("after is %q, which is no cursor of a followed stream; give the Cursor of an item, or none", clip(string(c))),
			Attrs:  map[string]string{"field": "after"},
		}
	}
	return p, nil
}
