package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

func testRefLimits(e *env) {
	a := e.api(ffserver.Config{})
	if !e.limited() {
		a.is("POST", "/v1/budgets/"+ff.NewBudgetID().String()+"/reset", "", 503, `{"error":"backend op unavailable: reset budget","kind":"unavailable","retryable":false}`)
		return
	}
	const budget = `{"budget_id":"a1a2a3a4-b1b2-41d2-8c1c-0011223344ff","scope_type":"flow","scope_id":"550e8400-e29b-41d4-a716-446655440000",
		"enforcement_mode":"strict","on_hard_limit":"fail","on_soft_limit":"warn","reset_interval_ms":0,
		"dimensions":["total_tokens"],"hard_limits":[1200],"soft_limits":[800],"now":1767225600000}`
	const path = "/v1/budgets/a1a2a3a4-b1b2-41d2-8c1c-0011223344ff"
	a.is("POST", "/v1/budgets", budget, 201, `{"Created":{"budget_id":"a1a2a3a4-b1b2-41d2-8c1c-0011223344ff"}}`)
	a.is("POST", "/v1/budgets", budget, 200, `{"AlreadySatisfied":{"budget_id":"a1a2a3a4-b1b2-41d2-8c1c-0011223344ff"}}`)
	a.is("POST", "/v1/budgets", strings.Replace(budget, "1200", "1201", 1), 409, `{"error":"budget_attach_conflict: BudgetAttachConflict","kind":"budget_attach_conflict","retryable":false}`)
	created := e.pace.now()
	status := func(usage string, breaches int, soft int, at, dim string) string {
		return fmt.Sprintf(`{"budget_id":"a1a2a3a4-b1b2-41d2-8c1c-0011223344ff","scope_type":"flow","scope_id":"550e8400-e29b-41d4-a716-446655440000",
			"enforcement_mode":"strict","usage":{%s},"hard_limits":{"total_tokens":1200},"soft_limits":{"total_tokens":800},
			"breach_count":%d,"soft_breach_count":%d,"last_breach_at":%s,"last_breach_dim":%s,"next_reset_at":null,"created_at":"%d"}`,
			usage, breaches, soft, at, dim, created)
	}
	a.is("GET", path, "", 200, status("", 0, 0, "null", "null"))
	report := func(n int, more string) string {
		return fmt.Sprintf(`{"dimensions":{"total_tokens":%d},"now":1767225604000%s}`, n, more)
	}
	a.is("POST", path+"/usage", report(650, ""), 200, `"Ok"`)
	dedup := `,"dedup_key":"{fp:24}:6ba7b810-9dad-41d1-80b4-00c04fd430c8:0"`
	a.is("POST", path+"/usage", report(250, dedup), 200, `{"SoftBreach":{"dimension":"total_tokens","current_usage":900,"soft_limit":800}}`)
	a.is("POST", path+"/usage", report(250, dedup), 200, `"AlreadyApplied"`)
	a.is("GET", path, "", 200, status(`"total_tokens":900`, 0, 1, "null", "null"))
	a.is("POST", path+"/usage", report(301, `,"dedup_key":null`), 200, `{"HardBreach":{"dimension":"total_tokens","current_usage":900,"hard_limit":1200}}`)
	a.is("GET", path, "", 200, status(`"total_tokens":900`, 1, 1, fmt.Sprintf(`"%d"`, created), `"total_tokens"`))
	a.is("POST", path+"/reset", "", 200, `{"Reset":{"next_reset_at":0}}`)
	unknown := `{"error":"not found: budget","code":"budget_not_found"}`
	stranger := "/v1/budgets/" + ff.NewBudgetID().String()
	a.is("GET", stranger, "", 404, unknown)
	a.is("POST", stranger+"/usage", report(1, ""), 404, unknown)
	a.is("POST", stranger+"/reset", "", 404, unknown)

	// of two dimensions that are passed the first is named (H13)
	two := strings.NewReplacer("a1a2a3a4", "b1a2a3a4", `"total_tokens"`, `"z","a"`, "1200", "1,1", "800", "0,0", `interval_ms":0`, `interval_ms":60000`,
		"550e8400", "650e8400").Replace(budget)
	a.is("POST", "/v1/budgets", two, 201, `{"Created":{"budget_id":"b1a2a3a4-b1b2-41d2-8c1c-0011223344ff"}}`)
	other := strings.Replace(path, "a1a2", "b1a2", 1)
	for range 4 {
		a.is("POST", other+"/usage", `{"dimensions":{"z":2,"a":3},"now":1}`, 200, `{"HardBreach":{"dimension":"a","current_usage":0,"hard_limit":1}}`)
	}
	e.advance(time.Second)
	a.is("POST", other+"/reset", "", 200, fmt.Sprintf(`{"Reset":{"next_reset_at":%d}}`, e.pace.now()+60_000))
	next := a.member(a.ask("GET", other, "").text, "next_reset_at")
	e.equal("next_reset_at is text", next, any(fmt.Sprint(e.pace.now()+60_000)))

	fresh := func(change ...string) string {
		return strings.NewReplacer(append(change, "a1a2a3a4", "c1a2a3a4")...).Replace(budget)
	}
	many := strings.TrimSuffix(strings.Repeat(`"d",`, 65), ",")
	e.untouched("budgets that are refused", func() {
		for text, body := range map[string]string{
			"invalid_input: dimension_limit_array_mismatch: ":      fresh("[800]", "[]"),
			"invalid_input: too_many_dimensions: limit=64, got=65": fresh(`["total_tokens"]`, "["+many+"]"),
			"invalid_input: dimensions names one twice":            fresh(`["total_tokens"]`, `["a","a"]`, "[1200]", "[1,2]", "[800]", "[0,0]"),
			"invalid_input: hard_limits has an amount above":       fresh("1200", "9223372036854775808"),
			"invalid_input: reset_interval":                        fresh(`interval_ms":0`, `interval_ms":18446744073709551615`),
			"invalid_input: on_hard_limit":                         fresh(`"fail"`, `"reroute_fallback"`),
			"invalid_input: on_soft_limit":                         fresh(`"warn"`, `"fail"`),
			"invalid_input: enforcement_mode":                      fresh(`"strict"`, `"lax"`),
			"invalid_budget_scope: ":                               fresh(`"flow"`, `"planet"`),
		} {
			a.refusedWith("POST", "/v1/budgets", body, 400, text)
		}
		a.refusedWith("POST", "/v1/budgets", fresh("[1200]", "[-1]"), 422, "invalid JSON: ")
		a.refusedWith("POST", "/v1/budgets", fresh("[1200]", "[18446744073709551616]"), 422, "invalid JSON: ")
		a.refusedWith("POST", path+"/usage", `{"dimensions":{},"now":1}`, 400, "invalid_input: ")
		a.refusedWith("POST", path+"/usage", `{"dimensions":{"a":9223372036854775808},"now":1}`, 400, "invalid_input: ")
		a.refusedWith("POST", path+"/usage", `{"dimensions":null,"now":1}`, 422, "invalid JSON: ")
		a.refusedWith("GET", "/v1/budgets/x", "", 400, "invalid budget_id: ")
		a.refusedWith("POST", "/v1/budgets/x/reset", "", 400, "invalid budget_id: ")
	})

	quota := `{"quota_policy_id":"0f8fad5b-d9cb-469f-a165-70867728950e","window_seconds":60,"max_requests_per_window":100,"max_concurrent":5,"now":1767225600000}`
	a.is("POST", "/v1/quotas", quota, 201, `{"Created":{"quota_policy_id":"0f8fad5b-d9cb-469f-a165-70867728950e"}}`)
	a.is("POST", "/v1/quotas", quota, 200, `{"AlreadySatisfied":{"quota_policy_id":"0f8fad5b-d9cb-469f-a165-70867728950e"}}`)
	a.is("POST", "/v1/quotas", strings.Replace(quota, "100", "101", 1), 409, `{"error":"quota_attach_conflict: QuotaAttachConflict","kind":"quota_attach_conflict","retryable":false}`)
	for _, change := range [][2]string{{`window_seconds":60`, `window_seconds":18446744073709551615`}, {`":100`, `":18446744073709551615`}, {`":5,`, `":1000001,`}} {
		a.refusedWith("POST", "/v1/quotas", strings.NewReplacer("0f8fad5b", "1f8fad5b", change[0], change[1]).Replace(quota), 400, "invalid_quota_spec: ")
	}

	// an execution is under what its policy names
	id := a.mint()
	a.create(id, `,"policy":{"budget_ids":["A1A2A3A4-B1B2-41D2-8C1C-0011223344FF"],"quota_policy_id":"0f8fad5bd9cb469fa16570867728950e"}`)
	e.equal("limits", e.describe(id).Policy.Limits, &ff.Limits{
		Budgets: []ff.BudgetUse{{ID: idOf[ff.BudgetID](e, "a1a2a3a4-b1b2-41d2-8c1c-0011223344ff")}},
		Quotas:  []ff.QuotaUse{{ID: idOf[ff.QuotaID](e, "0f8fad5b-d9cb-469f-a165-70867728950e"), Key: "default"}},
	})
	a.is("POST", "/v1/executions", a.submission(a.mint(), `,"policy":{"budget_ids":["`+ff.NewBudgetID().String()+`"]}`), 404, unknown)
}

// idOf reads an id.
func idOf[ID ~[16]byte, P interface {
	*ID
	UnmarshalText([]byte) error
}](e *env, text string) (id ID) {
	e.Helper()
	e.ok(P(&id).UnmarshalText([]byte(text)))
	return id
}

func testRefRotations(e *env) {
	a := e.api(ffserver.Config{SecretGrace: time.Hour})
	const path = "/v1/admin/rotate-waitpoint-secret"
	secret := "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	_, before := e.parked(ff.Suspend{})
	kid, _ := before.Token.Fingerprint()
	a.is("POST", path, `{"new_kid":"k2","new_secret_hex":"`+secret+`"}`, 200, `{"rotated":1,"failed":[],"new_kid":"k2"}`)
	a.is("POST", path, `{"new_kid":"k2","new_secret_hex":"`+secret+`"}`, 200, `{"rotated":1,"failed":[],"new_kid":"k2"}`)
	secrets, err := e.svc.ListSecrets(e.Context())
	e.ok(err)
	for _, s := range secrets {
		switch s.Kid {
		case "k2":
			e.equal("the new secret", []any{s.Current, s.ExpiresAt}, []any{true, ff.Timestamp(0)})
		case kid:
			e.equal("the one before", []any{s.Current, s.ExpiresAt}, []any{false, e.pace.now().Add(time.Hour)})
		}
	}
	e.untouched("rotations that are refused", func() {
		for _, bad := range []string{"", "a:b"} {
			a.is("POST", path, `{"new_kid":"`+bad+`","new_secret_hex":"`+secret+`"}`, 400, `{"error":"new_kid must be non-empty and must not contain ':'"}`)
		}
		for _, bad := range []string{"", "0", "0g", " 00"} {
			a.is("POST", path, `{"new_kid":"k3","new_secret_hex":"`+bad+`"}`, 400, `{"error":"new_secret_hex must be a non-empty even-length hex string"}`)
		}
		a.refusedWith("POST", path, `{"new_kid":"`+strings.Repeat("k", 65)+`","new_secret_hex":"00"}`, 400, "invalid_kid")
		a.is("POST", path, `{"new_kid":"k2","new_secret_hex":"00"}`, 409, `{"error":"rotation_conflict: RotationConflict","kind":"rotation_conflict","retryable":false}`)
	})
}
