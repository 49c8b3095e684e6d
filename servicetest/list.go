package servicetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var listTests = []behaviour{
	{"NewestFirst", testListOrder},
	{"PagesFollowEachOther", testListPages},
	{"W34_EachFilterFilters", testListFilters},
	{"SummaryTellsTheState", testListSummary},
	{"ForeignCursorsAreRefused", testListCursors},
	{"BadQuestionsAreRefused", testListInput},
}

func (e *env) list(q ff.ListExecutions) ff.Page[ff.ExecutionSummary] {
	e.Helper()
	page, err := e.svc.List(e.Context(), q)
	e.ok(err)
	return page
}

// listed goes through all pages of a list.
func (e *env) listed(q ff.ListExecutions) []ff.ExecutionID {
	e.Helper()
	var ids []ff.ExecutionID
	for {
		page := e.list(q)
		for _, s := range page.Items {
			ids = append(ids, s.ExecutionID)
		}
		if page.Next == "" {
			return ids
		}
		q.After = page.Next
	}
}

// submitted creates executions a second apart and returns them newest first.
func (e *env) submitted(cmds ...ff.Submit) []ff.ExecutionID {
	e.Helper()
	ids := make([]ff.ExecutionID, len(cmds))
	for i, cmd := range cmds {
		ids[len(cmds)-1-i] = e.submit(cmd)
		e.advance(time.Second)
	}
	return ids
}

func testListOrder(e *env) {
	want := e.submitted(ff.Submit{Priority: 5}, ff.Submit{Priority: 9}, ff.Submit{Delay: time.Hour})
	e.equal("list", e.listed(ff.ListExecutions{Lane: e.lane}), want)
	e.equal("a lane nobody uses", e.listed(ff.ListExecutions{Lane: e.lane + " not"}), []ff.ExecutionID(nil))
}

// testListPages: executions of one instant are ordered by id, and every page size gives the same list.
func testListPages(e *env) {
	e.submitMany(make([]ff.Submit, 7))
	e.advance(time.Second)
	e.submitMany(make([]ff.Submit, 6))
	all := e.list(ff.ListExecutions{Lane: e.lane, Limit: 1000})
	e.equal("items", []any{len(all.Items), all.Next}, []any{13, ""})
	e.equal("sorted", slices.IsSortedFunc(all.Items, func(x, y ff.ExecutionSummary) int {
		if x.CreatedAt != y.CreatedAt {
			return int(y.CreatedAt - x.CreatedAt)
		}
		return y.ExecutionID.Compare(x.ExecutionID)
	}), true)
	want := make([]ff.ExecutionID, len(all.Items))
	for i, s := range all.Items {
		want[i] = s.ExecutionID
	}
	for _, limit := range []int{1, 2, 3, 6, 7, 12, 13, 14} {
		e.equal(fmt.Sprintf("by pages of %d", limit), e.listed(ff.ListExecutions{Lane: e.lane, Limit: limit}), want)
	}
	page := e.list(ff.ListExecutions{Lane: e.lane, Limit: 5})
	e.submitMany(make([]ff.Submit, 3)) // newer ones do not move the pages that follow
	e.equal("the next page", e.listed(ff.ListExecutions{Lane: e.lane, Limit: 5, After: page.Next}), want[5:])
}

func testListFilters(e *env) {
	first := e.pace.now()
	ids := e.submitted(
		ff.Submit{Kind: "a", Namespace: "x", Tags: map[string]string{"team.name": "red"}},
		ff.Submit{Kind: "b", Namespace: "x", Tags: map[string]string{"team.name": "blue"}},
		ff.Submit{Kind: "b", Namespace: "y", Tags: map[string]string{"team.name": "red", "team.lead": "red"}},
		ff.Submit{Kind: "c", Delay: time.Hour},
		ff.Submit{Kind: "c"},
	)
	e.cancel(ids[0], "to list it")
	for name, c := range map[string]struct {
		q    ff.ListExecutions
		want []ff.ExecutionID
	}{
		"none":               {ff.ListExecutions{}, ids},
		"kind":               {ff.ListExecutions{Kind: "b"}, ids[2:4]},
		"namespace":          {ff.ListExecutions{Namespace: "x"}, ids[3:]},
		"default namespace":  {ff.ListExecutions{Namespace: "default"}, ids[:2]},
		"tag":                {ff.ListExecutions{TagKey: "team.name", TagValue: "red"}, []ff.ExecutionID{ids[2], ids[4]}},
		"tag, other value":   {ff.ListExecutions{TagKey: "team.lead", TagValue: "blue"}, nil},
		"one state":          {ff.ListExecutions{States: []ff.PublicState{"delayed"}}, ids[1:2]},
		"states":             {ff.ListExecutions{States: []ff.PublicState{"cancelled", "delayed", "resumable", "delayed"}}, ids[:2]},
		"from":               {ff.ListExecutions{CreatedFrom: first + 3000}, ids[:2]},
		"before":             {ff.ListExecutions{CreatedBefore: first + 2000}, ids[3:]},
		"between":            {ff.ListExecutions{CreatedFrom: first + 1000, CreatedBefore: first + 3000}, ids[2:4]},
		"an empty span":      {ff.ListExecutions{CreatedFrom: first + 1000, CreatedBefore: first + 1000}, nil},
		"all of them":        {ff.ListExecutions{Kind: "b", Namespace: "y", States: []ff.PublicState{"waiting"}, TagKey: "team.lead", TagValue: "red", CreatedFrom: first}, ids[2:3]},
		"none matches them ": {ff.ListExecutions{Kind: "b", Namespace: "z"}, nil},
	} {
		c.q.Lane = e.lane
		for _, limit := range []int{0, 1, 2} {
			c.q.Limit = limit
			e.equal(fmt.Sprintf("%s, by pages of %d", name, limit), e.listed(c.q), c.want)
		}
	}
}

func testListSummary(e *env) {
	began := e.pace.now()
	c := e.running(ff.Submit{Priority: 3, Payload: []byte("in"), Tags: map[string]string{"a.b": "c"}})
	page := e.list(ff.ListExecutions{Lane: e.lane})
	e.equal("items", page.Items, []ff.ExecutionSummary{{
		ExecutionID: c.ExecutionID, Lane: e.lane, Namespace: "default", Kind: "test", Priority: 3, PublicState: "active",
		State: e.describe(c.ExecutionID).State, Tags: map[string]string{"a.b": "c"}, TotalAttempts: 1, CreatedAt: began, StartedAt: began,
		LastMutationAt: began, WorkerInstanceID: "worker-1",
	}})
	e.fail(c, "permanent")
	s := e.list(ff.ListExecutions{Lane: e.lane}).Items[0]
	e.equal("ended", []any{s.PublicState, s.FailureReason, s.CompletedAt, s.WorkerInstanceID}, []any{ff.PublicFailed, "it broke", began, ff.WorkerInstanceID("")})
}

// testListCursors: a cursor is of one list with one set of filters; what was changed on its way is not followed.
func testListCursors(e *env) {
	e.submitMany(make([]ff.Submit, 3))
	q := ff.ListExecutions{Lane: e.lane, Kind: "test", Limit: 1}
	cursor := e.list(q).Next
	bad := map[string]string{
		"letters": "nonsense", "no text": "\xff\x00", "cut": cursor[:len(cursor)-1], "longer": cursor + "A", "padded": cursor + "=",
		"of numbers": "12", "very long": strings.Repeat("A", 10_000), "with a line end": cursor + "\n",
	}
	for i := range cursor {
		changed := []byte(cursor)
		changed[i] = 'A' + (changed[i]-'A'+1)%26
		if string(changed) != cursor {
			bad[fmt.Sprintf("changed at %d", i)] = string(changed)
		}
	}
	for name, after := range bad {
		q := q
		q.After = after
		_, err := e.svc.List(e.Context(), q)
		e.refused("a cursor "+name, err, ff.CodeInvalidInput)
	}
	q.After = cursor
	for name, change := range map[string]func(q *ff.ListExecutions){
		"kind":  func(q *ff.ListExecutions) { q.Kind = "" },
		"lane":  func(q *ff.ListExecutions) { q.Lane = "another" },
		"state": func(q *ff.ListExecutions) { q.States = []ff.PublicState{"waiting"} },
		"tag":   func(q *ff.ListExecutions) { q.TagKey = "a.b" },
		"from":  func(q *ff.ListExecutions) { q.CreatedFrom = 1 },
	} {
		q := q
		change(&q)
		_, err := e.svc.List(e.Context(), q)
		e.refused("the cursor with another "+name, err, ff.CodeInvalidInput)
	}
	q.Limit = 2
	e.equal("with another limit", len(e.list(q).Items), 2)
}

func testListInput(e *env) {
	for name, c := range map[string]struct {
		q    ff.ListExecutions
		want ff.Code
	}{
		"limit below":            {ff.ListExecutions{Limit: -1}, "invalid_input"},
		"limit above":            {ff.ListExecutions{Limit: 1001}, "invalid_input"},
		"a bad lane":             {ff.ListExecutions{Lane: "a\n"}, "invalid_input"},
		"a bad namespace":        {ff.ListExecutions{Namespace: "a b"}, "invalid_input"},
		"kind not UTF-8":         {ff.ListExecutions{Kind: "\xff"}, "invalid_input"},
		"kind with NUL":          {ff.ListExecutions{Kind: "\x00"}, "invalid_input"},
		"kind too long":          {ff.ListExecutions{Kind: strings.Repeat("k", 257)}, "invalid_input"},
		"an unknown state":       {ff.ListExecutions{States: []ff.PublicState{"waiting", "runnable"}}, "invalid_input"},
		"an empty state":         {ff.ListExecutions{States: []ff.PublicState{""}}, "invalid_input"},
		"a bad tag key":          {ff.ListExecutions{TagKey: "Team"}, "invalid_tag_key"},
		"a bad tag value":        {ff.ListExecutions{TagKey: "a.b", TagValue: "\xff"}, "invalid_input"},
		"a tag value alone":      {ff.ListExecutions{TagValue: "red"}, "invalid_input"},
		"created from negative":  {ff.ListExecutions{CreatedFrom: -1}, "invalid_input"},
		"created before is late": {ff.ListExecutions{CreatedBefore: ff.MaxTimestamp + 1}, "invalid_input"},
	} {
		_, err := e.svc.List(e.Context(), c.q)
		e.refused(name, err, c.want)
	}
	e.list(ff.ListExecutions{Lane: e.lane, Limit: 1000, CreatedBefore: ff.MaxTimestamp})
}
