package lifecycle

import (
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// stored is an execution as a fixture of chapter 30, section 30.13 writes it: blocking reason and outcome left open.
func stored(phase, eligibility, ownership, public, attempt string) *record.Execution {
	e := base()
	e.State = ff.StateVector{
		Phase: ff.Phase(phase), Eligibility: ff.Eligibility(eligibility), Ownership: ff.Ownership(ownership),
		AttemptState: ff.AttemptState(attempt),
	}
	e.Public = ff.PublicState(public)
	return e
}

func TestNormalize_ReadsTheAcceptanceFixtures(t *testing.T) {
	for name, c := range map[string]struct {
		e    *record.Execution
		att  *record.Attempt
		want string
	}{
		"case 1":    {stored("runnable", "eligible_now", "unowned", "waiting", "pending"), nil, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"},
		"case 2":    {stored("terminal", "not_applicable", "unowned", "success", "terminated"), nil, "terminal unowned not_applicable none success attempt_terminal"},
		"case 3":    {stored("runnable", "blocked_by_dependencies", "unowned", "waiting_children", "pending"), nil, "runnable unowned blocked_by_dependencies waiting_for_children none pending_first_attempt"},
		"case 4":    {stored("terminal", "not_applicable", "unowned", "success", "terminated"), &record.Attempt{LeaseEpoch: 3, Outcome: "success"}, "terminal unowned not_applicable none success attempt_terminal"},
		"case 5":    {stored("terminal", "not_applicable", "unowned", "failed", "terminated"), &record.Attempt{LeaseEpoch: 5, Outcome: "skipped"}, "terminal unowned not_applicable none failed attempt_terminal"},
		"case 6, 7": {stored("active", "eligible_now", "leased", "running", "running_attempt"), nil, "active leased not_applicable none none running_attempt"},
	} {
		got := Normalize(c.e, c.att)
		equal(t, name, got.State, vector(t, c.want))
	}
}

// TestNormalize_ReadsOlderWords goes through the table of chapter 20, section 20.3.
func TestNormalize_ReadsOlderWords(t *testing.T) {
	for name, c := range map[string]struct {
		e    *record.Execution
		att  *record.Attempt
		want string
	}{
		"phase pending":            {stored("pending", "eligible_now", "unowned", "waiting", "pending"), nil, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"},
		"phase eligible":           {stored("eligible", "eligible_now", "unowned", "waiting", "pending"), nil, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"},
		"phase blocked":            {stored("blocked", "blocked", "unowned", "waiting_children", "pending"), nil, "runnable unowned blocked_by_dependencies waiting_for_children none pending_first_attempt"},
		"ownership released":       {stored("runnable", "eligible_now", "released", "waiting", "attempt_interrupted"), nil, "runnable unowned eligible_now waiting_for_worker none attempt_interrupted"},
		"pending_claim":            {stored("runnable", "pending_claim", "unowned", "waiting", "pending_claim"), nil, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt"},
		"attempt running":          {stored("active", "not_applicable", "leased", "running", "running"), nil, "active leased not_applicable none none running_attempt"},
		"cancelled by an operator": {stored("cancelled", "cancelled", "leased", "cancelled", "cancelled"), nil, "cancelled unowned not_applicable none cancelled attempt_terminal"},
		"cancelled, public failed": {stored("cancelled", "cancelled", "unowned", "failed", "terminated"), nil, "cancelled unowned not_applicable none cancelled attempt_terminal"},
		"cancelled by its worker":  {stored("terminal", "not_applicable", "unowned", "cancelled", "cancelled"), nil, "terminal unowned not_applicable none cancelled attempt_terminal"},
		"terminal_failed":          {stored("terminal", "not_applicable", "unowned", "failed", "terminal_failed"), nil, "terminal unowned not_applicable none failed attempt_terminal"},
		"outcome by public state":  {stored("terminal", "not_applicable", "unowned", "completed", "terminated"), &record.Attempt{Outcome: "failed"}, "terminal unowned not_applicable none success attempt_terminal"},
		"outcome by attempt":       {stored("terminal", "not_applicable", "unowned", "running", "terminated"), &record.Attempt{Outcome: "expired"}, "terminal unowned not_applicable none expired attempt_terminal"},
		"skipped by attempt":       {stored("terminal", "not_applicable", "unowned", "", "terminated"), &record.Attempt{Outcome: "skipped"}, "terminal unowned not_applicable none skipped attempt_terminal"},
		"delayed first attempt":    {stored("runnable", "not_eligible_until_time", "unowned", "delayed", "pending"), nil, "runnable unowned not_eligible_until_time waiting_for_delay none pending_first_attempt"},
		"delayed retry":            {stored("runnable", "not_eligible_until_time", "unowned", "delayed", "pending_retry_attempt"), nil, "runnable unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt"},
		"blocked by budget":        {stored("runnable", "blocked_by_budget", "unowned", "rate_limited", "pending"), nil, "runnable unowned blocked_by_budget waiting_for_budget none pending_first_attempt"},
		"blocked by quota":         {stored("runnable", "blocked_by_quota", "unowned", "rate_limited", "pending"), nil, "runnable unowned blocked_by_quota waiting_for_quota none pending_first_attempt"},
		"blocked by route":         {stored("runnable", "blocked_by_route", "unowned", "waiting", "pending"), nil, "runnable unowned blocked_by_route waiting_for_capable_worker none pending_first_attempt"},
		"blocked by operator":      {stored("runnable", "blocked_by_operator", "unowned", "waiting", "pending"), nil, "runnable unowned blocked_by_operator paused_by_operator none pending_first_attempt"},
		"blocked by lane":          {stored("runnable", "blocked_by_lane_state", "unowned", "waiting", "pending"), nil, "runnable unowned blocked_by_lane_state paused_by_policy none pending_first_attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			before := *c.e
			got := Normalize(c.e, c.att)
			equal(t, "vector", got.State, vector(t, c.want))
			if SituationOf(got.State) == nil {
				t.Errorf("%s is not legal", got.State)
			}
			equal(t, "the record it was given", c.e, &before)
		})
	}
}

func TestNormalize_LeavesTodaysRowsAlone(t *testing.T) {
	for v := range legalVectors(t) {
		e := base()
		e.State = v
		if got := Normalize(e, nil); got != e {
			t.Errorf("%s was copied", v)
		}
	}
	if Normalize(nil, nil) != nil {
		t.Error("nothing was made something")
	}
}

// TestNormalize_UnknownWordsStayRefused: what the table does not know cannot be worked on, and says so.
func TestNormalize_UnknownWordsStayRefused(t *testing.T) {
	e := Normalize(stored("limbo", "eligible_now", "unowned", "waiting", "pending"), nil)
	_, err := Claim(e, grant, t0)
	wantCode(t, err, ff.CodeCorruption)
	_, err = Cancel(e, nil, &ff.Cancel{Source: ff.SourceOperatorOverride}, t0)
	wantCode(t, err, ff.CodeCorruption)
	ch, err := Tick(changed(e, func(n *record.Execution) { n.Ready, n.DueAt = true, t0 }), nil, t0)
	noError(t, err)
	if ch.Execution.Ready || ch.Execution.DueAt != 0 {
		t.Error("an execution nothing can be done with stays in an index")
	}
}
