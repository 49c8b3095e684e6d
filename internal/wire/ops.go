package wire

import "github.com/flowfabric/flowfabric"

// Executions.
var (
	Submit    = define("submit", Submitter, Writes, service.Submit, repeatable)
	SubmitAll = define("submit_many", Submitter, Writes, submitMany, repeatable)
	Describe  = define("describe", Viewer, Reads, func(s service, c ctx, in OfExecution) (flowfabric.ExecutionSnapshot, error) {
		return s.Describe(c, in.ExecutionID)
	})
	GetResult = define("result", Viewer, Reads, func(s service, c ctx, in OfExecution) (flowfabric.Result, error) { return s.Result(c, in.ExecutionID) })
	Wait      = define("wait", Viewer, Waits, func(s service, c ctx, in WaitExecution) (flowfabric.Result, error) {
		return s.Wait(c, in.ExecutionID, in.Wait)
	})
	Attempts = define("list_attempts", Viewer, Reads, service.Attempts)
	Cancel   = define("cancel", Submitter, Writes, service.Cancel, repeatable, batched("cancel"))
	SetTags  = define("set_tags", Submitter, Writes, none(service.SetTags), repeatable)
	List     = define("list_executions", Viewer, Reads, service.List)
	ListOne  = define("list_partition", Viewer, Reads, service.ListPartition)
	Explain  = define("explain", Viewer, Reads, func(s service, c ctx, in OfExecution) (flowfabric.Explanation, error) {
		return s.Explain(c, in.ExecutionID)
	})
	ListSteps  = define("list_steps", Viewer, Reads, service.ListSteps)
	ReadLedger = define("ledger", Viewer, Reads, func(s service, c ctx, in OfExecution) (Ledger, error) {
		entries, err := s.Ledger(c, in.ExecutionID)
		return Ledger{entries}, err
	})
)

// What workers do. They name what they hold by execution and fence.
var (
	Claim        = define("claim", Worker, Waits, claim)
	Renew        = define("renew", Worker, Writes, renew, repeatable, batched("renew"))
	RenewAll     = define("renew_many", Worker, Writes, renewMany, repeatable)
	Progress     = define("update_progress", Worker, Writes, none(service.UpdateProgress), repeatable, batched("progress"))
	Complete     = define("complete", Worker, Writes, none(service.Complete), repeatable, batched("complete"))
	Fail         = define("fail", Worker, Writes, service.Fail, repeatable, batched("fail"))
	Delay        = define("delay", Worker, Writes, delay, repeatable, batched("delay"))
	Release      = define("release", Worker, Writes, none(service.Release), repeatable, batched("release"))
	WaitChildren = define("wait_children", Worker, Writes, none(service.WaitChildren), repeatable, batched("wait-children"))
	Suspend      = define("suspend", Worker, Writes, service.Suspend, repeatable, batched("suspend"))
	RecordStep   = define("record_step", Worker, Writes, service.RecordStep, repeatable, batched("steps"))
	AppendFrames = define("append_frames", Worker, Writes, service.AppendFrames, batched("frames"))
	ReportUsage  = define("report_usage", Worker, Writes, service.ReportUsage, batched("usage"))
	SealHandle   = define("seal_handle", Worker, Reads, sealHandle)
	OpenHandle   = define("open_handle", Worker, Reads, openHandle)
	Register     = define("register_worker", Worker, Writes, service.RegisterWorker, repeatable)
	Heartbeat    = define("heartbeat_worker", Worker, Writes, service.HeartbeatWorker, repeatable)
	MarkDead     = define("mark_worker_dead", Worker, Writes, service.MarkWorkerDead, repeatable)
	ListWorkers  = define("list_workers", Viewer, Reads, service.ListWorkers)
	ListExpired  = define("list_expired_leases", Viewer, Reads, service.ListExpiredLeases)
)

// What operators do.
var (
	ChangePriority = define("change_priority", Operator, Writes, service.ChangePriority)
	Replay         = define("replay", Operator, Writes, service.Replay)
	RevokeLease    = define("revoke_lease", Operator, Writes, service.RevokeLease)
	ClaimExecution = define("claim_execution", Operator, Writes, service.ClaimExecution)
	Block          = define("block", Operator, Writes, none(service.Block), repeatable)
	Unblock        = define("unblock", Operator, Writes, none(service.Unblock))
	Resume         = define("resume", Operator, Writes, service.Resume)
	UpdateLane     = define("update_lane", Operator, Writes, service.UpdateLane, repeatable)
	GetLane        = define("lane", Viewer, Reads, func(s service, c ctx, in OfLane) (flowfabric.LaneSnapshot, error) { return s.Lane(c, in.Lane) })
	ListLanes      = define("list_lanes", Viewer, Reads, service.ListLanes)
	LaneCounts     = define("lane_counts", Viewer, Reads, func(s service, c ctx, in OfLane) (flowfabric.LaneCounts, error) { return s.LaneCounts(c, in.Lane) })
)

// Flows.
var (
	SubmitFlow       = define("submit_flow", Submitter, Writes, submitFlow, repeatable)
	CreateFlow       = define("create_flow", Submitter, Writes, service.CreateFlow, repeatable)
	AddMember        = define("add_member", Submitter, Writes, service.AddMember, repeatable)
	StageEdge        = define("stage_edge", Submitter, Writes, service.StageEdge)
	ApplyEdge        = define("apply_edge", Submitter, Writes, service.ApplyEdge, repeatable)
	SetGroupPolicy   = define("set_group_policy", Submitter, Writes, setGroupPolicy, repeatable)
	SetFlowTags      = define("set_flow_tags", Submitter, Writes, none(service.SetFlowTags), repeatable)
	CancelFlow       = define("cancel_flow", Submitter, Waits, service.CancelFlow)
	CancelFlowHeader = define("cancel_flow_header", Operator, Writes, service.CancelFlowHeader, repeatable)
	AckCancelMember  = define("ack_cancel_member", Operator, Writes, none(service.AckCancelMember), repeatable)
	DescribeFlow     = define("describe_flow", Viewer, Reads, func(s service, c ctx, in OfFlow) (flowfabric.FlowSnapshot, error) {
		return s.DescribeFlow(c, in.FlowID)
	})
	FlowTags  = define("flow_tags", Viewer, Reads, flowTags)
	AwaitFlow = define("wait_flow", Viewer, Waits, func(s service, c ctx, in WaitFlow) (flowfabric.FlowSummary, error) {
		return s.WaitFlow(c, in.FlowID, in.Wait)
	})
	ListFlows    = define("list_flows", Viewer, Reads, service.ListFlows)
	ListNodes    = define("list_nodes", Viewer, Reads, service.ListNodes)
	ListEdges    = define("list_edges", Viewer, Reads, service.ListEdges)
	DescribeEdge = define("describe_edge", Viewer, Reads, func(s service, c ctx, in OfEdge) (flowfabric.EdgeSnapshot, error) {
		return s.DescribeEdge(c, in.FlowID, in.EdgeID)
	})
	ExplainFlow = define("explain_flow", Viewer, Reads, func(s service, c ctx, in OfFlow) (flowfabric.FlowExplanation, error) {
		return s.ExplainFlow(c, in.FlowID)
	})
)

// Waiting, and who resumes it.
var (
	CreateWaitpoint    = define("create_waitpoint", Worker, Writes, service.CreateWaitpoint)
	CloseWaitpoint     = define("close_waitpoint", Operator, Writes, service.CloseWaitpoint, repeatable)
	DeliverSignal      = define("deliver_signal", Bearer, Writes, service.DeliverSignal, repeatable)
	Approve            = define("approve", Operator, Writes, service.Approve, repeatable)
	SealLink           = define("seal_link", Bearer, Reads, sealLink)
	SignalByLink       = define("signal_by_link", Bearer, Writes, service.SignalByLink, repeatable)
	DescribeSuspension = define("describe_suspension", Viewer, Reads, describeSuspension)
	DescribeWaitpoint  = define("describe_waitpoint", Viewer, Reads, describeWaitpoint)
	WaitpointToken     = define("waitpoint_token", Operator, Reads, waitpointToken)
	ResumeSignals      = define("resume_signals", Viewer, Reads, func(s service, c ctx, in OfExecution) (flowfabric.ResumeSignals, error) {
		return s.ResumeSignals(c, in.ExecutionID)
	})
	ListPending   = define("list_pending_waitpoints", Viewer, Reads, service.ListPendingWaitpoints)
	ListSuspended = define("list_suspended", Viewer, Reads, service.ListSuspended)
)

// Output and events.
var (
	ReadStream     = define("read_stream", Viewer, Reads, service.ReadStream)
	TailStream     = define("tail_stream", Viewer, Waits, service.TailStream)
	DescribeStream = define("describe_stream", Viewer, Reads, func(s service, c ctx, in OfAttempt) (flowfabric.StreamInfo, error) {
		return s.DescribeStream(c, in.ExecutionID, in.AttemptIndex)
	})
	ReadSummary = define("read_summary", Viewer, Reads, func(s service, c ctx, in OfAttempt) (flowfabric.StreamSummary, error) {
		return s.ReadSummary(c, in.ExecutionID, in.AttemptIndex)
	})
	ReadEvents     = define("read_events", Viewer, Waits, service.ReadEvents)
	AckEvents      = define("ack_events", Viewer, Writes, service.AckEvents, repeatable)
	GetEventReader = define("event_reader", Viewer, Reads, func(s service, c ctx, in OfReader) (flowfabric.EventReader, error) { return s.EventReader(c, in.Name) })
	ListReaders    = define("list_event_readers", Viewer, Reads, service.ListEventReaders)
	ForgetReader   = define("forget_event_reader", Operator, Writes, forgetReader, repeatable)
)

// Limits, secrets and keys.
var (
	CreateBudget = define("create_budget", Admin, Writes, createBudget, repeatable)
	UpdateBudget = define("update_budget", Admin, Writes, service.UpdateBudget, repeatable)
	DeleteBudget = define("delete_budget", Admin, Writes, deleteBudget)
	ResetBudget  = define("reset_budget", Admin, Writes, func(s service, c ctx, in OfBudget) (flowfabric.BudgetStatus, error) {
		return s.ResetBudget(c, in.BudgetID)
	})
	DescribeBudget = define("describe_budget", Viewer, Reads, func(s service, c ctx, in OfBudget) (flowfabric.BudgetStatus, error) {
		return s.DescribeBudget(c, in.BudgetID)
	})
	ListBudgets   = define("list_budgets", Viewer, Reads, service.ListBudgets)
	GiveBack      = define("release_budget", Operator, Writes, releaseBudget, repeatable)
	CreateQuota   = define("create_quota", Admin, Writes, createQuota, repeatable)
	UpdateQuota   = define("update_quota", Admin, Writes, service.UpdateQuota, repeatable)
	DeleteQuota   = define("delete_quota", Admin, Writes, deleteQuota)
	DescribeQuota = define("describe_quota", Viewer, Reads, func(s service, c ctx, in OfQuota) (flowfabric.QuotaStatus, error) {
		return s.DescribeQuota(c, in.QuotaID)
	})
	ListQuotas    = define("list_quotas", Viewer, Reads, service.ListQuotas)
	ListQuotaKeys = define("list_quota_keys", Viewer, Reads, service.ListQuotaKeys)
	SeedSecret    = define("seed_secret", Admin, Writes, service.SeedSecret, repeatable)
	RotateSecret  = define("rotate_secret", Admin, Writes, service.RotateSecret, repeatable)
	ListSecrets   = define("list_secrets", Admin, Reads, listSecrets)
	CreateKey     = define("create_key", Admin, Writes, service.CreateKey)
	RotateKey     = define("rotate_key", Admin, Writes, service.RotateKey)
	RevokeKey     = define("revoke_key", Admin, Writes, service.RevokeKey, repeatable)
	VerifyKey     = define("verify_key", Admin, Reads, service.VerifyKey)
	ListKeys      = define("list_keys", Admin, Reads, service.ListKeys)
)
