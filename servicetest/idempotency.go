package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var idempotencyTests = []behaviour{
	{"SameKeyIsADuplicate", testKeyDuplicate},
	{"WhatDoesNotMatterMayDiffer", testKeyIgnores},
	{"WhatMattersMustBeEqual", testKeyConflicts},
	{"KeysAreOfANamespace", testKeyNamespaces},
	{"WindowEnds", testKeyWindow},
	{"ADuplicateDoesNotProlongTheWindow", testKeyWindowStays},
	{"EndedExecutionsAreRemembered", testKeyOfEnded},
	{"RefusedSubmissionsLeaveTheKeyFree", testKeyOfRefused},
}

func testKeyDuplicate(e *env) {
	cmd := ff.Submit{IdempotencyKey: e.Name(), Payload: []byte("x"), Tags: map[string]string{"a.b": "c"}, Policy: ff.Retry(1, nil)}
	id := e.submit(cmd)
	e.unchanged("a repeat", id, func() {
		for range 2 {
			res, err := e.svc.Submit(e.Context(), e.command(cmd))
			e.ok(err)
			e.equal("answer", res, ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
		}
	})
	cmd.ID = ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
	res, err := e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	e.equal("with an id of its own", res, ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
	_, err = e.svc.Describe(e.Context(), cmd.ID)
	e.refused("the id of its own", err, ff.CodeExecutionNotFound)
	e.claim()
	e.nothingClaimable("after the one execution")
}

func testKeyIgnores(e *env) {
	id := e.submit(ff.Submit{IdempotencyKey: e.Name(), Policy: requiring("b", "a")})
	for name, cmd := range map[string]ff.Submit{
		"priority":                 {Policy: requiring("b", "a"), Priority: 9},
		"creator":                  {Policy: requiring("b", "a"), Creator: "another"},
		"delay":                    {Policy: requiring("b", "a"), Delay: time.Hour},
		"deadline":                 {Policy: requiring("b", "a"), Deadline: e.pace.now() + 1000},
		"encoding":                 {Policy: requiring("b", "a"), PayloadEncoding: "text"},
		"empty for no payload":     {Policy: requiring("b", "a"), Payload: []byte{}},
		"empty for no tags":        {Policy: requiring("b", "a"), Tags: map[string]string{}},
		"order of capabilities":    {Policy: requiring("a", "b")},
		"repeats in capabilities":  {Policy: requiring("a", "b", "a")},
		"the default, spelled out": {Policy: requiring("a", "b"), Namespace: "default", Creator: "anonymous", PayloadEncoding: "json"},
	} {
		cmd.IdempotencyKey = e.Name()
		res, err := e.svc.Submit(e.Context(), e.command(cmd))
		if err != nil || res.Outcome != ff.Duplicate || res.ID != id {
			e.Errorf("%s: %+v, %v, want a duplicate", name, res, err)
		}
	}
	key := e.Name() + " without"
	id = e.submit(ff.Submit{IdempotencyKey: key})
	for name, policy := range map[string]*ff.Policy{
		"no policy": nil, "an empty one": {}, "empty requirements": requiring(), "empty timeouts": withTimeout(0, 0, ""),
	} {
		res, err := e.svc.Submit(e.Context(), e.command(ff.Submit{IdempotencyKey: key, Policy: policy}))
		if err != nil || res.Outcome != ff.Duplicate || res.ID != id {
			e.Errorf("%s: %+v, %v, want a duplicate", name, res, err)
		}
	}
}

func testKeyConflicts(e *env) {
	base := ff.Submit{IdempotencyKey: e.Name(), Payload: []byte("x"), Tags: map[string]string{"a.b": "c"}, Policy: ff.Retry(1, nil)}
	id := e.submit(base)
	e.unchanged("conflicts", id, func() {
		for name, change := range map[string]func(c *ff.Submit){
			"kind":       func(c *ff.Submit) { c.Kind = "another" },
			"lane":       func(c *ff.Submit) { c.Lane = e.lane + "2" },
			"payload":    func(c *ff.Submit) { c.Payload = []byte("y") },
			"no payload": func(c *ff.Submit) { c.Payload = nil },
			"policy":     func(c *ff.Submit) { c.Policy = ff.Retry(2, nil) },
			"no policy":  func(c *ff.Submit) { c.Policy = nil },
			"tags":       func(c *ff.Submit) { c.Tags = map[string]string{"a.b": "d"} },
			"no tags":    func(c *ff.Submit) { c.Tags = nil },
		} {
			cmd := base
			change(&cmd)
			_, err := e.svc.Submit(e.Context(), e.command(cmd))
			e.refused(name, err, ff.CodeIdempotencyConflict)
		}
	})
	e.claim()
	e.nothingClaimable("after the one execution")
}

func testKeyNamespaces(e *env) {
	first := e.submit(ff.Submit{IdempotencyKey: e.Name(), Namespace: "a"})
	second := e.submit(ff.Submit{IdempotencyKey: e.Name(), Namespace: "b", Payload: []byte("other")})
	if first == second {
		e.Error("two namespaces share an execution")
	}
}

func testKeyWindow(e *env) {
	cmd := ff.Submit{IdempotencyKey: e.Name()}
	first := e.submit(cmd)
	e.advance(24*time.Hour - time.Millisecond)
	res, err := e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	e.equal("one millisecond before its end", res, ff.SubmitResult{ID: first, Outcome: ff.Duplicate})
	e.advance(time.Millisecond)
	cmd.Payload = []byte("anything")
	second := e.submit(cmd)
	if first == second {
		e.Error("the window does not end")
	}
	res, err = e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	e.equal("in the next window", res, ff.SubmitResult{ID: second, Outcome: ff.Duplicate})
}

func testKeyWindowStays(e *env) {
	cmd := ff.Submit{IdempotencyKey: e.Name()}
	first := e.submit(cmd)
	e.advance(23 * time.Hour)
	res, err := e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	e.equal("within the window", res.Outcome, ff.Duplicate)
	e.advance(time.Hour)
	if second := e.submit(cmd); first == second {
		e.Error("the duplicate prolonged the window")
	}
}

func testKeyOfEnded(e *env) {
	cmd := ff.Submit{IdempotencyKey: e.Name()}
	id := e.submit(cmd)
	e.complete(e.claim())
	res, err := e.svc.Submit(e.Context(), e.command(cmd))
	e.ok(err)
	e.equal("answer", res, ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
}

func testKeyOfRefused(e *env) {
	_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{IdempotencyKey: e.Name(), Priority: -1}))
	e.refused("bad priority", err, ff.CodeInvalidInput)
	e.submit(ff.Submit{IdempotencyKey: e.Name()})
}
