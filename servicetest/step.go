package servicetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var stepTests = []behaviour{
	{"AStepIsRecordedOnce", testStepOnce},
	{"OnlyTheHolderRecords", testStepFence},
	{"AnErrorCountsUntilARetry", testStepErrors},
	{"BadStepsAreRefused", testStepInput},
	{"AStepMayBeAsLargeAsItSays", testStepSize},
	{"ListsArePaged", testStepPages},
	{"AReplayKeepsStepsUnlessTold", testStepReplay},
	{"StepsOutliveASuspension", testStepSuspended},
}

// record records a step that must be accepted.
func (e *env) record(c ff.Claimed, cmd ff.RecordStep) ff.StepMemo {
	e.Helper()
	memo, err := e.tryRecord(c, cmd)
	e.ok(err)
	return memo
}

func (e *env) tryRecord(c ff.Claimed, cmd ff.RecordStep) (ff.StepMemo, error) {
	cmd.ExecutionID, cmd.Fence = c.ExecutionID, c.Fence
	return e.svc.RecordStep(e.Context(), cmd)
}

// steps are the names and keys of the steps that count, page by page.
func (e *env) steps(id ff.ExecutionID, limit int) string {
	e.Helper()
	var list []string
	q := ff.ListSteps{ExecutionID: id, Limit: limit}
	for {
		page, err := e.svc.ListSteps(e.Context(), q)
		e.ok(err)
		for _, s := range page.Items {
			list = append(list, strings.TrimSuffix(s.Name+"/"+s.Key, "/"))
		}
		if q.After = page.Next; q.After == "" {
			return strings.Join(list, " ")
		}
	}
}

func testStepOnce(e *env) {
	c := e.running(ff.Submit{})
	cmd := ff.RecordStep{Name: "charge", Key: "1", Position: 3, Result: []byte{0, 1, 0xff}, Encoding: "raw", For: time.Minute}
	want := ff.StepMemo{
		Name: "charge", Key: "1", Position: 3, Result: []byte{0, 1, 0xff}, Encoding: "raw", Epoch: 1, RecordedAt: e.pace.now(), Until: e.pace.now() + 60_000,
	}
	e.equal("recorded", e.record(c, cmd), want)
	e.advance(time.Second)
	want.Repeated = true
	e.untouched("a second run", func() {
		cmd.Result, cmd.Position, cmd.Error, cmd.Category = []byte("other"), 9, "no", ff.FailurePermanent
		e.equal("the first counts", e.record(c, cmd), want)
	})
	cmd.Key = "2"
	e.equal("another key", e.record(c, cmd).Error, "no")
	want.Repeated = false
	page, err := e.svc.ListSteps(e.Context(), ff.ListSteps{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.equal("listed", page.Items[0], want)
	e.equal("steps", e.steps(c.ExecutionID, 0), "charge/1 charge/2")
	e.complete(c)
}

// testStepFence: besides what testSuspendFence has, a worker that has lost its lease and does not know it.
func testStepFence(e *env) {
	zombie := e.running(ff.Submit{})
	e.record(zombie, ff.RecordStep{Name: "a", Result: []byte("zombie")})
	e.advance(leaseTTL)
	e.untouched("when its lease ran out", func() {
		_, err := e.tryRecord(zombie, ff.RecordStep{Name: "b"})
		e.refused("when its lease ran out", err, "lease_expired")
	})
	c := e.claim()
	e.equal("what it did before counts", string(e.record(c, ff.RecordStep{Name: "a", Result: []byte("next")}).Result), "zombie")
	memo := e.record(c, ff.RecordStep{Name: "b", Result: []byte("next")})
	e.equal("by", []any{memo.AttemptIndex, memo.Epoch}, []any{1, c.Fence.Epoch})
	e.untouched("when another has it", func() {
		for _, name := range []string{"a", "b", "c"} {
			_, err := e.tryRecord(zombie, ff.RecordStep{Name: name})
			e.refused("when another has it", err, "stale_lease")
		}
	})
	e.complete(c)
	e.untouched("after the end", func() {
		_, err := e.tryRecord(c, ff.RecordStep{Name: "c"})
		e.refused("after the end", err, "execution_not_active")
	})
	e.equal("steps", e.steps(c.ExecutionID, 0), "a b")
}

func testStepErrors(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(3, ff.FixedBackoff(0))})
	failing := ff.RecordStep{Name: "call", Error: "no answer", Category: ff.FailureTransient}
	e.record(c, failing)
	hopeless := ff.RecordStep{Name: "parse", Error: "not a number", Category: ff.FailurePermanent}
	e.record(c, hopeless)
	good := ff.RecordStep{Name: "call", Result: []byte("42")}
	e.equal("within the run", e.record(c, good).Error, "no answer")
	p := e.suspend(c, ff.Suspend{}).Waitpoints[0]
	c = e.continued(c, p)
	e.equal("after a suspension", e.record(c, good).Error, "no answer")
	e.advance(leaseTTL)
	c = e.claim()
	e.equal("after a lost lease", e.record(c, good).Error, "no answer")
	e.equal("steps", e.steps(c.ExecutionID, 0), "call parse")
	e.fail(c, "transient")
	e.advance(0)
	e.equal("of a retry", e.steps(c.ExecutionID, 0), "parse")
	c = e.claim()
	e.equal("done again", string(e.record(c, good).Result), "42")
	e.equal("a permanent one", e.record(c, ff.RecordStep{Name: "parse", Result: []byte("1")}).Error, "not a number")
	e.complete(c)
	e.replay(c.ExecutionID)
	c = e.claim()
	e.equal("after a replay", e.record(c, failing).Error, "")
	e.equal("for ever", e.record(c, ff.RecordStep{Name: "parse"}).Error, "not a number")
	e.complete(c)
}

func testStepInput(e *env) {
	c := e.running(ff.Submit{})
	long := strings.Repeat("x", 257)
	e.untouched("bad steps", func() {
		for name, cmd := range map[string]ff.RecordStep{
			"no name": {}, "long name": {Name: long}, "long key": {Name: "s", Key: long}, "encoding": {Name: "s", Encoding: long},
			"category": {Name: "s", Category: ff.FailureCategory(long)}, "error": {Name: "s", Error: strings.Repeat("x", ff.MaxReasonBytes+1)},
			"negative position": {Name: "s", Position: -1}, "position": {Name: "s", Position: 1 << 31}, "negative time": {Name: "s", For: -1},
			"no text": {Name: "\xff"},
		} {
			_, err := e.tryRecord(c, cmd)
			e.refused(name, err, "invalid_input")
		}
		for name, q := range map[string]ff.ListSteps{"limit": {Limit: 1001}, "negative": {Limit: -1}, "cursor": {After: "moon"}} {
			q.ExecutionID = c.ExecutionID
			e.refused(name, errOf(e.svc.ListSteps(e.Context(), q)), "invalid_input")
		}
		q := ff.ListSteps{ExecutionID: ff.SoloExecutionID(e.lane, ff.DefaultPartitions())}
		e.refused("the steps of nothing", errOf(e.svc.ListSteps(e.Context(), q)), "execution_not_found")
	})
	e.record(c, ff.RecordStep{Name: long[:256], Key: long[:256], Position: 1<<31 - 1, Encoding: long[:256]})
	e.complete(c)
}

func testStepSize(e *env) {
	c := e.running(ff.Submit{})
	large := bytes.Repeat([]byte{7}, 262_145)
	e.untouched("one byte over", func() {
		_, err := e.tryRecord(c, ff.RecordStep{Name: "s", Result: large})
		e.refused("one byte over", err, "payload_too_large")
	})
	e.equal("at the bound", bytes.Equal(e.record(c, ff.RecordStep{Name: "s", Result: large[:262_144]}).Result, large[:262_144]), true)
	var want []string
	for i := range 20 { // five megabytes: more than a page has
		e.record(c, ff.RecordStep{Name: "s", Key: fmt.Sprintf("%02d", i), Result: large[:262_144]})
		want = append(want, fmt.Sprintf("s/%02d", i))
	}
	page, err := e.svc.ListSteps(e.Context(), ff.ListSteps{ExecutionID: c.ExecutionID})
	e.ok(err)
	e.equal("of the first page", len(page.Items), 16)
	e.equal("all pages", e.steps(c.ExecutionID, 0), "s "+strings.Join(want, " "))
	e.complete(c)
}

func testStepPages(e *env) {
	c := e.running(ff.Submit{Policy: ff.Retry(1, ff.FixedBackoff(0))})
	var want []string
	for i := range 7 {
		cmd := ff.RecordStep{Name: "s", Key: fmt.Sprint(i), Position: 7 - i}
		if i%3 == 1 { // does not count after the retry
			cmd.Error, cmd.Category = "no", ff.FailureTransient
		} else {
			want = append(want, "s/"+cmd.Key)
		}
		e.record(c, cmd)
	}
	other := e.running(ff.Submit{})
	e.record(other, ff.RecordStep{Name: "other"})
	e.complete(other)
	e.fail(c, "transient")
	e.advance(0)
	for limit := 1; limit < 9; limit++ {
		e.equal(fmt.Sprint("by pages of ", limit), e.steps(c.ExecutionID, limit), strings.Join(want, " "))
	}
	e.complete(e.claim())
}

func testStepReplay(e *env) {
	for name, t := range map[string]struct {
		keep ff.StepRetention
		want string
	}{
		"all of them":     {ff.StepRetention{}, "a/1 a/2 b c"},
		"none":            {ff.StepRetention{DropAll: true}, ""},
		"from the second": {ff.StepRetention{DropFrom: "b"}, "a/1"},
		"from the first":  {ff.StepRetention{DropFrom: "a"}, ""},
		"the last":        {ff.StepRetention{DropFrom: "c"}, "a/1 a/2 b"},
	} {
		c := e.running(ff.Submit{})
		for i, step := range []string{"a/1", "b/", "a/2", "c/"} { // in this order
			word, key, _ := strings.Cut(step, "/")
			e.record(c, ff.RecordStep{Name: word, Key: key, Position: i})
		}
		e.untouched("the replay of what has not ended", func() {
			_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID, Steps: t.keep})
			e.refused("the replay of what has not ended", err, "execution_not_terminal")
		})
		e.complete(c)
		_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID, Steps: t.keep})
		e.ok(err)
		got := strings.Fields(e.steps(c.ExecutionID, 0))
		slices.Sort(got)
		e.equal(name, strings.Join(got, " "), t.want)
		e.complete(e.claim())
	}
	c := e.running(ff.Submit{})
	e.record(c, ff.RecordStep{Name: "a"})
	e.complete(c)
	e.untouched("the replay from a step that was not done", func() {
		_, err := e.svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID, Steps: ff.StepRetention{DropFrom: "z"}})
		e.refused("the replay from a step that was not done", err, "invalid_input")
	})
}

func testStepSuspended(e *env) {
	c := e.running(ff.Submit{})
	e.record(c, ff.RecordStep{Name: "before", Result: []byte("1")})
	p := e.suspend(c, ff.Suspend{}).Waitpoints[0]
	e.equal("while it is suspended", e.steps(c.ExecutionID, 0), "before")
	again := e.continued(c, p)
	e.equal("after it", string(e.record(again, ff.RecordStep{Name: "before", Result: []byte("2")}).Result), "1")
	e.untouched("by the lease before", func() {
		_, err := e.tryRecord(c, ff.RecordStep{Name: "after"})
		e.refused("by the lease before", err, "stale_lease")
	})
	e.complete(again)
}
