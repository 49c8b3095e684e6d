package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newFlow() *cobra.Command {
	return group("flow", "Submit, watch and cancel flows",
		newFlowSubmit(), newFlowGet(), newFlowList(), newFlowCancel(), newFlowMembers(), newFlowEdges(), newFlowExplain(), newFlowWatch())
}

// onFlow is [onService] for commands whose first argument is a flow.
func onFlow(cmd *cobra.Command, fn func(ctx context.Context, s *session, id flowfabric.FlowID, rest []string) error) *cobra.Command {
	return onService(cmd, func(ctx context.Context, s *session, args []string) error {
		var id flowfabric.FlowID
		if err := id.UnmarshalText([]byte(args[0])); err != nil {
			return err
		}
		return fn(ctx, s, id, args[1:])
	})
}

func newFlowGet() *cobra.Command {
	return onFlow(&cobra.Command{
		Use:   "get FLOW",
		Short: "Print the state of a flow",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, _ []string) error {
		f, err := s.DescribeFlow(ctx, id)
		if err != nil {
			return err
		}
		return s.out.value(f, func(w io.Writer) { printFlow(w, &f) })
	})
}

func printFlow(w io.Writer, f *flowfabric.FlowSnapshot) {
	field(w, "flow", f.FlowID)
	field(w, "state", f.State)
	if f.Progress != f.State {
		field(w, "progress", f.Progress)
	}
	field(w, "kind", f.Kind)
	field(w, "namespace", f.Namespace)
	field(w, "tags", pairs(f.Tags))
	field(w, "members", f.NodeCount)
	field(w, "edges", f.EdgeCount)
	printCounts(w, &f.Counts)
	field(w, "created", instant(f.CreatedAt))
	field(w, "ended", instant(f.EndedAt))
	field(w, "cancelled because", f.CancelReason)
	field(w, "cancellation", f.CancellationPolicy)
}

func printCounts(w io.Writer, c *flowfabric.FlowCounts) {
	for _, count := range []struct {
		name string
		n    int
	}{
		{"waiting", c.Waiting},
		{"delayed", c.Delayed},
		{"rate limited", c.RateLimited},
		{"waiting for others", c.WaitingChildren},
		{"active", c.Active},
		{"suspended", c.Suspended},
		{"completed", c.Completed},
		{"failed", c.Failed},
		{"cancelled", c.Cancelled},
		{"expired", c.Expired},
		{"skipped", c.Skipped},
	} {
		field(w, "  "+count.name, count.n)
	}
}

func newFlowList() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List flows",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.FlowSummary], error) {
			return s.ListFlows(ctx, flowfabric.ListFlows{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, found, []any{"FLOW", "STATE", "KIND", "ENDED", "MEMBERS", "AGE"}, func(f flowfabric.FlowSummary) []any {
			return []any{f.FlowID, f.State, f.Kind, f.Ended, f.NodeCount, s.out.age(f.CreatedAt)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}

func newFlowCancel() *cobra.Command {
	var policy, reason string
	var wait time.Duration
	cmd := onFlow(&cobra.Command{
		Use:   "cancel FLOW",
		Short: "Cancel a flow and its members",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, _ []string) error {
		res, err := s.CancelFlow(ctx, flowfabric.CancelFlow{
			FlowID: id, Policy: flowfabric.CancellationPolicy(policy), Reason: reason, Wait: wait, Actor: s.actor,
		})
		if err != nil {
			return err
		}
		if res.Policy == "" { // it had ended without a cancel
			return exitError{fmt.Errorf("flow %s has ended; flowfabric flow get %s says how", id, id), exitConflict}
		}
		return s.out.done(res, "flow %s is cancelled, %s", id, res.Policy)
	})
	cmd.Flags().StringVar(&policy, "policy", string(flowfabric.CancelAll), "which members are cancelled: cancel_all, cancel_pending or flow_only")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().DurationVar(&wait, "wait", 0, fmt.Sprintf("wait so long until the members are cancelled, at most %s", flowfabric.MaxFlowWait))
	return cmd
}

func newFlowExplain() *cobra.Command {
	return onFlow(&cobra.Command{
		Use:   "explain FLOW",
		Short: "Say which members hold a flow up, and why",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, _ []string) error {
		x, err := s.ExplainFlow(ctx, id)
		if err != nil {
			return err
		}
		return s.out.value(x, func(w io.Writer) {
			fmt.Fprintf(w, "flow %s is %s: %d of %d members have ended\n", x.FlowID, x.State, x.Ended, x.NodeCount)
			for _, h := range x.Holding {
				fmt.Fprintf(w, "%d held up: %s (%s)\n", h.Count, h.Code, h.State)
				for _, m := range h.Members {
					fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", orDash(m.Node), m.ExecutionID, m.PublicState, oneLine(m.Detail))
				}
			}
		})
	})
}

func newFlowWatch() *cobra.Command {
	var every time.Duration
	limit := paging{}
	cmd := onFlow(&cobra.Command{
		Use:   "watch FLOW",
		Short: "Watch the members of a flow until all have ended",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, _ []string) error {
		return watch(ctx, s, every, func(ctx context.Context) (frame, error) {
			flow, err := s.DescribeFlow(ctx, id)
			if err != nil {
				return frame{}, err
			}
			nodes, err := s.members(ctx, id, limit)
			if err != nil {
				return frame{}, err
			}
			return flowFrame(s.out, &flow, nodes.Items), nil
		})
	})
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often to look, at least 100ms")
	cmd.Flags().IntVar(&limit.limit, "limit", 20, "how many members to show at most")
	return cmd
}

func flowFrame(p printer, flow *flowfabric.FlowSnapshot, nodes []flowfabric.NodeSnapshot) frame {
	return frame{
		value: struct {
			Flow    *flowfabric.FlowSnapshot  `json:"flow"`
			Members []flowfabric.NodeSnapshot `json:"members"`
		}{flow, nodes},
		key:  fmt.Sprintf("%s %d %+v", flow.State, flow.GraphRevision, flow.Counts),
		over: flow.State.Terminal() && flow.Counts.Active+flow.Counts.Suspended == 0,
		table: func(w io.Writer) {
			printFlow(w, flow)
			_, _ = io.WriteString(w, "\n")
			row(w, memberHead...)
			for _, n := range nodes {
				row(w, p.memberCells(n)...)
			}
		},
	}
}
