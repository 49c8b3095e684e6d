package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newGet() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "get EXECUTION",
		Short: "Print the state of an execution",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		x, err := s.Describe(ctx, id)
		if err != nil {
			return err
		}
		return s.out.value(x, func(w io.Writer) { s.out.execution(w, &x) })
	})
}

// execution prints what there is to say of an execution.
func (p printer) execution(w io.Writer, x *flowfabric.ExecutionSnapshot) {
	field(w, "execution", x.ExecutionID)
	field(w, "state", x.PublicState)
	field(w, "blocked by", x.BlockingDetail)
	field(w, "kind", x.Kind)
	field(w, "lane", x.Lane)
	field(w, "namespace", x.Namespace)
	if !x.FlowID.IsZero() {
		field(w, "flow", x.FlowID)
	}
	field(w, "creator", x.Creator)
	field(w, "priority", x.Priority)
	field(w, "tags", pairs(x.Tags))
	field(w, "requires", words(x.RequiredCapabilities))
	field(w, "created", instant(x.CreatedAt))
	field(w, "started", instant(x.StartedAt))
	field(w, "ended", instant(x.CompletedAt))
	field(w, "delayed until", instant(x.DelayUntil))
	field(w, "deadline", instant(x.DeadlineAt))
	field(w, "kept until", instant(x.RetainUntil))
	field(w, "attempts", x.TotalAttempts)
	field(w, "retries", x.RetryCount)
	field(w, "reclaims", x.ReclaimCount)
	field(w, "replays", x.ReplayCount)
	field(w, "failure", x.FailureReason)
	field(w, "failure category", x.FailureCategory)
	field(w, "cancelled because", x.CancellationReason)
	field(w, "cancelled by", x.CancelledBy)
	if l := x.Lease; l != nil {
		field(w, "held by", l.WorkerInstanceID)
		field(w, "lease until", instant(l.ExpiresAt))
	}
	if x.Progress.Percent != nil {
		field(w, "progress", fmt.Sprintf("%d %%", *x.Progress.Percent))
	}
	field(w, "progress says", x.Progress.Message)
}
