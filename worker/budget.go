package worker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/tokens"
)

// TaskBudget is all budgets a task's execution is under, by its policy and by its scopes; see [Budget]. Its methods are safe for
// concurrent use.
type TaskBudget struct {
	ctx  context.Context // of the call of Budget
	task *Task           // nil without one
}

// Budget returns the budgets of the task whose handler runs under ctx. Without a task every method fails with [ErrNoTask]; of an
// execution that is under no budget nothing is counted.
func Budget(ctx context.Context) *TaskBudget {
	t, _ := TaskFrom(ctx)
	return &TaskBudget{ctx: ctx, task: t}
}

// Report counts what the task has consumed on each of its budgets, once: a call to the engine that does not get through is
// repeated, also for two seconds after ctx has ended, and whether or not the lease is still there.
//
// The answer is that of the first budget whose hard limit is broken, or else of the first whose soft limit is; a soft limit is no
// error. When a hard limit is broken the amounts are counted all the same, as they were consumed, and Report fails with an error
// that matches [flowfabric.ErrBudgetExceeded]. A handler that returns it, however wrapped, does what the budget asks for:
//
//	wait, deny_child, suspend   it gives the execution back, which goes on when there is room, or an operator lets it; the error
//	                            matches ErrParked, too
//	fail                        it fails, category [flowfabric.FailureBudget], without a retry
//	close_scope                 the execution is cancelled
//
// A budget that only warns, or is advisory, is no error. Neither is one that was deleted. It also fails with
// [flowfabric.ErrInvalidInput] for bad amounts.
func (b *TaskBudget) Report(amounts flowfabric.Amounts) (flowfabric.UsageResult, error) {
	if b.task == nil {
		return flowfabric.UsageResult{}, errNoBudget()
	}
	t := b.task
	key := fmt.Sprintf("%s/%d/%d", t.ID(), t.Fence().Epoch, t.reports.Add(1))
	return b.report(key, amounts)
}

// ReportOnce is Report for what must count once even if the handler runs again: of all reports of this execution with the same
// key, [flowfabric.ValidateName], the first counts, until it is replayed, for [flowfabric.UsageDedup].
func (b *TaskBudget) ReportOnce(key string, amounts flowfabric.Amounts) (flowfabric.UsageResult, error) {
	if b.task == nil {
		return flowfabric.UsageResult{}, errNoBudget()
	}
	if err := flowfabric.ValidateName("key", key); err != nil {
		return flowfabric.UsageResult{}, Permanent(fmt.Errorf("report usage: %w", err))
	}
	sum := stepID{key: key}.derive("ff-usage-1", b.task)
	return b.report(hex.EncodeToString(sum[:]), amounts)
}

func errNoBudget() error { return Permanent(fmt.Errorf("budget: %w", ErrNoTask)) }

// ReportTokens reports what a model call has used on the budgets of the task whose handler made it, under the conventional
// dimensions. It is made for [tokens.Transport]:
//
//	models := &http.Client{Transport: &tokens.Transport{Report: worker.ReportTokens}}
//
// The error is that of [TaskBudget.Report], and comes to the handler by the response: see [tokens.Transport]. In a [Step] whose
// function returns it, the call to the model is made again when the execution goes on.
func ReportTokens(ctx context.Context, u tokens.Usage) error {
	amounts := flowfabric.Amounts{}
	for dimension, n := range map[string]int64{
		flowfabric.DimensionInputTokens:    u.Input,
		flowfabric.DimensionOutputTokens:   u.Output,
		flowfabric.DimensionThinkingTokens: u.Thinking,
		flowfabric.DimensionTokens:         u.Total,
	} {
		if n > 0 {
			amounts[dimension] = n
		}
	}
	if len(amounts) == 0 {
		return nil
	}
	_, err := Budget(ctx).Report(amounts)
	return err
}

// Room tells how much of each limited dimension the task may still consume before a hard limit is broken, as of about now:
// others spend, too. Of several budgets the least counts, and what is kept free for this execution counts as room. A dimension
// that is not in the answer has no limit.
func (b *TaskBudget) Room() (flowfabric.Amounts, error) {
	if b.task == nil {
		return nil, errNoBudget()
	}
	room := flowfabric.Amounts{}
	if len(b.task.claimed.Budgets) == 0 {
		return room, nil
	}
	ledger, err := insist(b.ctx, b.task, "read the ledger", "", func(ctx context.Context) ([]flowfabric.LedgerEntry, error) {
		return b.task.session.svc.Ledger(ctx, b.task.ID())
	})
	if err != nil {
		return nil, err
	}
	spent := make(map[flowfabric.BudgetID]flowfabric.Amounts, len(ledger))
	for _, entry := range ledger {
		spent[entry.BudgetID] = entry.Spent
	}
	for _, use := range b.task.claimed.Budgets {
		status, err := b.status(b.ctx, use.ID)
		if errors.Is(err, flowfabric.ErrBudgetNotFound) || err == nil && !holdsBack(&status) {
			continue
		}
		if err != nil {
			return nil, err
		}
		narrow(room, &status, use.Estimate, spent[use.ID])
	}
	return room, nil
}

// narrow leaves no more room than one budget has, of which estimate less spent is kept free for the task.
func narrow(room flowfabric.Amounts, status *flowfabric.BudgetStatus, estimate, spent flowfabric.Amounts) {
	for d, hard := range status.Hard {
		own := min(status.Reserved[d], max(0, estimate[d]-spent[d]))
		left := max(0, hard-status.Usage[d]-(status.Reserved[d]-own))
		if least, known := room[d]; !known || left < least {
			room[d] = left
		}
	}
}

// report reports to each budget under one key. All get it, whatever the first says.
func (b *TaskBudget) report(key string, amounts flowfabric.Amounts) (flowfabric.UsageResult, error) {
	ctx, release := lingering(b.ctx, b.task.session.clock)
	defer release()
	var answer flowfabric.UsageResult
	var failed error
	for _, use := range b.task.claimed.Budgets {
		res, err := b.reportTo(ctx, use.ID, key, amounts)
		switch {
		case err != nil && failed == nil:
			answer, failed = res, err
		case failed == nil && (answer.Outcome == "" || answer.Outcome == flowfabric.UsageOK || answer.Outcome == flowfabric.UsageAlreadyApplied):
			answer = res
		}
	}
	if answer.Outcome == "" && failed == nil {
		answer.Outcome = flowfabric.UsageOK
	}
	return answer, failed
}

// reportTo reports to one budget.
func (b *TaskBudget) reportTo(ctx context.Context, id flowfabric.BudgetID, key string, amounts flowfabric.Amounts) (flowfabric.UsageResult, error) {
	res, err := insist(ctx, b.task, "report usage", "", func(ctx context.Context) (flowfabric.UsageResult, error) {
		return b.task.session.svc.ReportUsage(ctx, flowfabric.ReportUsage{
			BudgetID: id, ExecutionID: b.task.ID(), Amounts: amounts, DedupKey: key, Record: true,
		})
	})
	if errors.Is(err, flowfabric.ErrBudgetNotFound) {
		return flowfabric.UsageResult{Outcome: flowfabric.UsageOK}, nil
	}
	if err != nil || res.Outcome != flowfabric.UsageHardBreach && res.Outcome != flowfabric.UsageAlreadyApplied {
		return res, err
	}
	status, err := b.status(ctx, id)
	if err != nil {
		return res, err
	}
	if res.Outcome == flowfabric.UsageAlreadyApplied { // of a report whose answer was lost: it may have been a breach
		res = broken(&status, amounts)
	}
	if res.Outcome != flowfabric.UsageHardBreach || !holdsBack(&status) {
		return res, nil
	}
	return res, exceeded(id, &res)
}

func (b *TaskBudget) status(ctx context.Context, id flowfabric.BudgetID) (flowfabric.BudgetStatus, error) {
	return insist(ctx, b.task, "describe budget", "", func(ctx context.Context) (flowfabric.BudgetStatus, error) {
		return b.task.session.svc.DescribeBudget(ctx, id)
	})
}

// holdsBack reports whether the hard limits of a budget hold anything back.
func holdsBack(status *flowfabric.BudgetStatus) bool {
	return status.Mode == flowfabric.Strict && status.OnHardLimit != flowfabric.LimitWarns
}

// broken is the answer to a repeated report: a breach, if a hard limit of its dimensions is broken now.
func broken(status *flowfabric.BudgetStatus, amounts flowfabric.Amounts) flowfabric.UsageResult {
	for _, d := range amounts.Dimensions() {
		if hard := status.Hard[d]; hard > 0 && status.Usage[d] > hard {
			return flowfabric.UsageResult{
				Outcome: flowfabric.UsageHardBreach, Dimension: d, Usage: status.Usage[d], Limit: hard, Action: status.OnHardLimit, Counted: true,
			}
		}
	}
	return flowfabric.UsageResult{Outcome: flowfabric.UsageAlreadyApplied}
}

// overBudget is how a handler ends whose budget is used up.
type overBudget struct {
	breach *flowfabric.Error
	ends   error // what the handler does by returning it
}

func (o *overBudget) Error() string { return o.breach.Error() }

// Unwrap makes it match [flowfabric.ErrBudgetExceeded] and end the run of a handler.
func (o *overBudget) Unwrap() []error { return []error{o.breach, o.ends} }

// Is makes it match [ErrParked] if the execution is to go on later.
func (o *overBudget) Is(target error) bool {
	var later *delayed
	return target == ErrParked && errors.As(o.ends, &later)
}

// exceeded is the error of a breach.
func exceeded(id flowfabric.BudgetID, res *flowfabric.UsageResult) error {
	err := &flowfabric.Error{
		Code: flowfabric.CodeBudgetExceeded,
		Detail: fmt.Sprintf("budget %s: the hard limit %d of %s is broken, and the budget says %s: return this error",
			id, res.Limit, res.Dimension, res.Action),
		Attrs: map[string]string{
			"budget_id": id.String(), "dimension": res.Dimension, "limit": strconv.FormatInt(res.Limit, 10), "action": string(res.Action),
		},
	}
	switch res.Action {
	case flowfabric.LimitFails:
		return &overBudget{err, FailWith(flowfabric.FailureBudget, err)}
	case flowfabric.LimitCancels:
		return &overBudget{err, Cancel(err.Detail)}
	default:
		return &overBudget{err, Delay(0)}
	}
}

// lingering returns a context that ends recordGrace after ctx. The second result releases it.
func lingering(ctx context.Context, c clock.Clock) (context.Context, func()) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		loop.Sleep(longer, c, recordGrace, nil)
		end(context.Cause(ctx))
	})
	return longer, func() {
		forget()
		end(nil)
	}
}
