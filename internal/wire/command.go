package wire

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
)

type (
	// SubmitMany carries many submissions; together they may be as large as the bound of a body. It and those below are
	// commands of methods that take more than one argument, or none with a name.
	SubmitMany struct {
		Executions []flowfabric.Submit `json:"executions"`
	}
	SubmitManyResult struct {
		Results []flowfabric.SubmitResult `json:"results"`
	}
	OfExecution struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	}
	WaitExecution struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		Wait        time.Duration          `json:"timeout_ms,omitzero"`
	}
	OfAttempt struct {
		ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
		AttemptIndex int                    `json:"attempt_index,omitzero"`
	}
	OfWaitpoint struct {
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
		WaitpointID flowfabric.WaitpointID `json:"waitpoint_id"`
	}
	OfFlow struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
	}
	WaitFlow struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
		Wait   time.Duration     `json:"timeout_ms,omitzero"`
	}
	OfEdge struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
		EdgeID flowfabric.EdgeID `json:"edge_id"`
	}
	OfLane struct {
		Lane flowfabric.LaneID `json:"lane_id"`
	}
	OfHandle struct {
		Handle flowfabric.Handle `json:"handle"`
	}
	OfBudget struct {
		BudgetID flowfabric.BudgetID `json:"budget_id"`
	}
	ReleaseBudget struct {
		BudgetID    flowfabric.BudgetID    `json:"budget_id"`
		ExecutionID flowfabric.ExecutionID `json:"execution_id"`
	}
	OfQuota struct {
		QuotaID flowfabric.QuotaID `json:"quota_id"`
	}
	OfReader struct {
		Name string `json:"name"`
	}
)

type (
	// Claimed and those below answer for methods that return a bare value.
	Claimed struct {
		Executions []flowfabric.Claimed `json:"executions"`
	}
	RenewMany struct {
		Leases []flowfabric.Renew `json:"leases"`
	}
	RenewManyResult struct {
		Results []flowfabric.RenewResult `json:"results"`
	}
	Instant struct {
		At flowfabric.Timestamp `json:"at"`
	}
	Changed struct {
		Changed bool `json:"changed"`
	}
	FlowCreated struct {
		FlowID flowfabric.FlowID `json:"flow_id"`
	}
	Tags struct {
		Tags map[string]string `json:"tags"`
	}
	HandleText struct {
		Handle flowfabric.Handle `json:"handle"`
	}
	Secrets struct {
		Secrets []flowfabric.SecretSnapshot `json:"secrets"`
	}
	Link struct {
		Link flowfabric.SignalLink `json:"link"`
	}
	Token struct {
		Token flowfabric.WaitpointToken `json:"token"`
	}
	BudgetCreated struct {
		BudgetID flowfabric.BudgetID     `json:"budget_id"`
		Result   flowfabric.CreateResult `json:"result"`
	}
	QuotaCreated struct {
		QuotaID flowfabric.QuotaID      `json:"quota_id"`
		Result  flowfabric.CreateResult `json:"result"`
	}
	Ledger struct {
		Entries []flowfabric.LedgerEntry `json:"entries"`
	}
)

// service and ctx are short for what every operation gets.
type (
	service = flowfabric.Service
	ctx     = context.Context
)
