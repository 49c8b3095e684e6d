package wire

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
)

// Commands of methods whose arguments have no struct of their own.
type (
	// SubmitMany carries many submissions; together they may be as large as the bound of a body.
	SubmitMany struct {
		Executions []flowfabric.Submit `json:"executions"`
	}
	// SubmitManyResult answers a [SubmitMany], in its order.
	SubmitManyResult struct {
		Results []flowfabric.SubmitResult `json:"results"`
	}
	// OfExecution names an execution.
	OfExecution struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	}
	// WaitExecution waits for the end of an execution.
	WaitExecution struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		Wait        time.Duration          `json:"timeout_ms,omitzero"`
	}
	// OfAttempt names an attempt.
	OfAttempt struct {
		ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
		AttemptIndex int                    `json:"attempt_index,omitzero"`
	}
	// OfWaitpoint names a waitpoint.
	OfWaitpoint struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		WaitpointID flowfabric.WaitpointID `json:"waitpoint_id"`
	}
	// OfFlow names a flow.
	OfFlow struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
	}
	// WaitFlow waits for the end of a flow.
	WaitFlow struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
		Wait   time.Duration     `json:"timeout_ms,omitzero"`
	}
	// OfEdge names an edge.
	OfEdge struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
		EdgeID flowfabric.EdgeID `json:"edge_id"`
	}
	// OfLane names a lane.
	OfLane struct {
		Lane flowfabric.LaneID `json:"lane_id"`
	}
	// OfHandle carries a handle.
	OfHandle struct {
		Handle flowfabric.Handle `json:"handle"`
	}
	// OfBudget names a budget.
	OfBudget struct {
		BudgetID flowfabric.BudgetID `json:"budget_id"`
	}
	// ReleaseBudget names a budget and who is given back what it consumed.
	ReleaseBudget struct {
		BudgetID    flowfabric.BudgetID    `json:"budget_id"`
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	}
	// OfQuota names a quota.
	OfQuota struct {
		QuotaID flowfabric.QuotaID `json:"quota_id"`
	}
	// OfReader names a reader of events.
	OfReader struct {
		Name string `json:"name"`
	}
)

// Answers of methods that return a bare value.
type (
	// Claimed answers a claim.
	Claimed struct {
		Executions []flowfabric.Claimed `json:"executions"`
	}
	// RenewMany carries many renewals.
	RenewMany struct {
		Leases []flowfabric.Renew `json:"leases"`
	}
	// RenewManyResult answers a [RenewMany], in its order.
	RenewManyResult struct {
		Results []flowfabric.RenewResult `json:"results"`
	}
	// Instant answers with an instant: the end of a lease, or of a delay.
	Instant struct {
		At flowfabric.Timestamp `json:"at"`
	}
	// Changed says whether anything was changed.
	Changed struct {
		Changed bool `json:"changed"`
	}
	// FlowCreated names a new flow.
	FlowCreated struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
	}
	// Tags are all tags of a flow.
	Tags struct {
		Tags map[string]string `json:"tags"`
	}
	// HandleText is a sealed handle.
	HandleText struct {
		Handle flowfabric.Handle `json:"handle"`
	}
	// Secrets lists secrets, without what is secret.
	Secrets struct {
		Secrets []flowfabric.SecretSnapshot `json:"secrets"`
	}
	// Link is a link that sends a signal.
	Link struct {
		Link flowfabric.SignalLink `json:"link"`
	}
	// Token is the token of a waitpoint.
	Token struct {
		Token flowfabric.WaitpointToken `json:"token"`
	}
	// BudgetCreated answers the creation of a budget.
	BudgetCreated struct {
		BudgetID flowfabric.BudgetID     `json:"budget_id"`
		Result   flowfabric.CreateResult `json:"result"`
	}
	// QuotaCreated answers the creation of a quota.
	QuotaCreated struct {
		QuotaID flowfabric.QuotaID      `json:"quota_id"`
		Result  flowfabric.CreateResult `json:"result"`
	}
	// Ledger is what an execution has consumed.
	Ledger struct {
		Entries []flowfabric.LedgerEntry `json:"entries"`
	}
)

// service and ctx are short for what every operation gets.
type (
	service = flowfabric.Service
	ctx     = context.Context
)
