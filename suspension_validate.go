package flowfabric

import (
	"cmp"
	"slices"
	"time"
)

// Validate checks what can be checked of the command by itself, in the order of chapter 40, section 4.1, and fills in its
// defaults. It fails with [ErrInvalidInput], whose detail begins with the name of the check.
func (c *Suspend) Validate() error {
	if err := c.fill(); err != nil {
		return err
	}
	if err := c.checkBindings(); err != nil {
		return err
	}
	if c.Condition.Kind == ConditionTimeoutOnly && c.Timeout == 0 && c.TimeoutAt == 0 {
		return badCondition("timeout_only_without_deadline")
	}
	const most = time.Duration(MaxSpanMS) * time.Millisecond
	if c.Timeout < 0 || c.Timeout > most || c.ResumeDelay < 0 || c.ResumeDelay > most {
		return invalid("timeout", "and resume_delay must be between 0 and 100 years")
	}
	switch {
	case c.TimeoutAt < 0 || c.TimeoutAt > MaxTimestamp:
		return invalid("timeout_at", "is no time")
	case c.Timeout != 0 && c.TimeoutAt != 0:
		return invalid("timeout", "and timeout_at are both set; give one")
	case !c.TimeoutBehavior.known():
		return invalid("timeout_behavior", "is not known: "+clip(string(c.TimeoutBehavior)))
	}
	for _, text := range []struct {
		field, text string
		most        int
	}{
		{"reason_code", string(c.Reason), MaxNameBytes},
		{"requested_by", string(c.RequestedBy), MaxNameBytes},
		{"continuation_metadata_pointer", c.Continuation, MaxContinuationBytes},
		{"idempotency_key", c.IdempotencyKey, MaxNameBytes},
	} {
		if err := ValidateText(text.field, text.text, text.most); err != nil {
			return err
		}
	}
	return c.Condition.Validate()
}

// fill sets what may be left out.
func (c *Suspend) fill() error {
	if c.Waitpoints == nil {
		c.Waitpoints = []WaitpointBinding{{}}
	} else if len(c.Waitpoints) == 0 {
		return badCondition("waitpoints_empty")
	}
	c.Waitpoints = slices.Clone(c.Waitpoints)
	c.Reason = cmp.Or(c.Reason, WaitForSignal)
	c.RequestedBy = cmp.Or(c.RequestedBy, RequestedByWorker)
	if c.SuspensionID.IsZero() {
		c.SuspensionID = NewSuspensionID()
	}
	keys := c.Condition.Keys()
	for i := range c.Waitpoints {
		b := &c.Waitpoints[i]
		if b.Pending && b.WaitpointID.IsZero() {
			return invalid("waitpoints", "has a pending waitpoint without its id")
		}
		if b.WaitpointID.IsZero() {
			b.WaitpointID = NewWaitpointID()
		}
		if b.Key == "" && !b.Pending && i == 0 {
			b.Key = "wpk:" + b.WaitpointID.String()
			if len(c.Waitpoints) == 1 && len(keys) == 1 {
				b.Key = keys[0]
			}
		}
	}
	return nil
}

// checkBindings checks that waitpoints and condition name each other.
func (c *Suspend) checkBindings() error {
	if len(c.Waitpoints) > MaxWaitpoints {
		return badCondition("too_many_waitpoints: %d; at most %d are allowed", len(c.Waitpoints), MaxWaitpoints)
	}
	wanted := c.Condition.Keys()
	first := c.Waitpoints[0]
	if c.Condition.Kind == ConditionSingle && !first.Pending && len(wanted) > 0 && first.Key != wanted[0] && len(c.Waitpoints) == 1 {
		return badCondition("waitpoint_key_mismatch: the condition names %q, the waitpoint %q", wanted[0], first.Key)
	}
	bound, ids := make(map[string]bool), make(map[WaitpointID]bool)
	for i, b := range c.Waitpoints {
		switch {
		case i > 0 && b.Pending:
			return badCondition("additional_waitpoint_binding_must_be_fresh at waitpoints[%d]", i)
		case first.Pending && i > 0:
			return &Error{Code: CodeUsePendingWithExtras, Detail: "a pending waitpoint is the only one of its suspension"}
		case i > 0 && b.Key == "":
			return badCondition("additional_waitpoint_binding_empty_key at waitpoints[%d]", i)
		case bound[b.Key] && !b.Pending || ids[b.WaitpointID]:
			return badCondition("waitpoint_bound_twice at waitpoints[%d]", i)
		}
		if err := ValidateText("waitpoint_key", b.Key, MaxNameBytes); err != nil {
			return err
		}
		bound[b.Key], ids[b.WaitpointID] = true, true
	}
	if first.Pending { // its key is known to its record alone
		return nil
	}
	for _, key := range wanted {
		if !bound[key] {
			return badCondition("referenced_waitpoint_key_missing_binding: %s", clip(key))
		}
		delete(bound, key)
	}
	if len(c.Waitpoints) > 1 {
		for _, b := range c.Waitpoints {
			if bound[b.Key] {
				return badCondition("extra_binding_not_referenced_by_condition: %s", clip(b.Key))
			}
		}
	}
	return nil
}

// Validate checks what can be checked of the command by itself. It fails with [ErrInvalidInput].
func (c *SealLink) Validate() error {
	if err := ValidateName("signal_name", c.SignalName); err != nil {
		return err
	}
	if c.SignalName == OperatorOnlyName || c.SignalName == TimeoutOnlyName {
		return invalid("signal_name", "is reserved")
	}
	if c.ExpiresIn < 0 || c.ExpiresIn > time.Duration(MaxSpanMS)*time.Millisecond {
		return invalid("expires_in", "must be between 0 and 100 years")
	}
	return ValidateText("source", c.Source, MaxNameBytes)
}
