package ops

import (
	"cmp"
	"fmt"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
)

func invalid(field, problem string) *ff.Error {
	return &ff.Error{Code: ff.CodeInvalidInput, Detail: field + " " + problem, Attrs: map[string]string{"field": field}}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkID refuses ids that are unset or name a partition this deployment does not have (W29).
func (r Rules) checkID(id ff.ExecutionID) error {
	if id.IsZero() {
		return invalid("execution_id", "is not set")
	}
	if n := id.Partition().Index; n >= r.Partitions.Flow {
		return &ff.Error{
			Code: ff.CodeInvalidInput, Detail: fmt.Sprintf("partition index %d out of range 0..%d", n, r.Partitions.Flow),
			Attrs: map[string]string{"field": "execution_id"},
		}
	}
	return nil
}

func checkSpan(field string, d, least, most time.Duration) error {
	if d < least || d > most {
		return invalid(field, fmt.Sprintf("is %s; it must be between %s and %s", d, least, most))
	}
	return nil
}

func checkInstant(field string, t ff.Timestamp) error {
	if t < 0 || t > ff.MaxTimestamp {
		return invalid(field, fmt.Sprintf("is %d; it must be between 0 and %d", t, ff.MaxTimestamp))
	}
	return nil
}

func checkBytes(field string, b []byte, most int) error {
	if len(b) > most {
		return &ff.Error{
			Code: ff.CodePayloadTooLarge, Detail: fmt.Sprintf("%s has %d bytes; at most %d are allowed", field, len(b), most),
			Attrs: map[string]string{"field": field},
		}
	}
	return nil
}

const maxSpan = time.Duration(ff.MaxSpanMS) * time.Millisecond

// checkSubmit validates a submission and fills in its defaults. Priority is checked, not clamped (W35).
func (r Rules) checkSubmit(c *ff.Submit) error {
	c.Namespace = cmp.Or(c.Namespace, ff.DefaultNamespace)
	c.Creator = cmp.Or(c.Creator, "anonymous")
	c.PayloadEncoding = cmp.Or(c.PayloadEncoding, "json")
	checkTags := ff.ValidateTags
	if c.AnyTags {
		checkTags = ff.ValidateAnyTags
	}
	if err := firstError(
		c.Lane.Validate(), ff.ValidateName("kind", c.Kind), c.Namespace.Validate(), ff.ValidateName("creator", c.Creator),
		ff.ValidateText("payload_encoding", c.PayloadEncoding, ff.MaxNameBytes),
		ff.ValidateText("idempotency_key", c.IdempotencyKey, ff.MaxNameBytes),
		checkBytes("payload", c.Payload, ff.MaxPayloadBytes), checkTags(c.Tags), c.Policy.Validate(),
		checkSpan("delay", c.Delay, 0, maxSpan), checkInstant("delay_until", c.DelayUntil), checkInstant("deadline", c.Deadline),
		c.TraceParent.Validate(),
	); err != nil {
		return err
	}
	if c.Priority < ff.MinPriority || c.Priority > ff.MaxPriority {
		return invalid("priority", fmt.Sprintf("is %d; it must be between %d and %d", c.Priority, ff.MinPriority, ff.MaxPriority))
	}
	if c.Delay > 0 && c.DelayUntil > 0 {
		return invalid("delay", "and delay_until are both set; give one")
	}
	if !c.ID.IsZero() {
		if err := r.checkID(c.ID); err != nil {
			return err
		}
	}
	return nil
}

// CheckClaim validates a claim and fills in its defaults.
func (r Rules) CheckClaim(c *ff.Claim) error {
	c.Max = cmp.Or(c.Max, 1)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, ff.DefaultLeaseTTL)
	if len(c.Lanes) < 1 || len(c.Lanes) > ff.MaxClaimLanes {
		return named("claim", invalid("lanes", fmt.Sprintf("has %d entries; it must have between 1 and %d", len(c.Lanes), ff.MaxClaimLanes)))
	}
	for _, lane := range c.Lanes {
		if err := lane.Validate(); err != nil {
			return named("claim", err)
		}
	}
	if c.Max < 1 || c.Max > ff.MaxClaim {
		return named("claim", invalid("max", fmt.Sprintf("is %d; it must be between 1 and %d", c.Max, ff.MaxClaim)))
	}
	sorted, err := ff.NormalizeCapabilities("worker", c.Capabilities)
	if err != nil {
		return named("claim", err)
	}
	c.Capabilities = sorted
	return named("claim", firstError(
		c.WorkerID.Validate(), c.WorkerInstanceID.Validate(),
		ff.ValidateText("request_id", c.RequestID, ff.MaxNameBytes), checkSpan("wait", c.Wait, 0, ff.MaxClaimWait),
		checkSpan("lease_ttl", c.LeaseTTL, ff.MinLeaseTTL, ff.MaxLeaseTTL),
		checkSpan("liveness_ttl", cmp.Or(c.LivenessTTL, ff.DefaultLivenessTTL), ff.MinLivenessTTL, ff.MaxLeaseTTL),
	))
}

func (r Rules) checkRenew(c *ff.Renew) error {
	c.TTL = cmp.Or(c.TTL, ff.DefaultLeaseTTL)
	return firstError(r.checkID(c.ExecutionID), checkSpan("ttl", c.TTL, ff.MinLeaseTTL, ff.MaxLeaseTTL), checkReport(c.Progress))
}

func (r Rules) checkProgress(c *ff.UpdateProgress) error {
	return firstError(r.checkID(c.ExecutionID), checkReport(&c.Progress))
}

func checkReport(p *ff.Progress) error {
	if p == nil {
		return nil
	}
	if p.Percent != nil && (*p.Percent < 0 || *p.Percent > 100) {
		return invalid("progress.percent", fmt.Sprintf("is %d; it must be between 0 and 100", *p.Percent))
	}
	if p.Message != nil {
		if err := ff.ValidateText("progress.message", *p.Message, ff.MaxReasonBytes); err != nil {
			return err
		}
	}
	return checkBytes("progress.details", p.Details, ff.MaxProgressDetailBytes)
}

func (r Rules) checkComplete(c *ff.Complete) error {
	c.Source = cmp.Or(c.Source, ff.SourceLeaseHolder)
	c.ResultEncoding = cmp.Or(c.ResultEncoding, "json")
	return firstError(
		r.checkID(c.ExecutionID), checkBytes("result", c.Result, ff.MaxPayloadBytes),
		ff.ValidateText("result_encoding", c.ResultEncoding, ff.MaxNameBytes), checkSource(c.Source),
	)
}

func (r Rules) checkFail(c *ff.Fail) error {
	c.Source = cmp.Or(c.Source, ff.SourceLeaseHolder)
	c.Category = cmp.Or(c.Category, ff.FailureTransient)
	return firstError(
		r.checkID(c.ExecutionID), ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes),
		ff.ValidateText("category", string(c.Category), ff.MaxNameBytes), checkSource(c.Source),
	)
}

func (r Rules) checkDelay(c *ff.Delay) error {
	c.Source = cmp.Or(c.Source, ff.SourceLeaseHolder)
	if (c.For == 0) == (c.Until == 0) {
		return invalid("for", "and until: give exactly one")
	}
	return firstError(
		r.checkID(c.ExecutionID), checkSpan("for", c.For, 0, maxSpan), checkInstant("until", c.Until), checkSource(c.Source),
	)
}

func (r Rules) checkCancel(c *ff.Cancel) error {
	c.Source = cmp.Or(c.Source, ff.SourceOperatorOverride)
	return firstError(
		r.checkID(c.ExecutionID), ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes), checkSource(c.Source), checkForeign(c.Source),
		ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	)
}

// checkForeign refuses a caller who speaks for the engine.
func checkForeign(s ff.Source) error {
	switch s {
	case ff.SourceEngine, ff.SourceCancelFlow, ff.SourceCancelFlowHeader:
		return invalid("source", fmt.Sprintf("is %s, which only the engine is", s))
	default:
		return nil
	}
}

func (r Rules) checkChangePriority(c *ff.ChangePriority) error {
	return firstError(r.checkID(c.ExecutionID), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes))
}

func (r Rules) checkReplay(c *ff.Replay) error {
	return firstError(
		r.checkID(c.ExecutionID), ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	)
}

func (r Rules) checkRevoke(c *ff.RevokeLease) error {
	c.Reason = cmp.Or(c.Reason, "operator")
	return firstError(
		r.checkID(c.ExecutionID), ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
		ff.ValidateText("expected_lease_id", c.ExpectedLeaseID, ff.MaxNameBytes),
		ff.ValidateText("worker_instance_id", string(c.WorkerInstanceID), ff.MaxNameBytes),
	)
}

func (r Rules) checkBlock(c *ff.Block) error {
	c.Reason = cmp.Or(c.Reason, ff.PausedByOperator)
	return firstError(
		r.checkID(c.ExecutionID), checkReason("reason", c.Reason, lifecycle.CanBlock), ff.ValidateText("detail", c.Detail, ff.MaxReasonBytes),
		ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	)
}

func (r Rules) checkUnblock(c *ff.Unblock) error {
	c.ExpectedReason = cmp.Or(c.ExpectedReason, ff.PausedByOperator)
	return firstError(
		r.checkID(c.ExecutionID), checkReason("expected_reason", c.ExpectedReason, lifecycle.CanUnblock),
		ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	)
}

func checkReason(field string, reason ff.BlockingReason, ok func(ff.BlockingReason) bool) error {
	if ok(reason) {
		return nil
	}
	return &ff.Error{
		Code: ff.CodeInvalidBlockReason, Detail: fmt.Sprintf("%s %.40q is no reason to block an execution", field, reason),
		Attrs: map[string]string{"field": field},
	}
}

func (r Rules) checkClaimExecution(c *ff.ClaimExecution) error {
	c.WorkerID, c.WorkerInstanceID = cmp.Or(c.WorkerID, "operator"), cmp.Or(c.WorkerInstanceID, "operator")
	c.LeaseTTL = cmp.Or(c.LeaseTTL, ff.DefaultLeaseTTL)
	return firstError(
		r.checkID(c.ExecutionID), c.WorkerID.Validate(), c.WorkerInstanceID.Validate(),
		checkSpan("lease_ttl", c.LeaseTTL, ff.MinLeaseTTL, ff.MaxLeaseTTL), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
	)
}

func (r Rules) checkSetTags(c *ff.SetTags) error {
	return firstError(r.checkID(c.ExecutionID), checkTagsToSet(c.Tags))
}

func checkTagsToSet(tags map[string]string) error {
	if len(tags) == 0 {
		return invalid("tags", "is empty; give at least one")
	}
	return ff.ValidateTags(tags)
}

func checkSource(s ff.Source) error { return ff.ValidateName("source", string(s)) }
