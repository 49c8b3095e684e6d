package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newEvents() *cobra.Command {
	return group("events", "Read the log of what happened", newEventsTail(), newEventsReaders())
}

func newEventsTail() *cobra.Command {
	var q flowfabric.ReadEvents
	var after, lane, namespace, execution string
	var stop bool
	cmd := onService(&cobra.Command{
		Use:   "tail [FAMILY]",
		Short: "Follow the events of a family: completion, lease_history, signal_delivery or operator",
		Long: `Follow the events of a family, by default completion, from now on; --after oldest begins with everything
that is kept. With --json each event is a line, with a cursor to go on behind.`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"completion", "lease_history", "signal_delivery", "operator"},
	}, func(ctx context.Context, s *session, args []string) (err error) {
		q.Family = flowfabric.EventsCompletion
		if len(args) > 0 {
			q.Family = flowfabric.EventFamily(args[0])
		}
		q.After, q.Limit = flowfabric.EventCursor(after), flowfabric.MaxPage
		q.Filter.Lane, q.Filter.Namespace = flowfabric.LaneID(lane), flowfabric.Namespace(namespace)
		if execution != "" {
			if q.Filter.ExecutionID, err = flowfabric.ParseExecutionID(execution); err != nil {
				return err
			}
		}
		return s.tailEvents(ctx, q, stop)
	})
	flags := cmd.Flags()
	flags.StringVar(&after, "after", "", "begin behind this `CURSOR`, or with oldest")
	flags.BoolVar(&stop, "no-follow", false, "stop behind the last event there is")
	flags.StringSliceVar(&q.Filter.Types, "type", nil, "only these types of events")
	flags.StringVar(&lane, "lane", "", "only of executions of this lane")
	flags.StringVar(&namespace, "namespace", "", "only of this namespace")
	flags.StringVar(&execution, "execution", "", "only of this execution")
	flags.StringVar(&q.Filter.Kind, "kind", "", "only of executions of this kind")
	return cmd
}

func (s *session) tailEvents(ctx context.Context, q flowfabric.ReadEvents, stop bool) error {
	if !stop {
		q.Wait = flowfabric.MaxClaimWait
	}
	for {
		page, err := s.ReadEvents(ctx, q)
		if err != nil {
			return unlessInterrupted(ctx, err)
		}
		for _, event := range page.Events {
			if err := s.out.value(event, func(w io.Writer) { eventLine(w, &event) }); err != nil {
				return err
			}
		}
		if stop && !page.More {
			return nil
		}
		q.After = page.Next
	}
}

func eventLine(w io.Writer, e *flowfabric.Event) {
	row(w, instant(e.At), e.Type, e.ExecutionID, e.WorkerInstanceID, e.Reason, string(e.Details))
}

func newEventsReaders() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "readers",
		Short: "List the readers whose place in the log is kept",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.EventReader], error) {
			return s.ListEventReaders(ctx, flowfabric.ListEventReaders{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, found, []any{"READER", "FAMILY", "CURSOR", "UPDATED"}, func(r flowfabric.EventReader) []any {
			return []any{r.Name, r.Family, r.Cursor, s.out.age(r.UpdatedAt)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}
