package stream

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store/record"
)

// Closed tells when and why the stream of an attempt was closed (chapter 50, section 1.2); 0 while it is open. It is not
// stored: it follows from the execution and from the attempt as stored, nil when there is none, so the two cannot disagree.
// What time alone has done counts, whether or not it is written. A replay opens the stream of its attempt again.
func Closed(e *record.Execution, att *record.Attempt, index int, now ff.Timestamp) (ff.Timestamp, ff.StreamClosed) {
	if e == nil {
		return 0, ""
	}
	current := index == e.AttemptIndex
	if current && lifecycle.Due(e, now) {
		if ch, err := lifecycle.Tick(e, att, now); err == nil && ch.Execution != nil {
			e = ch.Execution
			if ch.Attempt != nil {
				att = ch.Attempt
			}
		}
	}
	switch {
	case att != nil && att.EndedAt != 0:
		return att.EndedAt, reasonOf(att)
	case current && e.State.Ownership == ff.LeaseExpiredReclaimable:
		return e.LeaseExpiresAt, ff.StreamClosedLeaseExpired
	default:
		return 0, ""
	}
}

func reasonOf(att *record.Attempt) ff.StreamClosed {
	switch {
	case lifecycle.EndedBySuspensionTimeout(att):
		return ff.StreamClosedSuspensionTimeout
	case lifecycle.EndedByAttemptTimeout(att):
		return ff.StreamClosedExpired
	}
	switch att.Outcome {
	case record.AttemptSucceeded:
		return ff.StreamClosedSuccess
	case record.AttemptCancelled, record.AttemptWasSkipped:
		return ff.StreamClosedCancelled
	case record.AttemptReclaimed:
		return ff.StreamClosedReclaimed
	case record.AttemptRanTooLong:
		return ff.StreamClosedExpired
	default:
		return ff.StreamClosedFailure
	}
}
