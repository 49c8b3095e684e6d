package tail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/tail"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf keeps streams and counts the reads.
type shelf struct {
	mu     sync.Mutex
	frames map[record.StreamKey][]flowfabric.StreamFrame
	closed map[record.StreamKey]bool
	reads  int
	looks  int
	slow   chan struct{} // reads wait for it, if there is one
}

func newShelf() *shelf {
	return &shelf{frames: make(map[record.StreamKey][]flowfabric.StreamFrame), closed: make(map[record.StreamKey]bool)}
}

func (s *shelf) ReadTail(_ context.Context, q flowfabric.TailStream) (page flowfabric.StreamPage, last flowfabric.FrameID, err error) {
	s.mu.Lock()
	s.reads++
	slow := s.slow
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := record.StreamKey{ExecutionID: q.ExecutionID, AttemptIndex: q.AttemptIndex}
	limit := q.Limit
	if limit == 0 {
		limit = flowfabric.DefaultPage
	}
	for _, f := range s.frames[key] {
		last = f.ID
		if f.ID.Compare(q.After) <= 0 || q.Visibility == flowfabric.VisibleWithoutLive && f.Mode == flowfabric.FrameLive {
			continue
		}
		if len(page.Frames) == limit {
			page.More = true
		} else {
			page.Frames = append(page.Frames, f)
		}
	}
	if s.closed[key] {
		page.ClosedAt, page.ClosedReason = 1, flowfabric.StreamClosedSuccess
	}
	return page, last, nil
}

func (s *shelf) ReadFrames(ctx context.Context, q flowfabric.TailStream) (flowfabric.StreamPage, error) {
	page, _, err := s.ReadTail(ctx, q)
	page.ClosedAt, page.ClosedReason = 0, ""
	return page, err
}

func (s *shelf) LookAt(_ context.Context, keys []record.StreamKey, closure bool) ([]tail.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	states := make([]tail.State, len(keys))
	for i, key := range keys {
		if list := s.frames[key]; len(list) > 0 {
			states[i].Last = list[len(list)-1].ID
		}
		states[i].Closed = closure && s.closed[key]
	}
	return states, nil
}

// put appends frames, and returns what a hub is told of it.
func (s *shelf) put(key record.StreamKey, mode flowfabric.FrameMode, n int) (before, last flowfabric.FrameID, added []flowfabric.StreamFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.frames[key]
	if len(list) > 0 {
		before = list[len(list)-1].ID
	}
	last = before
	for range n {
		last = flowfabric.FrameID{MS: 1, Seq: last.Seq + 1}
		added = append(added, flowfabric.StreamFrame{ID: last, Mode: mode})
	}
	s.frames[key] = append(list, added...)
	return before, last, slices.Clone(added)
}

func (s *shelf) close(key record.StreamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[key] = true
}

func (s *shelf) count() (reads, looks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.looks
}

func keyOf(n byte, attempt int) record.StreamKey {
	return record.StreamKey{ExecutionID: flowfabric.ExecutionIDFrom(1, [16]byte{n}), AttemptIndex: attempt}
}

// bed is a hub over a shelf.
type bed struct {
	*tail.Hub
	shelf *shelf
	group *loop.Group
}

func newBed(reads int) *bed {
	b := &bed{shelf: newShelf(), group: loop.NewGroup(context.Background())}
	b.Hub = tail.New(b.shelf, clock.Real(), b.group, reads)
	return b
}

func (b *bed) stop() {
	b.Close()
	b.group.Close()
}

// append appends as this process does.
func (b *bed) append(key record.StreamKey, n int) {
	before, last, frames := b.shelf.put(key, flowfabric.FrameDurable, n)
	b.Appended(key, before, last, frames)
}

func finished(key record.StreamKey) *record.Execution {
	e := &record.Execution{ID: key.ExecutionID, AttemptIndex: key.AttemptIndex}
	e.State.Phase = flowfabric.PhaseTerminal
	return e
}

// viewer follows a stream to its end.
func (b *bed) viewer(key record.StreamKey, limit int, visibility flowfabric.Visibility) (seen []uint64, err error) {
	q := flowfabric.TailStream{ExecutionID: key.ExecutionID, AttemptIndex: key.AttemptIndex, Limit: limit, Visibility: visibility, Wait: flowfabric.MaxTailWait}
	for {
		page, err := b.Tail(context.Background(), q)
		if err != nil {
			return seen, err
		}
		for _, f := range page.Frames {
			if f.ID.Compare(q.After) <= 0 {
				return seen, fmt.Errorf("frame %s behind %s", f.ID, q.After)
			}
			q.After = f.ID
			seen = append(seen, f.ID.Seq)
		}
		if page.ClosedAt != 0 && len(page.Frames) == 0 {
			return seen, nil
		}
	}
}

// step is one thing that happens to streams.
type step struct {
	Do    string // view, tell, others, late, heard, settle, sleep
	Key   int
	Mode  flowfabric.FrameMode
	N     int // frames, the limit of a viewer, milliseconds, or which of what the hub is yet to hear
	Sees  flowfabric.Visibility
	Ended [3]bool // at the last step: the hub is told that the streams have ended
}

func drawStep(t *rapid.T) step {
	return step{
		Do:   rapid.SampledFrom([]string{"view", "tell", "tell", "others", "late", "heard", "settle", "sleep"}).Draw(t, "do"),
		Key:  rapid.IntRange(0, 2).Draw(t, "key"),
		Mode: rapid.SampledFrom([]flowfabric.FrameMode{flowfabric.FrameDurable, flowfabric.FrameLive}).Draw(t, "mode"),
		N:    rapid.IntRange(1, 9).Draw(t, "n"),
		Sees: rapid.SampledFrom([]flowfabric.Visibility{"", flowfabric.VisibleWithoutLive}).Draw(t, "sees"),
		Ended: [3]bool{
			rapid.Bool().Draw(t, "ended 0"), rapid.Bool().Draw(t, "ended 1"), rapid.Bool().Draw(t, "ended 2"),
		},
	}
}

// Whatever this and other processes append, in whatever order the hub hears of it, each viewer sees every frame it wants once,
// in order, and learns of the end after the last (J6, FIX-E1, FIX-E24).
func TestHub_EveryViewerSeesEverythingOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 40).Draw(r, "steps")
		var err error
		synctest.Test(t, func(*testing.T) { err = play(steps) })
		if err != nil {
			r.Fatal(err)
		}
	})
}

// sleep waits on the clock of the bubble.
func sleep(d time.Duration) { <-clock.Real().NewTimer(d).C }

// play has steps happen, ends all streams and compares what the viewers saw with what is kept.
func play(steps []step) error {
	b := newBed(1000)
	defer b.stop()
	keys := []record.StreamKey{keyOf(1, 0), keyOf(1, 1), keyOf(2, 0)}
	type viewing struct {
		step
		seen []uint64
		err  error
	}
	var viewers []*viewing
	var following sync.WaitGroup
	var late []func()
	for _, s := range steps {
		key := keys[s.Key]
		switch s.Do {
		case "view":
			v := &viewing{step: s}
			viewers = append(viewers, v)
			following.Go(func() { v.seen, v.err = b.viewer(key, s.N, s.Sees) })
		case "tell", "others", "late":
			before, last, frames := b.shelf.put(key, s.Mode, s.N)
			tell := func() { b.Appended(key, before, last, frames) }
			switch s.Do {
			case "tell":
				tell()
			case "late":
				late = append(late, tell)
			}
		case "heard":
			if len(late) > 0 {
				i := s.N % len(late)
				late[i]()
				late = slices.Delete(late, i, i+1)
			}
		case "settle":
			synctest.Wait()
		case "sleep":
			sleep(time.Duration(s.N) * 333 * time.Millisecond)
		}
	}
	for i, key := range keys {
		b.shelf.close(key)
		if steps[len(steps)-1].Ended[i] {
			b.Committed(finished(key))
		}
	}
	following.Wait()
	for i, v := range viewers {
		var want []uint64
		for _, f := range b.shelf.frames[keys[v.Key]] {
			if v.Sees == "" || f.Mode != flowfabric.FrameLive {
				want = append(want, f.ID.Seq)
			}
		}
		if v.err != nil || !slices.Equal(v.seen, want) {
			return fmt.Errorf("viewer %d saw %v, want %v: %w", i, v.seen, want, v.err)
		}
	}
	return nil
}

func TestHub_ManyViewersCostOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(10)
		defer b.stop()
		key := keyOf(1, 0)
		b.append(key, 3)
		var viewers sync.WaitGroup
		for range 1000 {
			viewers.Go(func() {
				if seen, err := b.viewer(key, 100, ""); err != nil || len(seen) != 203 {
					t.Errorf("saw %d frames, %v; want 203", len(seen), err)
				}
			})
		}
		synctest.Wait()
		before, _ := b.shelf.count()
		for range 200 {
			b.append(key, 1)
			synctest.Wait()
			sleep(10 * time.Millisecond)
		}
		if after, looks := b.shelf.count(); after != before || looks != 0 {
			t.Errorf("200 appends of this process made %d reads and %d looks, want none", after-before, looks)
		}
		b.shelf.close(key)
		b.Committed(finished(key))
		viewers.Wait()
	})
}

func TestHub_FramesOfOthersAreReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(10)
		defer b.stop()
		key := keyOf(1, 0)
		var viewers sync.WaitGroup
		for range 1000 {
			viewers.Go(func() {
				if seen, err := b.viewer(key, 100, ""); err != nil || len(seen) != 5 {
					t.Errorf("saw %d frames, %v; want 5", len(seen), err)
				}
			})
		}
		synctest.Wait()
		before, _ := b.shelf.count()
		b.shelf.put(key, flowfabric.FrameDurable, 5)
		sleep(510 * time.Millisecond)
		synctest.Wait()
		if reads, looks := b.shelf.count(); reads-before > 2 || looks == 0 || looks > 2 {
			t.Errorf("%d reads and %d looks for 1,000 viewers", reads-before, looks)
		}
		b.shelf.close(key)
		viewers.Wait()
	})
}

func TestHub_AWaitEndsInTime(t *testing.T) { // J7
	synctest.Test(t, func(t *testing.T) {
		b := newBed(10)
		defer b.stop()
		key := keyOf(1, 0)
		q := flowfabric.TailStream{ExecutionID: key.ExecutionID, Wait: 1500 * time.Millisecond}
		start := clock.Real().Now()
		page, err := b.Tail(t.Context(), q)
		if took := clock.Real().Now().Sub(start); err != nil || len(page.Frames) != 0 || page.ClosedAt != 0 || took != 1500*time.Millisecond {
			t.Errorf("got %v, %v after %s; want nothing after 1.5s", page, err, took)
		}
		q.Wait = flowfabric.MaxTailWait
		start = clock.Real().Now()
		go func() {
			sleep(time.Second)
			b.append(key, 1)
		}()
		if page, err := b.Tail(t.Context(), q); err != nil || len(page.Frames) != 1 || clock.Real().Now().Sub(start) != time.Second {
			t.Errorf("got %v, %v after %s; want a frame after 1s", page, err, clock.Real().Now().Sub(start))
		}
		q.After = flowfabric.FrameID{MS: 1, Seq: 1}
		start = clock.Real().Now()
		go func() {
			sleep(time.Second)
			b.shelf.close(key)
			b.Committed(finished(key))
		}()
		if page, err := b.Tail(t.Context(), q); err != nil || page.ClosedAt != 1 || clock.Real().Now().Sub(start) != time.Second {
			t.Errorf("got %v, %v after %s; want the end after 1s", page, err, clock.Real().Now().Sub(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		other := flowfabric.TailStream{ExecutionID: keyOf(2, 0).ExecutionID, Wait: flowfabric.MaxTailWait}
		if _, err := b.Tail(ctx, other); !errors.Is(err, flowfabric.ErrTimeout) {
			t.Errorf("got %v, want timeout", err)
		}
	})
}

// waits is a tail, and what happens to its stream.
type waits struct {
	Key   int
	Begin time.Duration
	For   time.Duration
	Event string // append, others, end; none
	At    time.Duration
}

func drawWaits(t *rapid.T) waits {
	ms := func(most int, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Millisecond
	}
	return waits{
		Key: rapid.IntRange(1, 5).Draw(t, "key"), Begin: ms(3000, "begin"), For: time.Millisecond + ms(9000, "for"),
		Event: rapid.SampledFrom([]string{"append", "others", "end", "none"}).Draw(t, "event"), At: ms(12_000, "at"),
	}
}

// However many wait, for streams of one's own or others' that grow, end or do nothing: no tail takes longer than it may, and one
// without an answer takes no less (J7).
func TestHub_NoWaitIsLongerThanAsked(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(drawWaits), 1, 20).Draw(r, "waits")
		var all []error
		synctest.Test(t, func(*testing.T) { all = waitAll(list) })
		if err := errors.Join(all...); err != nil {
			r.Fatal(err)
		}
	})
}

func waitAll(list []waits) []error {
	b := newBed(100)
	defer b.stop()
	var running sync.WaitGroup
	errs := make([]error, len(list))
	for i, w := range list {
		key := keyOf(byte(w.Key), 0)
		running.Go(func() {
			sleep(w.Begin)
			start := clock.Real().Now()
			page, err := b.Tail(context.Background(), flowfabric.TailStream{ExecutionID: key.ExecutionID, Wait: w.For})
			took, empty := clock.Real().Now().Sub(start), len(page.Frames) == 0 && page.ClosedAt == 0
			if took > w.For || empty && took != w.For {
				err = errors.Join(err, fmt.Errorf("%+v took %s, empty: %t", w, took, empty))
			}
			errs[i] = err
		})
		running.Go(func() {
			sleep(w.At)
			switch w.Event {
			case "append":
				b.append(key, 1)
			case "others":
				b.shelf.put(key, flowfabric.FrameDurable, 1)
			case "end":
				b.shelf.close(key)
				b.Committed(finished(key))
			}
		})
	}
	running.Wait()
	return errs
}

// Whenever reads begin and however long they take: never do more run than may, one is refused only while that many do, and at once
// (J19).
func TestHub_ReadsNeverExceedTheirBound(t *testing.T) {
	type read struct{ Begin, Takes int }
	draw := rapid.Custom(func(t *rapid.T) read { // reads begin at even milliseconds and end at odd ones
		return read{2 * rapid.IntRange(0, 50).Draw(t, "begin"), 1 + 2*rapid.IntRange(0, 20).Draw(t, "takes")}
	})
	rapid.Check(t, func(r *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(r, "most")
		list := rapid.SliceOfNDistinct(draw, 1, 30, func(d read) int { return d.Begin }).Draw(r, "reads")
		slices.SortFunc(list, func(x, y read) int { return x.Begin - y.Begin })
		var free []int // when each place is free again
		want := make([]bool, len(list))
		for i := range list {
			free = slices.DeleteFunc(free, func(at int) bool { return at < list[i].Begin })
			if want[i] = len(free) < most; want[i] {
				free = append(free, list[i].Begin+list[i].Takes)
			}
		}
		var got []string
		synctest.Test(t, func(*testing.T) {
			b := newBed(most)
			defer b.stop()
			var running sync.WaitGroup
			got = make([]string, len(list))
			for i, d := range list {
				running.Go(func() {
					sleep(time.Duration(d.Begin) * time.Millisecond)
					start := clock.Real().Now()
					err := b.Read(func() error {
						sleep(time.Duration(d.Takes) * time.Millisecond)
						return nil
					})
					took := clock.Real().Now().Sub(start)
					switch {
					case err == nil:
						got[i] = "read"
					case errors.Is(err, flowfabric.ErrResourceExhausted) && took == 0:
						got[i] = "refused"
					default:
						got[i] = fmt.Sprintf("%v after %s", err, took)
					}
				})
			}
			running.Wait()
		})
		for i, d := range list {
			if word := map[bool]string{true: "read", false: "refused"}[want[i]]; got[i] != word {
				r.Fatalf("of %d at once, %+v: %s, want %s", most, d, got[i], word)
			}
		}
	})
}

func TestHub_IsBounded(t *testing.T) { // J19
	synctest.Test(t, func(t *testing.T) {
		b := newBed(2)
		slow := make(chan struct{})
		b.shelf.slow = slow
		var calls sync.WaitGroup
		for n := range 2 {
			calls.Go(func() {
				if _, err := b.Tail(t.Context(), flowfabric.TailStream{ExecutionID: keyOf(byte(n), 0).ExecutionID}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		_, err := b.Tail(t.Context(), flowfabric.TailStream{ExecutionID: keyOf(9, 0).ExecutionID, Wait: time.Second})
		var e *flowfabric.Error
		if !errors.As(err, &e) || e.Code != flowfabric.CodeResourceExhausted || e.Attrs["pool"] != "stream_ops" || e.Attrs["max"] != "2" || e.Attrs["retry_after_ms"] == "" {
			t.Errorf("the third read: %v, want resource_exhausted of stream_ops", err)
		}
		close(slow)
		calls.Wait()
		b.shelf.mu.Lock()
		b.shelf.slow = nil
		b.shelf.mu.Unlock()
		ended := make(chan error, tail.MaxWaiting)
		for range tail.MaxWaiting {
			go func() {
				_, err := b.Tail(t.Context(), flowfabric.TailStream{ExecutionID: keyOf(1, 0).ExecutionID, Wait: flowfabric.MaxTailWait})
				ended <- err
			}()
		}
		synctest.Wait()
		_, err = b.Tail(t.Context(), flowfabric.TailStream{ExecutionID: keyOf(1, 0).ExecutionID, Wait: time.Second})
		if !errors.Is(err, flowfabric.ErrResourceExhausted) {
			t.Errorf("one more that waits: %v, want resource_exhausted", err)
		}
		b.stop()
		for range tail.MaxWaiting {
			if err := <-ended; !errors.Is(err, flowfabric.ErrUnavailable) {
				t.Fatalf("at the end: %v, want unavailable", err)
			}
		}
	})
}

func TestHub_KeepsNothingOfWhatNobodyWatches(t *testing.T) { // FIX-E22
	synctest.Test(t, func(t *testing.T) {
		b := newBed(10)
		defer b.stop()
		key := keyOf(1, 0)
		if _, err := b.Tail(t.Context(), flowfabric.TailStream{ExecutionID: key.ExecutionID, Wait: time.Second}); err != nil {
			t.Fatal(err)
		}
		if !b.Watches(key) {
			t.Error("a stream is dropped at once: its viewer calls again in a moment")
		}
		sleep(7 * time.Second)
		if b.Watches(key) {
			t.Error("a stream is watched 7 seconds after its last viewer has gone")
		}
		_, looks := b.shelf.count()
		sleep(time.Minute)
		if _, now := b.shelf.count(); now != looks {
			t.Errorf("%d looks while nobody watches", now-looks)
		}
	})
}

func TestHub_AWindowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(10)
		defer b.stop()
		key := keyOf(1, 0)
		var viewers sync.WaitGroup
		view := func() {
			viewers.Go(func() {
				if seen, err := b.viewer(key, 5, ""); err != nil || len(seen) != 100 {
					t.Errorf("saw %d frames, %v; want 100", len(seen), err)
				}
			})
		}
		view()
		synctest.Wait()
		for range 100 { // 6.4 MB, of which the newest 256 KiB are kept
			before, last, frames := b.shelf.put(key, flowfabric.FrameDurable, 1)
			frames[0].Payload = make([]byte, flowfabric.MaxFrameBytes)
			b.Appended(key, before, last, frames)
		}
		synctest.Wait()
		reads, _ := b.shelf.count()
		view() // who is late reads 97 frames by fives, and has the rest from the window
		synctest.Wait()
		if now, _ := b.shelf.count(); now-reads != 20 {
			t.Errorf("%d reads of 5 frames each by a late viewer, want 20: the window has 3 frames of 64 KiB", now-reads)
		}
		b.shelf.close(key)
		b.Committed(finished(key))
		viewers.Wait()
	})
}
