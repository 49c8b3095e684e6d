package storetest_test

import (
	"slices"
	"strings"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
	"github.com/flowfabric/flowfabric/store/storetest"
)

const goodToken = ff.WaitpointToken("k1:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

// waiting is a store with an execution that is suspended on two waitpoints, one of which was signalled twice, with another
// waitpoint it is not suspended on, and a step.
func waiting() *store.Dump {
	ref := record.SignalRef{SignalID: ff.SignalID{1}, WaitpointID: ff.WaitpointID{1}, Key: "a", Name: "go", AcceptedAt: now - 1}
	point := func(n byte, state ff.WaitpointState) *record.Waitpoint {
		return &record.Waitpoint{
			WaitpointKey: record.WaitpointKey{ExecutionID: id(1), WaitpointID: ff.WaitpointID{n}}, State: state, Token: goodToken, CreatedAt: now - 5,
		}
	}
	active, other, pending := point(1, ff.WaitpointActive), point(2, ff.WaitpointActive), point(3, ff.WaitpointPending)
	for _, p := range []*record.Waitpoint{active, other} {
		p.SuspensionID, p.ActivatedAt = ff.SuspensionID{9}, now-2
	}
	active.SignalCount, active.MatchedCount = 2, 1
	pending.ExpiresAt = now + 9
	sent := func(n, point byte, effect ff.SignalEffect) *record.Signal {
		return &record.Signal{
			SignalKey: record.SignalKey{ExecutionID: id(1), SignalID: ff.SignalID{n}}, WaitpointID: ff.WaitpointID{point}, Name: "go",
			AcceptedAt: now - 1, Effect: effect,
		}
	}
	return &store.Dump{
		Now: now,
		Executions: []*record.Execution{{
			ID: id(1), Lane: "mail", CreatedAt: now - 9, StartedAt: now - 5, TotalAttempts: 1, Epoch: 1, Public: ff.PublicSuspended,
			State: ff.StateVector{
				Phase: "suspended", Ownership: "unowned", Eligibility: "not_applicable", BlockingReason: "waiting_for_signal", Outcome: "none",
				AttemptState: "attempt_interrupted",
			},
			SuspensionID: ff.SuspensionID{9}, WaitpointID: ff.WaitpointID{1}, SuspendedUntil: now + 5, DueAt: now + 5, AttemptID: ff.AttemptID{1},
		}},
		Events: []record.Event{
			{Family: record.FamilyLease, Type: "acquired", ExecutionID: id(1), Epoch: 1, At: now - 5},
			{Family: record.FamilyLease, Type: "released", ExecutionID: id(1), Epoch: 1, At: now - 2},
		},
		Due: []store.DueEntry{{DueAt: now + 5, ExecutionID: id(1)}},
		Records: []record.Keyed{
			&record.Suspension{
				SuspensionKey: record.SuspensionKey{ExecutionID: id(1)}, SuspensionID: ff.SuspensionID{9}, Waitpoints: []ff.WaitpointID{{1}, {2}},
				SuspendedAt: now - 2, TimeoutAt: now + 5, Matched: []record.SignalRef{ref}, SignalCount: 3,
			},
			active, other, pending,
			sent(1, 1, ff.EffectAppended), sent(2, 1, ff.EffectCounted), sent(3, 3, ff.EffectBuffered),
			&record.Reply{ReplyKey: record.ReplyKey{ExecutionID: id(1), Scope: "suspend", Key: "k"}, CreatedAt: now, ExpiresAt: now + 1},
			&record.Step{StepKey: record.StepKey{ExecutionID: id(1), Name: "s"}},
		},
	}
}

func TestAudit_SoundSuspensionHasNoViolations(t *testing.T) { storetest.Audit(t, waiting()) }

func TestViolations_EachBrokenRuleOfWaitingIsReported(t *testing.T) {
	suspension := func(d *store.Dump) *record.Suspension { return d.Records[0].(*record.Suspension) }
	point := func(d *store.Dump, n int) *record.Waitpoint { return d.Records[n].(*record.Waitpoint) }
	for _, c := range []struct {
		name   string
		damage func(d *store.Dump)
		want   string
	}{
		{"no suspension", func(d *store.Dump) { d.Records = d.Records[1:] }, "I2: it is suspended, and no suspension is open"},
		{"closed suspension", func(d *store.Dump) { suspension(d).ClosedAt, suspension(d).CloseReason = now, "resumed" }, "I2: it is suspended, and no suspension is open"},
		{"open suspension", func(d *store.Dump) { d.Executions[0].State.Phase = ff.PhaseRunnable }, "I2: it is runnable, and suspension"},
		{"another suspension", func(d *store.Dump) { d.Executions[0].SuspensionID = ff.SuspensionID{8} }, "I2: it names suspension"},
		{"another waitpoint", func(d *store.Dump) { d.Executions[0].WaitpointID = ff.WaitpointID{2} }, "I2: it names suspension"},
		{"another attempt", func(d *store.Dump) { suspension(d).AttemptIndex = 3 }, "I3: its attempt is 0; attempt 3 was suspended"},
		{"a lease", func(d *store.Dump) { d.Executions[0].LeaseID = ff.LeaseID{1} }, "I2: it is suspended and has lease"},
		{"due too late", func(d *store.Dump) { d.Executions[0].DueAt++ }, "I15: its suspension ends at 1700000000005 and it is due at 1700000000006"},
		{"closed for nothing", func(d *store.Dump) { suspension(d).ClosedAt = now }, `I4: suspension 09000000-0000-0000-0000-000000000000 closed at 1700000000000 for ""`},
		{"closed before it opened", func(d *store.Dump) { suspension(d).ClosedAt, suspension(d).CloseReason = now-3, "resumed" }, "I4: suspension 09000000-0000-0000-0000-000000000000 was closed at"},
		{"active of another", func(d *store.Dump) { point(d, 2).SuspensionID = ff.SuspensionID{8} }, "I5: waitpoint 02000000-0000-0000-0000-000000000000 is active"},
		{"active and not named", func(d *store.Dump) { suspension(d).Waitpoints = suspension(d).Waitpoints[:1] }, "I5: waitpoint 02000000-0000-0000-0000-000000000000 is active"},
		{"pending and bound", func(d *store.Dump) { point(d, 3).SuspensionID = ff.SuspensionID{9} }, "waitpoint 03000000-0000-0000-0000-000000000000 is pending: bound to"},
		{"pending for ever", func(d *store.Dump) { point(d, 3).ExpiresAt = 0 }, "is pending: bound to"},
		{"closed for no reason", func(d *store.Dump) { point(d, 2).State = ff.WaitpointClosed }, `closed at 0 for ""`},
		{"unknown state", func(d *store.Dump) { point(d, 2).State = "satisfied" }, `is in state "satisfied"`},
		{"no token", func(d *store.Dump) { point(d, 2).Token = "" }, "has the token"},
		{"count of the execution", func(d *store.Dump) { suspension(d).SignalCount = 2 }, "I17: it counts 2 signals; there are 3"},
		{"count of a waitpoint", func(d *store.Dump) { point(d, 1).SignalCount = 3 }, "counts 3 signals, 1 matched; there are 2"},
		{"buffered ones count", func(d *store.Dump) { point(d, 3).SignalCount = 1 }, "counts 1 signals, 0 matched; there are 0"},
		{"more matched than came", func(d *store.Dump) { point(d, 1).MatchedCount = 3 }, "counts 2 signals, 3 matched; there are 2"},
		{"reference to nothing", func(d *store.Dump) { suspension(d).Matched[0].SignalID = ff.SignalID{7} }, "the suspension refers to signal 07000000-0000-0000-0000-000000000000, which is not there"},
		{"reference twice", func(d *store.Dump) { suspension(d).Matched = append(suspension(d).Matched, suspension(d).Matched[0]) }, "01000000-0000-0000-0000-000000000000 twice"},
		{"reference lies", func(d *store.Dump) { suspension(d).Matched[0].Name = "no" }, "what it is not"},
		{"signal to nowhere", func(d *store.Dump) { d.Records[6].(*record.Signal).WaitpointID = ff.WaitpointID{7} }, "was sent to waitpoint 07000000-0000-0000-0000-000000000000, which is not there"},
		{"answer kept for ever", func(d *store.Dump) { d.Records[7].(*record.Reply).ExpiresAt = 0 }, "an answer of 1700000000000 is remembered until 0"},
		{"execution gone", func(d *store.Dump) { d.Executions = nil }, "is not there, but a record of family step is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := waiting()
			c.damage(d)
			got := storetest.Violations(d)
			if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, c.want) }) {
				t.Errorf("violations %q, want one that says %q", got, c.want)
			}
		})
	}
}
