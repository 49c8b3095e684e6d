package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

func TestDocs_AreThoseOfTheCommands(t *testing.T) {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	var b bytes.Buffer
	fmt.Fprint(&b, docsHead)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(g.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.ID && cmd.IsAvailableCommand() {
				describe(&b, cmd)
			}
		}
	}
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("docs/cli.md is not current; write it with go test ./cmd/flowfabric -run Docs -update (-file +commands):\n%s", diff)
	}
}

const docsHead = `# The command line

Generated from the commands themselves: ` + "`go test ./cmd/flowfabric -run Docs -update`" + `. The scripts in
cmd/flowfabric/testdata/script show the commands at work, and are tests.

Commands on executions, flows, lanes, limits, workers, events, secrets and keys take these flags besides their own.
` + targetHelp + `

` + "```" + `
      --server URL    URL of the server (default $FF_SERVER, or else ` + defaultServer + `)
      --token TOKEN   bearer token for the server (default $FF_TOKEN, which others cannot see)
      --store URL     store to open instead: sqlite:PATH, postgres://user@host/database
      --actor NAME    who does this, for the record (default: the user's name)
      --json          print JSON, as the HTTP API has it
` + "```" + `

| Exit status | |
|---|---|
| 0 | success |
| 1 | failure; also of an execution whose result is asked for, and of a check of demo, bench or doctor |
| 2 | bad usage: a flag, an argument, a URL or input that is no good |
| 3 | there is no such execution, flow, budget, quota, waitpoint or key |
| 4 | conflict with the present state |
| 5 | unavailable for now; it may be tried again |
| 130 | ended by a second signal |

A payload, a policy and a plan are the text itself, @FILE, or - for the standard input. Spans are written as 90s, 5m or 1h30m.
`

// describe writes a command, and those below it.
func describe(b *bytes.Buffer, cmd *cobra.Command) {
	if cmd.Name() == "completion" {
		fmt.Fprintf(b, "\n### %s bash, zsh, fish or powershell\n\n%s.\n", cmd.CommandPath(), cmd.Short)
		return
	}
	if !cmd.HasSubCommands() || cmd.Flags().HasFlags() {
		fmt.Fprintf(b, "\n### %s\n\n%s\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"), about(cmd))
		if text := ownFlags(cmd); text != "" {
			fmt.Fprintf(b, "\n```\n%s```\n", text)
		}
		if cmd.Example != "" {
			fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(cmd.Example))
		}
	}
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			describe(b, below)
		}
	}
}

func about(cmd *cobra.Command) string {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	return strings.TrimSpace(strings.TrimSuffix(text, exitCodes))
}

// ownFlags lists flags but those that all commands have.
func ownFlags(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	onService := cmd.Flags().Lookup("actor") != nil
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "help":
		case "server", "token", "store", "actor", "json":
			if !onService {
				own.AddFlag(f)
			}
		default:
			own.AddFlag(f)
		}
	})
	return own.FlagUsages()
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
