package servicetest

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
)

var inputTests = []behaviour{
	{"BadTextIsRefusedEverywhere", testInputText},
	{"BadIDsAreRefusedEverywhere", testInputIDs},
	{"UnknownExecutionsAreNotFound", testInputUnknown},
	{"BadClaims", testInputClaims},
	{"BadReports", testInputReports},
	{"BadPages", testInputPages},
	{"BoundsOfReportsAreAllowed", testInputAtBounds},
}

// testInputText: what is not UTF-8, has a NUL or is empty where it must not be, and tags and capabilities out of shape.
func testInputText(e *env) {
	const notUTF8, nul = "a\xff", "a\x00b"
	before := e.dump()
	for name, c := range map[string]struct {
		cmd  ff.Submit
		want ff.Code
	}{
		"no kind":                    {ff.Submit{Lane: e.lane}, "invalid_input"},
		"no lane":                    {ff.Submit{Kind: "k"}, "invalid_input"},
		"lane with a tab":            {ff.Submit{Lane: "a\tb", Kind: "k"}, "invalid_input"},
		"lane with a DEL":            {ff.Submit{Lane: "a\x7f", Kind: "k"}, "invalid_input"},
		"lane beyond ASCII":          {ff.Submit{Lane: "größe", Kind: "k"}, "invalid_input"},
		"kind not UTF-8":             {ff.Submit{Lane: e.lane, Kind: notUTF8}, "invalid_input"},
		"kind with NUL":              {ff.Submit{Lane: e.lane, Kind: nul}, "invalid_input"},
		"namespace not UTF-8":        {ff.Submit{Lane: e.lane, Kind: "k", Namespace: notUTF8}, "invalid_input"},
		"namespace with a space":     {ff.Submit{Lane: e.lane, Kind: "k", Namespace: "a b"}, "invalid_input"},
		"namespace with NUL":         {ff.Submit{Lane: e.lane, Kind: "k", Namespace: nul}, "invalid_input"},
		"creator not UTF-8":          {ff.Submit{Lane: e.lane, Kind: "k", Creator: notUTF8}, "invalid_input"},
		"span of another form":       {ff.Submit{Lane: e.lane, Kind: "k", TraceParent: "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "invalid_input"},
		"span in upper case":         {ff.Submit{Lane: e.lane, Kind: "k", TraceParent: "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"}, "invalid_input"},
		"span that is too long":      {ff.Submit{Lane: e.lane, Kind: "k", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010"}, "invalid_input"},
		"span of no trace":           {ff.Submit{Lane: e.lane, Kind: "k", TraceParent: "00-00000000000000000000000000000000-b7ad6b7169203331-01"}, "invalid_input"},
		"span that is zero":          {ff.Submit{Lane: e.lane, Kind: "k", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"}, "invalid_input"},
		"key not UTF-8":              {ff.Submit{Lane: e.lane, Kind: "k", IdempotencyKey: notUTF8}, "invalid_input"},
		"key with NUL":               {ff.Submit{Lane: e.lane, Kind: "k", IdempotencyKey: nul}, "invalid_input"},
		"encoding not UTF-8":         {ff.Submit{Lane: e.lane, Kind: "k", PayloadEncoding: notUTF8}, "invalid_input"},
		"tag key without a dot":      {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"team": "a"}}, "invalid_tag_key"},
		"tag key in upper case":      {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"team.Name": "a"}}, "invalid_tag_key"},
		"tag key beginning with _":   {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"_a.b": "a"}}, "invalid_tag_key"},
		"tag key with two dots":      {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"a..b": "a"}}, "invalid_tag_key"},
		"empty tag key":              {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"": "a"}}, "invalid_tag_key"},
		"tag key with a line end":    {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"a.b\n": "a"}}, "invalid_tag_key"},
		"tag value not UTF-8":        {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"a.b": notUTF8}}, "invalid_input"},
		"tag value with NUL":         {ff.Submit{Lane: e.lane, Kind: "k", Tags: map[string]string{"a.b": nul}}, "invalid_input"},
		"empty capability":           {ff.Submit{Lane: e.lane, Kind: "k", Policy: requiring("")}, "invalid_capabilities"},
		"capability with a comma":    {ff.Submit{Lane: e.lane, Kind: "k", Policy: requiring("a,b")}, "invalid_capabilities"},
		"capability with NUL":        {ff.Submit{Lane: e.lane, Kind: "k", Policy: requiring(nul)}, "invalid_capabilities"},
		"empty retry category":       {ff.Submit{Lane: e.lane, Kind: "k", Policy: &ff.Policy{Retry: &ff.RetryPolicy{RetryableCategories: []string{""}}}}, "invalid_policy_json"},
		"retry category not UTF-8":   {ff.Submit{Lane: e.lane, Kind: "k", Policy: &ff.Policy{Retry: &ff.RetryPolicy{RetryableCategories: []string{notUTF8}}}}, "invalid_policy_json"},
		"capability that is no text": {ff.Submit{Lane: e.lane, Kind: "k", Policy: requiring(notUTF8)}, "invalid_capabilities"},
	} {
		_, err := e.svc.Submit(e.Context(), c.cmd)
		e.refused(name, err, c.want)
	}
	e.equal("after refusals, the store", e.dump(), before)
}

// calls is every call on one execution.
func calls(svc ff.Service, id ff.ExecutionID) map[string]func(context.Context) error {
	fence := ff.Fence{LeaseID: ff.NewLeaseID(), Epoch: 1, AttemptID: ff.NewAttemptID()}
	return map[string]func(context.Context) error{
		"describe": func(ctx context.Context) error { _, err := svc.Describe(ctx, id); return err },
		"result":   func(ctx context.Context) error { _, err := svc.Result(ctx, id); return err },
		"wait":     func(ctx context.Context) error { _, err := svc.Wait(ctx, id, time.Minute); return err },
		"attempts": func(ctx context.Context) error {
			_, err := svc.Attempts(ctx, ff.ListAttempts{ExecutionID: id})
			return err
		},
		"cancel": func(ctx context.Context) error { _, err := svc.Cancel(ctx, ff.Cancel{ExecutionID: id}); return err },
		"renew": func(ctx context.Context) error {
			_, err := svc.Renew(ctx, ff.Renew{ExecutionID: id, Fence: fence})
			return err
		},
		"renew many": func(ctx context.Context) error {
			results, err := svc.RenewMany(ctx, []ff.Renew{{ExecutionID: id, Fence: fence}})
			if err != nil {
				return err
			}
			return results[0].Err
		},
		"progress": func(ctx context.Context) error {
			return svc.UpdateProgress(ctx, ff.UpdateProgress{ExecutionID: id, Fence: fence})
		},
		"complete": func(ctx context.Context) error {
			return svc.Complete(ctx, ff.Complete{ExecutionID: id, Fence: fence})
		},
		"fail": func(ctx context.Context) error {
			_, err := svc.Fail(ctx, ff.Fail{ExecutionID: id, Fence: fence})
			return err
		},
		"delay": func(ctx context.Context) error {
			_, err := svc.Delay(ctx, ff.Delay{ExecutionID: id, Fence: fence, For: time.Second})
			return err
		},
		"release": func(ctx context.Context) error {
			return svc.Release(ctx, ff.Release{ExecutionID: id, Fence: fence})
		},
		"change priority": func(ctx context.Context) error {
			_, err := svc.ChangePriority(ctx, ff.ChangePriority{ExecutionID: id})
			return err
		},
		"replay": func(ctx context.Context) error { _, err := svc.Replay(ctx, ff.Replay{ExecutionID: id}); return err },
		"claim execution": func(ctx context.Context) error {
			_, err := svc.ClaimExecution(ctx, ff.ClaimExecution{ExecutionID: id})
			return err
		},
		"block":   func(ctx context.Context) error { return svc.Block(ctx, ff.Block{ExecutionID: id}) },
		"unblock": func(ctx context.Context) error { return svc.Unblock(ctx, ff.Unblock{ExecutionID: id}) },
		"set tags": func(ctx context.Context) error {
			return svc.SetTags(ctx, ff.SetTags{ExecutionID: id, Tags: map[string]string{"a.b": "c"}})
		},
		"revoke lease": func(ctx context.Context) error {
			_, err := svc.RevokeLease(ctx, ff.RevokeLease{ExecutionID: id})
			return err
		},
	}
}

func testInputIDs(e *env) {
	for what, id := range map[string]ff.ExecutionID{
		"unset id": {}, "unknown partition": ff.ExecutionIDFrom(256, uuid.New()), "last partition": ff.ExecutionIDFrom(65535, uuid.New()),
	} {
		for name, call := range calls(e.svc, id) {
			e.refused(name+" with "+what, call(e.Context()), ff.CodeInvalidInput)
		}
		if !id.IsZero() {
			_, err := e.svc.Submit(e.Context(), e.command(ff.Submit{ID: id}))
			e.refused("submit with "+what, err, ff.CodeInvalidInput)
		}
	}
}

func testInputUnknown(e *env) {
	id := ff.SoloExecutionID(e.lane, ff.DefaultPartitions())
	for name, call := range calls(e.svc, id) {
		err := call(e.Context())
		e.refused(name, err, ff.CodeExecutionNotFound)
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") && name != "renew many" && name != "progress" && name != "wait" {
			e.Errorf("the error does not begin with its operation %q: %v", name, err)
		}
	}
}

func testInputClaims(e *env) {
	for name, c := range map[string]struct {
		change func(c *ff.Claim)
		want   ff.Code
	}{
		"no lanes":             {func(c *ff.Claim) { c.Lanes = nil }, "invalid_input"},
		"65 lanes":             {func(c *ff.Claim) { c.Lanes = make([]ff.LaneID, 65) }, "invalid_input"},
		"an empty lane":        {func(c *ff.Claim) { c.Lanes = []ff.LaneID{"a", ""} }, "invalid_input"},
		"a bad lane":           {func(c *ff.Claim) { c.Lanes = []ff.LaneID{"a\n"} }, "invalid_input"},
		"max below":            {func(c *ff.Claim) { c.Max = -1 }, "invalid_input"},
		"max above":            {func(c *ff.Claim) { c.Max = 1001 }, "invalid_input"},
		"wait below":           {func(c *ff.Claim) { c.Wait = -1 }, "invalid_input"},
		"wait above":           {func(c *ff.Claim) { c.Wait = time.Minute + 1 }, "invalid_input"},
		"ttl below":            {func(c *ff.Claim) { c.LeaseTTL = 100*time.Millisecond - 1 }, "invalid_input"},
		"ttl above":            {func(c *ff.Claim) { c.LeaseTTL = 24*time.Hour + 1 }, "invalid_input"},
		"negative ttl":         {func(c *ff.Claim) { c.LeaseTTL = -1 }, "invalid_input"},
		"liveness ttl below":   {func(c *ff.Claim) { c.LivenessTTL = time.Second - time.Millisecond }, "invalid_input"},
		"liveness ttl above":   {func(c *ff.Claim) { c.LivenessTTL = 24*time.Hour + time.Millisecond }, "invalid_input"},
		"least liveness ttl":   {func(c *ff.Claim) { c.LivenessTTL = time.Second }, ""},
		"liveness ttl at most": {func(c *ff.Claim) { c.LivenessTTL = 24 * time.Hour }, ""},
		"no worker":            {func(c *ff.Claim) { c.WorkerID = "" }, "invalid_input"},
		"no instance":          {func(c *ff.Claim) { c.WorkerInstanceID = "" }, "invalid_input"},
		"worker with a space":  {func(c *ff.Claim) { c.WorkerID = "a b" }, "invalid_input"},
		"worker too long":      {func(c *ff.Claim) { c.WorkerID = ff.WorkerID(strings.Repeat("w", 257)) }, "invalid_input"},
		"instance not UTF-8":   {func(c *ff.Claim) { c.WorkerInstanceID = "a\xff" }, "invalid_input"},
		"empty capability":     {func(c *ff.Claim) { c.Capabilities = []string{"a", ""} }, "invalid_capabilities"},
		"capability with a ,":  {func(c *ff.Claim) { c.Capabilities = []string{"a,b"} }, "invalid_capabilities"},
		"too many bytes of it": {func(c *ff.Claim) { c.Capabilities = []string{strings.Repeat("a", 4097)} }, "invalid_capabilities"},
	} {
		cmd := e.wants(1)
		c.change(&cmd)
		_, err := e.svc.Claim(e.Context(), cmd)
		e.refused(name, err, c.want)
	}
	cmd := e.wants(1000)
	cmd.Lanes = make([]ff.LaneID, 64)
	for i := range cmd.Lanes {
		cmd.Lanes[i] = e.lane
	}
	cmd.WorkerID, cmd.WorkerInstanceID = ff.WorkerID(strings.Repeat("w", 256)), "größe"
	_, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
}

func testInputReports(e *env) {
	c := e.running(ff.Submit{})
	id, f := c.ExecutionID, c.Fence
	long, big := strings.Repeat("r", 4097), make([]byte, 1<<20+1)
	progress := func(p ff.Progress) error {
		return e.svc.UpdateProgress(e.Context(), ff.UpdateProgress{ExecutionID: id, Fence: f, Progress: p})
	}
	renew := func(r ff.Renew) error { _, err := e.svc.Renew(e.Context(), r); return err }
	fail := func(cmd ff.Fail) error { _, err := e.svc.Fail(e.Context(), cmd); return err }
	delay := func(cmd ff.Delay) error { _, err := e.svc.Delay(e.Context(), cmd); return err }
	cancel := func(cmd ff.Cancel) error { _, err := e.svc.Cancel(e.Context(), cmd); return err }
	revoke := func(cmd ff.RevokeLease) error { _, err := e.svc.RevokeLease(e.Context(), cmd); return err }
	e.unchanged("bad reports", id, func() {
		for name, err := range map[string]error{
			"ttl below":              renew(ff.Renew{ExecutionID: id, Fence: f, TTL: time.Millisecond}),
			"ttl above":              renew(ff.Renew{ExecutionID: id, Fence: f, TTL: 25 * time.Hour}),
			"progress with renewal":  renew(ff.Renew{ExecutionID: id, Fence: f, Progress: &ff.Progress{Percent: new(101)}}),
			"percent below":          progress(ff.Progress{Percent: new(-1)}),
			"percent above":          progress(ff.Progress{Percent: new(101)}),
			"message too long":       progress(ff.Progress{Message: &long}),
			"message not UTF-8":      progress(ff.Progress{Message: new("\xff")}),
			"reason too long":        fail(ff.Fail{ExecutionID: id, Fence: f, Reason: long}),
			"reason not UTF-8":       fail(ff.Fail{ExecutionID: id, Fence: f, Reason: "\xff"}),
			"reason with NUL":        fail(ff.Fail{ExecutionID: id, Fence: f, Reason: "\x00"}),
			"category too long":      fail(ff.Fail{ExecutionID: id, Fence: f, Category: ff.FailureCategory(long)}),
			"neither for nor until":  delay(ff.Delay{ExecutionID: id, Fence: f}),
			"both for and until":     delay(ff.Delay{ExecutionID: id, Fence: f, For: 1, Until: 1}),
			"negative for":           delay(ff.Delay{ExecutionID: id, Fence: f, For: -1}),
			"for above":              delay(ff.Delay{ExecutionID: id, Fence: f, For: 100*365*24*time.Hour + 1}),
			"negative until":         delay(ff.Delay{ExecutionID: id, Fence: f, Until: -1}),
			"until above":            delay(ff.Delay{ExecutionID: id, Fence: f, Until: ff.MaxTimestamp + 1}),
			"cancel actor too long":  cancel(ff.Cancel{ExecutionID: id, Actor: long}),
			"cancel reason too long": cancel(ff.Cancel{ExecutionID: id, Reason: long}),
			"source too long":        cancel(ff.Cancel{ExecutionID: id, Source: ff.Source(long)}),
			"revoke reason too long": revoke(ff.RevokeLease{ExecutionID: id, Reason: long}),
			"actor too long":         revoke(ff.RevokeLease{ExecutionID: id, Actor: long}),
			"result encoding":        e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: f, ResultEncoding: long}),
		} {
			e.refused(name, err, ff.CodeInvalidInput)
		}
		e.refused("result", e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: f, Result: big}), ff.CodePayloadTooLarge)
		e.refused("details", progress(ff.Progress{Details: make([]byte, 16<<10+1)}), ff.CodePayloadTooLarge)
		_, err := e.svc.RenewMany(e.Context(), make([]ff.Renew, 10_001))
		e.refused("renew many", err, ff.CodeInvalidInput)
		_, err = e.svc.Wait(e.Context(), id, time.Minute+1)
		e.refused("wait above", err, ff.CodeInvalidInput)
		_, err = e.svc.Wait(e.Context(), id, -1)
		e.refused("wait below", err, ff.CodeInvalidInput)
		_, err = e.svc.Replay(e.Context(), ff.Replay{ExecutionID: id, Reason: long})
		e.refused("replay reason", err, ff.CodeInvalidInput)
		_, err = e.svc.ChangePriority(e.Context(), ff.ChangePriority{ExecutionID: id, Actor: long})
		e.refused("priority actor", err, ff.CodeInvalidInput)
	})
}

func testInputPages(e *env) {
	id := e.submit(ff.Submit{})
	for name, q := range map[string]ff.ListAttempts{
		"limit below": {ExecutionID: id, Limit: -1}, "limit above": {ExecutionID: id, Limit: 1001},
		"cursor of letters": {ExecutionID: id, After: "x"}, "negative cursor": {ExecutionID: id, After: "-1"},
		"cursor beyond numbers": {ExecutionID: id, After: strings.Repeat("9", 30)},
	} {
		_, err := e.svc.Attempts(e.Context(), q)
		e.refused(name, err, ff.CodeInvalidInput)
	}
}

func testInputAtBounds(e *env) {
	c := e.running(ff.Submit{})
	id, f := c.ExecutionID, c.Fence
	_, err := e.svc.Renew(e.Context(), ff.Renew{ExecutionID: id, Fence: f, TTL: 24 * time.Hour})
	e.ok(err)
	_, err = e.svc.Renew(e.Context(), ff.Renew{ExecutionID: id, Fence: f, TTL: 100 * time.Millisecond})
	e.ok(err)
	message := strings.Repeat("m", 4096)
	e.ok(e.svc.UpdateProgress(e.Context(), ff.UpdateProgress{ExecutionID: id, Fence: f, Progress: ff.Progress{
		Percent: new(100), Message: &message, Details: make([]byte, 16<<10),
	}}))
	result := make([]byte, 1<<20)
	result[1] = 0xff
	e.ok(e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: f, Result: result, ResultEncoding: strings.Repeat("e", 256)}))
	r, err := e.svc.Result(e.Context(), id)
	e.ok(err)
	e.equal("result is kept", bytes.Equal(r.Payload, result), true)
}
