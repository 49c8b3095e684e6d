package flowfabric

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written is an execution that somebody follows. Whenever a tail would wait, the next thing happens.
type written struct {
	attempts []attemptOutput
	state    PublicState
	happens  []func(*written)
	waits    []time.Duration // of the tails
	fail     error
}

// attemptOutput is the stream of an attempt; its frames have the numbers from 1 on.
type attemptOutput struct {
	frames []string
	closed StreamClosed
}

// pageOfTwo makes followers read pages.
const pageOfTwo = 2

func (w *written) TailStream(ctx context.Context, q TailStream) (StreamPage, error) {
	if ctx.Err() != nil {
		return StreamPage{}, &Error{Code: CodeTimeout, Err: ctx.Err()}
	}
	w.waits = append(w.waits, q.Wait)
	page := w.look(q)
	if len(page.Frames) > 0 || page.ClosedAt != 0 || q.Wait == 0 {
		return page, w.fail
	}
	if len(w.happens) > 0 {
		w.happens[0](w)
		w.happens = w.happens[1:]
	}
	return w.look(q), w.fail
}

func (w *written) look(q TailStream) (page StreamPage) {
	if q.AttemptIndex >= len(w.attempts) {
		return page
	}
	a := w.attempts[q.AttemptIndex]
	for i, text := range a.frames {
		if id := (FrameID{MS: 7, Seq: uint64(i + 1)}); id.Compare(q.After) > 0 && len(page.Frames) < pageOfTwo {
			page.Frames = append(page.Frames, StreamFrame{ID: id, Payload: []byte(text)})
		}
	}
	page.More = len(page.Frames) == pageOfTwo
	if a.closed != "" {
		page.ClosedAt, page.ClosedReason = 9, a.closed
	}
	return page
}

func (w *written) Describe(context.Context, ExecutionID) (ExecutionSnapshot, error) {
	s := ExecutionSnapshot{PublicState: w.state}
	if n := len(w.attempts); n > 0 {
		s.Attempt = &AttemptSnapshot{Index: n - 1}
	}
	return s, w.fail
}

// toldOf is an item in short: "1 begins", "1 frame text", "1 ends reason".
func toldOf(item StreamItem) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s%s", item.AttemptIndex, item.Kind, item.Frame.Payload, item.ClosedReason))
}

// follow follows to the end.
func follow(t *testing.T, w *written, after StreamCursor) (told []string, cursors []StreamCursor) {
	t.Helper()
	for item, err := range Follow(t.Context(), w, FollowStream{After: after}) {
		if err != nil {
			t.Fatal(err)
		}
		told, cursors = append(told, toldOf(item)), append(cursors, item.Cursor)
	}
	return told, cursors
}

func wantTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestFollow_YieldsAttemptAfterAttempt(t *testing.T) {
	told, cursors := follow(t, &written{state: PublicCompleted, attempts: []attemptOutput{
		{[]string{"a", "b", "c"}, StreamClosedFailure},
		{nil, StreamClosedReclaimed},
		{[]string{"d", "e"}, StreamClosedSuccess},
	}}, "")
	wantTold(t, told,
		"0 begins", "0 frame a", "0 frame b", "0 frame c", "0 ends attempt_failure",
		"1 begins", "1 ends reclaimed",
		"2 begins", "2 frame d", "2 frame e", "2 ends attempt_success")
	if diff := cmp.Diff([]StreamCursor{
		"0:0-0", "0:7-1", "0:7-2", "0:7-3", "0:7-3/end", "1:0-0", "1:0-0/end", "2:0-0", "2:7-1", "2:7-2", "2:7-2/end",
	}, cursors); diff != "" {
		t.Errorf("cursors (-want +got):\n%s", diff)
	}
}

// J15, of the streams of an execution.
func TestFollow_GoesOnBehindAnyCursorAsIfNothingHadBeen(t *testing.T) {
	w := &written{state: PublicFailed, attempts: []attemptOutput{
		{[]string{"a", "b", "c"}, StreamClosedFailure}, {nil, StreamClosedLeaseExpired}, {[]string{"d"}, StreamClosedFailure},
	}}
	whole, cursors := follow(t, w, "")
	for i, c := range cursors {
		rest, _ := follow(t, w, c)
		if !slices.Equal(rest, whole[i+1:]) {
			t.Errorf("behind %s, %q, came %q", c, whole[i], rest)
		}
	}
}

func TestFollow_YieldsAsItIsWritten(t *testing.T) {
	told, _ := follow(t, &written{state: PublicWaiting, happens: []func(*written){
		func(*written) {}, // nothing yet
		func(w *written) { w.attempts = []attemptOutput{{}} },
		func(w *written) { w.attempts[0].frames = []string{"a"} },
		func(w *written) { w.attempts[0].frames = []string{"a", "b"} },
		func(w *written) { w.attempts[0].closed = StreamClosedFailure },
		func(*written) {}, // a pause before the retry
		func(w *written) { w.attempts = append(w.attempts, attemptOutput{frames: []string{"c"}}) },
		func(w *written) { w.attempts[1].closed, w.state = StreamClosedSuccess, PublicCompleted },
	}}, "")
	wantTold(t, told, "0 begins", "0 frame a", "0 frame b", "0 ends attempt_failure", "1 begins", "1 frame c", "1 ends attempt_success")
}

func TestFollow_EndsWithAnExecutionThatEndsBetweenAttempts(t *testing.T) {
	w := &written{state: PublicDelayed, attempts: []attemptOutput{{[]string{"a"}, StreamClosedFailure}}, happens: []func(*written){
		func(w *written) { w.state = PublicCancelled },
	}}
	told, _ := follow(t, w, "")
	wantTold(t, told, "0 begins", "0 frame a", "0 ends attempt_failure")
}

func TestFollow_EndsWithAnExecutionThatNeverBegan(t *testing.T) {
	told, _ := follow(t, &written{state: PublicDelayed, happens: []func(*written){
		func(w *written) { w.state = PublicSkipped },
	}}, "")
	wantTold(t, told)
}

func TestFollow_AReplayBeginsTheAttemptAgain(t *testing.T) {
	w := &written{state: PublicDelayed, attempts: []attemptOutput{{[]string{"a"}, StreamClosedFailure}}, happens: []func(*written){
		func(w *written) { w.attempts[0] = attemptOutput{frames: []string{"a", "replay", "b"}} },
		func(w *written) { w.attempts[0].closed, w.state = StreamClosedSuccess, PublicCompleted },
	}}
	told, cursors := follow(t, w, "")
	wantTold(t, told, "0 begins", "0 frame a", "0 ends attempt_failure", "0 begins", "0 frame replay", "0 frame b", "0 ends attempt_success")
	again, _ := follow(t, w, cursors[2])
	wantTold(t, again, told[3:]...)
}

func TestFollow_AReplayAtTheLastMomentIsNotMissed(t *testing.T) {
	w := &lateReplay{written{state: PublicFailed, attempts: []attemptOutput{{[]string{"a"}, StreamClosedFailure}}}}
	var told []string
	for item, err := range Follow(t.Context(), w, FollowStream{}) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, toldOf(item))
	}
	wantTold(t, told, "0 begins", "0 frame a", "0 ends attempt_failure", "0 begins", "0 frame b", "0 ends attempt_success")
}

// lateReplay is replayed, and ends again, just before somebody looks whether it has ended.
type lateReplay struct{ written }

func (w *lateReplay) Describe(ctx context.Context, id ExecutionID) (ExecutionSnapshot, error) {
	w.attempts[0] = attemptOutput{[]string{"a", "b"}, StreamClosedSuccess}
	return w.written.Describe(ctx, id)
}

func TestFollow_WaitsEverLongerWhileNoAttemptGoesOn(t *testing.T) {
	w := &written{state: PublicDelayed}
	for range 5 {
		w.happens = append(w.happens, func(*written) {})
	}
	w.happens = append(w.happens, func(w *written) { w.attempts, w.state = []attemptOutput{{[]string{"a"}, ""}}, PublicActive },
		func(w *written) { w.attempts[0].closed, w.state = StreamClosedSuccess, PublicCompleted })
	follow(t, w, "")
	const s = time.Second
	if diff := cmp.Diff([]time.Duration{0, s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s, 30 * s, 0}, w.waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

func TestFollow_StopsWhenNobodyWantsMore(t *testing.T) {
	w := &written{state: PublicCompleted, attempts: []attemptOutput{{[]string{"a", "b", "c"}, StreamClosedSuccess}}}
	for n := 1; n <= 5; n++ {
		var told []string
		for item, err := range Follow(t.Context(), w, FollowStream{}) {
			if err != nil {
				t.Fatal(err)
			}
			if told = append(told, toldOf(item)); len(told) == n {
				break
			}
		}
		wantTold(t, told, []string{"0 begins", "0 frame a", "0 frame b", "0 frame c", "0 ends attempt_success"}[:n]...)
	}
}

func TestFollow_AnErrorIsTheLast(t *testing.T) {
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	broken := &written{fail: ErrExecutionNotFound}
	for name, c := range map[string]struct {
		ctx   context.Context
		svc   *written
		after StreamCursor
		want  error
	}{
		"the context has ended":  {cut, &written{}, "", ErrTimeout},
		"nobody knows it":        {t.Context(), broken, "", ErrExecutionNotFound},
		"no cursor":              {t.Context(), &written{}, "x", ErrInvalidInput},
		"half a cursor":          {t.Context(), &written{}, "0:7", ErrInvalidInput},
		"another spelling":       {t.Context(), &written{}, "00:7-1", ErrInvalidInput},
		"a sign":                 {t.Context(), &written{}, "0:+7-1", ErrInvalidInput},
		"negative":               {t.Context(), &written{}, "-1:7-1", ErrInvalidInput},
		"another word":           {t.Context(), &written{}, "0:7-1/ends", ErrInvalidInput},
		"a frame id":             {t.Context(), &written{}, "7-1", ErrInvalidInput},
		"attempt beyond its max": {t.Context(), &written{}, "2147483648:7-1", ErrInvalidInput},
		"number beyond its max":  {t.Context(), &written{}, "0:7-9223372036854775808", ErrInvalidInput},
	} {
		n := 0
		for _, err := range Follow(c.ctx, c.svc, FollowStream{After: c.after}) {
			if n++; !errors.Is(err, c.want) {
				t.Errorf("%s: error %v, want %v", name, err, c.want)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d items, want the error alone", name, n)
		}
	}
}

func FuzzFollow_CursorsAreReadAsTheyAreWritten(f *testing.F) {
	for _, c := range []string{"", "0:0-0", "3:1700000000000-12/end", "1:2-3/", ":-/end"} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, c string) {
		p, err := parseStreamCursor(StreamCursor(c))
		if err == nil && c != "" && p.cursor() != StreamCursor(c) {
			t.Errorf("%q was read as %q", c, p.cursor())
		}
		if err != nil && !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%q: error %v", c, err)
		}
	})
}
