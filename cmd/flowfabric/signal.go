package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newSignal() *cobra.Command {
	var token, identity, key string
	cmd := onExecution(&cobra.Command{
		Use:   "signal EXECUTION WAITPOINT NAME [PAYLOAD]",
		Short: "Signal a waitpoint of an execution",
		Long: `Signal a waitpoint of an execution. With its token the signal is that of anyone who was given the token;
without, it is an operator's approval. The payload is the text itself, @FILE, or - for the standard input.`,
		Example: `  flowfabric waitpoints {fp:7}:9f1c…
  flowfabric signal {fp:7}:9f1c… 0b7e… approved '{"limit":100}'`,
		Args: cobra.RangeArgs(3, 4),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, rest []string) (err error) {
		var point flowfabric.WaitpointID
		if err := point.UnmarshalText([]byte(rest[0])); err != nil {
			return err
		}
		var payload []byte
		if len(rest) > 2 {
			if payload, err = content(s.stdin, rest[2], flowfabric.MaxSignalBytes); err != nil {
				return err
			}
		}
		if identity == "" {
			identity = s.actor
		}
		var res flowfabric.SignalResult
		if token != "" {
			res, err = s.DeliverSignal(ctx, flowfabric.Signal{
				ExecutionID: id, WaitpointID: point, Token: flowfabric.WaitpointToken(token), Name: rest[1], SourceIdentity: identity,
				Payload: payload, IdempotencyKey: key,
			})
		} else {
			res, err = s.approve(ctx, flowfabric.Approval{
				ExecutionID: id, WaitpointID: point, Name: rest[1], Approver: identity, Payload: payload, IdempotencySuffix: key,
			})
		}
		if err != nil {
			return err
		}
		if res.Duplicate {
			return s.out.done(res, "signal %s had come before; nothing was done", res.SignalID)
		}
		return s.out.done(res, "signal %s: %s", res.SignalID, res.Effect)
	})
	cmd.Flags().StringVar(&token, "waitpoint-token", "", "the waitpoint's token")
	cmd.Flags().StringVar(&identity, "identity", "", "who sends it, which tells sources apart (default: the actor)")
	cmd.Flags().StringVar(&key, "key", "", "idempotency key: equal signals count once")
	return cmd
}

// approve fills in the lane, which an approval must name.
func (s *session) approve(ctx context.Context, cmd flowfabric.Approval) (flowfabric.SignalResult, error) {
	x, err := s.Describe(ctx, cmd.ExecutionID)
	if err != nil {
		return flowfabric.SignalResult{}, err
	}
	cmd.Lane = x.Lane
	return s.Approve(ctx, cmd)
}
