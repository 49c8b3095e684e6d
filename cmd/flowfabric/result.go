package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newResult() *cobra.Command {
	var wait time.Duration
	cmd := onService(&cobra.Command{
		Use:   "result EXECUTION",
		Short: "Print what an execution came to",
		Long: `Print the payload a finished execution left, as it is. An execution that ended otherwise than with
success gives exit status 1, one that has not ended 4.`,
		Example: "  flowfabric result {fp:7}:9f1c… --wait 5m",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		return awaitResult(ctx, s, id, wait)
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait so long for its end")
	return cmd
}

// awaitResult waits up to wait for the end of an execution and prints its result.
func awaitResult(ctx context.Context, s *session, id flowfabric.ExecutionID, wait time.Duration) error {
	res, err := await(ctx, s, id, wait)
	if err != nil {
		return err
	}
	if s.out.json {
		err = s.out.value(res, nil)
	} else {
		err = writeLine(s.out.w, res.Payload)
	}
	switch {
	case err != nil || res.Outcome == flowfabric.OutcomeSuccess:
		return err
	case res.Outcome == flowfabric.OutcomeNone:
		return exitError{fmt.Errorf("%s has not ended; --wait waits for it", id), exitConflict}
	case res.FailureReason != "":
		return fmt.Errorf("%s %s: %s", id, res.Outcome, res.FailureReason)
	}
	return fmt.Errorf("%s ended as %s", id, res.Outcome)
}

// await is Wait without its bound on the time.
func await(ctx context.Context, s *session, id flowfabric.ExecutionID, wait time.Duration) (flowfabric.Result, error) {
	until := s.clock.Now().Add(wait)
	for {
		left := max(until.Sub(s.clock.Now()), 0)
		res, err := s.Wait(ctx, id, min(left, flowfabric.MaxClaimWait))
		if err != nil || res.Outcome != flowfabric.OutcomeNone || left == 0 {
			return res, err
		}
	}
}

// writeLine writes what a handler or a stream left, and ends the line.
func writeLine(w io.Writer, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(bytes.Clone(text), '\n')
	}
	_, err := w.Write(text)
	return err
}
