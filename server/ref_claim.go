package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// The reference grants a worker the right to claim, and the worker turns the grant into a lease against the store. This engine
// has one claim path, which nothing can go around, and it leases. So a grant is a lease: it lasts as long as the grant was to
// last, and grant_key is its sealed handle. A worker goes on by POST /v1/calls/open_handle, which tells the fence, and the worker
// protocol below /v1/leases/, of which the first call would be a renewal. Who does nothing with a grant lets it run out, as with
// the reference; the execution is then claimed again as one whose worker was lost.

func (s *Server) routeRefClaims() {
	s.addRef(route{
		method: http.MethodPost, path: "/v1/workers/{worker_id}/claim", op: wire.Claim.Op, name: "claim_for_worker", limit: control,
		body: reflect.TypeFor[workerClaim](), answers: append(ok[grant](), answer{status: http.StatusNoContent}),
	}, s.refClaim)
	s.addRef(route{
		method: http.MethodPost, path: "/v1/executions/{id}/reclaim", op: wire.ClaimExecution.Op, name: "reclaim_execution", limit: control,
		body: reflect.TypeFor[reclaim](), answers: ok[reclaimed](),
	}, s.refReclaim)
}

const maxGrantTTLMS = 60_000

// workerClaim is the body of POST /v1/workers/{worker_id}/claim.
type workerClaim struct {
	Lane             string   `json:"lane_id"`
	WorkerInstanceID string   `json:"worker_instance_id"`
	Capabilities     []string `json:"capabilities,omitzero"`
	GrantTTLMS       uint64   `json:"grant_ttl_ms"` // 1 to 60,000; a lease lasts 100 at least
}

// grant is a lease in the form of the reference's grants.
type grant struct {
	ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
	PartitionKey string                 `json:"partition_key"`
	GrantKey     flowfabric.Handle      `json:"grant_key"` // opaque: the sealed handle of the lease
	ExpiresAt    flowfabric.Timestamp   `json:"expires_at_ms"`
}

// claimant is who asks for a grant.
type claimant struct {
	worker, instance, lane string
	ttlMS                  uint64
}

// check refuses in the order and the words of the reference.
func (c claimant) check() error {
	for _, name := range []struct{ field, text string }{{"worker_id", c.worker}, {"worker_instance_id", c.instance}} {
		if err := checkIdentifier(name.field, name.text); err != nil {
			return err
		}
	}
	if err := checkLane(c.lane); err != nil {
		return err
	}
	if c.ttlMS < 1 || c.ttlMS > maxGrantTTLMS {
		return refuseInput("grant_ttl_ms", "grant_ttl_ms must be in 1..=60000")
	}
	return nil
}

func checkIdentifier(field, text string) error {
	switch {
	case text == "":
		return refuseInput(field, field+": must not be empty")
	case len(text) > flowfabric.MaxNameBytes:
		return refuseInput(field, fmt.Sprintf("%s: exceeds %d bytes (got %d)", field, flowfabric.MaxNameBytes, len(text)))
	case !utf8.ValidString(text):
		return refuseInput(field, field+": must be UTF-8")
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return refuseInput(field, field+": must not contain whitespace or control characters")
	}
	return nil
}

func checkLane(text string) error {
	switch {
	case text == "":
		return refuseInput("lane_id", "lane_id: lane_id is empty")
	case len(text) > flowfabric.MaxLaneIDBytes:
		return refuseInput("lane_id", fmt.Sprintf("lane_id: lane_id exceeds %d bytes (got %d)", flowfabric.MaxLaneIDBytes, len(text)))
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return refuseInput("lane_id", fmt.Sprintf("lane_id: lane_id contains non-ASCII-printable byte at index %d", i))
		}
	}
	return nil
}

// ttl is how long the lease lasts.
func (c claimant) ttl() time.Duration {
	return max(time.Duration(c.ttlMS)*time.Millisecond, flowfabric.MinLeaseTTL)
}

func (s *Server) refClaim(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[workerClaim](r)
	if err != nil {
		return 0, nil, err
	}
	who := claimant{worker: r.PathValue("worker_id"), instance: in.WorkerInstanceID, lane: in.Lane, ttlMS: in.GrantTTLMS}
	if err := who.check(); err != nil {
		return 0, nil, err
	}
	res, err := call(r.Context(), s, wire.Claim, flowfabric.Claim{
		Lanes: []flowfabric.LaneID{flowfabric.LaneID(who.lane)}, WorkerID: flowfabric.WorkerID(who.worker),
		WorkerInstanceID: flowfabric.WorkerInstanceID(who.instance), Capabilities: in.Capabilities, Max: 1, LeaseTTL: who.ttl(),
	})
	if err != nil {
		return 0, nil, err
	}
	if len(res.Executions) == 0 {
		return http.StatusNoContent, nil, nil
	}
	g, err := s.granted(r.Context(), &res.Executions[0])
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, g, nil
}

// granted seals a lease as a grant. A lease that nobody is told of is given back.
func (s *Server) granted(ctx context.Context, c *flowfabric.Claimed) (grant, error) {
	sealed, err := call(ctx, s, wire.SealHandle, *c)
	if err != nil {
		_, late := call(context.WithoutCancel(ctx), s, wire.Release, flowfabric.Release{ExecutionID: c.ExecutionID, Fence: c.Fence})
		return grant{}, errors.Join(err, late)
	}
	return grant{
		ExecutionID: c.ExecutionID, PartitionKey: c.ExecutionID.Partition().String(), GrantKey: sealed.Handle, ExpiresAt: c.LeaseExpiresAt,
	}, nil
}

// reclaim is the body of POST /v1/executions/{id}/reclaim. The three members the reference records with a grant are passed over.
type reclaim struct {
	WorkerID         string   `json:"worker_id"`
	WorkerInstanceID string   `json:"worker_instance_id"`
	Lane             string   `json:"lane_id"`
	GrantTTLMS       uint64   `json:"grant_ttl_ms"`
	CapabilityHash   *string  `json:"capability_hash,omitzero"`
	RouteSnapshot    *string  `json:"route_snapshot_json,omitzero"`
	AdmissionSummary *string  `json:"admission_summary,omitzero"`
	Capabilities     []string `json:"worker_capabilities,omitzero"`
}

// reclaimed answers it. Which members there are follows from Status.
type reclaimed struct {
	Status       reclaimStatus          `json:"status"`
	ExecutionID  flowfabric.ExecutionID `json:"execution_id"`
	PartitionKey string                 `json:"partition_key,omitzero"`
	GrantKey     flowfabric.Handle      `json:"grant_key,omitzero"`
	ExpiresAt    flowfabric.Timestamp   `json:"expires_at_ms,omitzero"`
	Lane         flowfabric.LaneID      `json:"lane_id,omitzero"` // that of the execution
	Detail       string                 `json:"detail,omitzero"`
	ReclaimCount *int                   `json:"reclaim_count,omitzero"`
}

type reclaimStatus string

const (
	reclaimGranted reclaimStatus = "granted"
	notReclaimable reclaimStatus = "not_reclaimable"
	reclaimCapped  reclaimStatus = "reclaim_cap_exceeded"
)

// refReclaim takes an execution over from a worker that lost its lease, by the claim of an operator: as the reference's grants,
// it goes around the order of the lane, but not around budgets and quotas. It is for tools; workers need not do it, since the
// claim path hands out what was lost by itself.
func (s *Server) refReclaim(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[reclaim](r)
	if err != nil {
		return 0, nil, err
	}
	id, err := executionOf(r)
	if err != nil {
		return 0, nil, err
	}
	who := claimant{worker: in.WorkerID, instance: in.WorkerInstanceID, lane: in.Lane, ttlMS: in.GrantTTLMS}
	if err := who.check(); err != nil {
		return 0, nil, err
	}
	offered, err := flowfabric.NormalizeCapabilities("worker", in.Capabilities)
	if err != nil {
		return 0, nil, err
	}
	e, err := call(r.Context(), s, wire.Describe, wire.OfExecution{ExecutionID: id})
	if err != nil {
		return 0, nil, err
	}
	if out, refused := cannotReclaim(&e, offered); refused {
		return http.StatusOK, out, nil
	}
	c, err := call(r.Context(), s, wire.ClaimExecution, flowfabric.ClaimExecution{
		ExecutionID: id, WorkerID: flowfabric.WorkerID(who.worker), WorkerInstanceID: flowfabric.WorkerInstanceID(who.instance), LeaseTTL: who.ttl(),
	})
	switch {
	case errors.Is(err, flowfabric.ErrExecutionNotEligible), errors.Is(err, flowfabric.ErrLeaseConflict): // somebody else was faster
		return http.StatusOK, reclaimed{Status: notReclaimable, ExecutionID: id, Detail: lostRace}, nil
	case err != nil:
		return 0, nil, err
	}
	g, err := s.granted(r.Context(), &c)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, reclaimed{
		Status: reclaimGranted, ExecutionID: g.ExecutionID, PartitionKey: g.PartitionKey, GrantKey: g.GrantKey, ExpiresAt: g.ExpiresAt, Lane: e.Lane,
	}, nil
}

// lostRace is why an execution cannot be reclaimed that is not one whose worker was lost.
const lostRace = "execution_not_reclaimable"

// cannotReclaim says why an execution cannot be taken over by a worker that offers sorted capabilities.
func cannotReclaim(e *flowfabric.ExecutionSnapshot, offered []string) (reclaimed, bool) {
	out := reclaimed{Status: notReclaimable, ExecutionID: e.ExecutionID}
	lost := e.State.Ownership == flowfabric.LeaseExpiredReclaimable || e.State.Ownership == flowfabric.LeaseRevoked
	switch {
	case e.FailureReason == "max_reclaims_exceeded" && e.State.Outcome == flowfabric.OutcomeFailed:
		out.Status, out.ReclaimCount = reclaimCapped, &e.ReclaimCount
		return out, true
	case !lost:
		out.Detail = lostRace
		return out, true
	}
	var missing []string
	for _, token := range e.RequiredCapabilities {
		if _, found := slices.BinarySearch(offered, token); !found {
			missing = append(missing, token)
		}
	}
	if len(missing) > 0 {
		out.Detail = "capability_mismatch: " + strings.Join(missing, ",")
	}
	return out, len(missing) > 0
}
