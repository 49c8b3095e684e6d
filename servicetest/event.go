package servicetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// Chapter 50, part II: what is told of what happened.
var eventTests = []behaviour{
	{"FIX_E4_OneCompletionForEachEnd", testCompletionEvents},
	{"FIX_E4_CascadesAreTold", testCompletionCascade},
	{"J18_LeasesAlternate", testLeaseEvents},
	{"FIX_E13_SignalsAreTold", testSignalEvents},
	{"FIX_E10_OperatorsAreTold", testOperatorsAreTold},
	{"J17_FiltersLeaveTheOrder", testEventFilters},
	{"J15_CursorsGoOn", testEventCursors},
	{"J15_J17_CutsAndFiltersLeaveTheSequence", testEventProperties},
	{"AnEmptyCursorIsNow", testEventsFromNow},
	{"FIX_E15_ForeignCursorsAreRefused", testForeignCursors},
	{"AWaitEndsWithTheNextEvent", testEventWait},
	{"ReadersAreRemembered", testEventReaders},
	{"BadInput", testEventInput},
	{"NothingIsMissedUnderConcurrentWriters", testEventsConcurrently},
}

// eventGapTests have an engine that keeps executions for a second, so that none is left when its events are removed.
var eventGapTests = []behaviour{
	{"FIX_E16_AGapIsTold", testEventGap},
}

// read reads all events that match, when there are as many as wanted.
func (e *env) read(q ff.ReadEvents, want int) []ff.Event {
	e.Helper()
	if q.After == "" {
		q.After = ff.EventsFromOldest
	}
	var list []ff.Event
	e.eventually(fmt.Sprintf("%d events are told", want), func() bool { // on Postgres they wait for older transactions
		page, err := e.svc.ReadEvents(e.Context(), q)
		e.ok(err)
		list = append(list, page.Events...)
		q.After = page.Next
		return len(list) >= want && !page.More
	})
	return list
}

// of reads what is told of an execution.
func (e *env) of(id ff.ExecutionID, family ff.EventFamily, want ...string) {
	e.Helper()
	e.equal(string(family), shortOf(e.read(ff.ReadEvents{Family: family, Filter: ff.EventFilter{ExecutionID: id}}, len(want))), want)
}

// typesOf are the events in short: the type and the reason.
func shortOf(list []ff.Event) []string {
	out := make([]string, len(list))
	for i, ev := range list {
		out[i] = strings.TrimSpace(ev.Type + " " + ev.Reason)
	}
	return out
}

func testCompletionEvents(e *env) {
	for outcome, end := range map[string]func(c ff.Claimed){
		"success completed":      e.complete,
		"failed failed_terminal": func(c ff.Claimed) { e.fail(c, "permanent") },
		"cancelled":              func(c ff.Claimed) { e.stop(c.ExecutionID) },
	} {
		c := e.running(ff.Submit{})
		end(c)
		e.of(c.ExecutionID, ff.EventsCompletion, outcome)
	}
	c := e.running(ff.Submit{})
	e.complete(c)
	_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.fail(e.claim(), "permanent")
	e.of(c.ExecutionID, ff.EventsCompletion, "success completed", "failed failed_terminal")
	ev := e.read(ff.ReadEvents{Family: ff.EventsCompletion, Filter: ff.EventFilter{ExecutionID: c.ExecutionID}}, 2)[1]
	ev.Cursor = ""
	e.equal("event", ev, ff.Event{
		Family: "completion", Type: "failed", ExecutionID: c.ExecutionID, Namespace: "default", At: e.pace.now(),
		LeaseID: ev.LeaseID, LeaseEpoch: 3, Reason: "failed_terminal",
	})
}

// stop cancels as an operator.
func (e *env) stop(id ff.ExecutionID) {
	e.Helper()
	_, err := e.svc.Cancel(e.Context(), ff.Cancel{ExecutionID: id, Source: ff.SourceOperatorOverride, Reason: "no", Actor: "ops"})
	e.ok(err)
}

func testCompletionCascade(e *env) {
	g := e.flow("a", "b < a", "c < b", "d")
	g.end("failed", "a")
	e.eventually("the flow is skipped", func() bool { return g.states("b", "c") == "b=skipped c=skipped" })
	_, err := e.svc.CancelFlow(e.Context(), ff.CancelFlow{FlowID: g.id, Reason: "enough", Actor: "ops"})
	e.ok(err)
	list := e.read(ff.ReadEvents{Family: ff.EventsCompletion, Filter: ff.EventFilter{FlowID: g.id}}, 4)
	told := map[ff.ExecutionID]string{}
	for _, ev := range list {
		told[ev.ExecutionID] += ev.Type
	}
	e.equal("completions", told, map[ff.ExecutionID]string{
		g.node("a"): "failed", g.node("b"): "skipped", g.node("c"): "skipped", g.node("d"): "cancelled",
	})
	flow := e.read(ff.ReadEvents{Family: ff.EventsOperator, Filter: ff.EventFilter{FlowID: g.id, Types: []string{"flow_cancel_requested"}}}, 1)
	e.equal("subject", flow[0].ExecutionID, ff.ExecutionID{})
}

func testLeaseEvents(e *env) {
	c := e.running(ff.Submit{})
	_, err := e.svc.Delay(e.Context(), ff.Delay{ExecutionID: c.ExecutionID, Fence: c.Fence, Until: e.pace.now().Add(time.Second)})
	e.ok(err)
	e.advance(time.Second)
	e.claim()
	e.advance(leaseTTL)
	again := e.claim()
	e.complete(again)
	list := e.read(ff.ReadEvents{Family: ff.EventsLease, Filter: ff.EventFilter{ExecutionID: c.ExecutionID}}, 6)
	e.equal("leases", shortOf(list), []string{
		"acquired", "released worker_delay", "acquired claim_resumed", "expired", "reclaimed", "released completed",
	})
	for i, epoch := range []uint64{1, 1, 2, 2, 3, 3} {
		e.equal("epoch", list[i].LeaseEpoch, epoch)
	}
	e.equal("worker", []any{list[4].WorkerID, list[4].WorkerInstanceID}, []any{ff.WorkerID("worker"), ff.WorkerInstanceID("worker-1")})

	c = e.running(ff.Submit{})
	e.revoke(ff.RevokeLease{ExecutionID: c.ExecutionID, Reason: "maintenance"})
	e.claim()
	e.stop(c.ExecutionID)
	e.of(c.ExecutionID, ff.EventsLease, "acquired", "revoked maintenance", "acquired claim_resumed", "revoked cancelled")
}

func testSignalEvents(e *env) {
	c := e.running(ff.Submit{})
	p := e.createWaitpoint(c, approvalKey)
	s := signal(c.ExecutionID, p, "early")
	s.SourceType, s.SourceIdentity = "operator", "ann"
	e.equal("effect", e.deliver(s), ff.EffectBuffered)
	e.suspend(c, ff.Suspend{Condition: ff.OnNamed(approvalKey, "yes"), Waitpoints: []ff.WaitpointBinding{{WaitpointID: p.WaitpointID, Pending: true}}})
	ignored := signal(c.ExecutionID, p, "no")
	ignored.SignalID = ff.NewSignalID()
	effect := e.deliver(ignored)
	res, err := e.svc.DeliverSignal(e.Context(), ignored)
	e.ok(err)
	e.equal("repeated", res.Duplicate, true)
	yes := signal(c.ExecutionID, p, "yes")
	yes.SignalID = ff.NewSignalID()
	e.deliver(yes)
	e.of(c.ExecutionID, ff.EventsSignal, "buffered", string(effect), "satisfied")
	list := e.read(ff.ReadEvents{Family: ff.EventsSignal, Filter: ff.EventFilter{ExecutionID: c.ExecutionID}}, 3)
	var details map[string]string
	e.ok(json.Unmarshal(list[2].Details, &details))
	e.equal("details", details, map[string]string{"signal_id": yes.SignalID.String(), "waitpoint_id": p.WaitpointID.String()})
	e.ok(json.Unmarshal(list[0].Details, &details))
	e.equal("source", details["source_identity"], "ann")
}

func testOperatorsAreTold(e *env) {
	id := e.submit(ff.Submit{Priority: 1})
	e.changePriority(id, 7)
	e.stop(id)
	_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: id, Actor: "ops"})
	e.ok(err)
	e.of(id, ff.EventsOperator, "priority_changed", "cancelled", "replayed")
	list := e.read(ff.ReadEvents{Family: ff.EventsOperator, Filter: ff.EventFilter{ExecutionID: id}}, 3)
	var details map[string]any
	e.ok(json.Unmarshal(list[0].Details, &details))
	e.equal("details", details, map[string]any{"old_priority": 1.0, "new_priority": 7.0, "actor": "ops"})
	// What is of no execution says so.
	weight := 3
	_, err = e.svc.UpdateLane(e.Context(), ff.UpdateLane{Lane: e.lane, Weight: &weight})
	e.ok(err)
	lane := e.read(ff.ReadEvents{Family: ff.EventsOperator, Filter: ff.EventFilter{Types: []string{"lane_updated"}}}, 1)
	e.equal("execution", lane[len(lane)-1].ExecutionID, ff.ExecutionID{})
}

func testEventFilters(e *env) {
	lane, start := e.lane, e.nowCursor(ff.EventsCompletion)
	ids := map[string]ff.ExecutionID{}
	submit := func(name string, cmd ff.Submit) {
		cmd.Lane, e.lane = lane+ff.LaneID("-"+name), lane+ff.LaneID("-"+name)
		ids[name] = e.submit(cmd)
		e.complete(e.claim())
	}
	submit("plain", ff.Submit{})
	submit("tagged", ff.Submit{Tags: map[string]string{"team.name": "red"}})
	submit("other", ff.Submit{Tags: map[string]string{"team.name": "blue"}, Namespace: "tenant"})
	submit("kind", ff.Submit{Kind: "special", Tags: map[string]string{"team.size": "red"}, Namespace: "tenant"})
	e.lane = lane
	e.ok(e.svc.SetTags(e.Context(), ff.SetTags{ExecutionID: ids["plain"], Tags: map[string]string{"team.name": "red"}})) // current values count
	all := e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: start}, 4)
	for name, c := range map[string]struct {
		filter ff.EventFilter
		want   []string
	}{
		"none":          {ff.EventFilter{}, []string{"plain", "tagged", "other", "kind"}},
		"namespace":     {ff.EventFilter{Namespace: "tenant"}, []string{"other", "kind"}},
		"tag":           {ff.EventFilter{TagKey: "team.name", TagValue: "red"}, []string{"plain", "tagged"}},
		"tag and value": {ff.EventFilter{TagKey: "team.size", TagValue: "red"}, []string{"kind"}},
		"lane":          {ff.EventFilter{Lane: lane + "-other"}, []string{"other"}},
		"kind":          {ff.EventFilter{Kind: "special"}, []string{"kind"}},
		"execution":     {ff.EventFilter{ExecutionID: ids["tagged"]}, []string{"tagged"}},
		"both":          {ff.EventFilter{Namespace: "tenant", TagKey: "team.name", TagValue: "blue"}, []string{"other"}},
		"type":          {ff.EventFilter{Types: []string{"failed", "success"}}, []string{"plain", "tagged", "other", "kind"}},
		"no type":       {ff.EventFilter{Types: []string{"failed"}}, nil},
		"no match":      {ff.EventFilter{Namespace: "tenant", Lane: lane + "-plain"}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			var got, want []ff.ExecutionID
			for _, ev := range e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: start, Filter: c.filter, Limit: limit}, len(c.want)) {
				got = append(got, ev.ExecutionID)
			}
			for _, ev := range all {
				if slices.ContainsFunc(c.want, func(name string) bool { return ids[name] == ev.ExecutionID }) {
					want = append(want, ev.ExecutionID)
				}
			}
			e.equal("filter "+name, got, want)
		}
	}
}

// nowCursor is the cursor from which what happens next is told.
func (e *env) nowCursor(family ff.EventFamily) ff.EventCursor {
	e.Helper()
	page, err := e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: family})
	e.ok(err)
	e.equal("events", page.Events, []ff.Event{})
	return page.Next
}

func testEventCursors(e *env) {
	start := e.nowCursor(ff.EventsLease)
	for range 6 {
		e.complete(e.running(ff.Submit{}))
	}
	all := e.read(ff.ReadEvents{Family: ff.EventsLease, After: start}, 12)
	e.equal("events", len(all), 12)
	for i, ev := range all {
		e.equal(fmt.Sprintf("behind event %d", i), e.read(ff.ReadEvents{Family: ff.EventsLease, After: ev.Cursor, Limit: 5}, 11-i), all[i+1:])
		if len(e.store.Shards()) == 1 && i > 0 && all[i-1].Cursor >= ev.Cursor { // J14
			e.Errorf("cursor %q does not stand before %q", all[i-1].Cursor, ev.Cursor)
		}
	}
	oldest := e.read(ff.ReadEvents{Family: ff.EventsLease, After: ff.EventsFromOldest, Filter: ff.EventFilter{Lane: e.lane}}, 12)
	e.equal("all of the lane", shortOf(oldest), slices.Repeat([]string{"acquired", "released completed"}, 6))
}

// testEventProperties: whoever reads in pages of any sizes, with any filter, is told the events that match, in their order.
func testEventProperties(e *env) {
	lanes, namespaces, kinds := []ff.LaneID{e.lane + "-a", e.lane + "-b"}, []ff.Namespace{"red", "blue"}, []string{"mail", "print"}
	start, of := e.nowCursor(ff.EventsLease), map[ff.ExecutionID]ff.Submit{}
	lane := e.lane
	for i := range 12 {
		cmd := ff.Submit{Lane: lanes[i%2], Namespace: namespaces[i/2%2], Kind: kinds[i/4%2], Tags: map[string]string{"a.b": []string{"x", "y"}[i/6]}}
		e.lane = cmd.Lane
		id := e.submit(cmd)
		of[id] = cmd
		e.complete(e.claim())
	}
	e.lane = lane
	all := e.read(ff.ReadEvents{Family: ff.EventsLease, After: start}, 24)
	matches := func(f *ff.EventFilter, ev *ff.Event) bool {
		cmd := of[ev.ExecutionID]
		return (f.Lane == "" || f.Lane == cmd.Lane) && (f.Namespace == "" || f.Namespace == cmd.Namespace) &&
			(f.Kind == "" || f.Kind == cmd.Kind) && (f.TagKey == "" || f.TagValue == cmd.Tags["a.b"]) &&
			(f.ExecutionID == ff.ExecutionID{} || f.ExecutionID == ev.ExecutionID) && (len(f.Types) == 0 || slices.Contains(f.Types, ev.Type))
	}
	rapid.Check(e, func(t *rapid.T) {
		f := ff.EventFilter{
			Lane: rapid.SampledFrom(append(lanes, "", "")).Draw(t, "lane"), Namespace: rapid.SampledFrom(append(namespaces, "", "")).Draw(t, "namespace"),
			Kind: rapid.SampledFrom(append(kinds, "", "")).Draw(t, "kind"),
		}
		if value := rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "tag"); value != "" {
			f.TagKey, f.TagValue = "a.b", value
		}
		if rapid.IntRange(0, 4).Draw(t, "of one") == 0 {
			f.ExecutionID = rapid.SampledFrom(all).Draw(t, "event").ExecutionID
		}
		if rapid.Bool().Draw(t, "of a type") {
			f.Types = []string{rapid.SampledFrom(all).Draw(t, "typed").Type}
		}
		q := ff.ReadEvents{Family: ff.EventsLease, After: start, Filter: f}
		from := rapid.IntRange(-1, len(all)-1).Draw(t, "behind")
		if from >= 0 {
			q.After = all[from].Cursor
		}
		var got, want []ff.Event
		for more := true; more; {
			q.Limit = rapid.IntRange(1, 9).Draw(t, "limit")
			page, err := e.svc.ReadEvents(e.Context(), q)
			if err != nil || len(page.Events) > q.Limit {
				t.Fatalf("%d events of %d, error %v", len(page.Events), q.Limit, err)
			}
			got, more = append(got, page.Events...), page.More
			if q.After = page.Next; len(page.Events) > 0 && rapid.Bool().Draw(t, "from its last event") {
				q.After = page.Events[len(page.Events)-1].Cursor
			}
		}
		for _, ev := range all[from+1:] {
			if matches(&f, &ev) {
				want = append(want, ev)
			}
		}
		if len(e.store.Shards()) > 1 { // where the order is one for each execution, and the text of a cursor tells what was read besides
			want, got = byExecution(want), byExecution(got)
		}
		if diff := cmp.Diff(want, got, equality...); diff != "" {
			t.Fatalf("filter %+v behind event %d (-want +got):\n%s", f, from, diff)
		}
	})
}

// byExecution sorts events by their executions, without their cursors.
func byExecution(list []ff.Event) []ff.Event {
	list = slices.Clone(list)
	for i := range list {
		list[i].Cursor = ""
	}
	slices.SortStableFunc(list, func(a, b ff.Event) int { return strings.Compare(a.ExecutionID.String(), b.ExecutionID.String()) })
	return list
}

func testEventsFromNow(e *env) {
	e.complete(e.running(ff.Submit{}))
	e.read(ff.ReadEvents{Family: ff.EventsCompletion, Filter: ff.EventFilter{Lane: e.lane}}, 1)
	start := e.nowCursor(ff.EventsCompletion)
	c := e.running(ff.Submit{})
	e.complete(c)
	list := e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: start}, 1)
	e.equal("events", []any{len(list), list[0].ExecutionID}, []any{1, c.ExecutionID})
}

func testForeignCursors(e *env) {
	lease := e.nowCursor(ff.EventsLease)
	for what, cursor := range map[string]ff.EventCursor{
		"another family": lease, "garbage": "what", "a list's": "AAAA", "cut": lease[:len(lease)-2], "longer": lease + "00",
	} {
		_, err := e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: ff.EventsCompletion, After: cursor})
		e.refused(what, err, ff.CodeInvalidInput)
		_, err = e.svc.AckEvents(e.Context(), ff.AckEvents{Name: "reader", Family: ff.EventsCompletion, Cursor: cursor})
		e.refused("ack of "+what, err, ff.CodeInvalidInput)
	}
}

func testEventGap(e *env) {
	signals, start := e.nowCursor(ff.EventsSignal), e.nowCursor(ff.EventsCompletion)
	for range 3 {
		e.complete(e.running(ff.Submit{}))
		e.advance(time.Second)
	}
	all := e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: start}, 3)
	_, err := e.store.Trim(e.Context(), store.Trim{EventsBefore: all[1].At, Limit: 10_000})
	e.ok(err)
	_, err = e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: ff.EventsCompletion, After: start})
	e.refused("behind what was removed", err, ff.CodeEventGap)
	var gap *ff.Error
	if !errors.As(err, &gap) {
		e.Fatal(err)
	}
	oldest := ff.EventCursor(gap.Attrs["oldest"])
	e.equal("from the oldest", e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: oldest}, 1), all[2:])
	e.equal("from the last removed", e.read(ff.ReadEvents{Family: ff.EventsCompletion, After: all[1].Cursor}, 1), all[2:])
	_, err = e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: ff.EventsSignal, After: signals})
	e.refused("of a family that lost nothing", err, "")
}

func testEventWait(e *env) {
	c := e.running(ff.Submit{})
	for name, end := range map[string]func(c ff.Claimed){
		"this engine": e.complete,
		"another": func(c ff.Claimed) {
			e.ok(e.engine().Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}))
		},
	} {
		start := e.nowCursor(ff.EventsCompletion)
		type answer struct {
			page ff.EventPage
			err  error
		}
		told := make(chan answer, 1)
		go func() {
			page, err := e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: ff.EventsCompletion, After: start, Wait: time.Minute})
			told <- answer{page, err}
		}()
		end(c)
		var got answer
		e.eventually("the reader is told by "+name, func() bool {
			e.pace.nudge()
			select {
			case got = <-told:
				return true
			default:
				return false
			}
		})
		e.ok(got.err)
		e.equal("event", []any{len(got.page.Events), got.page.Events[0].ExecutionID}, []any{1, c.ExecutionID})
		c = e.running(ff.Submit{})
	}
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	_, err := e.svc.ReadEvents(ctx, ff.ReadEvents{Family: ff.EventsCompletion, Wait: time.Minute})
	if err == nil {
		e.Error("a call whose context has ended returns nothing, and no error")
	}
}

func testEventReaders(e *env) {
	none, err := e.svc.EventReader(e.Context(), "mail")
	e.ok(err)
	e.equal("at first", none, ff.EventReader{Name: "mail"})
	var cursors []ff.EventCursor
	for range 3 {
		c := e.running(ff.Submit{})
		e.complete(c)
		cursors = append(cursors, e.read(ff.ReadEvents{Family: ff.EventsCompletion, Filter: ff.EventFilter{ExecutionID: c.ExecutionID}}, 1)[0].Cursor)
	}
	ack := func(i int, rewind bool) (ff.EventReader, error) {
		return e.svc.AckEvents(e.Context(), ff.AckEvents{Name: "mail", Family: ff.EventsCompletion, Cursor: cursors[i], Rewind: rewind})
	}
	for _, step := range []struct {
		to     int
		rewind bool
		want   int
	}{{0, false, 0}, {2, false, 2}, {1, false, 2}, {2, false, 2}, {1, true, 1}, {2, false, 2}} {
		got, err := ack(step.to, step.rewind)
		e.ok(err)
		e.equal("kept", got, ff.EventReader{Name: "mail", Family: ff.EventsCompletion, Cursor: cursors[step.want], UpdatedAt: got.UpdatedAt})
		stored, err := e.svc.EventReader(e.Context(), "mail")
		e.ok(err)
		e.equal("stored", stored, got)
	}
	_, err = e.svc.AckEvents(e.Context(), ff.AckEvents{Name: "mail", Family: ff.EventsLease, Cursor: e.nowCursor(ff.EventsLease)})
	e.refused("of another family", err, ff.CodeInvalidInput)
	for _, name := range []string{"a reader", "zebra"} {
		_, err = e.svc.AckEvents(e.Context(), ff.AckEvents{Name: name, Family: ff.EventsCompletion, Cursor: cursors[0]})
		e.ok(err)
	}
	var names []string
	for after, first := "", true; first || after != ""; first = false {
		page, err := e.svc.ListEventReaders(e.Context(), ff.ListEventReaders{After: after, Limit: 2})
		e.ok(err)
		for _, r := range page.Items {
			names = append(names, r.Name)
		}
		after = page.Next
	}
	e.equal("readers", names, []string{"a reader", "mail", "zebra"})
	for range 2 {
		e.ok(e.svc.ForgetEventReader(e.Context(), "mail"))
	}
	gone, err := e.svc.EventReader(e.Context(), "mail")
	e.ok(err)
	e.equal("forgotten", gone, none)
}

func testEventInput(e *env) {
	start := e.nowCursor(ff.EventsCompletion)
	e.untouched("bad questions", func() {
		for what, bad := range map[string]ff.ReadEvents{
			"no family":     {},
			"family":        {Family: "worker"},
			"limit":         {Family: ff.EventsLease, Limit: ff.MaxPage + 1},
			"negative":      {Family: ff.EventsLease, Limit: -1},
			"wait":          {Family: ff.EventsLease, Wait: ff.MaxClaimWait + 1},
			"negative wait": {Family: ff.EventsLease, Wait: -1},
			"types":         {Family: ff.EventsLease, Filter: ff.EventFilter{Types: make([]string, 17)}},
			"tag value":     {Family: ff.EventsLease, Filter: ff.EventFilter{TagValue: "x"}},
			"lane":          {Family: ff.EventsLease, Filter: ff.EventFilter{Lane: ff.LaneID(strings.Repeat("x", 1000))}},
		} {
			_, err := e.svc.ReadEvents(e.Context(), bad)
			e.refused(what, err, ff.CodeInvalidInput)
		}
		_, err := e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: "instance_tags"})
		e.refused("instance tags", err, ff.CodeUnavailable)
		for _, name := range []string{"", strings.Repeat("x", ff.MaxNameBytes+1)} {
			_, err = e.svc.AckEvents(e.Context(), ff.AckEvents{Name: name, Family: ff.EventsCompletion, Cursor: start})
			e.refused("name", err, ff.CodeInvalidInput)
			_, err = e.svc.EventReader(e.Context(), name)
			e.refused("name", err, ff.CodeInvalidInput)
			e.refused("name", e.svc.ForgetEventReader(e.Context(), name), ff.CodeInvalidInput)
		}
	})
	for _, limit := range []int{1, ff.MaxPage} {
		_, err := e.svc.ReadEvents(e.Context(), ff.ReadEvents{Family: ff.EventsLease, Limit: limit})
		e.refused("limit", err, "")
	}
}

func testEventsConcurrently(e *env) {
	const writers, each = 6, 12
	ctx, stop := context.WithCancel(e.Context())
	defer stop()
	start := e.nowCursor(ff.EventsLease)
	type seen struct {
		order map[ff.ExecutionID][]string
		err   error
	}
	told := make(chan seen, 1)
	go func() {
		s := seen{order: map[ff.ExecutionID][]string{}}
		n := 0
		for ev, err := range ff.Subscribe(ctx, e.svc, ff.ReadEvents{Family: ff.EventsLease, After: start, Limit: 7}) {
			if s.err = err; err != nil {
				break
			}
			s.order[ev.ExecutionID] = append(s.order[ev.ExecutionID], ev.Type)
			if n++; n == 2*writers*each {
				break
			}
		}
		told <- s
	}()
	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[ff.ExecutionID][]string{}
	for range writers {
		wg.Go(func() {
			for range each {
				e.submit(ff.Submit{})
				c := e.claim()
				e.complete(c)
				mu.Lock()
				want[c.ExecutionID] = []string{"acquired", "released"}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var got seen
	e.eventually("all are told", func() bool {
		e.pace.nudge()
		select {
		case got = <-told:
			return true
		default:
			return false
		}
	})
	e.ok(got.err)
	e.equal("leases", got.order, want)
}
