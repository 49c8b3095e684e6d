package storetest

import (
	"fmt"
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// legalVectors is every legal state vector of an execution, with the public state that follows from it (chapter 10,
// sections 2.2, 2.4 and 2.5). It is written out here, and not taken from the rules: an oracle must not share the code it
// judges. PENDING stands for each of pendingStates.
//
// Row 13 has the reasons that chapter 40, section 1.3, adds. Three things were decided differently from the chapter: an edge may be added to an execution that is to be retried, which
// then waits for its upstream (row 20), an execution cancelled by operator control is in phase cancelled
// (rows 17 and 18), and one whose lease ran out (row 5) waits in the ready index for its reclaim.
const legalVectors = `
#  phase     ownership                 eligibility             reason                     outcome   attempt_state            public
1  runnable  unowned                   eligible_now            waiting_for_worker         none      pending_first_attempt    waiting
2  runnable  unowned                   not_eligible_until_time waiting_for_delay          none      pending_first_attempt    delayed
3  runnable  unowned                   blocked_by_dependencies waiting_for_children       none      pending_first_attempt    waiting_children
4  active    leased                    not_applicable          none                       none      running_attempt          active
5  active    lease_expired_reclaimable not_applicable          waiting_for_worker         none      attempt_interrupted      active
6  active    lease_revoked             not_applicable          waiting_for_worker         none      attempt_interrupted      active
7  runnable  unowned                   not_eligible_until_time waiting_for_retry_backoff  none      pending_retry_attempt    delayed
8  runnable  unowned                   eligible_now            waiting_for_worker         none      pending_retry_attempt    waiting
9  runnable  unowned                   not_eligible_until_time waiting_for_delay          none      attempt_interrupted      delayed
10 runnable  unowned                   eligible_now            waiting_for_worker         none      attempt_interrupted      waiting
11 runnable  unowned                   blocked_by_dependencies waiting_for_children       none      attempt_interrupted      waiting_children
12 runnable  unowned                   not_eligible_until_time waiting_for_resume_delay   none      attempt_interrupted      delayed
13 suspended unowned                   not_applicable          waiting_for_signal         none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          waiting_for_approval       none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          waiting_for_callback       none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          waiting_for_tool_result    none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          paused_by_operator         none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          paused_by_policy           none      attempt_interrupted      suspended
13 suspended unowned                   not_applicable          waiting_for_budget         none      attempt_interrupted      suspended
14 runnable  unowned                   blocked_by_budget       waiting_for_budget         none      PENDING                  rate_limited
14 runnable  unowned                   blocked_by_quota        waiting_for_quota          none      PENDING                  rate_limited
14 runnable  unowned                   blocked_by_route        waiting_for_capable_worker none      PENDING                  waiting
14 runnable  unowned                   blocked_by_route        waiting_for_locality_match none      PENDING                  waiting
14 runnable  unowned                   blocked_by_operator     paused_by_operator         none      PENDING                  waiting
14 runnable  unowned                   blocked_by_operator     paused_by_flow_cancel      none      PENDING                  waiting
14 runnable  unowned                   blocked_by_lane_state   paused_by_policy           none      PENDING                  waiting
15 runnable  unowned                   eligible_now            waiting_for_worker         none      pending_replay_attempt   waiting
16 runnable  unowned                   blocked_by_dependencies waiting_for_children       none      pending_replay_attempt   waiting_children
17 terminal  unowned                   not_applicable          none                       success   attempt_terminal         completed
17 terminal  unowned                   not_applicable          none                       failed    attempt_terminal         failed
17 terminal  unowned                   not_applicable          none                       cancelled attempt_terminal         cancelled
17 cancelled unowned                   not_applicable          none                       cancelled attempt_terminal         cancelled
17 terminal  unowned                   not_applicable          none                       expired   attempt_terminal         expired
17 terminal  unowned                   not_applicable          none                       skipped   attempt_terminal         skipped
18 terminal  unowned                   not_applicable          none                       cancelled pending_first_attempt    cancelled
18 cancelled unowned                   not_applicable          none                       cancelled pending_first_attempt    cancelled
18 terminal  unowned                   not_applicable          none                       expired   pending_first_attempt    expired
19 terminal  unowned                   not_applicable          none                       skipped   none                     skipped
20 runnable  unowned                   blocked_by_dependencies waiting_for_children       none      pending_retry_attempt    waiting_children
`

// pendingStates are the attempt states of row 14.
var pendingStates = []string{"pending_first_attempt", "pending_retry_attempt", "pending_replay_attempt", "attempt_interrupted"}

// legal is a row of the table and the public state that goes with a vector.
type legal struct {
	row    int
	public ff.PublicState
}

// legalByVector is legalVectors by what StateVector.String says.
var legalByVector = parseVectors(legalVectors)

func parseVectors(table string) map[string]legal {
	m := make(map[string]legal)
	for line := range strings.Lines(table) {
		col := strings.Fields(line)
		if len(col) != 8 || col[0] == "#" {
			continue
		}
		var l legal
		if _, err := fmt.Sscan(col[0], &l.row); err != nil {
			panic(fmt.Sprintf("storetest: table of legal vectors: %q: %v", line, err))
		}
		l.public = ff.PublicState(col[7])
		states := []string{col[6]}
		if col[6] == "PENDING" {
			states = pendingStates
		}
		for _, s := range states {
			m[strings.Join(append(col[1:6:6], s), "/")] = l
		}
	}
	return m
}

// rowOf returns the row a vector is in, 0 for none.
func rowOf(v ff.StateVector) int { return legalByVector[v.String()].row }

// vector: the vector is a row of the table (I1) and the public state follows from it (I2).
func (a *audit) vector(e *record.Execution) {
	l, ok := legalByVector[e.State.String()]
	if !ok {
		a.add(e.ID, "I1: the vector %s is not legal", e.State)
		return
	}
	if e.Public != l.public {
		a.add(e.ID, "I2: the public state is %s; from row %d follows %s", e.Public, l.row, l.public)
	}
	silent := l.row == 4 || e.State.Finished() || e.State.Phase == ff.PhaseRunnable && e.State.BlockingReason == ff.WaitingForWorker
	if silent && e.BlockingDetail != "" {
		a.add(e.ID, "nothing blocks it, but its blocking detail is %q", e.BlockingDetail)
	}
}

// place: what may be claimed is ready, and nothing else is: what lost its lease may, unless it awaits upstreams. What waits for a time is due by then (I15, I22, I28).
func (a *audit) place(e *record.Execution) {
	row := rowOf(e.State)
	eligible := e.State.Phase == ff.PhaseRunnable && e.State.Eligibility == ff.EligibleNow
	reclaimable := row == 5 || row == 6
	if want := (eligible || reclaimable) && !e.AwaitsUpstream; row != 0 && e.Ready != want {
		a.add(e.ID, "I15: ready is %t in row %d", e.Ready, row)
	}
	switch {
	case e.State.Finished() && e.DueAt != 0:
		a.add(e.ID, "I15: it has ended and is due at %d", e.DueAt)
	case row == 4 && (e.DueAt == 0 || e.DueAt > e.LeaseExpiresAt):
		a.add(e.ID, "I28: its lease ends at %d and it is due at %d", e.LeaseExpiresAt, e.DueAt)
	case e.State.Eligibility == ff.NotEligibleUntilTime && (e.DueAt == 0 || e.DueAt > e.DelayUntil):
		a.add(e.ID, "I28: its delay ends at %d and it is due at %d", e.DelayUntil, e.DueAt)
	}
}
