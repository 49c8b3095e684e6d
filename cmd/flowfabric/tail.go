package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newTail() *cobra.Command {
	var after string
	cmd := onService(&cobra.Command{
		Use:   "tail EXECUTION",
		Short: "Follow what an execution writes, over all its attempts, to its end",
		Long: `Follow what an execution writes, attempt after attempt, until it has ended. Marks where attempts begin and
end go to the standard error. With --json each frame and mark is a line, with a cursor to go on behind: --after.`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		q := flowfabric.FollowStream{ExecutionID: id, After: flowfabric.StreamCursor(after)}
		for item, err := range flowfabric.Follow(ctx, s.Service, q) {
			if err == nil {
				err = s.printItem(item)
			}
			if err != nil {
				return unlessInterrupted(ctx, err)
			}
		}
		return nil
	})
	cmd.Flags().StringVar(&after, "after", "", "go on behind this `CURSOR`")
	return cmd
}

// streamLine is the JSON form of what tail prints.
type streamLine struct {
	Kind         flowfabric.StreamItemKind `json:"kind"`
	AttemptIndex int                       `json:"attempt_index"`
	Frame        *flowfabric.StreamFrame   `json:"frame,omitzero"`
	ClosedAt     flowfabric.Timestamp      `json:"closed_at,omitzero"`
	ClosedReason flowfabric.StreamClosed   `json:"closed_reason,omitzero"`
	Cursor       flowfabric.StreamCursor   `json:"cursor"`
}

func (s *session) printItem(item flowfabric.StreamItem) error {
	if s.out.json {
		line := streamLine{
			Kind: item.Kind, AttemptIndex: item.AttemptIndex, ClosedAt: item.ClosedAt, ClosedReason: item.ClosedReason, Cursor: item.Cursor,
		}
		if item.Kind == flowfabric.StreamFrames {
			line.Frame = &item.Frame
		}
		return s.out.value(line, nil)
	}
	switch item.Kind {
	case flowfabric.StreamFrames:
		return writeLine(s.out.w, item.Frame.Payload)
	case flowfabric.StreamBegins:
		fmt.Fprintf(s.stderr, "--- attempt %d begins\n", item.AttemptIndex)
	case flowfabric.StreamEnds:
		fmt.Fprintf(s.stderr, "--- attempt %d ends: %s\n", item.AttemptIndex, item.ClosedReason)
	}
	return nil
}

func newLogs() *cobra.Command {
	var attempt, limit int
	var from string
	cmd := onService(&cobra.Command{
		Use:   "logs EXECUTION",
		Short: "Print what an attempt of an execution has written so far",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		q := flowfabric.ReadStream{ExecutionID: id, AttemptIndex: attempt, Limit: limit}
		if from != "" {
			if q.From, err = flowfabric.ParseFrameID(from); err != nil {
				return err
			}
		}
		if attempt < 0 {
			if q.AttemptIndex, err = s.latestAttempt(ctx, id); err != nil {
				return err
			}
		}
		return s.printFrames(ctx, q)
	})
	cmd.Flags().IntVar(&attempt, "attempt", -1, "index of the attempt, from 0; -1 for the latest")
	cmd.Flags().StringVar(&from, "from", "", "`ID` of the first frame")
	cmd.Flags().IntVar(&limit, "limit", flowfabric.MaxPage, fmt.Sprintf("how many frames to print at most, 1 to %d", flowfabric.MaxStreamPage))
	return cmd
}

func (s *session) latestAttempt(ctx context.Context, id flowfabric.ExecutionID) (int, error) {
	x, err := s.Describe(ctx, id)
	if err != nil || x.Attempt == nil {
		return 0, err
	}
	return x.Attempt.Index, nil
}

// printFrames prints one page, which a stream of large frames may end early.
func (s *session) printFrames(ctx context.Context, q flowfabric.ReadStream) error {
	page, err := s.ReadStream(ctx, q)
	if err != nil {
		return err
	}
	if s.out.json {
		return s.out.value(page, nil)
	}
	for _, f := range page.Frames {
		if err := writeLine(s.out.w, f.Payload); err != nil {
			return err
		}
	}
	if page.More && len(page.Frames) > 0 {
		fmt.Fprintf(s.stderr, "There is more: --attempt %d --from %s\n", q.AttemptIndex, page.Frames[len(page.Frames)-1].ID.Next())
	}
	return nil
}
