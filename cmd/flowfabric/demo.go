package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric/cmd/flowfabric/internal/demo"
)

func newDemo() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Count the files below a folder with several worker processes, and kill one of them",
		Long: `Do real work on an embedded SQLite database: every file below DIR, by default the current folder,
becomes an execution that counts its words and lines and hashes it. Several worker processes share
the database. One in twenty first attempts fails on purpose and is retried. In the middle of the
run one process is killed with SIGKILL; what it held is taken back when its leases run out. In the
end the store is checked: each file completed exactly once, with the right hash.

` + exitCodes,
		Args: cobra.MaximumNArgs(1),
		RunE: begin(func(cmd *cobra.Command, args []string) error {
			cfg.Dir = "."
			if len(args) > 0 {
				cfg.Dir = args[0]
			}
			return runDemo(cmd, cfg)
		}),
	}
	cmd.Flags().IntVar(&cfg.Processes, "processes", 3, "worker processes, 2 to 16")
	cmd.Flags().StringVar(&cfg.DB, "keep", "", "make the database at `PATH` and keep it")
	return cmd
}

func runDemo(cmd *cobra.Command, cfg demo.Config) error {
	if cfg.Processes < demo.MinProcesses || cfg.Processes > demo.MaxProcesses {
		return usageError{fmt.Errorf("--processes is %d; it must be from %d to %d", cfg.Processes, demo.MinProcesses, demo.MaxProcesses)}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to run it as a worker: %w", err)
	}
	p := newProgress(cmd.ErrOrStderr())
	cfg.Watcher = p
	cfg.Spawn = func(w demo.WorkerConfig) *exec.Cmd {
		// It must outlive an interruption, which this process answers by stopping it in order.
		child := exec.CommandContext(context.WithoutCancel(cmd.Context()), self, workerArgs(w)...)
		child.Stderr = cmd.ErrOrStderr()
		return child
	}
	rep, err := demo.Run(cmd.Context(), cfg)
	p.end()
	switch {
	case errors.Is(err, demo.ErrNoFiles), errors.Is(err, fs.ErrExist), errors.Is(err, demo.ErrFolder):
		return usageError{err}
	case err != nil:
		return err
	}
	if err := printReport(cmd.OutOrStdout(), rep); err != nil {
		return err
	}
	if cfg.DB != "" {
		p.Note("the database is kept: " + cfg.DB)
	}
	if n := len(rep.Problems); n > 0 {
		return fmt.Errorf("%w: %d problems", errCheck, n)
	}
	return nil
}

// newDemoWorker is what demo runs as a process of its own.
func newDemoWorker() *cobra.Command {
	var w demo.WorkerConfig
	cmd := &cobra.Command{
		Use:    "demo-worker",
		Short:  "A worker process of demo; it stops when its input is closed",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			return demo.Work(cmd.Context(), w, cmd.InOrStdin(), cmd.OutOrStdout())
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&w.Name, "name", "w1", "name of the process")
	flags.StringVar(&w.DB, "db", "", "the SQLite file")
	flags.StringVar(&w.Dir, "dir", ".", "the folder whose files are counted")
	flags.IntVar(&w.Slots, "slots", 8, "files counted at once")
	flags.IntVar(&w.Prefetch, "prefetch", 0, "files fetched ahead")
	flags.DurationVar(&w.LeaseTTL, "lease-ttl", 0, "how long a lease lasts")
	flags.DurationVar(&w.Pace, "pace", 0, "how long a file takes at least, on average")
	return cmd
}

// workerArgs is the command line of a worker process.
func workerArgs(w demo.WorkerConfig) []string {
	return []string{
		"demo-worker", "--name", w.Name, "--db", w.DB, "--dir", w.Dir, "--slots", strconv.Itoa(w.Slots),
		"--prefetch", strconv.Itoa(w.Prefetch), "--lease-ttl", w.LeaseTTL.String(), "--pace", w.Pace.String(),
	}
}
