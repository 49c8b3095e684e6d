package servicetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/record"
)

// RunAgree drives random scripts of operations through an engine on each of two stores and compares every answer, the
// executions and attempts they lead to, and the log of events. A script that finds a difference is shrunk and printed.
// Each script has a lane and ids of its own; the stores live as long as the test.
func RunAgree(t *testing.T, a, b Harness) {
	t.Parallel()
	left, right := newEnv(t, a, engine.Config{}), newEnv(t, b, engine.Config{})
	scripts := 0
	rapid.Check(t, func(r *rapid.T) {
		scripts++
		s := newScript(r, scripts, left, right)
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			s.step()
		}
		s.compare()
	})
	for _, e := range []*env{left, right} {
		e.audit()
	}
	left.equal("events of the two stores", right.log(), left.log())
}

// script is one run of operations on two sides. An execution is named by its place in ids, a lease by its place in
// grants; the sides mint lease and attempt ids of their own, so those are never compared.
type script struct {
	*rapid.T
	lane    ff.LaneID
	ids     []ff.ExecutionID // some of them of members, if the script has flows
	flows   []ff.FlowID
	members []ff.ExecutionID
	sides   [2]*side
}

type side struct {
	*env
	grants []ff.Claimed
}

func newScript(r *rapid.T, n int, left, right *env) *script {
	s := &script{T: r, lane: ff.LaneID(fmt.Sprintf("script %d", n))}
	partition := ff.DefaultPartitions().OfLane(s.lane).Index
	for i := range 5 {
		s.ids = append(s.ids, ff.ExecutionIDFrom(partition, uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n, i))))
	}
	if rapid.Bool().Draw(r, "with flows") {
		s.newFlows(n)
		s.ids = append(s.ids[:2], s.members...)
	}
	for i, e := range []*env{left, right} {
		n := *e
		n.lane = s.lane
		s.sides[i] = &side{env: &n}
	}
	return s
}

// step draws one operation, performs it on both sides, sometimes twice, and compares the answers.
func (s *script) step() {
	operations := `submit advance advance renew progress complete complete fail fail fail delay release cancel quit priority
		replay replay revoke block unblock opclaim tags `
	if len(s.flows) > 0 { // their members are of several shards, which a claim visits in an order of its own
		operations += "opclaim opclaim opclaim opclaim complete complete " + flowOps
	} else {
		operations += "submit submit claim claim claim claim list"
	}
	name := rapid.SampledFrom(strings.Fields(operations)).Draw(s.T, "operation")
	perform := s.draw(name)
	times := 1
	if rapid.IntRange(0, 4).Draw(s.T, "repeat") == 0 {
		times = 2
	}
	for range times {
		left, right := perform(s.sides[0]), perform(s.sides[1])
		if left != right {
			s.Fatalf("%s answers\n%s\non the one side and\n%s\non the other", name, left, right)
		}
	}
	if len(s.flows) > 0 { // what follows from it in a flow may be left to the engine: let it be done on both
		for _, sd := range s.sides {
			sd.advance(0)
		}
	}
}

// draw returns an operation that tells its answer in words.
func (s *script) draw(name string) func(*side) string {
	id := rapid.SampledFrom(s.ids).Draw(s.T, "execution")
	fence := s.drawFence()
	switch name {
	case "submit":
		return s.drawSubmit(id)
	case "claim":
		return s.drawClaim()
	case "advance":
		d := time.Duration(rapid.SampledFrom([]int{0, 1, 499, 500, 1000, 5000}).Draw(s.T, "ms")) * time.Millisecond
		return func(sd *side) string { sd.advance(d); return "" }
	case "priority":
		p := rapid.IntRange(-1, 9001).Draw(s.T, "priority")
		return func(sd *side) string {
			return answer(sd.svc.ChangePriority(sd.Context(), ff.ChangePriority{ExecutionID: id, NewPriority: p}))
		}
	case "replay":
		return func(sd *side) string { return answer(sd.svc.Replay(sd.Context(), ff.Replay{ExecutionID: id})) }
	case "revoke":
		return func(sd *side) string {
			return answer(sd.svc.RevokeLease(sd.Context(), ff.RevokeLease{ExecutionID: id}))
		}
	case "cancel":
		return func(sd *side) string { return answer(sd.svc.Cancel(sd.Context(), ff.Cancel{ExecutionID: id})) }
	case "block", "unblock":
		return s.drawBlock(name, id)
	case "opclaim":
		return func(sd *side) string {
			c, err := sd.svc.ClaimExecution(sd.Context(), ff.ClaimExecution{ExecutionID: id, LeaseTTL: time.Second})
			if err == nil {
				sd.grants = append(sd.grants, c)
			}
			return answer(withoutIDs(c), err)
		}
	case "tags":
		tags := map[string]string{rapid.SampledFrom([]string{"a.a", "a.b", "Bad"}).Draw(s.T, "tag"): "v"}
		return func(sd *side) string {
			return answer("", sd.svc.SetTags(sd.Context(), ff.SetTags{ExecutionID: id, Tags: tags}))
		}
	case "list":
		return s.drawList()
	default:
		if strings.Contains(" "+flowOps+" ", " "+name+" ") {
			return s.drawFlow(name, fence)
		}
		return s.drawReport(name, id, fence)
	}
}

func (s *script) drawSubmit(id ff.ExecutionID) func(*side) string {
	cmd := ff.Submit{
		ID: id, Lane: s.lane, Kind: "test", Priority: rapid.IntRange(0, 2).Draw(s.T, "priority"),
		Delay:          time.Duration(rapid.SampledFrom([]int{0, 0, 500}).Draw(s.T, "delay")) * time.Millisecond,
		IdempotencyKey: rapid.SampledFrom([]string{"", "", string(s.lane)}).Draw(s.T, "key"),
		Policy:         s.drawPolicy(),
	}
	in := ff.Timestamp(rapid.SampledFrom([]int{0, 0, 0, 0, -1, 700, 3000}).Draw(s.T, "deadline in"))
	return func(sd *side) string {
		if in != 0 {
			cmd.Deadline = sd.pace.now() + in
		}
		return answer(sd.svc.Submit(sd.Context(), cmd))
	}
}

func (s *script) drawPolicy() *ff.Policy {
	p := &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: new(uint32(2)), Backoff: ff.FixedBackoff(500 * time.Millisecond),
			OnExhausted: rapid.SampledFrom([]ff.ExhaustedAction{"", "pause"}).Draw(s.T, "on exhausted"),
		},
		MaxReclaims: new(uint32(1)), MaxReplays: new(uint32(2)),
		Routing: &ff.RoutingRequirements{RequiredCapabilities: s.drawCapabilities()},
		Timeouts: &ff.TimeoutPolicy{
			AttemptTimeoutMS:    rapid.SampledFrom([]int64{0, 0, 800, 2500}).Draw(s.T, "attempt timeout"),
			OnAttemptTimeout:    rapid.SampledFrom([]ff.TimeoutAction{"", "retry"}).Draw(s.T, "on attempt timeout"),
			ExecutionDeadlineMS: rapid.SampledFrom([]int64{0, 0, 5000}).Draw(s.T, "policy deadline"),
		},
	}
	if rapid.Bool().Draw(s.T, "aging") {
		p.Aging = &ff.AgingPolicy{EveryMS: 1000, Step: rapid.SampledFrom([]int{1, 5000}).Draw(s.T, "step")}
	}
	if rapid.Bool().Draw(s.T, "retention") { // longer than a test takes, or the stores would forget at times of their own
		p.RetentionMS = new((240 * time.Hour).Milliseconds())
	}
	return p
}

func (s *script) drawBlock(name string, id ff.ExecutionID) func(*side) string {
	reason := rapid.SampledFrom([]ff.BlockingReason{"", "", "waiting_for_quota", "paused_by_policy", "nonsense"}).Draw(s.T, "reason")
	return func(sd *side) string {
		if name == "block" {
			return answer("", sd.svc.Block(sd.Context(), ff.Block{ExecutionID: id, Reason: reason}))
		}
		return answer("", sd.svc.Unblock(sd.Context(), ff.Unblock{ExecutionID: id, ExpectedReason: reason}))
	}
}

// drawList is all pages of the script's lane, which both sides must have in the same order. Where pages end is a store's
// own affair.
func (s *script) drawList() func(*side) string {
	q := ff.ListExecutions{Lane: s.lane, Limit: rapid.IntRange(1, 5).Draw(s.T, "limit")}
	if rapid.Bool().Draw(s.T, "by state") {
		q.States = []ff.PublicState{rapid.SampledFrom([]ff.PublicState{"waiting", "active", "failed"}).Draw(s.T, "state")}
	}
	return func(sd *side) string {
		var words []string
		for q := q; ; {
			page, err := sd.svc.List(sd.Context(), q)
			for _, e := range page.Items {
				words = append(words, fmt.Sprintf("%s %s %d", e.ExecutionID, e.State, e.LastMutationAt))
			}
			if q.After = page.Next; err != nil || page.Next == "" {
				return answer(strings.Join(words, "\n"), err)
			}
		}
	}
}

func (s *script) drawCapabilities() []string {
	return rapid.SampledFrom([][]string{nil, nil, {"a"}, {"a", "b"}}).Draw(s.T, "capabilities")
}

func (s *script) drawClaim() func(*side) string {
	cmd := ff.Claim{
		Lanes: []ff.LaneID{s.lane}, WorkerID: "w", WorkerInstanceID: "w-1", Max: rapid.IntRange(1, 3).Draw(s.T, "max"),
		LeaseTTL: time.Second, Capabilities: s.drawCapabilities(),
	}
	return func(sd *side) string {
		got, err := sd.svc.Claim(sd.Context(), cmd)
		sd.grants = append(sd.grants, got...)
		var words []string
		for _, c := range got {
			words = append(words, answer(withoutIDs(c), nil))
		}
		return strings.Join(append(words, answer("", err)), "\n")
	}
}

func withoutIDs(c ff.Claimed) ff.Claimed {
	c.Fence.LeaseID, c.Fence.AttemptID = ff.LeaseID{}, ff.AttemptID{}
	return c
}

// drawFence returns the fence, on each side, of a lease that was once given, the latest more often than others; sometimes
// one that is wrong.
func (s *script) drawFence() func(*side) ff.Claimed {
	back := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5}).Draw(s.T, "lease, from the latest")
	wrong := rapid.SampledFrom([]string{"", "", "", "", "epoch", "lease", "attempt", "index", "none", "partial"}).Draw(s.T, "wrong")
	return func(sd *side) ff.Claimed {
		if len(sd.grants) == 0 {
			return ff.Claimed{}
		}
		c := sd.grants[max(0, len(sd.grants)-1-back)]
		switch wrong {
		case "epoch":
			c.Fence.Epoch++
		case "lease":
			c.Fence.LeaseID = ff.NewLeaseID()
		case "attempt":
			c.Fence.AttemptID = ff.NewAttemptID()
		case "index":
			c.Fence.AttemptIndex++
		case "none":
			c.Fence = ff.Fence{}
		case "partial":
			c.Fence.LeaseID = ff.LeaseID{}
		}
		return c
	}
}

// drawReport is an operation of a lease holder on the execution of its lease, or on id when no lease was given yet.
func (s *script) drawReport(name string, id ff.ExecutionID, fence func(*side) ff.Claimed) func(*side) string {
	category := rapid.SampledFrom([]ff.FailureCategory{"transient", "transient", "permanent"}).Draw(s.T, "category")
	ms := rapid.SampledFrom([]int{100, 1000, 2000}).Draw(s.T, "ms")
	return func(sd *side) string {
		c := fence(sd)
		if c.ExecutionID.IsZero() {
			c.ExecutionID = id
		}
		ctx, id, f, d := sd.Context(), c.ExecutionID, c.Fence, time.Duration(ms)*time.Millisecond
		switch name {
		case "renew":
			return answer(sd.svc.Renew(ctx, ff.Renew{ExecutionID: id, Fence: f, TTL: d}))
		case "progress":
			return answer("", sd.svc.UpdateProgress(ctx, ff.UpdateProgress{ExecutionID: id, Fence: f, Progress: ff.Progress{Percent: new(ms % 101)}}))
		case "complete":
			return answer("", sd.svc.Complete(ctx, ff.Complete{ExecutionID: id, Fence: f, Result: fmt.Append(nil, ms)}))
		case "fail":
			return answer(sd.svc.Fail(ctx, ff.Fail{ExecutionID: id, Fence: f, Category: category, Reason: "it broke"}))
		case "delay":
			return answer(sd.svc.Delay(ctx, ff.Delay{ExecutionID: id, Fence: f, For: d}))
		case "release":
			return answer("", sd.svc.Release(ctx, ff.Release{ExecutionID: id, Fence: f}))
		case "quit":
			return answer(sd.svc.Cancel(ctx, ff.Cancel{ExecutionID: id, Fence: f, Source: ff.SourceWorker}))
		default:
			panic("servicetest: no operation " + name)
		}
	}
}

// answer puts an answer into words: the result and the code; details hold times and ids of a side's own.
func answer(result any, err error) string {
	if r, ok := result.(ff.SubmitResult); ok && r.Err != nil {
		r.Err = errors.New(string(codeOf(r.Err)))
		result = r
	}
	return fmt.Sprintf("%+v %s", result, codeOf(err))
}

// compare checks that both sides have the same executions and attempts, and the same flows.
func (s *script) compare() {
	for _, id := range s.flows {
		if left, right := s.sides[0].flowInWords(id), s.sides[1].flowInWords(id); left != right {
			s.Fatalf("flow %s is\n%s\non the one side and\n%s\non the other", id, left, right)
		}
	}
	for _, id := range s.ids {
		left, leftErr := s.sides[0].svc.Describe(s.sides[0].Context(), id)
		right, rightErr := s.sides[1].svc.Describe(s.sides[1].Context(), id)
		if codeOf(leftErr) != codeOf(rightErr) {
			s.Fatalf("describe %s: %v and %v", id, leftErr, rightErr)
		}
		if leftErr != nil {
			continue
		}
		if diff := cmp.Diff(left, right, agreement...); diff != "" {
			s.Fatalf("%s is not the same:\n%s", id, diff)
		}
		if diff := cmp.Diff(s.sides[0].attempts(id), s.sides[1].attempts(id), agreement...); diff != "" {
			s.Fatalf("the attempts of %s are not the same:\n%s", id, diff)
		}
	}
}

// agreement is equality but for the ids that each side mints.
var agreement = append(cmp.Options{
	cmp.Comparer(func(ff.LeaseID, ff.LeaseID) bool { return true }),
	cmp.Comparer(func(ff.AttemptID, ff.AttemptID) bool { return true }),
}, equality...)

// log is the events of each execution, without the ids each side mints.
func (e *env) log() map[string][]record.Event {
	e.Helper()
	log := make(map[string][]record.Event)
	for _, ev := range e.dump().Events {
		if !ev.LeaseID.IsZero() {
			ev.LeaseID = ff.LeaseID{1} // that a lease is named is part of the story
		}
		ev.AttemptID, ev.Details = ff.AttemptID{}, nil
		log[ev.ExecutionID.String()] = append(log[ev.ExecutionID.String()], ev)
	}
	return log
}
