package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var keepTests = []behaviour{
	{"W37_RetentionMayBeShorterAndLonger", testRetention},
	{"ReplayTakesItBack", testRetentionOfReplay},
	{"KeysAreKeptNoLongerThanTheExecution", testKeyRetention},
	{"KeysHaveTheirWindow", testKeyDedupWindow},
	{"TagsAreAdded", testTags},
	{"TagsAreRefusedAsAWhole", testTagsRefused},
	{"TagsUpToTheLimit", testTagsLimit},
	{"TagsReachALeasedExecution", testTagsOfLeased},
}

func retaining(d time.Duration) *ff.Policy {
	return &ff.Policy{RetentionMS: new(d.Milliseconds())}
}

func testRetention(e *env) {
	day := ff.Timestamp(24 * 3_600_000)
	for name, c := range map[string]struct {
		policy *ff.Policy
		want   ff.Timestamp
	}{
		"the engine's": {nil, day}, "at once": {retaining(0), 0}, "shorter": {retaining(time.Hour), day / 24}, "longer": {retaining(48 * time.Hour), 2 * day},
	} {
		for end, finish := range map[string]func(c ff.Claimed){
			"completed": e.complete,
			"failed":    func(c ff.Claimed) { e.fail(c, "permanent") },
			"cancelled": func(c ff.Claimed) { e.cancel(c.ExecutionID, "enough") },
		} {
			claimed := e.running(ff.Submit{Policy: c.policy})
			e.equal(name+", running", e.describe(claimed.ExecutionID).RetainUntil, ff.Timestamp(0))
			finish(claimed)
			e.equal(name+", "+end, e.describe(claimed.ExecutionID).RetainUntil, e.pace.now()+c.want)
		}
	}
}

func testRetentionOfReplay(e *env) {
	c := e.running(ff.Submit{})
	e.complete(c)
	e.replay(c.ExecutionID)
	e.equal("replayed", e.describe(c.ExecutionID).RetainUntil, ff.Timestamp(0))
	e.advance(time.Hour)
	e.complete(e.claim())
	e.equal("ended again", e.describe(c.ExecutionID).RetainUntil, e.pace.now()+24*3_600_000)
}

// testKeyRetention: the key is remembered for the shorter of the window and what a finished execution is kept.
func testKeyRetention(e *env) {
	cmd := e.command(ff.Submit{IdempotencyKey: e.Name(), Policy: retaining(time.Hour)})
	first := e.submit(cmd)
	e.advance(time.Hour - time.Millisecond)
	res, err := e.svc.Submit(e.Context(), cmd)
	e.ok(err)
	e.equal("within it", res, ff.SubmitResult{ID: first, Outcome: ff.Duplicate})
	e.advance(time.Millisecond)
	if e.submit(cmd) == first {
		e.Error("the key outlives what is kept")
	}
}

func testKeyDedupWindow(e *env) {
	for _, window := range []time.Duration{time.Millisecond, time.Minute, 23 * time.Hour} {
		cmd := e.command(ff.Submit{IdempotencyKey: e.Name() + window.String(), Policy: &ff.Policy{DedupWindowMS: new(window.Milliseconds())}})
		first := e.submit(cmd)
		e.advance(window - time.Millisecond)
		res, err := e.svc.Submit(e.Context(), cmd)
		e.ok(err)
		e.equal("within the window", res, ff.SubmitResult{ID: first, Outcome: ff.Duplicate})
		e.advance(time.Millisecond)
		if e.submit(cmd) == first {
			e.Errorf("a window of %s does not end", window)
		}
	}
}

func (e *env) setTags(id ff.ExecutionID, tags map[string]string) error {
	return e.svc.SetTags(e.Context(), ff.SetTags{ExecutionID: id, Tags: tags})
}

func testTags(e *env) {
	for name := range e.scenes() {
		s := e.scene(name)
		before := e.describe(s.id)
		e.advance(time.Millisecond)
		e.ok(e.setTags(s.id, map[string]string{"a.a": "1", "a.b": "2"}))
		e.ok(e.setTags(s.id, map[string]string{"a.b": "3", "a.c": ""}))
		want := before
		want.Tags, want.LastMutationAt = map[string]string{"a.a": "1", "a.b": "3", "a.c": ""}, e.pace.now()
		e.equal(name, e.describe(s.id), want)
		e.unchanged("the same tags", s.id, func() { e.ok(e.setTags(s.id, map[string]string{"a.a": "1"})) })
		e.leave(s, name)
	}
}

func testTagsRefused(e *env) {
	id := e.submit(ff.Submit{Tags: map[string]string{"a.a": "1"}})
	many := make(map[string]string)
	for i := range 10_000 {
		many[fmt.Sprintf("a.k%d", i)] = "v"
	}
	e.unchanged("bad tags", id, func() {
		for name, c := range map[string]struct {
			tags map[string]string
			want ff.Code
		}{
			"none":           {nil, "invalid_input"},
			"empty":          {map[string]string{}, "invalid_input"},
			"a bad key":      {map[string]string{"a.b": "good", "Bad": "x"}, "invalid_tag_key"},
			"a long key":     {map[string]string{"a." + strings.Repeat("k", 127): "x"}, "invalid_tag_key"},
			"a long value":   {map[string]string{"a.b": strings.Repeat("v", 1025)}, "invalid_input"},
			"not UTF-8":      {map[string]string{"a.b": "\xff"}, "invalid_input"},
			"a NUL":          {map[string]string{"a.b": "a\x00"}, "invalid_input"},
			"65 of them":     {tagSet(65), "invalid_input"},
			"64 and the one": {tagSet(64), "invalid_input"},
			"10,000 of them": {many, "invalid_input"},
		} {
			e.refused(name, e.setTags(id, c.tags), c.want)
		}
	})
}

func tagSet(n int) map[string]string {
	tags := make(map[string]string, n)
	for i := range n {
		tags[fmt.Sprintf("b.k%d", i)] = "v"
	}
	return tags
}

func testTagsLimit(e *env) {
	id := e.submit(ff.Submit{Tags: map[string]string{"b.k0": "old"}})
	tags := tagSet(64)
	tags["b.k1"] = strings.Repeat("v", 1024)
	e.ok(e.setTags(id, tags))
	e.equal("tags", e.describe(id).Tags, tags)
}

// testTagsOfLeased: what is written past the holder does not cost it its lease.
func testTagsOfLeased(e *env) {
	c := e.running(ff.Submit{})
	other := e.engine()
	e.ok(other.SetTags(e.Context(), ff.SetTags{ExecutionID: c.ExecutionID, Tags: map[string]string{"a.b": "c"}}))
	_, err := e.renew(c, leaseTTL)
	e.ok(err)
	e.complete(c)
	e.equal("tags", e.describe(c.ExecutionID).Tags, map[string]string{"a.b": "c"})
}
