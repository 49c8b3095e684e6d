package servicetest

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// The races of chapter 30, section 30.11. Each is run several times, its two calls by two engines over one store; what is
// asked for is that both answers, and what is there afterwards, are those of one order or of the other.
var operatorRaceTests = []behaviour{
	{"PriorityAgainstClaim", racePriorityClaim},
	{"PriorityAgainstApply", racePriorityApply},
	{"CancelAgainstComplete", raceCancelComplete},
	{"CancelAgainstReplay", raceCancelReplay},
	{"RevokeAgainstExpiry", raceRevokeExpiry},
	{"ReplayAgainstCancelFlowHeader", raceReplayHeader},
	{"HeaderAgainstAddMember", raceHeaderAdd},
	{"HeaderAgainstHeader", raceHeaders},
	{"TheLastTwoAcknowledgements", raceAcks},
}

const raceRounds = 4

// race performs two calls at once, one by each engine.
func race(engines [2]ff.Service, left, right func(ff.Service) error) (leftErr, rightErr error) {
	together(2, func(i int) {
		if i == 0 {
			leftErr = left(engines[0])
		} else {
			rightErr = right(engines[1])
		}
	})
	return leftErr, rightErr
}

// oneOf fails the test unless the codes of two answers are one of some pairs.
func (e *env) oneOf(what string, left, right error, pairs ...[2]ff.Code) {
	e.Helper()
	if got := [2]ff.Code{codeOf(left), codeOf(right)}; !slices.Contains(pairs, got) {
		e.Errorf("%s: answers %q, want one of %q: %v; %v", what, got, pairs, left, right)
	}
}

func racePriorityClaim(e *env) {
	engines := e.engines()
	for range raceRounds {
		id := e.submit(ff.Submit{Priority: 1})
		var c ff.Claimed
		changed, claimed := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.ChangePriority(e.Context(), ff.ChangePriority{ExecutionID: id, NewPriority: 7}))
			},
			func(svc ff.Service) (err error) {
				c, err = svc.ClaimExecution(e.Context(), ff.ClaimExecution{ExecutionID: id, LeaseTTL: leaseTTL})
				return err
			})
		e.oneOf("change and claim", changed, claimed, [2]ff.Code{"", ""}, [2]ff.Code{ff.CodeExecutionNotEligible, ""})
		want := 7
		if changed != nil {
			want = 1
		}
		e.equal("priority of the claim", c.Priority, want)
		e.complete(c)
	}
}

func racePriorityApply(e *env) {
	engines := e.engines()
	for range raceRounds {
		g := e.emptyFlow("up", "down")
		edge, err := g.stage("up", "down")
		e.ok(err)
		changed, applied := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.ChangePriority(e.Context(), ff.ChangePriority{ExecutionID: g.node("down"), NewPriority: 7}))
			},
			func(svc ff.Service) error {
				return errOf(svc.ApplyEdge(e.Context(), ff.ApplyEdge{FlowID: g.id, EdgeID: edge, Upstream: g.node("up"), Downstream: g.node("down")}))
			})
		e.oneOf("change and apply", changed, applied, [2]ff.Code{"", ""}, [2]ff.Code{ff.CodeExecutionNotEligible, ""})
		e.equal("state", g.states("down"), "down=waiting_children")
		g.end("success", "up", "down")
	}
}

func raceCancelComplete(e *env) {
	engines := e.engines()
	for range raceRounds {
		c := e.running(ff.Submit{})
		cancelled, completed := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID}))
			},
			func(svc ff.Service) error {
				return svc.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})
			})
		e.oneOf("cancel and complete", cancelled, completed, [2]ff.Code{"", ff.CodeExecutionNotActive}, [2]ff.Code{ff.CodeInvalidInput, ""})
		want := ff.PublicCompleted
		if cancelled == nil {
			want = ff.PublicCancelled
		}
		e.equal("state", e.describe(c.ExecutionID).PublicState, want)
	}
}

func raceCancelReplay(e *env) {
	engines := e.engines()
	for range raceRounds {
		c := e.running(ff.Submit{})
		e.complete(c)
		cancelled, replayed := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.Cancel(e.Context(), ff.Cancel{ExecutionID: c.ExecutionID}))
			},
			func(svc ff.Service) error {
				return errOf(svc.Replay(e.Context(), ff.Replay{ExecutionID: c.ExecutionID}))
			})
		e.oneOf("cancel and replay", cancelled, replayed, [2]ff.Code{"", ""}, [2]ff.Code{ff.CodeInvalidInput, ""})
		want := ff.PublicWaiting
		if cancelled == nil {
			want = ff.PublicCancelled
		}
		e.equal("state", e.describe(c.ExecutionID).PublicState, want)
		if cancelled != nil {
			e.complete(e.claim())
		}
	}
}

// raceRevokeExpiry: the lease ends once, and the epoch that shuts its holder out is raised once.
func raceRevokeExpiry(e *env) {
	engines := e.engines()
	for range raceRounds {
		c := e.running(ff.Submit{})
		e.pace.Advance(leaseTTL) // and both engines' loops find the expired lease
		err := errOf(engines[0].RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID}))
		e.advance(0)
		if err != nil {
			e.refused("revoke", err, ff.CodeExecutionNotActive)
		}
		ends := 0
		for _, ev := range e.events(c.ExecutionID) {
			if ev.Type == "expired" || ev.Type == "revoked" {
				ends++
			}
		}
		e.equal("ends of the lease", ends, 1)
		next := e.claim()
		e.equal("epoch", next.Fence.Epoch-c.Fence.Epoch <= 2, true)
		e.complete(next)
	}
}

func raceReplayHeader(e *env) {
	engines := e.engines()
	for range raceRounds {
		g := e.flow("a", "b")
		g.end("success", "a")
		replayed, header := race(engines,
			func(svc ff.Service) error { return errOf(svc.Replay(e.Context(), ff.Replay{ExecutionID: g.node("a")})) },
			func(svc ff.Service) error {
				return errOf(svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Reason: "race"}))
			})
		e.oneOf("replay and header", replayed, header, [2]ff.Code{"", ""}, [2]ff.Code{ff.CodeFlowAlreadyTerminal, ""})
		want := "a=cancelled b=cancelled"
		if replayed != nil {
			want = "a=completed b=cancelled"
		}
		g.become(want)
	}
}

func raceHeaderAdd(e *env) {
	engines := e.engines()
	for range raceRounds {
		g := e.emptyFlow("a")
		late := ff.NodeID(g.id, "late", ff.DefaultPartitions())
		e.submit(ff.Submit{ID: late, Tags: map[string]string{ff.TagNode: "late"}})
		header, added := race(engines,
			func(svc ff.Service) error {
				return errOf(svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Reason: "race"}))
			},
			func(svc ff.Service) error {
				return errOf(svc.AddMember(e.Context(), ff.AddMember{FlowID: g.id, ExecutionID: late}))
			})
		e.oneOf("header and add", header, added, [2]ff.Code{"", ""}, [2]ff.Code{"", ff.CodeFlowAlreadyTerminal})
		want := ff.PublicCancelled
		if added != nil {
			want = ff.PublicWaiting
		}
		e.equal("state of the late member", e.describe(late).PublicState, want)
		if added != nil {
			e.complete(e.claim())
		}
	}
}

func raceHeaders(e *env) {
	engines := e.engines()
	for range raceRounds {
		g := e.flow("a", "b")
		var results [2]ff.CancelFlowHeaderResult
		call := func(i int, reason string) func(ff.Service) error {
			return func(svc ff.Service) (err error) {
				results[i], err = svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Reason: reason})
				return err
			}
		}
		first, second := race(engines, call(0, "first"), call(1, "second"))
		e.ok(first)
		e.ok(second)
		winner := slices.IndexFunc(results[:], func(r ff.CancelFlowHeaderResult) bool { return !r.AlreadyTerminal })
		if winner < 0 || !results[1-winner].AlreadyTerminal {
			e.Fatalf("answers %+v, want one that cancelled and one that came too late", results)
		}
		e.equal("reason the other is told", *results[1-winner].StoredReason, []string{"first", "second"}[winner])
		e.equal("members", len(results[winner].Members), 2)
	}
}

func raceAcks(e *env) {
	engines := e.engines()
	for range raceRounds {
		g := e.flow("a", "b")
		_, err := e.svc.CancelFlowHeader(e.Context(), ff.CancelFlowHeader{FlowID: g.id, Reason: "race"})
		e.ok(err)
		ack := func(name string) func(ff.Service) error {
			return func(svc ff.Service) error {
				return svc.AckCancelMember(e.Context(), ff.AckCancelMember{FlowID: g.id, ExecutionID: g.node(name)})
			}
		}
		first, second := race(engines, ack("a"), ack("b"))
		e.ok(first)
		e.ok(second)
		for _, rec := range e.dump().Records {
			header, isHeader := rec.(*record.Backlog)
			member, isMember := rec.(*record.BacklogMember)
			if isHeader && header.FlowID == g.id || isMember && member.FlowID == g.id {
				e.Errorf("still owed: %+v", rec)
			}
		}
	}
}
