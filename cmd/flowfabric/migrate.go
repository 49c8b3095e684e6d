package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric/internal/backend"
)

func newMigrate() *cobra.Command {
	var url string
	var status bool
	cmd := &cobra.Command{
		Use:   "migrate --store URL",
		Short: "Bring the schema of a database up to date",
		Long: `Bring the schema of a database up to date. It only goes forward, may be repeated, and may run
beside other migrations and beside engines of the previous release.

` + storeHelp + "\n\n" + exitCodes,
		Example: `  flowfabric migrate --store postgres://app@localhost/app
  flowfabric migrate --store sqlite:app.db --status`,
		Args: cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				return usageError{errors.New("--store is required")}
			}
			if status {
				return printStatus(cmd.Context(), cmd.OutOrStdout(), url)
			}
			return migrate(cmd.Context(), cmd.OutOrStdout(), url)
		}),
	}
	cmd.Flags().StringVar(&url, "store", "", "the database")
	cmd.Flags().BoolVar(&status, "status", false, "print what is applied and what is pending, and change nothing")
	return cmd
}

const storeHelp = `A store is sqlite:PATH, postgres://user@host/database or memory:.`

func migrate(ctx context.Context, out io.Writer, url string) error {
	from, to, err := backend.Migrate(ctx, url)
	if err != nil {
		return err
	}
	if from == to {
		fmt.Fprintf(out, "%s is at version %d: nothing to do\n", backend.Redact(url), to)
		return nil
	}
	fmt.Fprintf(out, "%s migrated from version %d to %d\n", backend.Redact(url), from, to)
	return nil
}

func printStatus(ctx context.Context, out io.Writer, url string) error {
	s, err := backend.Status(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is at version %d\n", backend.Redact(url), s.Version)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, step := range s.Steps {
		fmt.Fprintf(w, "%d\t%s\t%s\n", step.Version, step.Name, step.AppliedAt.UTC().Format(time.RFC3339))
	}
	for _, name := range s.Pending {
		fmt.Fprintf(w, "\t%s\tpending\n", name)
	}
	return w.Flush()
}
