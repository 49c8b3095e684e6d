package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

// onExecution is [onService] for commands whose first argument is an execution.
func onExecution(cmd *cobra.Command, fn func(ctx context.Context, s *session, id flowfabric.ExecutionID, rest []string) error) *cobra.Command {
	return onService(cmd, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		return fn(ctx, s, id, args[1:])
	})
}

func newCancel() *cobra.Command {
	var reason string
	cmd := onService(&cobra.Command{
		Use:   "cancel EXECUTION...",
		Short: "Cancel executions, whoever works on them",
		Long:  "Cancel executions, whoever works on them, one after the other. It stops at the first that cannot be cancelled.",
		Args:  cobra.MinimumNArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		ids, err := executionIDs(args)
		if err != nil {
			return err
		}
		for _, id := range ids {
			res, err := s.Cancel(ctx, flowfabric.Cancel{
				ExecutionID: id, Reason: reason, Source: flowfabric.SourceOperatorOverride, Actor: s.actor,
			})
			if err != nil {
				return err
			}
			if err := s.out.done(res, "%s is %s", res.ExecutionID, res.PublicState); err != nil {
				return err
			}
		}
		return nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func newReplay() *cobra.Command {
	var command flowfabric.Replay
	cmd := onExecution(&cobra.Command{
		Use:   "replay EXECUTION",
		Short: "Run a finished execution again",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, _ []string) error {
		command.ExecutionID, command.Actor = id, s.actor
		res, err := s.Replay(ctx, command)
		if err != nil {
			return err
		}
		return s.out.done(res, "%s is %s", id, res.PublicState)
	})
	cmd.Flags().StringVar(&command.Reason, "reason", "", "why, for the record")
	return cmd
}

func newPriority() *cobra.Command {
	return onExecution(&cobra.Command{
		Use:     "priority EXECUTION PRIORITY",
		Short:   "Change the priority of an execution that waits to be claimed",
		Example: "  flowfabric priority {fp:7}:9f1c… 100",
		Args:    cobra.ExactArgs(2),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, rest []string) error {
		n, err := strconv.Atoi(rest[0])
		if err != nil {
			return usageError{err}
		}
		res, err := s.ChangePriority(ctx, flowfabric.ChangePriority{ExecutionID: id, NewPriority: n, Actor: s.actor})
		if err != nil {
			return err
		}
		return s.out.done(res, "%s has priority %d, had %d", id, res.NewPriority, res.OldPriority)
	})
}

func newRevoke() *cobra.Command {
	var reason, instance string
	cmd := onExecution(&cobra.Command{
		Use:   "revoke EXECUTION",
		Short: "Take the lease from whoever works on an execution; the next claim continues the attempt",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, _ []string) error {
		res, err := s.RevokeLease(ctx, flowfabric.RevokeLease{
			ExecutionID: id, Reason: reason, WorkerInstanceID: flowfabric.WorkerInstanceID(instance), Actor: s.actor,
		})
		if err != nil {
			return err
		}
		if res.Outcome == flowfabric.AlreadySatisfied {
			return s.out.done(res, "%s: nothing to revoke: %s", id, res.Reason)
		}
		return s.out.done(res, "%s: lease %s is revoked", id, res.LeaseID)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().StringVar(&instance, "worker", "", "revoke it only if this worker `INSTANCE` holds it")
	return cmd
}

func newBlock() *cobra.Command {
	var detail, reason string
	cmd := onExecution(&cobra.Command{
		Use:   "block EXECUTION",
		Short: "Keep a waiting execution from being claimed until it is unblocked",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, _ []string) error {
		err := s.Block(ctx, flowfabric.Block{
			ExecutionID: id, Reason: flowfabric.BlockingReason(reason), Detail: detail, Actor: s.actor,
		})
		if err != nil {
			return err
		}
		return s.out.done(struct{}{}, "%s is blocked; flowfabric unblock %s lets it go on", id, id)
	})
	cmd.Flags().StringVar(&detail, "detail", "", "why, for people")
	cmd.Flags().StringVar(&reason, "reason", string(flowfabric.PausedByOperator), "blocking reason, for programs")
	return cmd
}

func newUnblock() *cobra.Command {
	var reason string
	cmd := onExecution(&cobra.Command{
		Use:   "unblock EXECUTION",
		Short: "Let a blocked execution go on",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, _ []string) error {
		err := s.Unblock(ctx, flowfabric.Unblock{
			ExecutionID: id, ExpectedReason: flowfabric.BlockingReason(reason), Actor: s.actor,
		})
		if err != nil {
			return err
		}
		return s.out.done(struct{}{}, "%s is unblocked", id)
	})
	cmd.Flags().StringVar(&reason, "reason", string(flowfabric.PausedByOperator), "the reason it is blocked for")
	return cmd
}

func newResume() *cobra.Command {
	var delay time.Duration
	var reason string
	cmd := onExecution(&cobra.Command{
		Use:   "resume EXECUTION",
		Short: "Resume a suspended execution, whatever it waits for",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.ExecutionID, _ []string) error {
		res, err := s.Resume(ctx, flowfabric.ResumeExecution{ExecutionID: id, Delay: delay, Reason: reason, Actor: s.actor})
		if err != nil {
			return err
		}
		return s.out.done(res, "%s is %s", id, res.PublicState)
	})
	cmd.Flags().DurationVar(&delay, "delay", 0, "how long it is to wait before it is claimed")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}
