package servicetest

import (
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	ffserver "github.com/flowfabric/flowfabric/server"
)

func testRefClaims(e *env) {
	a := e.api(ffserver.Config{})
	lane := string(e.lane)
	body := func(lane, instance, more string) string {
		return `{"lane_id":"` + lane + `","worker_instance_id":"` + instance + `",` + more + `}`
	}
	ttl := `"grant_ttl_ms":1000`
	a.is("POST", "/v1/workers/w/claim", body(lane, "w-1", ttl), 204, "")
	id := a.mint()
	a.create(id, `,"policy":{"routing_requirements":{"required_capabilities":["gpu"]}}`)
	a.unchanged("claims that get nothing", id, func() {
		a.is("POST", "/v1/workers/w/claim", body(lane, "w-1", ttl), 204, "")
		long := strings.Repeat("x", 257)
		for _, c := range []struct{ worker, body, text string }{
			{long, body(lane, "w-1", ttl), "worker_id: exceeds 256 bytes (got 257)"},
			{"a%20b", body(lane, "w-1", ttl), "worker_id: must not contain whitespace or control characters"},
			{"a%00b", body("", "", ttl), "worker_id: must not contain whitespace or control characters"},
			{"%ff", body(lane, "w-1", ttl), "worker_id: must be UTF-8"},
			{"w", body("", "", `"grant_ttl_ms":0`), "worker_instance_id: must not be empty"},
			{"w", body(lane, "a b", ttl), "worker_instance_id: must not contain whitespace or control characters"},
			{"w", body("", "w-1", `"grant_ttl_ms":0`), "lane_id: "},
			{"w", body(strings.Repeat("l", 65), "w-1", ttl), "lane_id: lane_id exceeds 64 bytes (got 65)"},
			{"w", body("ä", "w-1", ttl), "lane_id: lane_id contains non-ASCII-printable byte at index 0"},
			{"w", body(lane, "w-1", `"grant_ttl_ms":0`), "grant_ttl_ms must be in 1..=60000"},
			{"w", body(lane, "w-1", `"grant_ttl_ms":60001`), "grant_ttl_ms must be in 1..=60000"},
			{"w", body(lane, "w-1", ttl+`,"capabilities":[""]`), "invalid_capabilities: worker:empty_token"},
			{"w", body(lane, "w-1", ttl+`,"capabilities":["a,b"]`), "invalid_capabilities: worker:comma_in_token"},
		} {
			a.refusedWith("POST", "/v1/workers/"+c.worker+"/claim", c.body, 400, c.text)
		}
		a.refusedWith("POST", "/v1/workers/w/claim", body(lane, "w-1", ttl+`,"capabilities":null`), 422, "invalid JSON: Unprocessable Entity")
		a.refusedWith("POST", "/v1/workers/w/claim", body(lane, "w-1", `"grant_ttl_ms":1.5`), 422, "invalid JSON: Unprocessable Entity")
		a.is("POST", "/v1/workers/w/claim", `{}`, 422, `{"error":"invalid JSON: Unprocessable Entity","field":"/lane_id"}`)
	})
	got := a.ask("POST", "/v1/workers/"+strings.Repeat("w", 256)+"/claim", body(lane, "w-1", `"grant_ttl_ms":60000,"capabilities":["gpu","gpu"]`))
	grant, _ := a.parse(got.text).(map[string]any)
	if got.status != 200 || len(grant) != 4 || grant["partition_key"] != id.Partition().String() || grant["execution_id"] != id.String() {
		e.Errorf("the grant is %d %s", got.status, got.text)
	}
	e.equal("expires", fmt.Sprint(grant["expires_at_ms"]), fmt.Sprint(e.pace.now()+60_000))
	e.equal("the lease", e.describe(id).Lease.ExpiresAt, e.pace.now()+60_000)
	// a worker of any language goes on with the handle
	opened := a.ask("POST", "/v1/calls/open_handle", `{"handle":"`+grant["grant_key"].(string)+`"}`)
	fence := a.json(a.member(opened.text, "fence"))
	renewed := a.ask("POST", "/v1/leases/renew", `{"items":[{"execution_id":"`+id.String()+`","fence":`+fence+`,"ttl_ms":70000}]}`)
	e.equal("renewed", e.describe(id).Lease.ExpiresAt, e.pace.now()+70_000)
	if renewed.status != 200 {
		e.Errorf("renew: %d %s", renewed.status, renewed.text)
	}
	completed := a.ask("POST", "/v1/leases/complete", `{"items":[{"execution_id":"`+id.String()+`","fence":`+fence+`,"result":"e30="}]}`)
	a.is("GET", at(id, "/state"), "", 200, `"completed"`)
	if completed.status != 200 {
		e.Errorf("complete: %d %s", completed.status, completed.text)
	}
	// a grant nobody uses runs out
	idle := a.mint()
	a.create(idle, "")
	a.grantedTo("w", body(lane, "w-1", `"grant_ttl_ms":1`))
	e.equal("a very short grant lasts as long as a lease must", e.describe(idle).Lease.ExpiresAt, e.pace.now()+100)
	e.advance(100 * time.Millisecond)
	e.equal("claimed again", a.grantedTo("w", body(lane, "w-1", ttl)).ExecutionID, idle)
}

func testRefReclaims(e *env) {
	a := e.api(ffserver.Config{})
	id := a.mint()
	a.create(id, `,"policy":{"max_reclaim_count":1,"routing_requirements":{"required_capabilities":["gpu","ssd"]}}`)
	body := func(capabilities string) string {
		return `{"worker_id":"pool-a","worker_instance_id":"pool-a-7","lane_id":"` + string(e.lane) + `","grant_ttl_ms":30000,"worker_capabilities":[` + capabilities + `]}`
	}
	not := func(detail string) string {
		return `{"status":"not_reclaimable","execution_id":"` + id.String() + `","detail":"` + detail + `"}`
	}
	path := at(id, "/reclaim")
	a.unchanged("reclaims of what is not lost", id, func() {
		a.is("POST", path, body(`"gpu","ssd"`), 200, not("execution_not_reclaimable"))
		a.refusedWith("POST", path, strings.Replace(body(""), "pool-a-7", "", 1), 400, "worker_instance_id: must not be empty")
		a.refusedWith("POST", path, strings.Replace(body(""), `"pool-a"`, `""`, 1), 400, "worker_id: must not be empty")
		a.refusedWith("POST", path, strings.Replace(body(""), "30000", "60001", 1), 400, "grant_ttl_ms must be in 1..=60000")
		a.refusedWith("POST", path, strings.Replace(body(""), string(e.lane), "", 1), 400, "lane_id: ")
		a.refusedWith("POST", path, body(`"a b"`), 400, "invalid_capabilities: ")
		a.is("POST", path, `{"worker_id":"w","worker_instance_id":"w","lane_id":"l"}`, 422, `{"error":"invalid JSON: Unprocessable Entity","field":"/grant_ttl_ms"}`)
	})
	claim := `{"lane_id":"` + string(e.lane) + `","worker_instance_id":"w-1","grant_ttl_ms":1000,"capabilities":["gpu","ssd"]}`
	lost := a.grantedTo("w", claim)
	a.is("POST", path, body(`"gpu","ssd"`), 200, not("execution_not_reclaimable")) // it is held
	e.advance(time.Second)
	a.is("POST", path, body(`"tpu"`), 200, not("capability_mismatch: gpu,ssd"))
	a.is("POST", path, body(`"ssd"`), 200, not("capability_mismatch: gpu"))
	got := a.ask("POST", path, body(`"ssd","gpu"`))
	key, _ := a.member(got.text, "grant_key").(string)
	e.equal("the grant", a.parse(got.text), a.parse([]byte(fmt.Sprintf(`{"status":"granted","execution_id":"%s","partition_key":"%s","grant_key":"%s",
		"expires_at_ms":%d,"lane_id":"%s"}`, id, id.Partition(), key, e.pace.now()+30_000, e.lane))))
	info, err := e.svc.OpenHandle(e.Context(), ff.Handle(key))
	e.ok(err)
	e.equal("the grant", []any{info.WorkerID, info.WorkerInstanceID, info.Fence.AttemptIndex, info.Fence.Epoch, info.Kind},
		[]any{ff.WorkerID("pool-a"), ff.WorkerInstanceID("pool-a-7"), 1, uint64(2), ff.HandleReclaimed})
	err = e.svc.Complete(e.Context(), ff.Complete{ExecutionID: id, Fence: lost.Fence})
	e.refused("the worker that was lost", err, ff.CodeStaleLease)
	e.advance(30 * time.Second)
	a.is("POST", path, body(`"ssd","gpu"`), 200, `{"status":"reclaim_cap_exceeded","execution_id":"`+id.String()+`","reclaim_count":1}`)
	a.is("GET", at(id, "/state"), "", 200, `"failed"`)
}
