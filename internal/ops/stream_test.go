package ops

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// streaming is a holder that appends, on a memory store; kept are its durable frames, all by number.
type streaming struct {
	*bench
	e    *record.Execution
	sent int
	kept []string
}

func newStreaming(t *testing.T) *streaming {
	b := newBench(t)
	e := byHand("active", "not_applicable", "leased", "active", "running_attempt")
	e.LeaseID, e.Epoch, e.AttemptID, e.LeaseExpiresAt = ff.NewLeaseID(), 1, ff.NewAttemptID(), math.MaxInt64
	b.put(e)
	return &streaming{bench: b, e: e}
}

// append sends some frames, which may be live ones, of which few are kept.
func (s *streaming) append(t *rapid.T) {
	frames := make([]ff.Frame, rapid.IntRange(1, 5).Draw(t, "frames"))
	for i := range frames {
		s.sent++
		f := &frames[i]
		f.Payload = fmt.Append(nil, s.sent)
		if rapid.IntRange(0, 2).Draw(t, "live") == 0 {
			f.Mode, f.Live = ff.FrameLive, ff.LiveFrame{TTL: time.Second, Floor: 2, Ceiling: 4}
		} else {
			s.kept = append(s.kept, string(f.Payload))
		}
	}
	fence := ff.Fence{LeaseID: s.e.LeaseID, Epoch: s.e.Epoch, AttemptID: s.e.AttemptID}
	op, err := s.AppendFrames(ff.AppendFrames{ExecutionID: s.e.ID, Fence: fence, Frames: frames}, new(ff.Appended), new(AppendedFrames))
	if err := s.apply(op, err); err != nil {
		t.Fatal(err)
	}
	s.now += ff.Timestamp(rapid.IntRange(0, 2).Draw(t, "ms"))
}

func (s *streaming) read(t *rapid.T, q ff.ReadStream) ff.StreamPage {
	q.ExecutionID = s.e.ID
	page, err := s.ReadStream(s.Context(), s.store, q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// durable are the payloads of the durable frames among some, whose ids must increase.
func durable(t *rapid.T, frames []ff.StreamFrame) (list []string) {
	for i, f := range frames {
		if i > 0 && f.ID.Compare(frames[i-1].ID) <= 0 {
			t.Fatalf("%s comes behind %s", f.ID, frames[i-1].ID)
		}
		if f.Mode == ff.FrameDurable {
			list = append(list, string(f.Payload))
		}
	}
	return list
}

var visibilities = rapid.SampledFrom([]ff.Visibility{ff.VisibleAll, ff.VisibleWithoutLive})

// J5: the pages of a range make up the whole of it.
func TestReadStream_J5_PagesMakeUpTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStreaming(t)
		for range rapid.IntRange(0, 20).Draw(rt, "appends") {
			s.append(rt)
		}
		q := ff.ReadStream{Limit: ff.MaxStreamPage, Visibility: visibilities.Draw(rt, "visibility")}
		all := s.read(rt, q).Frames
		if got := durable(rt, all); !slices.Equal(got, s.kept) {
			rt.Fatalf("read %v, want %v", got, s.kept)
		}
		if len(all) > 0 { // a range of it, both ends inclusive
			from := rapid.IntRange(0, len(all)-1).Draw(rt, "from")
			to := rapid.IntRange(from, len(all)-1).Draw(rt, "to")
			q.From, q.To = all[from].ID, all[to].ID
			all = all[from : to+1]
		}
		var got []ff.StreamFrame
		for more := true; more; {
			q.Limit = rapid.IntRange(1, 7).Draw(rt, "limit")
			page := s.read(rt, q)
			if len(page.Frames) > q.Limit {
				rt.Fatalf("%d frames in a page of %d", len(page.Frames), q.Limit)
			}
			got = append(got, page.Frames...)
			if more = page.More; more {
				q.From = got[len(got)-1].ID.Next()
			}
		}
		if diff := cmp.Diff(all, got, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("pages (-want +got):\n%s", diff)
		}
	})
}

// J6: a tail that is read to its end yields every frame once and in order, whatever comes meanwhile.
func TestTailStream_J6_FindsEveryFrameOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStreaming(t)
		q := ff.TailStream{ExecutionID: s.e.ID, Visibility: visibilities.Draw(rt, "visibility")}
		var got []ff.StreamFrame
		appends := rapid.IntRange(0, 20).Draw(rt, "appends")
		for {
			for appends > 0 && rapid.Bool().Draw(rt, "append") {
				s.append(rt)
				appends--
			}
			q.Limit = rapid.IntRange(1, 7).Draw(rt, "limit")
			page, last, err := s.TailStream(s.Context(), s.store, q)
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, page.Frames...)
			if n := len(page.Frames); n > 0 {
				q.After = page.Frames[n-1].ID
			} else if appends == 0 {
				if q.Visibility == ff.VisibleAll && q.After != last {
					rt.Fatalf("read up to %s; the last is %s", q.After, last)
				}
				break
			}
		}
		if list := durable(rt, got); !slices.Equal(list, s.kept) {
			rt.Fatalf("the tail found %v, want %v", list, s.kept)
		}
		if q.Visibility == ff.VisibleWithoutLive && len(got) != len(s.kept) {
			rt.Fatalf("the tail found %d frames, %d of them durable", len(got), len(s.kept))
		}
	})
}
