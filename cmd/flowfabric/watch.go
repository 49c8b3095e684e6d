package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newWatch() *cobra.Command {
	var f selection
	var every time.Duration
	page := paging{}
	cmd := onService(&cobra.Command{
		Use:   "watch [EXECUTION...]",
		Short: "Watch executions in a table that renews itself",
		Long: `Watch executions in a table that renews itself: those that are named, until all of them have ended, or
those that are chosen, until it is interrupted. Where no person watches, the table is printed whenever it has changed.`,
		Args: cobra.MaximumNArgs(flowfabric.DefaultPage),
	}, func(ctx context.Context, s *session, args []string) error {
		ids, err := executionIDs(args)
		if err != nil {
			return err
		}
		return watch(ctx, s, every, func(ctx context.Context) (frame, error) {
			if len(ids) > 0 {
				return s.framesOf(ctx, ids)
			}
			found, err := s.executions(ctx, &f, page)
			return executionFrame(s.out, found.Items), err
		})
	})
	f.flags(cmd.Flags())
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often to look, at least 100ms")
	cmd.Flags().IntVar(&page.limit, "limit", 20, "how many to show at most")
	return cmd
}

// frame is what a watcher sees at a moment.
type frame struct {
	value any             // the JSON form
	table func(io.Writer) // the form for people
	key   string          // changes when there is news
	over  bool            // there will be no more
}

// watch shows frames until one is the last, or until it is interrupted, which is no error.
func watch(ctx context.Context, s *session, every time.Duration, look func(context.Context) (frame, error)) error {
	const least = 100 * time.Millisecond
	terminal := isTerminal(s.out.w) && !s.out.json
	var shown string
	for {
		s.out.now = flowfabric.TimestampOf(s.clock.Now())
		f, err := look(ctx)
		if err != nil {
			return unlessInterrupted(ctx, err)
		}
		if terminal || f.key != shown {
			if err := s.show(f, terminal); err != nil {
				return err
			}
			shown = f.key
		}
		if f.over {
			return nil
		}
		if err := pause(ctx, s.clock.NewTimer(max(every, least))); err != nil {
			return unlessInterrupted(ctx, err)
		}
	}
}

// show writes a frame in one piece, over the one before if a person watches.
func (s *session) show(f frame, terminal bool) error {
	var b bytes.Buffer
	if terminal {
		b.WriteString("\x1b[H\x1b[2J") // to the top left; clear
	}
	p := s.out
	p.w = &b
	if err := p.value(f.value, f.table); err != nil {
		return err
	}
	_, err := s.out.w.Write(b.Bytes())
	return err
}

// framesOf looks at named executions.
func (s *session) framesOf(ctx context.Context, ids []flowfabric.ExecutionID) (frame, error) {
	var items []flowfabric.ExecutionSummary
	over := true
	for _, id := range ids {
		x, err := s.Describe(ctx, id)
		if err != nil {
			return frame{}, err
		}
		over = over && x.State.Finished()
		items = append(items, summaryOf(&x))
	}
	f := executionFrame(s.out, items)
	f.over = over
	return f, nil
}

func summaryOf(x *flowfabric.ExecutionSnapshot) flowfabric.ExecutionSummary {
	sum := flowfabric.ExecutionSummary{
		ExecutionID: x.ExecutionID, FlowID: x.FlowID, Lane: x.Lane, Namespace: x.Namespace, Kind: x.Kind, Priority: x.Priority,
		PublicState: x.PublicState, State: x.State, BlockingDetail: x.BlockingDetail, Tags: x.Tags, TotalAttempts: x.TotalAttempts,
		RetryCount: x.RetryCount, CreatedAt: x.CreatedAt, StartedAt: x.StartedAt, CompletedAt: x.CompletedAt,
		LastMutationAt: x.LastMutationAt, FailureReason: x.FailureReason,
	}
	if x.Lease != nil {
		sum.WorkerInstanceID = x.Lease.WorkerInstanceID
	}
	return sum
}

func executionFrame(p printer, items []flowfabric.ExecutionSummary) frame {
	var key bytes.Buffer
	for i := range items {
		fmt.Fprintln(&key, items[i].ExecutionID, items[i].PublicState, items[i].TotalAttempts, items[i].BlockingDetail)
	}
	return frame{
		value: flowfabric.Page[flowfabric.ExecutionSummary]{Items: items}, key: key.String(),
		table: func(w io.Writer) {
			row(w, executionHead...)
			for _, item := range items {
				row(w, p.executionCells(item)...)
			}
		},
	}
}

func executionIDs(args []string) ([]flowfabric.ExecutionID, error) {
	ids := make([]flowfabric.ExecutionID, 0, len(args))
	for _, arg := range args {
		id, err := flowfabric.ParseExecutionID(arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
