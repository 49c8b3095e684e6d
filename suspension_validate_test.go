package flowfabric

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The checks of chapter 40, section 4.1, in their order.
func TestSuspend_Validate(t *testing.T) {
	fresh := func(keys ...string) (list []WaitpointBinding) {
		for _, key := range keys {
			list = append(list, WaitpointBinding{Key: key})
		}
		return list
	}
	many := make([]WaitpointBinding, 65)
	var allKeys []string
	for i := range many {
		many[i].Key = fmt.Sprint(i)
		allKeys = append(allKeys, many[i].Key)
	}
	pending := WaitpointBinding{WaitpointID: WaitpointID{1}, Pending: true}
	for name, tc := range map[string]struct {
		cmd  Suspend
		want string
	}{
		"no binding given":     {Suspend{Condition: OnSignal("a")}, ""},
		"no bindings":          {Suspend{Waitpoints: []WaitpointBinding{}, Condition: OnSignal("a")}, "waitpoints_empty"},
		"another key":          {Suspend{Waitpoints: fresh("b"), Condition: OnSignal("a")}, "waitpoint_key_mismatch"},
		"second without key":   {Suspend{Waitpoints: fresh("a", ""), Condition: OnSignal("a")}, "additional_waitpoint_binding_empty_key at waitpoints[1]"},
		"second pending":       {Suspend{Waitpoints: append(fresh("a"), pending), Condition: OnSignal("a")}, "additional_waitpoint_binding_must_be_fresh at waitpoints[1]"},
		"missing binding":      {Suspend{Waitpoints: fresh("a", "b"), Condition: OnAll(OnSignal("a"), OnSignal("c"))}, "referenced_waitpoint_key_missing_binding: c"},
		"FIX-S10, one binding": {Suspend{Waitpoints: fresh("a"), Condition: OnAll(OnSignal("a"), OnSignal("c"))}, "referenced_waitpoint_key_missing_binding: c"},
		"extra binding":        {Suspend{Waitpoints: fresh("a", "b"), Condition: OnAll(OnSignal("a"))}, "extra_binding_not_referenced_by_condition: b"},
		"bound twice":          {Suspend{Waitpoints: fresh("a", "a"), Condition: OnAll(OnSignal("a"))}, "waitpoint_bound_twice at waitpoints[1]"},
		"timeout without":      {Suspend{Condition: OnTimeout()}, "timeout_only_without_deadline"},
		"timeout with":         {Suspend{Condition: OnTimeout(), Timeout: time.Second}, ""},
		"64 waitpoints":        {Suspend{Waitpoints: many[:64], Condition: OnAny(allKeys[:64]...)}, ""},
		"65 waitpoints":        {Suspend{Waitpoints: many, Condition: OnAny(allKeys...)}, "too_many_waitpoints: 65; at most 64 are allowed"},
		"both deadlines":       {Suspend{Condition: OnSignal("a"), Timeout: 1, TimeoutAt: 1}, "timeout and timeout_at are both set"},
		"negative deadline":    {Suspend{Condition: OnSignal("a"), Timeout: -1}, "timeout and resume_delay must be"},
		"unknown behavior":     {Suspend{Condition: OnSignal("a"), TimeoutBehavior: "explode"}, "timeout_behavior is not known"},
		"continuation":         {Suspend{Condition: OnSignal("a"), Continuation: strings.Repeat("x", 4096)}, ""},
		"continuation, more":   {Suspend{Condition: OnSignal("a"), Continuation: strings.Repeat("x", 4097)}, "continuation_metadata_pointer has 4097 bytes"},
		"condition":            {Suspend{Condition: OnCount(2, DistinctWaitpoints, "a")}, "count_exceeds_waitpoint_set"},
		"pending without id":   {Suspend{Waitpoints: []WaitpointBinding{{Pending: true}}, Condition: OnSignal("a")}, "waitpoints has a pending waitpoint without its id"},
		"pending":              {Suspend{Waitpoints: []WaitpointBinding{pending}, Condition: OnSignal("a")}, ""},
	} {
		err := tc.cmd.Validate()
		var e *Error
		switch {
		case tc.want == "" && err != nil, tc.want != "" && !errors.As(err, &e):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		case tc.want != "" && (e.Code != CodeInvalidInput || !strings.HasPrefix(e.Detail, tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	two := Suspend{Waitpoints: []WaitpointBinding{pending, {Key: "b"}}, Condition: OnSignal("a")}
	if err := two.Validate(); !errors.Is(err, ErrUsePendingWithExtras) {
		t.Errorf("a pending waitpoint with another: %v", err)
	}
}

func TestSuspend_FillsInWhatIsLeftOut(t *testing.T) {
	cmd := Suspend{Condition: OnNamed("legal", "ok")}
	if err := cmd.Validate(); err != nil {
		t.Fatal(err)
	}
	w := cmd.Waitpoints[0]
	if cmd.SuspensionID.IsZero() || w.WaitpointID.IsZero() || w.Key != "legal" || cmd.Reason != "waiting_for_signal" || cmd.RequestedBy != "worker" {
		t.Errorf("%+v", cmd)
	}
	cmd = Suspend{Condition: OnOperator()}
	if err := cmd.Validate(); err != nil || cmd.Waitpoints[0].Key != "wpk:"+cmd.Waitpoints[0].WaitpointID.String() {
		t.Errorf("%+v, %v", cmd, err)
	}
}
