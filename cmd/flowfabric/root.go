package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric/bench"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// Exit codes, as the package documentation has them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitCheck   = 3
)

const exitCodes = `Exit status: 0 success, 1 failure, 2 a bad flag, argument or URL, 3 the check of demo or bench failed.`

var errCheck = errors.New("check failed")

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	if err != nil {
		fmt.Fprintf(stderr, "flowfabric: %v\n", err)
	}
	if code == exitUsage {
		fmt.Fprintf(stderr, "See: %s --help\n", cmd.CommandPath())
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "flowfabric",
		Short:         "A durable execution engine",
		Long:          "FlowFabric is a durable execution engine.\n\n" + exitCodes,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newDemo(), newDemoWorker(), newBench(), newMigrate(), newVersion())
	return root
}

// begun marks the error of a command that has begun. All others are cobra's, about the command line.
type begun struct{ error }

func (e begun) Unwrap() error { return e.error }

// usageError marks an error of a command that has begun, but can do nothing with what it was told.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// begin makes a command's RunE of fn.
func begin(fn func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := fn(cmd, args); err != nil {
			return begun{err}
		}
		return nil
	}
}

func exitCode(err error) int {
	var b begun
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case !errors.As(err, &b), errors.As(err, &u), errors.Is(err, backend.ErrURL), errors.Is(err, bench.ErrOptions):
		return exitUsage
	case errors.Is(err, errCheck), errors.Is(err, bench.ErrNotDurable):
		return exitCheck
	}
	return exitFailure
}
