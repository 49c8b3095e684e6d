package flowfabric

import (
	"context"
	"time"
)

// Service is everything an engine offers. engine.Engine implements it in process. All methods are safe for concurrent
// use. Failures are *[Error]; a call whose context ends while its commit is under way fails with [ErrTimeout], its
// outcome unknown, and may be repeated.
type Service interface {
	Executions
	Workers
	Operator
	Flows
	Explainer
	Lanes
	Registry
	Handles
	Secrets
	Keys
	Suspensions
	Steps
	Budgets
	Quotas
	Streams
	Events
}

// Executions submits, watches and ends executions (chapter 10).
type Executions interface {
	// Submit creates an execution. When it returns, the execution is durable. Repeating it with the same ID, or with the
	// same namespace and idempotency key, gives a Duplicate. A lane that is draining or disabled takes none:
	// [ErrLaneClosed].
	Submit(ctx context.Context, cmd Submit) (SubmitResult, error)
	// SubmitMany creates up to [MaxSubmitMany] executions in few commits and answers each in order. If any command is
	// invalid nothing is written and the error names its position. An idempotency conflict rejects its item alone.
	SubmitMany(ctx context.Context, cmds []Submit) ([]SubmitResult, error)
	// Describe tells the state of an execution. It fails with [ErrExecutionNotFound].
	Describe(ctx context.Context, id ExecutionID) (ExecutionSnapshot, error)
	// Result returns how an execution ended; Outcome is [OutcomeNone] while it has not. It fails with
	// [ErrExecutionNotFound].
	Result(ctx context.Context, id ExecutionID) (Result, error)
	// Wait is Result that waits up to wait, 0 to [MaxClaimWait], for the execution to end.
	Wait(ctx context.Context, id ExecutionID, wait time.Duration) (Result, error)
	// Attempts lists the attempts of an execution, the running one included. It fails with [ErrExecutionNotFound].
	Attempts(ctx context.Context, q ListAttempts) (Page[AttemptSnapshot], error)
	// Cancel ends an execution. Cancelling a cancelled one again succeeds and changes nothing; one that ended otherwise
	// is refused with [ErrInvalidInput], naming the state (chapter 30, section 30.5). An unprivileged source needs the
	// current fence while the execution is leased: [ErrFenceRequired], [ErrPartialFence], [ErrLeaseExpired], [ErrStaleLease].
	Cancel(ctx context.Context, cmd Cancel) (CancelResult, error)
	// SetTags adds tags to an execution in any state, or overwrites them. Nothing is written if any is refused:
	// [ErrInvalidInput] for none, too many in all or a bad value, [ErrInvalidTagKey]. It fails with [ErrExecutionNotFound].
	SetTags(ctx context.Context, cmd SetTags) error
	// List returns executions by the time of their submission, newest first, as of about now. A cursor is good for the
	// filters it was made with; any other fails with [ErrInvalidInput], as does a state nobody knows.
	List(ctx context.Context, q ListExecutions) (Page[ExecutionSummary], error)
	// ListPartition lists the executions of a partition. Next is the last id of the page, if there are others behind it. It
	// fails with [ErrInvalidInput].
	ListPartition(ctx context.Context, q ListPartition) (Page[ExecutionID], error)
}

// Workers claims executions and reports on them (chapter 10, sections 3.5 to 3.12). Every call but Claim presents a
// fence. What time alone has done to the execution counts first, whether or not anything has noticed: a lease that ran
// out (I7), an attempt that used up its time, a deadline that passed. Then checks run in this order, and the first that
// fails names the error: the execution exists ([ErrExecutionNotFound]), the fence is complete ([ErrFenceRequired],
// [ErrPartialFence]), the execution is active ([ErrExecutionNotActive]), the lease is not revoked ([ErrLeaseRevoked]) and
// has not run out ([ErrLeaseExpired]), the fence is the current one ([ErrStaleLease]). After any of these the worker must
// stop. Repeating a call that succeeded gives the same answer.
type Workers interface {
	// Claim hands out up to Max executions, waiting up to Wait for the first. No work is an empty slice, not an error. A
	// claim whose context ends while a grant is under way gives back what it was granted.
	Claim(ctx context.Context, cmd Claim) ([]Claimed, error)
	// Renew extends one lease and returns its new expiry. The epoch is unchanged (I5).
	Renew(ctx context.Context, cmd Renew) (Timestamp, error)
	// RenewMany renews up to [MaxRenewMany] leases in few commits and answers each in order.
	RenewMany(ctx context.Context, cmds []Renew) ([]RenewResult, error)
	// UpdateProgress records progress. The lease keeps its expiry.
	UpdateProgress(ctx context.Context, cmd UpdateProgress) error
	// Complete ends the execution with success and stores its result.
	Complete(ctx context.Context, cmd Complete) error
	// Fail ends the attempt with a failure and, if the policy allows, schedules a retry.
	Fail(ctx context.Context, cmd Fail) (FailResult, error)
	// Delay gives the lease back until a time and returns that time; the same attempt continues then.
	Delay(ctx context.Context, cmd Delay) (Timestamp, error)
	// Release gives the lease back at once. The same attempt continues with the next claim.
	Release(ctx context.Context, cmd Release) error
}

// Operator is control over executions from outside (chapter 30). What a call changes is told by one operator event, which
// names the actor. So is a Cancel of source operator_override.
type Operator interface {
	// ChangePriority re-orders an execution that is runnable and eligible; any other state fails with
	// [ErrExecutionNotEligible]. Setting the priority it has is a change too.
	ChangePriority(ctx context.Context, cmd ChangePriority) (ChangePriorityResult, error)
	// Replay makes a finished execution runnable again, with its retry budget fresh and a deadline of its policy counted
	// anew; one that was set as an instant stays if it is still to come, and is dropped if it has passed. It fails with
	// [ErrExecutionNotTerminal] or [ErrMaxReplaysExhausted], and for a member of a flow with [ErrFlowAlreadyTerminal] if that
	// is cancelled, with [ErrFlowNotFound] if it is kept no longer. Not idempotent: each success counts.
	Replay(ctx context.Context, cmd Replay) (ReplayResult, error)
	// RevokeLease takes the lease from its holder; the same attempt continues with the next claim, under a new epoch.
	RevokeLease(ctx context.Context, cmd RevokeLease) (RevokeResult, error)
	// ClaimExecution leases one named execution to the operator. It fails with [ErrExecutionNotEligible] when it is not
	// claimable, with [ErrLeaseConflict] while somebody else holds it, and with [ErrBudgetExceeded],
	// [ErrRateLimitExceeded] or [ErrConcurrencyLimitExceeded] when its limits have no room. Not idempotent.
	ClaimExecution(ctx context.Context, cmd ClaimExecution) (Claimed, error)
	// Block keeps a waiting execution from being claimed. It fails with [ErrInvalidBlockReason], with
	// [ErrExecutionNotActive] when the execution has ended, and with [ErrExecutionNotEligible] when it is not runnable or
	// waits for other executions.
	Block(ctx context.Context, cmd Block) error
	// Unblock lets a blocked execution go on where it was. It fails with [ErrExecutionNotEligible] unless the execution is
	// blocked for the expected reason.
	Unblock(ctx context.Context, cmd Unblock) error
}

// Flows builds graphs of executions and controls them (chapters 20 and 30). A flow and its members live on one partition;
// a flow that ended takes no members and edges: [ErrFlowAlreadyTerminal]. All calls but reads, CreateFlow, SubmitFlow and
// AckCancelMember fail with [ErrFlowNotFound] when there is no such flow, or it is kept no longer.
type Flows interface {
	// SubmitFlow creates a flow with its members and edges in one commit. The plan is checked as a whole first:
	// [ErrInvalidInput] for an unknown or duplicate node, [ErrCycleDetected]; [ErrExecutionAlreadyInFlow] if an execution
	// with the id of a node exists though the flow does not. Members start as soon as what they depend on has ended.
	// Repeating it with the same FlowID changes nothing.
	SubmitFlow(ctx context.Context, plan FlowPlan) (FlowID, error)
	// CreateFlow creates an empty flow; one that exists stays as it is.
	CreateFlow(ctx context.Context, cmd CreateFlow) (CreateFlowResult, error)
	// AddMember adds an execution. It fails with [ErrExecutionNotFound], [ErrExecutionAlreadyInFlow], and
	// [ErrExecutionNotActive] for one that has ended. A repeat changes nothing.
	AddMember(ctx context.Context, cmd AddMember) (AddMemberResult, error)
	// StageEdge records a dependency. It fails with [ErrSelfReferencingEdge], [ErrDependencyAlreadyExists] (the edge id is
	// used, Attrs say by what), [ErrStaleGraphRevision], [ErrExecutionNotInFlow], [ErrCycleDetected], and
	// [ErrExecutionNotActive] when the downstream has ended or its edges are decided.
	StageEdge(ctx context.Context, cmd StageEdge) (StageEdgeResult, error)
	// ApplyEdge makes a staged edge hold its downstream back from now on, whatever it does at the moment. An upstream that
	// has ended counts at once. It fails with [ErrInvalidDependency] when there is no such edge.
	ApplyEdge(ctx context.Context, cmd ApplyEdge) (ApplyEdgeResult, error)
	// SetGroupPolicy reports whether it changed something. It fails with [ErrInvalidInput] once an edge is staged.
	SetGroupPolicy(ctx context.Context, cmd SetGroupPolicy) (bool, error)
	// WaitChildren ends the call of a handler until children have ended. It takes a fence like the calls of [Workers].
	WaitChildren(ctx context.Context, cmd WaitChildren) error

	// SetFlowTags adds tags to a flow in any state, or overwrites them. Nothing is written if any is refused:
	// [ErrInvalidInput] for none, too many in all or a bad value, [ErrInvalidTagKey]. The graph revision stays.
	SetFlowTags(ctx context.Context, cmd SetFlowTags) error

	// CancelFlow ends a flow, and members as the policy says.
	CancelFlow(ctx context.Context, cmd CancelFlow) (CancelFlowResult, error)
	// CancelFlowHeader is CancelFlow in two stages; the second is AckCancelMember for each member.
	CancelFlowHeader(ctx context.Context, cmd CancelFlowHeader) (CancelFlowHeaderResult, error)
	// AckCancelMember succeeds for anything, known or not.
	AckCancelMember(ctx context.Context, cmd AckCancelMember) error

	// DescribeFlow tells the state of a flow. Counting its members costs time in proportion to their number.
	DescribeFlow(ctx context.Context, id FlowID) (FlowSnapshot, error)
	// FlowTags tells the tags of a flow.
	FlowTags(ctx context.Context, id FlowID) (map[string]string, error)
	// WaitFlow waits up to wait, 0 to [MaxClaimWait], until all members have ended, and tells the flow's summary.
	WaitFlow(ctx context.Context, id FlowID, wait time.Duration) (FlowSummary, error)
	// ListFlows lists flows.
	ListFlows(ctx context.Context, q ListFlows) (Page[FlowSummary], error)
	// ListNodes lists members; none for an unknown flow.
	ListNodes(ctx context.Context, q ListNodes) (Page[NodeSnapshot], error)
	// ListEdges lists edges from or to a member; none for an unknown one.
	ListEdges(ctx context.Context, q ListEdges) (Page[EdgeSnapshot], error)
	// DescribeEdge tells of one edge. It fails with [ErrInvalidDependency] when the flow has no such edge.
	DescribeEdge(ctx context.Context, flow FlowID, id EdgeID) (EdgeSnapshot, error)
}

// Explainer says why something does not happen. Its calls read a bounded number of records, whatever the size of a flow or
// a queue, several times one after the other: an answer is of about now, and the next may differ.
type Explainer interface {
	// Explain says why an execution does not run. It fails with [ErrExecutionNotFound].
	Explain(ctx context.Context, id ExecutionID) (Explanation, error)
	// ExplainFlow says which members hold a flow up, and why. It fails with [ErrFlowNotFound].
	ExplainFlow(ctx context.Context, id FlowID) (FlowExplanation, error)
}

// Lanes sets up lanes and tells about them (chapter 10, section 5). A lane exists from the first submission to it, or from
// the first time it is set up.
type Lanes interface {
	// UpdateLane changes settings of a lane. What this engine does next follows them: nothing of a paused or disabled lane
	// is handed out once the call has returned, by any engine; submissions to a draining or disabled lane are refused with
	// [ErrLaneClosed] by this engine at once and by others within a second.
	UpdateLane(ctx context.Context, cmd UpdateLane) (LaneSnapshot, error)
	// Lane tells the settings of a lane; one that nobody used has the defaults.
	Lane(ctx context.Context, lane LaneID) (LaneSnapshot, error)
	// ListLanes lists lanes in byte order.
	ListLanes(ctx context.Context, q ListLanes) (Page[LaneSnapshot], error)
	// LaneCounts counts a lane's work, each kind up to [MaxLaneCount].
	LaneCounts(ctx context.Context, lane LaneID) (LaneCounts, error)
}

// Registry keeps track of worker instances (chapter 10, section 3.22). It informs and routes nothing: a worker that is
// not registered may claim like any other, and no call of it changes an execution (I32), unless the engine is configured
// to reclaim the leases of dead workers at once.
type Registry interface {
	// RegisterWorker announces an instance, or refreshes it. An instance id that is live under another worker id is refused
	// with [ErrInvalidInput].
	RegisterWorker(ctx context.Context, cmd RegisterWorker) (RegisterResult, error)
	// HeartbeatWorker is a sign of life.
	HeartbeatWorker(ctx context.Context, cmd HeartbeatWorker) (HeartbeatResult, error)
	// MarkWorkerDead removes an instance.
	MarkWorkerDead(ctx context.Context, cmd MarkWorkerDead) (MarkDeadResult, error)
	// ListWorkers lists the live instances of a namespace.
	ListWorkers(ctx context.Context, q ListWorkers) (Page[WorkerSnapshot], error)
	// ListExpiredLeases lists leases whose holder is late.
	ListExpiredLeases(ctx context.Context, q ListExpiredLeases) (Page[ExpiredLease], error)
}

// Handles turns what a claim granted into one signed text and back (chapter 10, section 4.3).
type Handles interface {
	// SealHandle returns a handle for the lease c was granted. It does not look whether that is still current. A resumed or
	// reclaimed execution has a lease of its own, and with it a handle of its own.
	SealHandle(ctx context.Context, c Claimed) (Handle, error)
	// OpenHandle verifies a handle and returns what it says. It fails with [ErrCorruption] when the handle was edited, cut
	// off, made by another deployment, or signed with a key that has expired. What it returns was true when the handle was
	// made: present its fence to learn whether it is.
	OpenHandle(ctx context.Context, h Handle) (HandleInfo, error)
}

// Secrets administers what handles and waitpoint tokens are signed with (chapter 40, section 7.5). No call tells a secret.
type Secrets interface {
	// SeedSecret gives a deployment its first secret; one that has a secret keeps it. It fails with [ErrInvalidKid],
	// [ErrInvalidSecretHex], and with [ErrInvalidInput] when a secret of another name signs.
	SeedSecret(ctx context.Context, cmd SeedSecret) (SeedResult, error)
	// RotateSecret makes a new secret sign. It fails with [ErrInvalidKid], [ErrInvalidSecretHex], [ErrInvalidGrace], and
	// with [ErrRotationConflict] when the name is taken, or somebody else rotates at this moment. Repeating it changes
	// nothing.
	RotateSecret(ctx context.Context, cmd RotateSecret) (RotateResult, error)
	// ListSecrets tells of all secrets that verify, up to [MaxSecrets], in order of their names.
	ListSecrets(ctx context.Context) ([]SecretSnapshot, error)
}

// Keys administers API keys: who may do what over HTTP. An engine in process asks nobody for one. Each change is told by one
// operator event.
type Keys interface {
	// CreateKey makes a key and tells its text, which nothing tells again. Not idempotent. It fails with [ErrInvalidInput], and
	// with [ErrResourceExhausted] when there are [MaxKeys].
	CreateKey(ctx context.Context, cmd CreateKey) (IssuedKey, error)
	// RotateKey gives a key another secret and tells its text. Not idempotent. It fails with [ErrKeyNotFound], with
	// [ErrInvalidInput] when the key is revoked or has expired, with [ErrInvalidGrace], and with [ErrRotationConflict] while the
	// grace of the rotation before lasts, for that would cut it short; a Grace of 0 always may.
	RotateKey(ctx context.Context, cmd RotateKey) (IssuedKey, error)
	// RevokeKey withdraws a key with all its secrets. A repeat changes nothing. It fails with [ErrKeyNotFound].
	RevokeKey(ctx context.Context, cmd RevokeKey) (KeySnapshot, error)
	// VerifyKey tells of the key that a text belongs to. It fails with [ErrInvalidToken] when there is none, or it is revoked or
	// has expired, or the text has another secret, and does not say which. Each call reads the store.
	VerifyKey(ctx context.Context, cmd VerifyKey) (KeySnapshot, error)
	// ListKeys lists keys.
	ListKeys(ctx context.Context, q ListKeys) (Page[KeySnapshot], error)
}

// Suspensions parks executions until somebody or something answers, without holding a worker (chapter 40). A resumed
// execution continues the same attempt, under a new lease.
type Suspensions interface {
	// Suspend gives the lease back until the condition is satisfied, the deadline comes or an operator resumes. It checks the
	// fence like the calls of [Workers]. Signals that wait on a pending waitpoint count; if they satisfy the condition, the
	// lease stays. It also fails with [ErrInvalidInput], [ErrWaitpointNotFound], [ErrWaitpointNotPending],
	// [ErrPendingWaitpointExpired], [ErrUsePendingWithExtras], [ErrWaitpointAlreadyExists],
	// [ErrAlreadySuspended] and [ErrIdempotencyConflict]. What fails changes nothing. Idempotent by its key only.
	Suspend(ctx context.Context, cmd Suspend) (Suspended, error)
	// CreateWaitpoint makes a waitpoint for a later Suspend, under the same fence. It fails with [ErrWaitpointAlreadyExists]
	// when its id is taken by one with another key. Idempotent by the waitpoint's id.
	CreateWaitpoint(ctx context.Context, cmd CreateWaitpoint) (WaitpointGrant, error)
	// CloseWaitpoint closes a waitpoint. An execution that waits for it stays suspended. Idempotent. It fails with
	// [ErrWaitpointNotFound].
	CloseWaitpoint(ctx context.Context, cmd CloseWaitpoint) (CloseResult, error)

	// DeliverSignal sends a signal. Checks run in the order of chapter 40, section 8.2: [ErrExecutionNotFound], the token
	// ([ErrMissingToken], [ErrInvalidToken] — also for a waitpoint that does not exist —, [ErrTokenExpired]), a repeat, which
	// is a Duplicate, [ErrTargetNotSignalable], [ErrWaitpointClosed], [ErrSignalLimitExceeded]. Too many to one waitpoint fail
	// before all that with [ErrResourceExhausted], whose Attrs have retry_after_ms. A refused signal changes nothing.
	// Idempotent by its id, and by its idempotency key.
	DeliverSignal(ctx context.Context, cmd Signal) (SignalResult, error)
	// Approve sends the signal of an operator, who needs no token. It fails with [ErrWaitpointNotFound] and, for another
	// lane, with [ErrInvalidInput].
	Approve(ctx context.Context, cmd Approval) (SignalResult, error)
	// SealLink makes a link out of a token, which it verifies.
	SealLink(ctx context.Context, cmd SealLink) (SignalLink, error)
	// SignalByLink sends the signal a link stands for: [ErrInvalidToken], [ErrTokenExpired], and as DeliverSignal.
	SignalByLink(ctx context.Context, cmd SignalByLink) (SignalResult, error)
	// Resume resumes a suspended execution, whatever it waits for. It fails with [ErrExecutionNotSuspended]. A repeat fails
	// in the same way.
	Resume(ctx context.Context, cmd ResumeExecution) (ResumeResult, error)

	// DescribeSuspension tells of the current suspension, or the last.
	DescribeSuspension(ctx context.Context, id ExecutionID) (SuspensionSnapshot, error)
	// DescribeWaitpoint tells of a waitpoint and its signals. It fails with [ErrWaitpointNotFound].
	DescribeWaitpoint(ctx context.Context, id ExecutionID, waitpoint WaitpointID) (WaitpointSignals, error)
	// WaitpointToken tells the token of a waitpoint to a caller that is trusted with it. It fails with
	// [ErrWaitpointNotFound].
	WaitpointToken(ctx context.Context, id ExecutionID, waitpoint WaitpointID) (WaitpointToken, error)
	// ResumeSignals tells a worker what has resumed its execution: nothing if the attempt has not been suspended.
	ResumeSignals(ctx context.Context, id ExecutionID) (ResumeSignals, error)
	// ListPendingWaitpoints lists the waitpoints of an execution that are pending or active.
	ListPendingWaitpoints(ctx context.Context, q ListPendingWaitpoints) (Page[WaitpointSnapshot], error)
	// ListSuspended lists suspended executions.
	ListSuspended(ctx context.Context, q ListSuspended) (Page[SuspendedExecution], error)
}

// Steps remembers what the steps of handlers came to, so that a handler that runs again does not do them again. Package
// worker makes it easy to use.
type Steps interface {
	// RecordStep remembers a step. It checks the fence like the calls of [Workers]; the record and the lease are checked in
	// one commit, so a worker that has lost its lease records nothing. If the step is remembered already, that is told, and
	// nothing is written. It fails with [ErrPayloadTooLarge].
	RecordStep(ctx context.Context, cmd RecordStep) (StepMemo, error)
	// ListSteps lists the steps of an execution that count.
	ListSteps(ctx context.Context, q ListSteps) (Page[StepMemo], error)
}

// Budgets bounds what executions consume (chapter 60). A store of several shards has none: all calls, and submissions under
// one, fail with [ErrUnavailable].
type Budgets interface {
	// CreateBudget defines a budget and returns its id. Repeating it says AlreadySatisfied; another definition under the same id
	// fails with [ErrBudgetConflict]. It also fails with [ErrInvalidInput], [ErrInvalidBudgetScope], and with
	// [ErrResourceExhausted] when the scope has [MaxScopedLimits] budgets.
	CreateBudget(ctx context.Context, cmd CreateBudget) (BudgetID, CreateResult, error)
	// UpdateBudget changes limits, mode, action or resets. Who waited for what it raises goes on. It fails with
	// [ErrBudgetNotFound] and [ErrInvalidInput].
	UpdateBudget(ctx context.Context, cmd UpdateBudget) (BudgetStatus, error)
	// DeleteBudget removes a budget. It fails with [ErrBudgetNotFound], and with [ErrBudgetConflict] while executions wait for
	// it or hold reservations of it.
	DeleteBudget(ctx context.Context, id BudgetID) error
	// ResetBudget sets the usage to nothing. What executions that run have reserved stays so. It fails with
	// [ErrBudgetNotFound].
	ResetBudget(ctx context.Context, id BudgetID) (BudgetStatus, error)
	// DescribeBudget tells of a budget. It fails with [ErrBudgetNotFound].
	DescribeBudget(ctx context.Context, id BudgetID) (BudgetStatus, error)
	// ListBudgets lists budgets in the order of their ids.
	ListBudgets(ctx context.Context, q ListBudgets) (Page[BudgetStatus], error)
	// ReportUsage counts what was consumed. A breach is an answer, not an error. It fails with [ErrBudgetNotFound],
	// [ErrExecutionNotFound] and [ErrInvalidInput]. Idempotent by its key.
	ReportUsage(ctx context.Context, cmd ReportUsage) (UsageResult, error)
	// ReleaseBudget takes what an execution has consumed off a budget again. Idempotent. It fails with [ErrBudgetNotFound].
	ReleaseBudget(ctx context.Context, id BudgetID, execution ExecutionID) error
	// Ledger tells what an execution has consumed of its budgets since their last resets.
	Ledger(ctx context.Context, id ExecutionID) ([]LedgerEntry, error)
}

// Quotas bounds how often, and how many at once, executions are let run (chapter 60). As with [Budgets], a store of several
// shards has none.
type Quotas interface {
	// CreateQuota defines a quota and returns its id, as CreateBudget does: [ErrQuotaConflict], [ErrInvalidQuotaSpec],
	// [ErrResourceExhausted].
	CreateQuota(ctx context.Context, cmd CreateQuota) (QuotaID, CreateResult, error)
	// UpdateQuota changes a quota. Who waited for what it raises goes on. It fails with [ErrQuotaNotFound] and
	// [ErrInvalidQuotaSpec].
	UpdateQuota(ctx context.Context, cmd UpdateQuota) (QuotaStatus, error)
	// DeleteQuota removes a quota; who waits for it goes on. It fails with [ErrQuotaNotFound].
	DeleteQuota(ctx context.Context, id QuotaID) error
	// DescribeQuota tells of a quota. It fails with [ErrQuotaNotFound].
	DescribeQuota(ctx context.Context, id QuotaID) (QuotaStatus, error)
	// ListQuotas lists quotas in the order of their ids.
	ListQuotas(ctx context.Context, q ListQuotas) (Page[QuotaStatus], error)
	// ListQuotaKeys lists the keys of a quota that are in use. It fails with [ErrQuotaNotFound].
	ListQuotaKeys(ctx context.Context, q ListQuotaKeys) (Page[QuotaKeyStatus], error)
}

// Streams are the output of attempts: appended to by the holder of the lease, read and followed by anyone, meanwhile and
// until the execution is kept no longer (chapter 50). Every attempt has a stream of its own; a replay goes on with that of
// the attempt it runs again, behind a frame of type "replay".
type Streams interface {
	// AppendFrames appends all frames of the call or none. Checks run in this order: [ErrInvalidInput], and
	// [ErrRetentionLimitExceeded] for a payload beyond its bound; [ErrFenceRequired], [ErrPartialFence]; [ErrStreamClosed]
	// unless the execution is active; [ErrStaleOwner] unless the lease is valid and the fence is the current one; then what
	// the stream itself refuses: [ErrInvalidInput], [ErrPatchDepthExceeded] and [ErrCorruption] for a summary,
	// [ErrRetentionLimitExceeded] for what the stream or its summary would come to hold. The lease keeps its expiry. Repeating
	// a call is safe for frames that have a Seq.
	AppendFrames(ctx context.Context, cmd AppendFrames) (Appended, error)
	// ReadStream returns frames in the order of their ids. A stream nobody wrote to is empty and open, whether or not there
	// is such an attempt. It fails with [ErrInvalidInput].
	ReadStream(ctx context.Context, q ReadStream) (StreamPage, error)
	// TailStream is ReadStream behind a place that waits, up to Wait, while nothing is there and the stream is open. That
	// nothing came is an empty page, not an error.
	TailStream(ctx context.Context, q TailStream) (StreamPage, error)
	// DescribeStream tells of a stream without its frames.
	DescribeStream(ctx context.Context, id ExecutionID, attempt int) (StreamInfo, error)
	// ReadSummary returns the document of the frames of mode [FrameSummary]; without any, one of version 0. It is the same
	// whatever was trimmed since.
	ReadSummary(ctx context.Context, id ExecutionID, attempt int) (StreamSummary, error)
}

// Events reads the log of what happened (chapter 50, part II). State and event are committed together. A reader that goes on
// behind its cursor gets every event of the family, each execution's in the order in which they happened, none twice, and
// none stands before one that its writer had seen committed. What a transaction that is still open may come to write holds
// back what is behind it.
type Events interface {
	// ReadEvents returns events behind a cursor, waiting up to Wait for the first. That nothing came is an empty page, not an
	// error. It fails with [ErrInvalidInput], also for a cursor of another family or store; with [ErrEventGap] when events
	// behind the cursor are kept no longer, or the store was set back: Attrs have the oldest cursor to go on from; with
	// [ErrUnavailable] for the family instance_tags; and with [ErrResourceExhausted] when very many wait.
	ReadEvents(ctx context.Context, q ReadEvents) (EventPage, error)
	// AckEvents keeps a cursor for a reader, and returns what is kept then. It fails with [ErrInvalidInput] for a cursor
	// ReadEvents would not take, and for a name that reads another family. Idempotent.
	AckEvents(ctx context.Context, cmd AckEvents) (EventReader, error)
	// EventReader returns what is kept under a name; its Cursor is empty if nothing is.
	EventReader(ctx context.Context, name string) (EventReader, error)
	// ListEventReaders lists kept cursors.
	ListEventReaders(ctx context.Context, q ListEventReaders) (Page[EventReader], error)
	// ForgetEventReader removes what is kept under a name. Idempotent.
	ForgetEventReader(ctx context.Context, name string) error
}
