package worker

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
)

// logOf is the log for what is said of a task, with the fields of chapter 80, section 11.
func (s *session) logOf(t *Task) *slog.Logger {
	fence := t.Fence()
	attrs := []any{
		"execution_id", t.ID(), "attempt_index", fence.AttemptIndex, "lease_epoch", fence.Epoch, "kind", t.Kind(), "lane", t.Lane(), "namespace", t.Namespace(),
	}
	if !t.claimed.FlowID.IsZero() {
		attrs = append(attrs, "flow_id", t.claimed.FlowID)
	}
	if p := t.claimed.TraceParent; p.Validate() == nil && p != "" {
		attrs = append(attrs, "trace_id", string(p[3:35])) // of the submit; what runs later is linked to it
	}
	return s.log.With(attrs...)
}

// capabilitiesHash is the digest by which logs tell sets of capabilities apart (chapter 10, section 1.4).
func capabilitiesHash(capabilities []string) string {
	if len(capabilities) == 0 {
		return ""
	}
	return digest(strings.Join(slices.Compact(slices.Sorted(slices.Values(capabilities))), ","))
}

func digest(text string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash takes all
	sum := h.Sum64()
	return fmt.Sprintf("%08x", uint32(sum>>32)^uint32(sum))
}
