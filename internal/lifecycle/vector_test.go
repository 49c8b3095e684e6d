package lifecycle

import (
	"strconv"
	"strings"
	"testing"

	ff "github.com/flowfabric/flowfabric"
)

// legal restates chapter 10, section 2.5, row by row, with the reasons of section 2.4 and the public states of 2.2; "|"
// separates alternatives. Phase cancelled is the stored form of an operator's cancel (chapter 30, section 30.5).
const legal = `
1  runnable  unowned eligible_now waiting_for_worker none pending_first_attempt waiting
2  runnable  unowned not_eligible_until_time waiting_for_delay none pending_first_attempt delayed
3  runnable  unowned blocked_by_dependencies waiting_for_children none pending_first_attempt waiting_children
4  active    leased not_applicable none none running_attempt active
5  active    lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted active
6  active    lease_revoked not_applicable waiting_for_worker none attempt_interrupted active
7  runnable  unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt delayed
8  runnable  unowned eligible_now waiting_for_worker none pending_retry_attempt waiting
9  runnable  unowned not_eligible_until_time waiting_for_delay none attempt_interrupted delayed
10 runnable  unowned eligible_now waiting_for_worker none attempt_interrupted waiting
11 runnable  unowned blocked_by_dependencies waiting_for_children none attempt_interrupted waiting_children
12 runnable  unowned not_eligible_until_time waiting_for_resume_delay none attempt_interrupted delayed
13 suspended unowned not_applicable waiting_for_signal|waiting_for_approval|waiting_for_callback|waiting_for_tool_result|paused_by_operator|paused_by_policy|waiting_for_budget none attempt_interrupted suspended
14 runnable  unowned blocked_by_budget waiting_for_budget none pending_first_attempt|pending_retry_attempt|pending_replay_attempt|attempt_interrupted rate_limited
14 runnable  unowned blocked_by_quota waiting_for_quota none pending_first_attempt|pending_retry_attempt|pending_replay_attempt|attempt_interrupted rate_limited
14 runnable  unowned blocked_by_route waiting_for_capable_worker|waiting_for_locality_match none pending_first_attempt|pending_retry_attempt|pending_replay_attempt|attempt_interrupted waiting
14 runnable  unowned blocked_by_operator paused_by_operator|paused_by_flow_cancel none pending_first_attempt|pending_retry_attempt|pending_replay_attempt|attempt_interrupted waiting
14 runnable  unowned blocked_by_lane_state paused_by_policy none pending_first_attempt|pending_retry_attempt|pending_replay_attempt|attempt_interrupted waiting
15 runnable  unowned eligible_now waiting_for_worker none pending_replay_attempt waiting
16 runnable  unowned blocked_by_dependencies waiting_for_children none pending_replay_attempt waiting_children
17 terminal  unowned not_applicable none success attempt_terminal completed
17 terminal  unowned not_applicable none failed attempt_terminal failed
17 terminal  unowned not_applicable none cancelled attempt_terminal cancelled
17 terminal  unowned not_applicable none expired attempt_terminal expired
17 terminal  unowned not_applicable none skipped attempt_terminal skipped
17 cancelled unowned not_applicable none cancelled attempt_terminal cancelled
18 terminal  unowned not_applicable none cancelled pending_first_attempt cancelled
18 terminal  unowned not_applicable none expired pending_first_attempt expired
18 cancelled unowned not_applicable none cancelled pending_first_attempt cancelled
19 terminal  unowned not_applicable none skipped none skipped
20 runnable  unowned blocked_by_dependencies waiting_for_children none pending_retry_attempt waiting_children
`

type legalVector struct {
	row    Row
	public ff.PublicState
}

func legalVectors(t testing.TB) map[ff.StateVector]legalVector {
	t.Helper()
	all := make(map[ff.StateVector]legalVector)
	for line := range strings.Lines(strings.TrimSpace(legal)) {
		f := strings.Fields(line)
		row, err := strconv.Atoi(f[0])
		noError(t, err)
		for reason := range strings.SplitSeq(f[4], "|") {
			for attempt := range strings.SplitSeq(f[6], "|") {
				v := vector(t, strings.Join([]string{f[1], f[2], f[3], reason, f[5], attempt}, " "))
				all[v] = legalVector{Row(row), ff.PublicState(f[7])}
			}
		}
	}
	return all
}

// every lists each combination of the literals of chapter 10, section 2.1.
func every(yield func(ff.StateVector) bool) {
	words := strings.Fields
	for _, phase := range words("submitted runnable active suspended terminal cancelled") {
		for _, own := range words("unowned leased lease_expired_reclaimable lease_revoked") {
			for _, el := range words("eligible_now not_eligible_until_time blocked_by_dependencies blocked_by_budget blocked_by_quota blocked_by_route blocked_by_lane_state blocked_by_operator not_applicable") {
				for _, reason := range words("none waiting_for_worker waiting_for_retry_backoff waiting_for_resume_delay waiting_for_delay waiting_for_signal waiting_for_approval waiting_for_callback waiting_for_tool_result waiting_for_children waiting_for_budget waiting_for_quota waiting_for_capable_worker waiting_for_locality_match paused_by_operator paused_by_policy paused_by_flow_cancel") {
					for _, outcome := range words("none success failed cancelled expired skipped") {
						for _, attempt := range words("none pending_first_attempt running_attempt attempt_interrupted pending_retry_attempt pending_replay_attempt attempt_terminal") {
							if !yield(ff.StateVector{
								Phase: ff.Phase(phase), Ownership: ff.Ownership(own), Eligibility: ff.Eligibility(el),
								BlockingReason: ff.BlockingReason(reason), Outcome: ff.Outcome(outcome), AttemptState: ff.AttemptState(attempt),
							}) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func TestSituationOf_KnowsExactlyTheLegalVectors(t *testing.T) {
	want := legalVectors(t)
	for v := range every {
		var got Row
		if s := SituationOf(v); s != nil {
			got = s.Row
		}
		if got != want[v].row {
			t.Errorf("%s is in row %d, want %d", v, got, want[v].row)
		}
	}
}

func TestPublicState_OfLegalVectors(t *testing.T) {
	for v, want := range legalVectors(t) {
		if got := PublicState(v); got != want.public {
			t.Errorf("%s is publicly %s, want %s", v, got, want.public)
		}
	}
}

// TestPublicState_IsTotal goes through the lines of chapter 10, section 2.2 that no legal vector reaches.
func TestPublicState_IsTotal(t *testing.T) {
	for text, want := range map[string]ff.PublicState{
		"terminal unowned not_applicable none none attempt_terminal":         "failed",
		"active unowned not_applicable none none running_attempt":            "active",
		"runnable unowned not_applicable none none pending_first_attempt":    "waiting",
		"submitted unowned not_applicable none none none":                    "waiting",
		"submitted unowned eligible_now waiting_for_worker none none":        "waiting",
		"cancelled unowned not_applicable none success attempt_terminal":     "cancelled",
		"suspended leased eligible_now none none running_attempt":            "suspended",
		"terminal leased eligible_now waiting_for_worker expired none":       "expired",
		"runnable leased blocked_by_quota none none pending_first_attempt":   "rate_limited",
		"pending unowned eligible_now waiting_for_worker none running":       "waiting",
		"runnable unowned blocked_by_lane_state none none pending":           "waiting",
		"active leased eligible_now waiting_for_worker none running_attempt": "active",
	} {
		if got := PublicState(vector(t, text)); got != want {
			t.Errorf("%s is publicly %s, want %s", text, got, want)
		}
	}
}

// TestClaimable restates which rows a worker may be given: the runnable and eligible ones, and those whose worker lost
// its lease.
func TestClaimable(t *testing.T) {
	want := map[Row]bool{1: true, 5: true, 6: true, 8: true, 10: true, 15: true}
	for v, l := range legalVectors(t) {
		e := base()
		e.State = v
		if got := Claimable(e, nil, t0); got != want[l.row] {
			t.Errorf("row %d (%s) is claimable: %t, want %t", l.row, v, got, want[l.row])
		}
	}
}

func TestClaimable_NeedsEveryRequiredCapability(t *testing.T) {
	e := inState(t, "runnable unowned eligible_now waiting_for_worker none pending_first_attempt")
	e.Capabilities = []string{"cuda", "gpu"}
	for offered, want := range map[string]bool{"": false, "gpu": false, "cuda,gpu": true, "a,cuda,gpu,z": true, "CUDA,gpu": false, "cuda,gpus": false} {
		if got := Claimable(e, strings.FieldsFunc(offered, func(r rune) bool { return r == ',' }), t0); got != want {
			t.Errorf("claimable with %q: %t, want %t", offered, got, want)
		}
	}
}
