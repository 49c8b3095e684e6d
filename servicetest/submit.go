package servicetest

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
)

var submitTests = []behaviour{
	{"OnlyLaneAndKindAreNeeded", testSubmitDefaults},
	{"WhatIsGivenIsKept", testSubmitEverything},
	{"SameIDIsADuplicate", testSubmitSameID},
	{"FlowMembersMayBeSubmitted", testSubmitOnFlowPartition},
	{"DelayKeepsItFromBeingClaimed", testSubmitDelay},
	{"DelayUntilKeepsItFromBeingClaimed", testSubmitDelayUntil},
	{"PastDelayIsNone", testSubmitPastDelay},
	{"BoundsAreAllowed", testSubmitAtBounds},
	{"OneOverABoundIsRefused", testSubmitOverBounds},
	{"TheCallersMemoryIsItsOwn", testSubmitKeepsNothing},
}

func testSubmitDefaults(e *env) {
	id := e.submit(ff.Submit{})
	if want := ff.DefaultPartitions().OfLane(e.lane); id.Partition() != want {
		e.Errorf("the id is on partition %s, the lane on %s", id.Partition(), want)
	}
	now := e.pace.now()
	e.equal("execution", e.inState(id, newReady), ff.ExecutionSnapshot{
		ExecutionID: id, Lane: e.lane, Namespace: "default", Kind: "test", Creator: "anonymous", Priority: 0,
		State: ff.StateVector{
			Phase: "runnable", Ownership: "unowned", Eligibility: "eligible_now", BlockingReason: "waiting_for_worker",
			Outcome: "none", AttemptState: "pending_first_attempt",
		},
		PublicState: "waiting", CreatedAt: now, LastTransitionAt: now, LastMutationAt: now,
	})
	e.equal("events", e.events(id), []told{})
	c := e.claim()
	e.equal("payload", string(c.Payload), "")
	e.equal("encoding", c.PayloadEncoding, "json")
}

func testSubmitEverything(e *env) {
	policy := &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: new(uint32(7)), Backoff: ff.ExponentialBackoff(time.Second, time.Minute, 1.5),
			RetryableCategories: []string{"transient", "smtp_busy"},
		},
		MaxReclaims: new(uint32(5)), MaxReplays: new(uint32(6)),
	}
	tags := map[string]string{"team.name": "Größe", "cairn.instance_id": "i-1"}
	id := ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
	payload := []byte("\x00\xff binary \x00")
	e.submit(ff.Submit{
		ID: id, Kind: "send mail", Namespace: "tenant", Payload: payload, PayloadEncoding: "msgpack", Priority: 77,
		Creator: "cron job", IdempotencyKey: "order 1", Tags: tags, Policy: policy,
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
	s := e.inState(id, newReady)
	e.equal("policy", s.Policy, policy)
	e.equal("tags", s.Tags, tags)
	e.equal("names", []string{s.Kind, s.Creator, string(s.Namespace)}, []string{"send mail", "cron job", "tenant"})
	e.equal("priority", s.Priority, 77)
	e.equal("span", s.TraceParent, ff.TraceParent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	c := e.claim()
	c.Fence = ff.Fence{}
	e.equal("claimed", c, ff.Claimed{
		ExecutionID: id, WorkerID: "worker", WorkerInstanceID: "worker-1", Lane: e.lane, Kind: "send mail", Namespace: "tenant", Priority: 77, Payload: payload,
		PayloadEncoding: "msgpack", Tags: tags, AttemptType: "initial", CreatedAt: e.pace.now(), ClaimedAt: e.pace.now(),
		LeaseExpiresAt: e.pace.now().Add(leaseTTL), LeaseTTL: leaseTTL,
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
}

// testSubmitSameID: nothing is compared and nothing written (chapter 10, section 3.1, step 2).
func testSubmitSameID(e *env) {
	id := e.submit(ff.Submit{Payload: []byte("first")})
	e.unchanged("a second submission", id, func() {
		res, err := e.svc.Submit(e.Context(), e.command(ff.Submit{ID: id, Payload: []byte("second"), Priority: 9}))
		e.ok(err)
		e.equal("answer", res, ff.SubmitResult{ID: id, Outcome: ff.Duplicate})
	})
	e.equal("payload", string(e.claim().Payload), "first")
	e.nothingClaimable("after the one claim")
}

func testSubmitOnFlowPartition(e *env) {
	id := ff.FlowExecutionIDWith(ff.FlowID(uuid.MustParse("550e8400-e29b-41d4-a716-446655440000")), ff.DefaultPartitions(), uuid.New())
	e.equal("partition", id.Partition().String(), "{fp:24}")
	e.equal("submitted", e.submit(ff.Submit{ID: id}), id)
	e.equal("claimed", e.claim().ExecutionID, id)
}

func testSubmitDelay(e *env) {
	id := e.submit(ff.Submit{Delay: time.Minute})
	s := e.inState(id, newDelayed)
	e.equal("delayed until", s.DelayUntil, e.pace.now()+60_000)
	e.equal("public state", s.PublicState, ff.PublicDelayed)
	e.advance(time.Minute - time.Millisecond)
	e.inState(id, newDelayed)
	e.nothingClaimable("one millisecond early")
	e.advance(time.Millisecond)
	e.inState(id, newReady)
	e.equal("claimed", e.claim().ExecutionID, id)
}

func testSubmitDelayUntil(e *env) {
	until := e.pace.now() + 1
	id := e.submit(ff.Submit{DelayUntil: until})
	s := e.inState(id, newDelayed)
	e.equal("delayed until", s.DelayUntil, until)
	e.equal("detail", s.BlockingDetail, fmt.Sprintf("delayed until %d", until))
	e.advance(time.Hour)
	s = e.inState(id, newReady)
	e.equal("detail", s.BlockingDetail, "")
	e.equal("last transition", s.LastTransitionAt, until+3_599_999)
	e.claim()
}

// testSubmitPastDelay is W6: what is to be delayed until the past is ready, and in the ready index.
func testSubmitPastDelay(e *env) {
	for _, until := range []ff.Timestamp{1, e.pace.now() - 1, e.pace.now()} {
		id := e.submit(ff.Submit{DelayUntil: until})
		e.inState(id, newReady)
		e.equal("claimed", e.claim().ExecutionID, id)
	}
}

// atBounds are submissions that are just allowed.
func (e *env) atBounds() map[string]ff.Submit {
	tags := make(map[string]string)
	for n := range 64 {
		tags[fmt.Sprintf("tag.n%d", n)] = "v"
	}
	many := make([]string, 256)
	for n := range many {
		many[n] = fmt.Sprintf("c%03d", n)
	}
	return map[string]ff.Submit{
		"lowest priority":   {Priority: 0},
		"highest priority":  {Priority: 9000},
		"payload":           {Payload: bytes.Repeat([]byte{0}, 1<<20)},
		"tags":              {Tags: tags},
		"tag key":           {Tags: map[string]string{"a." + strings.Repeat("b", 126): ""}},
		"tag value":         {Tags: map[string]string{"a.b": strings.Repeat("v", 1024)}},
		"lane":              {Lane: ff.LaneID(strings.Repeat("l", 64))},
		"printable lane":    {Lane: "a lane ~!\"{}"},
		"kind":              {Kind: strings.Repeat("k", 256)},
		"kind with a space": {Kind: "send mail\nnow"},
		"namespace":         {Namespace: ff.Namespace(strings.Repeat("n", 256))},
		"creator":           {Creator: strings.Repeat("c", 256)},
		"idempotency key":   {IdempotencyKey: strings.Repeat("i", 256)},
		"encoding":          {PayloadEncoding: strings.Repeat("e", 256)},
		"delay":             {Delay: 100 * 365 * 24 * time.Hour},
		"delay until":       {DelayUntil: 253_402_300_799_999},
		"capabilities":      {Policy: requiring(many...)},
		"capability tokens": {Policy: requiring(strings.Repeat("a", 2047), strings.Repeat("b", 2048))},
		"retry categories":  {Policy: &ff.Policy{Retry: &ff.RetryPolicy{RetryableCategories: make64("category")}}},
		"backoff":           {Policy: ff.Retry(1<<32-1, &ff.Backoff{Type: "exponential", InitialDelayMS: ff.MaxSpanMS, MaxDelayMS: ff.MaxSpanMS, Multiplier: 1000})},
		"empty policy":      {Policy: &ff.Policy{}},
		"deadline":          {Deadline: ff.MaxTimestamp},
		"next deadline":     {Deadline: e.pace.now() + 1, Delay: time.Hour},
		"timeouts":          {Policy: &ff.Policy{Timeouts: &ff.TimeoutPolicy{AttemptTimeoutMS: ff.MaxSpanMS, ExecutionDeadlineMS: ff.MaxSpanMS}}},
		"keeping":           {Policy: &ff.Policy{RetentionMS: new(ff.MaxSpanMS), DedupWindowMS: new(int64(1))}},
		"aging":             {Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 1000, Step: 9000}}, Delay: time.Hour},
	}
}

func make64(word string) []string {
	words := make([]string, 64)
	for n := range words {
		words[n] = fmt.Sprintf("%s %d", word, n)
	}
	return words
}

func requiring(capabilities ...string) *ff.Policy {
	return &ff.Policy{Routing: &ff.RoutingRequirements{RequiredCapabilities: capabilities}}
}

func testSubmitAtBounds(e *env) {
	for name, cmd := range e.atBounds() {
		res, err := e.svc.Submit(e.Context(), e.command(cmd))
		if err != nil || res.Outcome != ff.Created {
			e.Errorf("%s: %s, %v", name, res.Outcome, err)
			continue
		}
		s := e.describe(res.ID)
		e.equal(name+": tags", s.Tags, cmd.Tags)
		e.equal(name+": capabilities", s.RequiredCapabilities, cmd.Policy.Capabilities())
	}
}

func testSubmitOverBounds(e *env) {
	overTags := maps.Clone(e.atBounds()["tags"].Tags)
	overTags["one.more"] = ""
	thousands := make(map[string]string)
	for n := range 10_000 {
		thousands[fmt.Sprintf("a.k%d", n)] = "v"
	}
	refused := map[string]struct {
		cmd  ff.Submit
		want ff.Code
	}{
		"10,000 tags":         {ff.Submit{Tags: thousands}, "invalid_input"},
		"deadline":            {ff.Submit{Deadline: 253_402_300_800_000}, "invalid_input"},
		"negative deadline":   {ff.Submit{Deadline: -1}, "invalid_input"},
		"attempt timeout":     {ff.Submit{Policy: &ff.Policy{Timeouts: &ff.TimeoutPolicy{AttemptTimeoutMS: -1}}}, "invalid_policy_json"},
		"policy's deadline":   {ff.Submit{Policy: &ff.Policy{Timeouts: &ff.TimeoutPolicy{ExecutionDeadlineMS: ff.MaxSpanMS + 1}}}, "invalid_policy_json"},
		"retention":           {ff.Submit{Policy: &ff.Policy{RetentionMS: new(ff.MaxSpanMS + 1)}}, "invalid_policy_json"},
		"dedup window":        {ff.Submit{Policy: &ff.Policy{DedupWindowMS: new(int64(0))}}, "invalid_policy_json"},
		"aging period":        {ff.Submit{Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 999, Step: 1}}}, "invalid_policy_json"},
		"aging step":          {ff.Submit{Policy: &ff.Policy{Aging: &ff.AgingPolicy{EveryMS: 1000, Step: 9001}}}, "invalid_policy_json"},
		"priority below":      {ff.Submit{Priority: -1}, "invalid_input"},
		"priority above":      {ff.Submit{Priority: 9001}, "invalid_input"},
		"payload":             {ff.Submit{Payload: make([]byte, 1<<20+1)}, "payload_too_large"},
		"tags":                {ff.Submit{Tags: overTags}, "invalid_input"},
		"tag key":             {ff.Submit{Tags: map[string]string{"a." + strings.Repeat("b", 127): ""}}, "invalid_tag_key"},
		"tag value":           {ff.Submit{Tags: map[string]string{"a.b": strings.Repeat("v", 1025)}}, "invalid_input"},
		"lane":                {ff.Submit{Lane: ff.LaneID(strings.Repeat("l", 65))}, "invalid_input"},
		"kind":                {ff.Submit{Kind: strings.Repeat("k", 257)}, "invalid_input"},
		"namespace":           {ff.Submit{Namespace: ff.Namespace(strings.Repeat("n", 257))}, "invalid_input"},
		"creator":             {ff.Submit{Creator: strings.Repeat("c", 257)}, "invalid_input"},
		"idempotency key":     {ff.Submit{IdempotencyKey: strings.Repeat("i", 257)}, "invalid_input"},
		"encoding":            {ff.Submit{PayloadEncoding: strings.Repeat("e", 257)}, "invalid_input"},
		"delay":               {ff.Submit{Delay: 100*365*24*time.Hour + 1}, "invalid_input"},
		"negative delay":      {ff.Submit{Delay: -1}, "invalid_input"},
		"delay until":         {ff.Submit{DelayUntil: 253_402_300_800_000}, "invalid_input"},
		"negative instant":    {ff.Submit{DelayUntil: -1}, "invalid_input"},
		"both delays":         {ff.Submit{Delay: 1, DelayUntil: 1}, "invalid_input"},
		"retry categories":    {ff.Submit{Policy: &ff.Policy{Retry: &ff.RetryPolicy{RetryableCategories: append(make64("x"), "y")}}}, "invalid_policy_json"},
		"fixed backoff":       {ff.Submit{Policy: ff.Retry(1, &ff.Backoff{Type: "fixed", DelayMS: ff.MaxSpanMS + 1})}, "invalid_policy_json"},
		"exponential backoff": {ff.Submit{Policy: ff.Retry(1, &ff.Backoff{Type: "exponential", Multiplier: 1001})}, "invalid_policy_json"},
		"backoff that falls":  {ff.Submit{Policy: ff.Retry(1, &ff.Backoff{Type: "exponential", Multiplier: 0.99})}, "invalid_policy_json"},
		"backoff type":        {ff.Submit{Policy: ff.Retry(1, &ff.Backoff{Type: "linear"})}, "invalid_policy_json"},
		"capability bytes":    {ff.Submit{Policy: requiring(strings.Repeat("a", 2048), strings.Repeat("b", 2048))}, "invalid_capabilities"},
		"capability":          {ff.Submit{Policy: requiring("a b")}, "invalid_capabilities"},
	}
	e.untouched("refused submissions", func() {
		for name, c := range refused {
			_, err := e.svc.Submit(e.Context(), e.command(c.cmd))
			e.refused(name, err, c.want)
			_, err = e.svc.SubmitMany(e.Context(), []ff.Submit{e.command(ff.Submit{}), e.command(c.cmd)})
			e.refused(name+" among others", err, c.want)
		}
	})
	e.nothingClaimable("after refusals")
}

// testSubmitKeepsNothing: the commit may outlive the call, so the engine must not look at the caller's memory later.
func testSubmitKeepsNothing(e *env) {
	payload, tags := []byte("payload"), map[string]string{"a.b": "c"}
	id := e.submit(ff.Submit{Payload: payload, Tags: tags})
	payload[0], tags["a.b"] = 'X', "X"
	c := e.claim()
	e.equal("payload", string(c.Payload), "payload")
	e.equal("tags", e.describe(id).Tags, map[string]string{"a.b": "c"})
	result := []byte("result")
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: c.Fence, Result: result}))
	result[0] = 'X'
	r, err := e.svc.Result(e.Context(), id)
	e.ok(err)
	e.equal("result", string(r.Payload), "result")
}
