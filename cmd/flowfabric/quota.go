package main

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
)

func newQuota() *cobra.Command {
	return group("quota", "Bound how often, and how many at once, executions are let run",
		newQuotaCreate(), newQuotaGet(), newQuotaList(), newQuotaUpdate(), newQuotaDelete(), newQuotaKeys())
}

// quotaFlags are what create and update have in common.
type quotaFlags struct {
	rate, concurrent int64
	window, jitter   time.Duration
}

func (f *quotaFlags) flags(flags *pflag.FlagSet) {
	flags.Int64Var(&f.rate, "rate", 0, "how many begin in a window; 0 for no bound")
	flags.DurationVar(&f.window, "window", 0, "the window")
	flags.Int64Var(&f.concurrent, "max-concurrent", 0, "how many run at once; 0 for no bound")
	flags.DurationVar(&f.jitter, "jitter", 0, "by how much to spread those that were held back, up to the window")
}

// onQuota is [onService] for commands whose first argument is a quota.
func onQuota(cmd *cobra.Command, fn func(ctx context.Context, s *session, id flowfabric.QuotaID) error) *cobra.Command {
	return onService(cmd, func(ctx context.Context, s *session, args []string) error {
		var id flowfabric.QuotaID
		if err := id.UnmarshalText([]byte(args[0])); err != nil {
			return err
		}
		return fn(ctx, s, id)
	})
}

func newQuotaCreate() *cobra.Command {
	var f quotaFlags
	var id, scope, kind string
	cmd := onService(&cobra.Command{
		Use:     "create",
		Short:   "Define a quota, and print its id",
		Example: "  flowfabric quota create --rate 100 --window 1m --scope lane:mail",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		command := flowfabric.CreateQuota{
			Scope: parseScope(scope), Rate: f.rate, Window: f.window, WindowKind: flowfabric.WindowKind(kind),
			MaxConcurrent: f.concurrent, Jitter: f.jitter,
		}
		if id != "" {
			if err := command.QuotaID.UnmarshalText([]byte(id)); err != nil {
				return err
			}
		}
		made, res, err := s.CreateQuota(ctx, command)
		if err != nil {
			return err
		}
		return s.out.done(struct {
			QuotaID flowfabric.QuotaID      `json:"quota_id"`
			Result  flowfabric.CreateResult `json:"result"`
		}{made, res}, "%s", made)
	})
	f.flags(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "id of the quota (default: a new one)")
	cmd.Flags().StringVar(&scope, "scope", "", scopeHelp)
	cmd.Flags().StringVar(&kind, "window-kind", string(flowfabric.SlidingWindow), "sliding, or fixed")
	return cmd
}

func newQuotaGet() *cobra.Command {
	return onQuota(&cobra.Command{
		Use:   "get QUOTA",
		Short: "Print a quota",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.QuotaID) error {
		q, err := s.DescribeQuota(ctx, id)
		if err != nil {
			return err
		}
		return s.printQuota(&q)
	})
}

func (s *session) printQuota(q *flowfabric.QuotaStatus) error {
	return s.out.value(q, func(w io.Writer) {
		field(w, "quota", q.QuotaID)
		field(w, "scope", scopeText(q.Scope))
		if q.Rate > 0 {
			field(w, "rate", rateText(q))
			field(w, "window kind", q.WindowKind)
		}
		field(w, "max concurrent", q.MaxConcurrent)
		if q.Jitter > 0 {
			field(w, "jitter", q.Jitter)
		}
	})
}

func newQuotaList() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List quotas",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.QuotaStatus], error) {
			return s.ListQuotas(ctx, flowfabric.ListQuotas{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, found, []any{"QUOTA", "SCOPE", "RATE", "MAX CONCURRENT"}, func(q flowfabric.QuotaStatus) []any {
			return []any{q.QuotaID, scopeText(q.Scope), rateText(&q), bound(q.MaxConcurrent)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}

func rateText(q *flowfabric.QuotaStatus) string {
	if q.Rate == 0 {
		return "none"
	}
	return strconv.FormatInt(q.Rate, 10) + " in " + q.Window.String()
}

func newQuotaUpdate() *cobra.Command {
	var f quotaFlags
	var given *pflag.FlagSet
	cmd := onQuota(&cobra.Command{
		Use:   "update QUOTA",
		Short: "Change a quota; what is not given stays",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.QuotaID) error {
		q, err := s.UpdateQuota(ctx, flowfabric.UpdateQuota{
			QuotaID: id, Actor: s.actor, Rate: ifGiven(given, "rate", &f.rate), Window: ifGiven(given, "window", &f.window),
			MaxConcurrent: ifGiven(given, "max-concurrent", &f.concurrent), Jitter: ifGiven(given, "jitter", &f.jitter),
		})
		if err != nil {
			return err
		}
		return s.printQuota(&q)
	})
	given = cmd.Flags()
	f.flags(given)
	return cmd
}

func newQuotaDelete() *cobra.Command {
	return onQuota(&cobra.Command{
		Use:   "delete QUOTA",
		Short: "Remove a quota; what waits for it goes on",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.QuotaID) error {
		if err := s.DeleteQuota(ctx, id); err != nil {
			return err
		}
		return s.out.done(struct{}{}, "%s is deleted", id)
	})
}

func newQuotaKeys() *cobra.Command {
	var page paging
	cmd := onQuota(&cobra.Command{
		Use:   "keys QUOTA",
		Short: "List the keys of a quota that are in use",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.QuotaID) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.QuotaKeyStatus], error) {
			return s.ListQuotaKeys(ctx, flowfabric.ListQuotaKeys{QuotaID: id, After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, found, []any{"KEY", "ACTIVE", "IN WINDOW", "WAITING", "FREE AT"}, func(k flowfabric.QuotaKeyStatus) []any {
			return []any{k.Key, k.Active, k.InWindow, k.Waiting, instant(k.FreeAt)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}
