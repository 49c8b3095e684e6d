package lifecycle

import (
	"strings"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// EndedBySuspensionTimeout reports whether the deadline of a suspension ended an attempt.
func EndedBySuspensionTimeout(att *record.Attempt) bool {
	return att.FailureCategory == ff.FailureTimeout && strings.HasPrefix(att.FailureReason, suspensionTimeout)
}

// EndedByAttemptTimeout reports whether an attempt ended because it ran too long, also if another followed.
func EndedByAttemptTimeout(att *record.Attempt) bool {
	return att.FailureCategory == ff.FailureTimeout && att.FailureReason == attemptTimeout
}
