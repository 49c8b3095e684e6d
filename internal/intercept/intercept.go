// Package intercept puts one function around every operation of a [flowfabric.Service]. What does it is generated from the
// interface, so that no operation can be missed (chapter 80, section 6).
package intercept

import (
	"context"

	"github.com/flowfabric/flowfabric"
)

//go:generate go run gen.go

// Call is an operation about to be done, with what its command names. It has no payload and no secret.
type Call struct {
	Op               string // snake_case, as in chapter 80, section 11
	ExecutionID      flowfabric.ExecutionID
	FlowID           flowfabric.FlowID
	Lane             flowfabric.LaneID
	Namespace        flowfabric.Namespace
	Fence            flowfabric.Fence
	WorkerID         flowfabric.WorkerID
	WorkerInstanceID flowfabric.WorkerInstanceID
	WaitpointID      flowfabric.WaitpointID
	BudgetID         flowfabric.BudgetID
}

// Around is called before an operation. It returns the context of the operation and what to call with its error after it.
type Around func(ctx context.Context, c Call) (context.Context, func(error))

// Service returns svc with around called around each of its operations.
func Service(svc flowfabric.Service, around Around) flowfabric.Service {
	return &service{svc: svc, around: around}
}

type service struct {
	svc    flowfabric.Service
	around Around
}

var _ flowfabric.Service = (*service)(nil)
