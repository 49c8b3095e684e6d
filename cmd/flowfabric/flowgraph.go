package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newFlowMembers() *cobra.Command {
	var page paging
	cmd := onFlow(&cobra.Command{
		Use:   "members FLOW",
		Short: "List the members of a flow",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, _ []string) error {
		nodes, err := s.members(ctx, id, page)
		if err != nil {
			return err
		}
		return list(s, nodes, memberHead, s.out.memberCells)
	})
	page.flags(cmd.Flags())
	return cmd
}

func (s *session) members(ctx context.Context, id flowfabric.FlowID, p paging) (flowfabric.Page[flowfabric.NodeSnapshot], error) {
	return collect(ctx, p, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.NodeSnapshot], error) {
		return s.ListNodes(ctx, flowfabric.ListNodes{FlowID: id, After: p.after, Limit: p.limit})
	})
}

var memberHead = []any{"NODE", "STATE", "KIND", "ATTEMPTS", "EXECUTION", "DETAIL"}

func (p printer) memberCells(n flowfabric.NodeSnapshot) []any {
	detail := n.FailureReason
	if detail == "" {
		detail = n.BlockingDetail
	}
	return []any{n.Node, n.PublicState, n.Kind, n.TotalAttempts, n.ExecutionID, clip(detail)}
}

func newFlowEdges() *cobra.Command {
	var page paging
	var from bool
	cmd := onFlow(&cobra.Command{
		Use:   "edges FLOW EXECUTION",
		Short: "List what members a member waits for, or with --from those that wait for it",
		Args:  cobra.ExactArgs(2),
	}, func(ctx context.Context, s *session, id flowfabric.FlowID, rest []string) error {
		member, err := flowfabric.ParseExecutionID(rest[0])
		if err != nil {
			return err
		}
		q := flowfabric.ListEdges{FlowID: id, To: member}
		if from {
			q.From, q.To = q.To, q.From
		}
		edges, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.EdgeSnapshot], error) {
			q.After, q.Limit = p.after, p.limit
			return s.ListEdges(ctx, q)
		})
		if err != nil {
			return err
		}
		return list(s, edges, []any{"EDGE", "STATE", "UPSTREAM", "DOWNSTREAM", "OUTCOME"}, func(e flowfabric.EdgeSnapshot) []any {
			return []any{e.EdgeID, e.State, e.Upstream, e.Downstream, e.Outcome}
		})
	})
	page.flags(cmd.Flags())
	cmd.Flags().BoolVar(&from, "from", false, "the edges that lead from the member instead of to it")
	return cmd
}
