package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
)

// selection are the flags that choose executions.
type selection struct {
	lane, namespace, kind, tag string

	states []string
	since  time.Duration
}

func (f *selection) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.lane, "lane", "", "of this lane")
	flags.StringVar(&f.namespace, "namespace", "", "of this namespace")
	flags.StringVar(&f.kind, "kind", "", "of this kind")
	flags.StringSliceVar(&f.states, "state", nil, "in one of these `STATES`: waiting, active, suspended, failed, …")
	flags.StringVar(&f.tag, "tag", "", "with this tag, `KEY=VALUE`")
	flags.DurationVar(&f.since, "since", 0, "submitted no longer ago than this")
}

func (f *selection) query(now flowfabric.Timestamp) flowfabric.ListExecutions {
	q := flowfabric.ListExecutions{Lane: flowfabric.LaneID(f.lane), Namespace: flowfabric.Namespace(f.namespace), Kind: f.kind}
	for _, state := range f.states {
		q.States = append(q.States, flowfabric.PublicState(state))
	}
	q.TagKey, q.TagValue, _ = strings.Cut(f.tag, "=")
	if f.since > 0 {
		q.CreatedFrom = now.Add(-f.since)
	}
	return q
}

func newList() *cobra.Command {
	var f selection
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List executions, the newest first",
		Example: `  flowfabric list --lane mail --state failed,suspended --since 24h
  flowfabric list --tag org.team=media --json`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := s.executions(ctx, &f, page)
		if err != nil {
			return err
		}
		return list(s, found, executionHead, s.out.executionCells)
	})
	f.flags(cmd.Flags())
	page.flags(cmd.Flags())
	return cmd
}

func (s *session) executions(ctx context.Context, f *selection, p paging) (flowfabric.Page[flowfabric.ExecutionSummary], error) {
	q := f.query(s.out.now)
	return collect(ctx, p, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.ExecutionSummary], error) {
		q.After, q.Limit = p.after, p.limit
		return s.List(ctx, q)
	})
}

var executionHead = []any{"EXECUTION", "STATE", "KIND", "LANE", "ATTEMPTS", "AGE", "TAGS", "DETAIL"}

func (p printer) executionCells(x flowfabric.ExecutionSummary) []any {
	detail := x.FailureReason
	if detail == "" {
		detail = x.BlockingDetail
	}
	if detail == "" && x.PublicState == flowfabric.PublicActive {
		detail = "held by " + string(x.WorkerInstanceID)
	}
	return []any{x.ExecutionID, x.PublicState, x.Kind, x.Lane, x.TotalAttempts, p.age(x.CreatedAt), pairs(x.Tags), clip(detail)}
}

// clip keeps a text to what a table has room for.
func clip(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
