package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newWaitpoints() *cobra.Command {
	var page paging
	var lane, namespace string
	cmd := onService(&cobra.Command{
		Use:   "waitpoints [EXECUTION]",
		Short: "List suspended executions, or the waitpoints of one",
		Args:  cobra.MaximumNArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		if len(args) == 0 {
			return s.listSuspended(ctx, flowfabric.ListSuspended{
				Lane: flowfabric.LaneID(lane), Namespace: flowfabric.Namespace(namespace), After: page.after, Limit: page.limit,
			})
		}
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		q := flowfabric.ListPendingWaitpoints{ExecutionID: id, Limit: page.limit}
		if page.after != "" {
			if err := q.After.UnmarshalText([]byte(page.after)); err != nil {
				return err
			}
		}
		return s.listWaitpoints(ctx, q)
	})
	page.flags(cmd.Flags())
	cmd.Flags().StringVar(&lane, "lane", "", "executions of this lane")
	cmd.Flags().StringVar(&namespace, "namespace", "", "executions of this namespace")
	cmd.AddCommand(newWaitpointToken())
	return cmd
}

func (s *session) listSuspended(ctx context.Context, q flowfabric.ListSuspended) error {
	found, err := s.ListSuspended(ctx, q)
	if err != nil {
		return err
	}
	return list(s, found, []any{"EXECUTION", "SUSPENDED", "UNTIL", "WAITS FOR"}, func(x flowfabric.SuspendedExecution) []any {
		return []any{x.ExecutionID, s.out.age(x.SuspendedAt), instant(x.TimeoutAt), x.Reason}
	})
}

func (s *session) listWaitpoints(ctx context.Context, q flowfabric.ListPendingWaitpoints) error {
	found, err := s.ListPendingWaitpoints(ctx, q)
	if err != nil {
		return err
	}
	head := []any{"WAITPOINT", "KEY", "STATE", "SIGNALS", "RECEIVED", "EXPIRES"}
	return list(s, found, head, func(p flowfabric.WaitpointSnapshot) []any {
		return []any{p.WaitpointID, p.Key, p.State, words(p.RequiredSignalNames), p.SignalCount, instant(p.ExpiresAt)}
	})
}

func newWaitpointToken() *cobra.Command {
	return onExecution(&cobra.Command{
		Use:   "token EXECUTION WAITPOINT",
		Short: "Print the token of a waitpoint, a secret: whoever has it can signal",
		Args:  cobra.ExactArgs(2),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, rest []string) error {
		var point flowfabric.WaitpointID
		if err := point.UnmarshalText([]byte(rest[0])); err != nil {
			return err
		}
		token, err := s.WaitpointToken(ctx, id, point)
		if err != nil {
			return err
		}
		return s.out.done(struct {
			Token flowfabric.WaitpointToken `json:"token"`
		}{token}, "%s", token.Reveal())
	})
}
