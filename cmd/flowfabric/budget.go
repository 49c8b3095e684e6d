package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
)

func newBudget() *cobra.Command {
	return group("budget", "Bound what executions consume",
		newBudgetCreate(), newBudgetGet(), newBudgetList(), newBudgetUpdate(), newBudgetReset(), newBudgetDelete(), newBudgetUsage())
}

// budgetFlags are what create and update have in common.
type budgetFlags struct {
	hard, soft   map[string]int64
	mode, action string
	reset        time.Duration
}

func (f *budgetFlags) flags(flags *pflag.FlagSet) {
	flags.StringToInt64Var(&f.hard, "hard", nil, "hard limits, `DIMENSION=AMOUNT,…`")
	flags.StringToInt64Var(&f.soft, "soft", nil, "soft limits, `DIMENSION=AMOUNT,…`: told, and hold nothing back")
	flags.StringVar(&f.mode, "mode", string(flowfabric.Strict), "strict, or advisory: breaches are told and hold nothing back")
	flags.StringVar(&f.action, "on-hard-limit", string(flowfabric.LimitWaits), "what follows a hard limit: wait, deny_child, suspend, close_scope, fail or warn")
	flags.DurationVar(&f.reset, "reset-every", 0, "set the usage back to nothing again and again, so often; 0 for never")
}

// onBudget is [onService] for commands whose first argument is a budget.
func onBudget(cmd *cobra.Command, fn func(ctx context.Context, s *session, id flowfabric.BudgetID, rest []string) error) *cobra.Command {
	return onService(cmd, func(ctx context.Context, s *session, args []string) error {
		var id flowfabric.BudgetID
		if err := id.UnmarshalText([]byte(args[0])); err != nil {
			return err
		}
		return fn(ctx, s, id, args[1:])
	})
}

func newBudgetCreate() *cobra.Command {
	var f budgetFlags
	var id, scope string
	cmd := onService(&cobra.Command{
		Use:     "create",
		Short:   "Define a budget, and print its id",
		Example: "  flowfabric budget create --hard total_tokens=1000000 --scope tenant:acme --reset-every 24h",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		command := flowfabric.CreateBudget{
			Scope: parseScope(scope), Mode: flowfabric.EnforcementMode(f.mode), OnHardLimit: flowfabric.LimitAction(f.action),
			Hard: f.hard, Soft: f.soft, ResetInterval: f.reset,
		}
		if id != "" {
			if err := command.BudgetID.UnmarshalText([]byte(id)); err != nil {
				return err
			}
		}
		made, res, err := s.CreateBudget(ctx, command)
		if err != nil {
			return err
		}
		return s.out.done(struct {
			BudgetID flowfabric.BudgetID     `json:"budget_id"`
			Result   flowfabric.CreateResult `json:"result"`
		}{made, res}, "%s", made)
	})
	f.flags(cmd.Flags())
	cmd.Flags().StringVar(&id, "id", "", "id of the budget (default: a new one)")
	cmd.Flags().StringVar(&scope, "scope", "", scopeHelp)
	return cmd
}

const scopeHelp = "what it applies to by itself, `TYPE:ID`: execution, flow, lane, tag (KEY=VALUE) or tenant (default: what names it)"

func parseScope(text string) flowfabric.Scope {
	kind, id, _ := strings.Cut(text, ":")
	return flowfabric.Scope{Type: flowfabric.ScopeType(kind), ID: id}
}

func scopeText(s flowfabric.Scope) string {
	if s.Type == flowfabric.ScopeNone {
		return ""
	}
	return string(s.Type) + ":" + s.ID
}

func newBudgetGet() *cobra.Command {
	return onBudget(&cobra.Command{
		Use:   "get BUDGET",
		Short: "Print a budget and its usage",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.BudgetID, _ []string) error {
		b, err := s.DescribeBudget(ctx, id)
		if err != nil {
			return err
		}
		return s.printBudget(&b)
	})
}

func (s *session) printBudget(b *flowfabric.BudgetStatus) error {
	return s.out.value(b, func(w io.Writer) {
		field(w, "budget", b.BudgetID)
		field(w, "scope", scopeText(b.Scope))
		field(w, "mode", b.Mode)
		field(w, "on hard limit", b.OnHardLimit)
		for _, amounts := range []struct {
			name string
			of   flowfabric.Amounts
		}{{"used", b.Usage}, {"reserved", b.Reserved}, {"hard", b.Hard}, {"soft", b.Soft}} {
			field(w, amounts.name, pairs(amounts.of))
		}
		field(w, "waiting", b.Waiting)
		field(w, "hard breaches", b.BreachCount)
		field(w, "soft breaches", b.SoftBreachCount)
		if b.ResetInterval > 0 {
			field(w, "reset every", b.ResetInterval)
		}
		field(w, "next reset", instant(b.NextResetAt))
		field(w, "last reset", instant(b.LastResetAt))
	})
}

func newBudgetList() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List budgets",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.BudgetStatus], error) {
			return s.ListBudgets(ctx, flowfabric.ListBudgets{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		head := []any{"BUDGET", "SCOPE", "MODE", "USED", "HARD", "WAITING"}
		return list(s, found, head, func(b flowfabric.BudgetStatus) []any {
			return []any{b.BudgetID, scopeText(b.Scope), b.Mode, pairs(b.Usage), pairs(b.Hard), b.Waiting}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}

func newBudgetUpdate() *cobra.Command {
	var f budgetFlags
	var given *pflag.FlagSet
	cmd := onBudget(&cobra.Command{
		Use:   "update BUDGET",
		Short: "Change a budget; what is not given stays, and a limit of 0 is taken away",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.BudgetID, _ []string) error {
		mode, action := flowfabric.EnforcementMode(f.mode), flowfabric.LimitAction(f.action)
		b, err := s.UpdateBudget(ctx, flowfabric.UpdateBudget{
			BudgetID: id, Hard: f.hard, Soft: f.soft, Actor: s.actor, Mode: ifGiven(given, "mode", &mode),
			OnHardLimit: ifGiven(given, "on-hard-limit", &action), ResetInterval: ifGiven(given, "reset-every", &f.reset),
		})
		if err != nil {
			return err
		}
		return s.printBudget(&b)
	})
	given = cmd.Flags()
	f.flags(given)
	return cmd
}

func newBudgetReset() *cobra.Command {
	return onBudget(&cobra.Command{
		Use:   "reset BUDGET",
		Short: "Set the usage of a budget to nothing",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.BudgetID, _ []string) error {
		b, err := s.ResetBudget(ctx, id)
		if err != nil {
			return err
		}
		return s.printBudget(&b)
	})
}

func newBudgetDelete() *cobra.Command {
	return onBudget(&cobra.Command{
		Use:   "delete BUDGET",
		Short: "Remove a budget that nothing waits for or holds",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, id flowfabric.BudgetID, _ []string) error {
		if err := s.DeleteBudget(ctx, id); err != nil {
			return err
		}
		return s.out.done(struct{}{}, "%s is deleted", id)
	})
}

func newBudgetUsage() *cobra.Command {
	var command flowfabric.ReportUsage
	var execution string
	cmd := onBudget(&cobra.Command{
		Use:     "usage BUDGET DIMENSION=AMOUNT...",
		Short:   "Report what was consumed of a budget",
		Long:    "Report what was consumed of a budget. A hard limit that it would break is exit status 4, and nothing is counted.",
		Example: "  flowfabric budget usage 6f0c… total_tokens=1200 --key {fp:7}:9f1c…:0",
		Args:    cobra.MinimumNArgs(2),
	}, func(ctx context.Context, s *session, id flowfabric.BudgetID, rest []string) (err error) {
		command.BudgetID = id
		if command.Amounts, err = parseAmounts(rest); err != nil {
			return err
		}
		if execution != "" {
			if command.ExecutionID, err = flowfabric.ParseExecutionID(execution); err != nil {
				return err
			}
		}
		res, err := s.ReportUsage(ctx, command)
		if err != nil {
			return err
		}
		return s.printUsage(res)
	})
	cmd.Flags().StringVar(&execution, "execution", "", "id of the execution that consumed it")
	cmd.Flags().StringVar(&command.DedupKey, "key", "", "reports with the same key count once")
	cmd.Flags().BoolVar(&command.Record, "record", false, "count it even where it breaks a limit")
	return cmd
}

func (s *session) printUsage(res flowfabric.UsageResult) error {
	if err := s.out.value(res, func(w io.Writer) {
		field(w, "outcome", res.Outcome)
		field(w, "dimension", res.Dimension)
		field(w, "used", res.Usage)
		field(w, "limit", res.Limit)
		field(w, "action", res.Action)
	}); err != nil || res.Outcome != flowfabric.UsageHardBreach {
		return err
	}
	return exitError{fmt.Errorf("the budget's limit of %d %s does not allow it", res.Limit, res.Dimension), exitConflict}
}

func parseAmounts(args []string) (flowfabric.Amounts, error) {
	amounts := flowfabric.Amounts{}
	for _, arg := range args {
		name, number, _ := strings.Cut(arg, "=")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || name == "" {
			return nil, usageError{fmt.Errorf("%q: want DIMENSION=AMOUNT, as in total_tokens=1200", arg)}
		}
		amounts[name] = n
	}
	return amounts, nil
}
