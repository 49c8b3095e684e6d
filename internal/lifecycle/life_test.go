package lifecycle

import (
	"encoding/binary"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// life is one execution with its attempts and its log, as a store would keep them, and what a test remembers of it.
type life struct {
	*rapid.T
	now      ff.Timestamp
	e        *record.Execution
	attempts map[int]*record.Attempt
	events   []record.Event
	fences   []ff.Fence // every fence ever given
	opened   int        // claims that opened an attempt in a place of its own
	held     int64      // how long the current attempt has held leases, in ms
}

// move is one step of a life: a command at an instant and what came of it.
type move struct {
	*life
	command string
	fence   ff.Fence // presented, by a command that presents one
	before  *record.Execution
	stored  map[int]*record.Attempt // before the step
	change  Change
	err     error
	again   func(e *record.Execution) (Change, error) // the command once more; nil unless a repeat must change nothing
}

// always drives random lives and checks each of their moves: commands of all of the chapter's actors, with random fences
// and clocks, workers that may have lost their lease, operators, time.
func always(t *testing.T, check func(m *move)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		l := newLife(t)
		check(&move{life: l, command: "submit", before: l.e})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			check(l.step(rapid.SampledFrom(commands).Draw(t, "command")))
		}
	})
}

var commands = []string{
	"advance", "advance", "tick", "tick", "claim", "claim", "claim", "claim by operator", "renew", "progress", "complete", "fail", "fail",
	"delay", "release", "cancel", "quit", "priority", "replay", "replay", "revoke", "block", "unblock", "tags",
}

func newLife(t *rapid.T) *life {
	l := &life{T: t, now: t0, attempts: make(map[int]*record.Attempt)}
	cmd := ff.Submit{ID: execID, Lane: "mail", Kind: "send", Policy: l.policy(), Priority: rapid.SampledFrom([]int{0, 5, 8999}).Draw(t, "priority")}
	cmd.Delay = time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Second
	if rapid.IntRange(0, 3).Draw(t, "deadline") == 0 {
		cmd.Deadline = t0 + ff.Timestamp(rapid.IntRange(1, 20_000).Draw(t, "deadline in"))
	}
	l.e = Submit(&cmd, l.now)
	return l
}

func (l *life) policy() *ff.Policy {
	if rapid.IntRange(0, 3).Draw(l.T, "policy") == 0 {
		return nil
	}
	n := func(name string) *uint32 {
		v := uint32(rapid.IntRange(0, 3).Draw(l.T, name))
		return &v
	}
	p := &ff.Policy{
		Retry: &ff.RetryPolicy{
			MaxRetries: n("max retries"), Backoff: ff.FixedBackoff(time.Second),
			OnExhausted: rapid.SampledFrom([]ff.ExhaustedAction{"", "pause"}).Draw(l.T, "on exhausted"),
		},
		MaxReclaims: n("max reclaims"), MaxReplays: n("max replays"),
		Timeouts: &ff.TimeoutPolicy{
			AttemptTimeoutMS:    rapid.SampledFrom([]int64{0, 0, 1500, 4000}).Draw(l.T, "attempt timeout"),
			ExecutionDeadlineMS: rapid.SampledFrom([]int64{0, 0, 0, 15_000}).Draw(l.T, "policy deadline"),
			OnAttemptTimeout:    rapid.SampledFrom([]ff.TimeoutAction{"", "retry"}).Draw(l.T, "on attempt timeout"),
		},
	}
	if rapid.Bool().Draw(l.T, "aging") {
		p.Aging = &ff.AgingPolicy{EveryMS: 1000, Step: rapid.SampledFrom([]int{1, 4000}).Draw(l.T, "step")}
	}
	return p
}

// someFence is one that was once given, the latest more often than others, or none.
func (l *life) someFence() ff.Fence {
	i := rapid.IntRange(0, len(l.fences)+2).Draw(l.T, "fence")
	switch {
	case len(l.fences) == 0:
		return ff.Fence{}
	case i < len(l.fences):
		return l.fences[i]
	default:
		return l.fences[len(l.fences)-1]
	}
}

func (l *life) step(command string) *move {
	m := &move{life: l, command: command, before: l.e, stored: maps.Clone(l.attempts), fence: l.someFence()}
	if command == "advance" {
		l.now += ff.Timestamp(rapid.SampledFrom([]int{0, 1, 999, 1000, 5000}).Draw(l.T, "ms"))
		return m
	}
	perform, repeatable := m.draw()
	m.change, m.err = perform(l.e)
	if repeatable && m.err == nil {
		m.again = perform
	}
	if code(m.err) == ff.CodeCorruption {
		l.Fatalf("%s: %v", command, m.err)
	}
	if m.err == nil {
		Retain(&m.change, time.Hour)
		l.take(m)
	}
	return m
}

// draw chooses what the command says, and tells whether a repeat of it must change nothing (I24).
func (m *move) draw() (perform func(e *record.Execution) (Change, error), repeatable bool) {
	at, f, att := m.now, m.fence, m.attempts[m.e.AttemptIndex]
	switch m.command {
	case "tick":
		return func(e *record.Execution) (Change, error) { return Tick(e, att, at) }, false
	case "claim":
		return func(e *record.Execution) (Change, error) {
			if !Claimable(e, nil, at) {
				return Change{}, nil
			}
			return Claim(e, m.grant(), at)
		}, false
	case "claim by operator":
		return func(e *record.Execution) (Change, error) { return ClaimByOperator(e, m.grant(), "ops", at) }, false
	case "renew":
		return func(e *record.Execution) (Change, error) {
			return Renew(e, &ff.Renew{Fence: f, TTL: 2 * time.Second}, at)
		}, false
	case "progress":
		return func(e *record.Execution) (Change, error) {
			return UpdateProgress(e, &ff.UpdateProgress{Fence: f}, at)
		}, false
	case "complete":
		return func(e *record.Execution) (Change, error) {
			return Complete(e, &ff.Complete{Fence: f, Source: ff.SourceLeaseHolder}, at)
		}, true
	case "fail":
		category := rapid.SampledFrom([]ff.FailureCategory{"transient", "transient", "permanent"}).Draw(m.T, "category")
		return func(e *record.Execution) (Change, error) {
			ch, _, err := Fail(e, &ff.Fail{Fence: f, Source: ff.SourceLeaseHolder, Category: category}, at)
			return ch, err
		}, true
	case "delay":
		return func(e *record.Execution) (Change, error) {
			ch, _, err := Delay(e, &ff.Delay{Fence: f, Source: ff.SourceLeaseHolder, Until: at + 1000}, at)
			return ch, err
		}, true
	case "release":
		return func(e *record.Execution) (Change, error) { return Release(e, &ff.Release{Fence: f}, at) }, true
	default:
		return m.drawOperator(at, att)
	}
}

func (m *move) drawOperator(at ff.Timestamp, att *record.Attempt) (perform func(e *record.Execution) (Change, error), repeatable bool) {
	switch m.command {
	case "cancel":
		return func(e *record.Execution) (Change, error) {
			return Cancel(e, att, &ff.Cancel{Source: ff.SourceOperatorOverride}, at)
		}, true
	case "quit":
		return func(e *record.Execution) (Change, error) {
			return Cancel(e, att, &ff.Cancel{Source: ff.SourceWorker, Fence: m.fence}, at)
		}, true
	case "priority":
		p := rapid.IntRange(-10, 10_000).Draw(m.T, "priority")
		return func(e *record.Execution) (Change, error) {
			ch, _, err := ChangePriority(e, &ff.ChangePriority{NewPriority: p}, at)
			return ch, err
		}, false
	case "replay":
		return func(e *record.Execution) (Change, error) { return Replay(e, att, 0, &ff.Replay{}, at) }, false
	case "revoke":
		return func(e *record.Execution) (Change, error) {
			if Due(e, at) { // operations let time act first; here an attempt whose time is up would be put back
				return Tick(e, att, at)
			}
			ch, _, err := RevokeLease(e, att, &ff.RevokeLease{}, at)
			return ch, err
		}, true
	case "block":
		reason := rapid.SampledFrom([]ff.BlockingReason{"paused_by_operator", "waiting_for_budget", "paused_by_policy"}).Draw(m.T, "reason")
		return func(e *record.Execution) (Change, error) { return Block(e, &ff.Block{Reason: reason}, at) }, true
	case "unblock":
		reason := m.e.State.BlockingReason
		if rapid.IntRange(0, 3).Draw(m.T, "other reason") == 0 {
			reason = "paused_by_operator"
		}
		return func(e *record.Execution) (Change, error) { return Unblock(e, &ff.Unblock{ExpectedReason: reason}, at) }, false
	case "tags":
		return func(e *record.Execution) (Change, error) {
			return SetTags(e, &ff.SetTags{Tags: map[string]string{"a.b": "c"}}, at)
		}, true
	default:
		panic("no command " + m.command)
	}
}

func (m *move) grant() Grant {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(len(m.fences)+1))
	return Grant{WorkerID: "w", WorkerInstanceID: "w-1", LeaseID: ff.LeaseID(id), AttemptID: ff.AttemptID(id), TTL: 2 * time.Second}
}

// take makes a change part of the life.
func (l *life) take(m *move) {
	n := m.change.Execution
	if n == nil {
		return
	}
	old := l.e
	if old.State.Ownership == ff.Leased && (n.LeaseID != old.LeaseID || n.State.Ownership != ff.Leased) {
		l.held += int64(min(l.now, old.LeaseExpiresAt) - old.LeaseAcquiredAt)
	}
	if a := m.change.Attempt; a != nil {
		l.attempts[a.Index] = a
	}
	if n.LeaseID != old.LeaseID && n.State.Ownership == ff.Leased {
		l.fences = append(l.fences, fenceOf(n))
		if n.AttemptIndex >= old.TotalAttempts {
			l.opened++
		}
		if n.AttemptID != old.AttemptID {
			l.held = 0
		}
	}
	l.events = append(l.events, m.change.Events...)
	l.e = n
}
