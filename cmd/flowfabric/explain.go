package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newExplain() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "explain EXECUTION",
		Short: "Say why an execution does not run: every gate before it, and what opens it",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		id, err := flowfabric.ParseExecutionID(args[0])
		if err != nil {
			return err
		}
		x, err := s.Explain(ctx, id)
		if err != nil {
			return err
		}
		return s.out.value(x, func(w io.Writer) {
			fmt.Fprintf(w, "%s is %s: %s\n", x.ExecutionID, x.PublicState, x.Verdict)
			for _, gate := range x.Gates {
				s.out.gate(w, &gate)
			}
			if x.Replayable {
				fmt.Fprintf(w, "It can be run again: flowfabric replay %s\n", x.ExecutionID)
			}
		})
	})
}

// gate prints a gate: what it is, since when, and what opens it.
func (p printer) gate(w io.Writer, g *flowfabric.Gate) {
	fmt.Fprintf(w, "  %s\t%s\t%s\n", g.State, g.Code, oneLine(g.Detail))
	for _, line := range []struct{ name, text string }{
		{"since", p.ago(g.Since)},
		{"opens", g.Release},
		{"at", instant(g.At)},
		{"missing", words(g.Missing)},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "\t%s\t%s\n", line.name, oneLine(line.text))
		}
	}
	for _, d := range g.Dependencies {
		fmt.Fprintf(w, "\tneeds\t%s %s %s\n", d.Upstream, d.Node, d.PublicState)
	}
	if g.More > 0 {
		fmt.Fprintf(w, "\t\tand %d more\n", g.More)
	}
}

// ago says when something was, and how long ago; empty if that is not known.
func (p printer) ago(t flowfabric.Timestamp) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s, %s ago", instant(t), p.age(t))
}
