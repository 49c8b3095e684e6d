package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newWorker() *cobra.Command {
	return group("worker", "See the workers that are registered", newWorkerList(), newWorkerLate())
}

func newWorkerList() *cobra.Command {
	var page paging
	var namespace string
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List the live worker instances of a namespace",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.WorkerSnapshot], error) {
			return s.ListWorkers(ctx, flowfabric.ListWorkers{Namespace: flowfabric.Namespace(namespace), After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		head := []any{"INSTANCE", "WORKER", "LANES", "CAPABILITIES", "REGISTERED", "LAST SEEN"}
		return list(s, found, head, func(w flowfabric.WorkerSnapshot) []any {
			return []any{
				w.WorkerInstanceID, w.WorkerID, words(w.Lanes), words(w.Capabilities), s.out.age(w.RegisteredAt), s.out.age(w.LastHeartbeatAt),
			}
		})
	})
	page.flags(cmd.Flags())
	cmd.Flags().StringVar(&namespace, "namespace", "", "namespace")
	return cmd
}

func newWorkerLate() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "late",
		Short: "List leases that have run out and were not claimed again",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.ExpiredLease], error) {
			return s.ListExpiredLeases(ctx, flowfabric.ListExpiredLeases{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, found, []any{"EXECUTION", "HELD BY", "ATTEMPT", "RAN OUT"}, func(l flowfabric.ExpiredLease) []any {
			return []any{l.ExecutionID, l.WorkerInstanceID, l.AttemptIndex, s.out.age(l.ExpiresAt)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}
