package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// situations names one vector of each row, and two of the rows that hold executions with and without an attempt.
const situations = `
1   runnable  unowned eligible_now waiting_for_worker none pending_first_attempt
2   runnable  unowned not_eligible_until_time waiting_for_delay none pending_first_attempt
3   runnable  unowned blocked_by_dependencies waiting_for_children none pending_first_attempt
4   active    leased not_applicable none none running_attempt
5   active    lease_expired_reclaimable not_applicable waiting_for_worker none attempt_interrupted
6   active    lease_revoked not_applicable waiting_for_worker none attempt_interrupted
7   runnable  unowned not_eligible_until_time waiting_for_retry_backoff none pending_retry_attempt
8   runnable  unowned eligible_now waiting_for_worker none pending_retry_attempt
9   runnable  unowned not_eligible_until_time waiting_for_delay none attempt_interrupted
10  runnable  unowned eligible_now waiting_for_worker none attempt_interrupted
11  runnable  unowned blocked_by_dependencies waiting_for_children none attempt_interrupted
12  runnable  unowned not_eligible_until_time waiting_for_resume_delay none attempt_interrupted
13  suspended unowned not_applicable waiting_for_signal none attempt_interrupted
14a runnable  unowned blocked_by_budget waiting_for_budget none pending_first_attempt
14b runnable  unowned blocked_by_operator paused_by_operator none attempt_interrupted
14c runnable  unowned blocked_by_operator paused_by_operator none pending_first_attempt
14d runnable  unowned blocked_by_operator paused_by_operator none pending_retry_attempt
14e runnable  unowned blocked_by_operator paused_by_operator none pending_replay_attempt
15  runnable  unowned eligible_now waiting_for_worker none pending_replay_attempt
16  runnable  unowned blocked_by_dependencies waiting_for_children none pending_replay_attempt
20  runnable  unowned blocked_by_dependencies waiting_for_children none pending_retry_attempt
17s terminal  unowned not_applicable none success attempt_terminal
17f terminal  unowned not_applicable none failed attempt_terminal
17c cancelled unowned not_applicable none cancelled attempt_terminal
17w terminal  unowned not_applicable none cancelled attempt_terminal
17e terminal  unowned not_applicable none expired attempt_terminal
18c cancelled unowned not_applicable none cancelled pending_first_attempt
18e terminal  unowned not_applicable none expired pending_first_attempt
17k terminal  unowned not_applicable none skipped attempt_terminal
18w terminal  unowned not_applicable none cancelled pending_first_attempt
19  terminal  unowned not_applicable none skipped none
`

// outcomes says what each rule does in each situation: the name of the situation it leads to, "=" for a call that
// succeeds and changes nothing, or the first letters of the code that refuses it.
//
//	na execution_not_active      le lease_expired      lr lease_revoked    co corruption
//	ne execution_not_eligible    nt execution_not_terminal                 ii invalid_input      lc lease_conflict
//
// The calls of a holder come with the fence of the lease that is, or was last, held; "retry" and "fail" are a failure
// with a retry left and without; "cancel" is an operator's, "quit" the holder's own. The clock stands after the delay and
// before the end of the lease, except for "tick", which comes after both, and "lost", which is that with no reclaim left.
// "block" and "unblock" are an operator's pause, "opclaim" is an operator's claim, "deadline" comes when that has passed.
// "await" is an edge that holds it back from now on, "go" and "skip" are what comes of its edges, "wait" is its holder's for
// children, "spare" the cancel of one that nobody needs any more.
const outcomes = `
     claim complete retry fail delay release renew progress cancel quit priority replay revoke tick lost block unblock opclaim deadline await go  skip wait spare
1    4     na       na    na   na    na      na    na       18c    na   1        nt     =      =    =    14c   ne      4       18e    3    =    19   na   18w
2    co    na       na    na   na    na      na    na       18c    na   ne       nt     =      1    1    14c   ne      ne      18e    2    =    19   na   18w
3    co    na       na    na   na    na      na    na       18c    na   ne       nt     =      =    =    ne    ne      ne      18e    3    1    19   na   18w
4    co    17s      7     17f  9     10      4     4        17c    17w  ne       nt     10     5    17f  ne    ne      lc      17e    4    =    17k  11   17w
5    4     le       le    le   le    le      le    le       17c    le   ne       nt     =      =    =    ne    ne      4       17e    11   =    17k  le   17w
6    4     lr       lr    lr   lr    lr      lr    lr       17c    lr   ne       nt     =      =    =    ne    ne      4       17e    11   =    17k  lr   17w
7    co    na       =     =    na    na      na    na       17c    na   ne       nt     =      8    8    14d   ne      ne      17e    7    =    17k  na   17w
8    4     na       =     =    na    na      na    na       17c    na   8        nt     =      =    =    14d   ne      4       17e    20   =    17k  na   17w
9    co    na       na    na   =     =       na    na       17c    na   ne       nt     =      10   10   14b   ne      ne      17e    9    =    17k  =    17w
10   4     na       na    na   =     =       na    na       17c    na   10       nt     =      =    =    14b   ne      4       17e    11   =    17k  =    17w
11   co    na       na    na   =     =       na    na       17c    na   ne       nt     =      =    =    ne    ne      ne      17e    11   10   17k  =    17w
12   co    na       na    na   =     =       na    na       17c    na   ne       nt     =      10   10   14b   ne      ne      17e    12   =    17k  =    17w
13   co    na       na    na   na    na      na    na       17c    na   ne       nt     =      =    =    ne    ne      ne      17e    13   =    17k  na   17w
14a  co    na       na    na   na    na      na    na       18c    na   ne       nt     =      =    =    14c   ne      ne      18e    14a  =    19   na   18w
14b  co    na       na    na   =     =       na    na       17c    na   ne       nt     =      =    =    =     10      ne      17e    14b  =    17k  =    17w
14c  co    na       na    na   na    na      na    na       18c    na   ne       nt     =      =    =    =     1       ne      18e    14c  =    19   na   18w
14d  co    na       =     =    na    na      na    na       17c    na   ne       nt     =      =    =    =     8       ne      17e    14d  =    17k  na   17w
14e  co    na       na    na   na    na      na    na       17c    na   ne       nt     =      =    =    =     15      ne      17e    14e  =    17k  na   17w
15   4     na       na    na   na    na      na    na       17c    na   15       nt     =      =    =    14e   ne      4       17e    16   =    17k  na   17w
16   co    na       na    na   na    na      na    na       17c    na   ne       nt     =      =    =    ne    ne      ne      17e    16   15   17k  na   17w
20   co    na       =     =    na    na      na    na       17c    na   ne       nt     =      =    =    ne    ne      ne      17e     20   8    17k  na   17w
17s  co    =        na    na   na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =    =    =    =    na   ii
17f  co    na       =     =    na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =    =    =    =    na   ii
17c  co    na       na    na   na    na      na    na       =      =    ne       15     =      =    =    na    ne      ne      =    =    =    =    na   =
17w  co    na       na    na   na    na      na    na       =      =    ne       15     =      =    =    na    ne      ne      =    =    =    =    na   =
17e  co    na       na    na   na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =    =    =    =    na   ii
17k  co    na       na    na   na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =       =    =    =    na   ii
18c  co    na       na    na   na    na      na    na       =      =    ne       15     =      =    =    na    ne      ne      =    =    =    =    na   =
18e  co    na       na    na   na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =    =    =    =    na   ii
18w  co    na       na    na   na    na      na    na       =      =    ne       15     =      =    =    na    ne      ne      =       =    =    =    na   =
19   co    na       na    na   na    na      na    na       ii     ii   ne       15     =      =    =    na    ne      ne      =    =    =    =    na   ii
`

var abbreviations = map[ff.Code]string{
	"execution_not_active": "na", "lease_expired": "le", "lease_revoked": "lr", "corruption": "co",
	"execution_not_eligible": "ne", "execution_not_terminal": "nt", "invalid_input": "ii", "lease_conflict": "lc",
}

// TestRules_InEverySituation walks every rule through every situation.
func TestRules_InEverySituation(t *testing.T) {
	states, names := make(map[string]string), make(map[ff.StateVector]string)
	for line := range strings.Lines(strings.TrimSpace(situations)) {
		name, state, _ := strings.Cut(line, " ")
		states[name] = state
		names[vector(t, state)] = name
	}
	rows := strings.Split(strings.TrimSpace(outcomes), "\n")
	columns := strings.Fields(rows[0])
	if len(rows)-1 != len(states) {
		t.Fatalf("%d situations, outcomes for %d", len(states), len(rows)-1)
	}
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		for i, rule := range columns {
			want := cells[i+1]
			t.Run(fmt.Sprintf("%s in %s", rule, cells[0]), func(t *testing.T) {
				e := inState(t, states[cells[0]])
				e.Policy = ff.Retry(2, nil)
				if rule == "lost" {
					e.Policy.MaxReclaims = new(uint32)
				}
				if rule == "deadline" {
					e.DeadlineAt = t0 + 20_000
					settle(e, t0)
				}
				before := *e
				ch, err := perform(rule, e)
				equal(t, "the record it was given", e, &before)
				if got := outcomeOf(ch, err, names); got != want {
					t.Errorf("gives %s (error %v), want %s", got, err, want)
				}
				if err != nil && (ch.Execution != nil || ch.Attempt != nil || len(ch.Events) > 0) {
					t.Errorf("is refused and changes something: %+v", ch)
				}
			})
		}
	}
}

// outcomeOf names what came of a rule in the words of outcomes.
func outcomeOf(ch Change, err error, names map[ff.StateVector]string) string {
	var coded *ff.Error
	switch {
	case errors.As(err, &coded):
		return abbreviations[coded.Code]
	case err != nil:
		return err.Error()
	case ch.Execution == nil:
		return "="
	default:
		return names[ch.Execution.State]
	}
}

func perform(rule string, e *record.Execution) (ch Change, err error) {
	now := t0 + 20_000
	f := ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: attemptID}
	switch rule {
	case "claim":
		return Claim(e, grant, now)
	case "complete":
		return Complete(e, &ff.Complete{Fence: f, Source: ff.SourceLeaseHolder}, now)
	case "retry":
		ch, _, err = Fail(e, &ff.Fail{Fence: f, Source: ff.SourceLeaseHolder, Category: ff.FailureTransient}, now)
	case "fail":
		ch, _, err = Fail(e, &ff.Fail{Fence: f, Source: ff.SourceLeaseHolder, Category: ff.FailurePermanent}, now)
	case "delay":
		ch, _, err = Delay(e, &ff.Delay{Fence: f, Source: ff.SourceLeaseHolder, For: time.Minute}, now)
	case "release":
		return Release(e, &ff.Release{Fence: f}, now)
	case "renew":
		return Renew(e, &ff.Renew{Fence: f, TTL: time.Minute}, now)
	case "progress":
		return UpdateProgress(e, &ff.UpdateProgress{Fence: f}, now)
	case "cancel":
		return Cancel(e, nil, &ff.Cancel{Source: ff.SourceOperatorOverride}, now)
	case "quit":
		return Cancel(e, nil, &ff.Cancel{Source: ff.SourceWorker, Fence: f}, now)
	case "priority":
		ch, _, err = ChangePriority(e, &ff.ChangePriority{NewPriority: 9}, now)
	case "replay":
		return Replay(e, nil, 0, &ff.Replay{}, now)
	case "revoke":
		ch, _, err = RevokeLease(e, nil, &ff.RevokeLease{Reason: "operator"}, now)
	case "block":
		return Block(e, &ff.Block{Reason: ff.PausedByOperator}, now)
	case "unblock":
		return Unblock(e, &ff.Unblock{ExpectedReason: ff.PausedByOperator}, now)
	case "opclaim":
		return ClaimByOperator(e, grant, "me", now)
	case "await":
		return Await(e, now)
	case "go":
		return Satisfied(e, nil, now)
	case "skip":
		return Skip(e, nil, now)
	case "wait":
		return WaitChildren(e, f, now)
	case "spare":
		return Cancel(e, nil, &ff.Cancel{Source: ff.SourceEngine, Reason: "sibling_quorum_satisfied"}, now)
	case "deadline":
		return Tick(e, nil, now)
	case "tick", "lost":
		return Tick(e, nil, t0+60_000)
	default:
		panic("no rule " + rule)
	}
	return ch, err
}
