package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

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
		if what := advice(err); what != "" {
			fmt.Fprintf(stderr, "%s\n", what)
		}
	}
	if code == exitUsage {
		fmt.Fprintf(stderr, "See: %s --help\n", cmd.CommandPath())
	}
	return code
}

// Groups of commands, in the order of the help.
const (
	groupServer     = "server"
	groupExecutions = "executions"
	groupOperators  = "operators"
	groupObjects    = "objects"
	groupTools      = "tools"
)

var groups = []*cobra.Group{
	{ID: groupServer, Title: "Server:"},
	{ID: groupExecutions, Title: "Executions:"},
	{ID: groupOperators, Title: "What operators do to executions:"},
	{ID: groupObjects, Title: "Everything else:"},
	{ID: groupTools, Title: "Tools:"},
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "flowfabric",
		Short:         "A durable execution engine",
		Long:          "FlowFabric is a durable execution engine.\n\n" + exitCodes,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(groups...)
	for id, commands := range map[string][]*cobra.Command{
		groupServer:     {newServe(), newDev(), newMigrate(), newDoctor(), newAdmin()},
		groupExecutions: {newSubmit(), newGet(), newList(), newWatch(), newResult(), newLogs(), newTail(), newExplain()},
		groupOperators: {
			newCancel(), newReplay(), newPriority(), newRevoke(), newBlock(), newUnblock(), newResume(), newSignal(), newWaitpoints(),
		},
		groupObjects: {newFlow(), newLane(), newBudget(), newQuota(), newWorker(), newEvents(), newSecrets(), newKey()},
		groupTools:   {newDemo(), newBench(), newVersion()},
	} {
		for _, cmd := range commands {
			cmd.GroupID = id
			root.AddCommand(cmd)
		}
	}
	root.SetCompletionCommandGroupID(groupTools)
	root.SetHelpCommandGroupID(groupTools)
	root.AddCommand(newDemoWorker())
	return root
}

// begin makes a command's RunE of fn.
func begin(fn func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := fn(cmd, args); err != nil {
			return begun{err}
		}
		return nil
	}
}
