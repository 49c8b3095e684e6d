package waitpoint

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Satisfied reports whether signals satisfy a condition (chapter 40, section 2.2). More signals never unsatisfy it, their
// order makes no difference, and each node counts for itself.
func Satisfied(c *ff.Condition, signals []record.SignalRef) bool {
	switch c.Kind {
	case ff.ConditionSingle:
		return slices.ContainsFunc(signals, func(s record.SignalRef) bool { return counts(c, &s) })
	case ff.ConditionCount:
		return len(satisfiers(c, signals)) >= c.N
	case ff.ConditionAllOf:
		for i := range c.Members {
			if !Satisfied(&c.Members[i], signals) {
				return false
			}
		}
		return len(c.Members) > 0
	default: // no signal satisfies it
		return false
	}
}

// counts reports whether a leaf looks at a signal.
func counts(c *ff.Condition, s *record.SignalRef) bool {
	return slices.Contains(c.Waitpoints, s.Key) && matches(c, s)
}

func matches(c *ff.Condition, s *record.SignalRef) bool {
	return c.SignalName == "" || c.SignalName == s.Name
}

// satisfier is what a count counts signals apart by.
type satisfier struct{ kind, identity string }

func satisfierOf(by ff.CountKind, s *record.SignalRef) satisfier {
	switch by {
	case ff.DistinctWaitpoints:
		return satisfier{identity: s.WaitpointID.String()}
	case ff.DistinctSources:
		return satisfier{s.SourceType, s.SourceIdentity}
	default:
		return satisfier{identity: s.SignalID.String()}
	}
}

// satisfiers are what a count has counted among signals.
func satisfiers(c *ff.Condition, signals []record.SignalRef) map[satisfier]bool {
	seen := make(map[satisfier]bool)
	for i := range signals {
		if counts(c, &signals[i]) {
			seen[satisfierOf(c.By, &signals[i])] = true
		}
	}
	return seen
}

// contribution is what one more signal is to a condition.
type contribution int

const (
	notInTree     contribution = iota // no node names its waitpoint
	matcherFailed                     // nodes do, but want another name
	counted                           // what it would count as is counted already
	contributes                       // a node gets nearer to being satisfied
)

// contributionOf says what s is to a condition that has had the signals in have. A signal that contributes nothing changes
// nothing when it is left out, now or later.
func contributionOf(c *ff.Condition, have []record.SignalRef, s *record.SignalRef) contribution {
	best := notInTree
	switch c.Kind {
	case ff.ConditionAllOf:
		for i := range c.Members {
			best = max(best, contributionOf(&c.Members[i], have, s))
		}
	case ff.ConditionSingle, ff.ConditionCount:
		switch {
		case !slices.Contains(c.Waitpoints, s.Key):
		case !matches(c, s):
			best = matcherFailed
		case Satisfied(c, have) || c.Kind == ff.ConditionCount && satisfiers(c, have)[satisfierOf(c.By, s)]:
			best = counted
		default:
			best = contributes
		}
	default: // no signal counts
	}
	return best
}

// effectOf is the effect of a signal that did not satisfy the condition (chapter 40, section 8.3).
func effectOf(c *ff.Condition, what contribution) ff.SignalEffect {
	switch {
	case what == contributes:
		return ff.EffectAppended
	case c.Kind != ff.ConditionAllOf && c.Kind != ff.ConditionCount:
		return ff.EffectNoOp
	case what == counted:
		return ff.EffectCounted
	case what == matcherFailed:
		return ff.EffectMatcherFailed
	default:
		return ff.EffectNotInTree
	}
}
