package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// session is what a command that works on a service is given.
type session struct {
	flowfabric.Service
	out    printer   // for results
	stdin  io.Reader // for payloads
	stderr io.Writer // for notes
	actor  string    // who does it, for the record
	clock  clock.Clock
}

// onService makes cmd work on a service: it gives it the flags that say which, and connects before fn is called.
func onService(cmd *cobra.Command, fn func(ctx context.Context, s *session, args []string) error) *cobra.Command {
	var t target
	var json bool
	var actor string
	t.flags(cmd.Flags())
	cmd.Flags().BoolVar(&json, "json", false, "print JSON, as the HTTP API has it")
	cmd.Flags().StringVar(&actor, "actor", "", "who does this, for the record (default: the user's name)")
	cmd.RunE = begin(func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		svc, closeService, err := t.connect(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeService()) }()
		real := clock.Real()
		return fn(ctx, &session{
			Service: svc, stdin: cmd.InOrStdin(), stderr: cmd.ErrOrStderr(), actor: cmp.Or(actor, os.Getenv("USER"), "cli"), clock: real,
			out: printer{w: cmd.OutOrStdout(), json: json, now: flowfabric.TimestampOf(real.Now())},
		}, args)
	})
	return cmd
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return errors.New("name one of its commands: see " + cmd.CommandPath() + " --help")
	}}
	cmd.AddCommand(below...)
	return cmd
}

// pause waits for a timer, or the end of ctx, which is an error.
func pause(ctx context.Context, timer *clock.Timer) error {
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// unlessInterrupted passes an error on, unless ctx has ended: interrupting is how one stops watching.
func unlessInterrupted(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}
