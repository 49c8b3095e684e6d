package graph

import (
	"errors"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestMemberEnded_TheLastEndsASealedFlow(t *testing.T) {
	for _, c := range []struct {
		name   string
		sealed bool
		ends   []ff.Outcome
		want   ff.FlowState
		bad    int
	}{
		{"all well", true, []ff.Outcome{ff.OutcomeSuccess, ff.OutcomeSuccess}, "completed", 0},
		{"skipped is no failure", true, []ff.Outcome{ff.OutcomeSuccess, ff.OutcomeSkipped}, "completed", 0},
		{"one failed", true, []ff.Outcome{ff.OutcomeFailed, ff.OutcomeSkipped}, "failed", 1},
		{"one cancelled, one expired", true, []ff.Outcome{ff.OutcomeCancelled, ff.OutcomeExpired}, "failed", 2},
		{"open to growth", false, []ff.Outcome{ff.OutcomeSuccess, ff.OutcomeSuccess}, "open", 0},
	} {
		f := Grow(&record.Flow{State: ff.FlowOpen, Sealed: c.sealed}, len(c.ends), 0, 1)
		for i, outcome := range c.ends {
			if f.TerminalAt != 0 || f.RemoveAt != 0 {
				t.Errorf("%s: it ended after %d of %d", c.name, i, len(c.ends))
			}
			f = MemberEnded(f, outcome, time.Second, ff.Timestamp(10+i))
		}
		if f.State != c.want || f.BadCount != c.bad || f.TerminalAt != 11 || f.RemoveAt != 1011 || f.EndedCount != 2 {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestMemberReplayed_TakesTheEndBack(t *testing.T) {
	f := Grow(&record.Flow{State: ff.FlowOpen, Sealed: true}, 1, 0, 1)
	f = MemberEnded(f, ff.OutcomeFailed, time.Second, 2)
	f, err := MemberReplayed(f, ff.OutcomeFailed, 3)
	if err != nil || f.State != ff.FlowOpen || f.EndedCount != 0 || f.BadCount != 0 || f.TerminalAt != 0 || f.RemoveAt != 0 {
		t.Errorf("replayed: %+v, %v", f, err)
	}
	f = Cancelled(f, ff.CancelAll, "stop", time.Second, 4)
	if _, err := MemberReplayed(f, ff.OutcomeCancelled, 5); !errors.Is(err, ff.ErrFlowAlreadyTerminal) {
		t.Errorf("a member of a cancelled flow is replayed: %v", err)
	}
}

// F1: the revision is the number of members and edges that were added.
func TestGrow_MovesTheRevision(t *testing.T) {
	f := Grow(&record.Flow{State: ff.FlowOpen}, 3, 2, 1)
	f = Grow(f, 0, 1, 2)
	if f.GraphRevision != 6 || f.NodeCount != 3 || f.EdgeCount != 3 || f.LastMutationAt != 2 {
		t.Errorf("%+v", f)
	}
	if tagged := Tagged(f, map[string]string{"a.b": "c"}, 3); tagged.GraphRevision != 6 || tagged.LastMutationAt != 3 {
		t.Errorf("tagged: %+v", tagged)
	}
}

// Chapter 20, section 20.14.
func TestDerive_TellsWhatMembersDo(t *testing.T) {
	for _, c := range []struct {
		counts ff.FlowCounts
		want   ff.FlowState
	}{
		{ff.FlowCounts{}, "open"},
		{ff.FlowCounts{Total: 2, Completed: 2}, "completed"},
		{ff.FlowCounts{Total: 2, Completed: 1, Skipped: 1}, "completed"},
		{ff.FlowCounts{Total: 2, Completed: 1, Failed: 1}, "failed"},
		{ff.FlowCounts{Total: 2, Cancelled: 1, Completed: 1}, "failed"},
		{ff.FlowCounts{Total: 2, Expired: 2}, "failed"},
		{ff.FlowCounts{Total: 3, Active: 1, WaitingChildren: 2}, "running"},
		{ff.FlowCounts{Total: 2, Completed: 1, WaitingChildren: 1}, "blocked"},
		{ff.FlowCounts{Total: 2, Completed: 1, Suspended: 1}, "blocked"},
		{ff.FlowCounts{Total: 2, Completed: 1, Waiting: 1}, "open"},
	} {
		if got := Derive(c.counts); got != c.want {
			t.Errorf("%+v: %s, want %s", c.counts, got, c.want)
		}
	}
}

// What is gone stays gone: some of its records may be removed already.
func TestGone_NothingBringsAFlowBackAfterItsRetention(t *testing.T) {
	f := Grow(&record.Flow{State: ff.FlowOpen}, 1, 0, 1)
	f = MemberEnded(f, ff.OutcomeSuccess, time.Second, 2)
	if err := Live(f, f.FlowID, 1001); err != nil {
		t.Errorf("while it is kept: %v", err)
	}
	if _, err := MemberReplayed(f, ff.OutcomeSuccess, 1001); err != nil {
		t.Errorf("replay while it is kept: %v", err)
	}
	if err := Live(f, f.FlowID, 1002); !errors.Is(err, ff.ErrFlowNotFound) {
		t.Errorf("after its retention: %v", err)
	}
	if _, err := MemberReplayed(f, ff.OutcomeSuccess, 1002); !errors.Is(err, ff.ErrFlowNotFound) {
		t.Errorf("replay after its retention: %v", err)
	}
	if err := Live(Removing(f, 1002), f.FlowID, 900); !errors.Is(err, ff.ErrFlowNotFound) {
		t.Errorf("by a clock that is behind that of who removes it: %v", err)
	}
	open := Grow(&record.Flow{State: ff.FlowOpen}, 1, 0, 1)
	if Gone(open, 1<<40) {
		t.Error("a flow that has not ended is gone")
	}
}
