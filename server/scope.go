package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// place is where an execution or a flow belongs, for ever. A flow is of no lane.
type place struct {
	namespace flowfabric.Namespace
	lane      flowfabric.LaneID
}

// maxPlaces is how many places are remembered at least.
const maxPlaces = 50_000

// places remembers where executions and flows belong, for callers that are limited.
type places struct {
	mu    sync.Mutex
	known bounded[any, place] // by [flowfabric.ExecutionID] or [flowfabric.FlowID]
}

// at returns where something belongs, and looks it up if that is not known.
func (p *places) at(id any, look func() (place, error)) (place, error) {
	p.mu.Lock()
	found, ok := p.known.get(id)
	p.mu.Unlock()
	if ok {
		return found, nil
	}
	found, err := look()
	if err == nil {
		p.learn(id, found)
	}
	return found, err
}

func (p *places) learn(id any, at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.put(id, at)
}

// reach is a command of a limited caller, and what it is checked with.
type reach struct {
	ctx context.Context
	s   *Server
	who *Principal
	op  *wire.Op
	in  reflect.Value // the command
}

// rule checks a command against the limits of who gives it. It may narrow the command, so that what it asks for is within them.
type rule func(r reach) error

// within checks a command against the limits of who gives it: what there is no rule for is refused.
func (s *Server) within(ctx context.Context, who *Principal, op *wire.Op, in any) error {
	if !who.limited() {
		return nil
	}
	check := rules[op.Name]
	if check == nil {
		check = unlimitedOnly
	}
	return check(reach{ctx: ctx, s: s, who: who, op: op, in: reflect.ValueOf(in).Elem()})
}

// found remembers where executions belong that were handed to a limited worker: it reports on them next.
func (s *Server) found(ctx context.Context, out any) {
	who := callerOf(ctx).who
	if claimed, ok := out.(wire.Claimed); ok && who != nil && who.limited() {
		for _, c := range claimed.Executions {
			s.places.learn(c.ExecutionID, place{c.Namespace, c.Lane})
		}
	}
}

// rules say of every operation what a limited caller is checked against. Namespaces limit what is about executions and flows,
// lanes what is about executions and lanes. What would let a caller see or change more than its own is refused: a lane, and a
// claim, to one limited to namespaces, and a flow to one limited to lanes.
var rules = map[string]rule{
	"submit":      all(namespace("Namespace"), lane("Lane")),
	"submit_many": each("Executions", all(namespace("Namespace"), lane("Lane"))),

	"describe": execution("ExecutionID"), "result": execution("ExecutionID"), "wait": execution("ExecutionID"),
	"list_attempts": execution("ExecutionID"), "cancel": execution("ExecutionID"), "set_tags": execution("ExecutionID"),
	"explain": execution("ExecutionID"), "list_steps": execution("ExecutionID"), "ledger": execution("ExecutionID"),
	"list_executions": all(oneNamespace("Namespace"), oneLane("Lane")), "list_partition": unlimitedOnly,

	"claim": all(noNamespaces, lanes("Lanes")),
	"renew": execution("ExecutionID"), "renew_many": each("Leases", execution("ExecutionID")), "update_progress": execution("ExecutionID"),
	"complete": execution("ExecutionID"), "fail": execution("ExecutionID"), "delay": execution("ExecutionID"), "release": execution("ExecutionID"),
	"wait_children": all(execution("ExecutionID"), each("Children", under("Submit", lane("Lane")))),
	"suspend":       execution("ExecutionID"), "record_step": execution("ExecutionID"), "append_frames": execution("ExecutionID"),
	"report_usage": execution("ExecutionID"),
	"seal_handle":  execution("ExecutionID"), "open_handle": anyone, // a handle is signed, and hides nothing from who has it
	"register_worker": all(namespace("Namespace"), lanes("Lanes")), "heartbeat_worker": namespace("Namespace"),
	"mark_worker_dead": all(namespace("Namespace"), ownWorker), "list_workers": all(oneNamespace("Namespace"), noLanes),
	"list_expired_leases": all(oneNamespace("Namespace"), noLanes),

	"change_priority": execution("ExecutionID"), "replay": execution("ExecutionID"), "revoke_lease": execution("ExecutionID"),
	"claim_execution": execution("ExecutionID"), "block": execution("ExecutionID"), "unblock": execution("ExecutionID"),
	"resume": execution("ExecutionID"), "update_lane": all(noNamespaces, lane("Lane")), "lane": all(noNamespaces, lane("Lane")),
	"lane_counts": all(noNamespaces, lane("Lane")), "list_lanes": unlimitedOnly,

	"submit_flow": all(noLanes, namespace("Namespace")), "create_flow": all(noLanes, namespace("Namespace")),
	"add_member": all(flow, execution("ExecutionID")), "stage_edge": all(flow, execution("Upstream"), execution("Downstream")),
	"apply_edge": all(flow, execution("Upstream"), execution("Downstream")), "set_group_policy": all(flow, execution("Downstream")),
	"set_flow_tags": flow, "cancel_flow": flow, "cancel_flow_header": flow, "ack_cancel_member": all(flow, execution("ExecutionID")),
	"describe_flow": flow, "flow_tags": flow, "wait_flow": flow, "list_flows": unlimitedOnly, "list_nodes": flow,
	"list_edges": flow, "describe_edge": flow, "explain_flow": flow,

	"create_waitpoint": execution("ExecutionID"), "close_waitpoint": execution("ExecutionID"), "approve": execution("ExecutionID"),
	"deliver_signal": anyone, "seal_link": anyone, "signal_by_link": anyone, // their tokens are the authority
	"describe_suspension": execution("ExecutionID"), "describe_waitpoint": execution("ExecutionID"), "waitpoint_token": execution("ExecutionID"),
	"resume_signals": execution("ExecutionID"), "list_pending_waitpoints": execution("ExecutionID"),
	"list_suspended": all(oneNamespace("Namespace"), oneLane("Lane")),

	"read_stream": execution("ExecutionID"), "tail_stream": execution("ExecutionID"), "describe_stream": execution("ExecutionID"),
	"read_summary": execution("ExecutionID"),
	"read_events":  under("Filter", all(oneNamespace("Namespace"), oneLane("Lane"))),
	"ack_events":   unlimitedOnly, "event_reader": unlimitedOnly, "list_event_readers": unlimitedOnly, "forget_event_reader": unlimitedOnly,

	"create_budget": unlimitedOnly, "update_budget": unlimitedOnly, "delete_budget": unlimitedOnly, "reset_budget": unlimitedOnly,
	"describe_budget": unlimitedOnly, "list_budgets": unlimitedOnly, "release_budget": execution("ExecutionID"),
	"create_quota": unlimitedOnly, "update_quota": unlimitedOnly, "delete_quota": unlimitedOnly, "describe_quota": unlimitedOnly,
	"list_quotas": unlimitedOnly, "list_quota_keys": unlimitedOnly,
	"seed_secret": unlimitedOnly, "rotate_secret": unlimitedOnly, "list_secrets": unlimitedOnly,
	"create_key": unlimitedOnly, "rotate_key": unlimitedOnly, "revoke_key": unlimitedOnly, "verify_key": unlimitedOnly, "list_keys": unlimitedOnly,
}

func (r reach) forbidden(format string, args ...any) error {
	return &flowfabric.Error{Code: flowfabric.CodeForbidden, Op: r.op.Name, Detail: fmt.Sprintf(format, args...)}
}

func anyone(reach) error { return nil }

func unlimitedOnly(r reach) error {
	return r.forbidden("it is about more than the namespaces or lanes the caller is limited to")
}

func noNamespaces(r reach) error {
	if len(r.who.Namespaces) > 0 {
		return r.forbidden("lanes are of all namespaces, and the caller is limited to %v", r.who.Namespaces)
	}
	return nil
}

func noLanes(r reach) error {
	if len(r.who.Lanes) > 0 {
		return r.forbidden("it is about work on any lane, and the caller is limited to %v", r.who.Lanes)
	}
	return nil
}

// all rules must hold.
func all(list ...rule) rule {
	return func(r reach) error {
		for _, check := range list {
			if err := check(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// under checks what is inside a member.
func under(field string, check rule) rule {
	return func(r reach) error {
		r.in = r.in.FieldByName(field)
		return check(r)
	}
}

// each checks every element of a member.
func each(field string, check rule) rule {
	return under(field, func(r reach) error {
		list := r.in
		for i := range list.Len() {
			r.in = list.Index(i)
			if err := check(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// member returns a member of a command. Its type is part of the tables above, which a test walks.
func member[T any](r reach, field string) *T { return r.in.FieldByName(field).Addr().Interface().(*T) }

// namespace checks a member that, when empty, means the default one.
func namespace(field string) rule {
	return func(r reach) error {
		ns := *member[flowfabric.Namespace](r, field)
		if ns == "" {
			ns = flowfabric.DefaultNamespace
		}
		if !r.who.inNamespace(ns) {
			return r.forbidden("the caller is limited to the namespaces %v", r.who.Namespaces)
		}
		return nil
	}
}

func lane(field string) rule {
	return func(r reach) error { return r.lane(*member[flowfabric.LaneID](r, field)) }
}

func lanes(field string) rule {
	return func(r reach) error {
		for _, l := range *member[[]flowfabric.LaneID](r, field) {
			if err := r.lane(l); err != nil {
				return err
			}
		}
		return nil
	}
}

func (r reach) lane(l flowfabric.LaneID) error {
	if !r.who.onLane(l) {
		return r.forbidden("the caller is limited to the lanes %v", r.who.Lanes)
	}
	return nil
}

// oneNamespace checks what a list is filtered by. A list of everything becomes one of the only namespace of the caller; who
// has several names one.
func oneNamespace(field string) rule {
	return func(r reach) error {
		ns := member[flowfabric.Namespace](r, field)
		switch {
		case len(r.who.Namespaces) == 0, *ns != "" && r.who.inNamespace(*ns):
			return nil
		case *ns == "" && len(r.who.Namespaces) == 1:
			*ns = r.who.Namespaces[0]
			return nil
		}
		return r.forbidden("name one of the namespaces %v", r.who.Namespaces)
	}
}

func oneLane(field string) rule {
	return func(r reach) error {
		l := member[flowfabric.LaneID](r, field)
		switch {
		case len(r.who.Lanes) == 0, *l != "" && r.who.onLane(*l):
			return nil
		case *l == "" && len(r.who.Lanes) == 1:
			*l = r.who.Lanes[0]
			return nil
		}
		return r.forbidden("name one of the lanes %v", r.who.Lanes)
	}
}

// execution checks where an execution belongs. One that is out of reach is as one that does not exist.
func execution(field string) rule {
	return func(r reach) error {
		id := *member[flowfabric.ExecutionID](r, field)
		if id == (flowfabric.ExecutionID{}) {
			if field == "ExecutionID" {
				return r.forbidden("name the execution it is about")
			}
			return nil // the operation says what is missing
		}
		at, err := r.s.places.at(id, func() (place, error) {
			e, err := r.s.svc.Describe(r.ctx, id)
			return place{e.Namespace, e.Lane}, err
		})
		missing := &flowfabric.Error{Code: flowfabric.CodeExecutionNotFound, Op: r.op.Name, Detail: id.String()}
		return beyond(err, missing, r.who.inNamespace(at.namespace) && r.who.onLane(at.lane))
	}
}

// flow checks the namespace of the flow a command names. Flows are of no lane.
func flow(r reach) error {
	id := *member[flowfabric.FlowID](r, "FlowID")
	if err := noLanes(r); err != nil {
		return err
	}
	at, err := r.s.places.at(id, func() (place, error) {
		f, err := r.s.svc.DescribeFlow(r.ctx, id)
		return place{namespace: f.Namespace}, err
	})
	missing := &flowfabric.Error{Code: flowfabric.CodeFlowNotFound, Op: r.op.Name, Detail: id.String()}
	return beyond(err, missing, r.who.inNamespace(at.namespace))
}

// beyond answers in the same way for what there is not and what is out of reach.
func beyond(err error, missing *flowfabric.Error, reached bool) error {
	switch {
	case err == nil && reached:
		return nil
	case err == nil || errors.Is(err, missing):
		return missing
	}
	return err
}

// ownWorker lets a caller limited to lanes end the registration of a worker of these lanes alone: it may cost leases.
func ownWorker(r reach) error {
	if len(r.who.Lanes) == 0 {
		return nil
	}
	cmd := r.in.Addr().Interface().(*flowfabric.MarkWorkerDead)
	for q := (flowfabric.ListWorkers{Namespace: cmd.Namespace, Limit: flowfabric.MaxPage}); ; {
		page, err := r.s.svc.ListWorkers(r.ctx, q)
		if err != nil {
			return err
		}
		for _, w := range page.Items {
			if w.WorkerInstanceID != cmd.WorkerInstanceID {
				continue
			}
			for _, l := range w.Lanes {
				if err := r.lane(l); err != nil {
					return err
				}
			}
			return nil
		}
		if q.After = page.Next; q.After == "" {
			return nil // there is none to end
		}
	}
}
