package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/flowfabric/flowfabric"
)

// Flow is a graph that is being built. What is wrong with it is told by [Flow.Plan], and so by SubmitFlow. It is not safe
// for concurrent use.
type Flow struct {
	cmd  flowfabric.SubmitFlow
	lane flowfabric.LaneID
	err  error
}

// Option sets something of a whole flow.
type Option func(*Flow)

// NodeOption sets something of a node.
type NodeOption func(*node)

// node is a node that is being built.
type node struct {
	flowfabric.FlowNode
	choice []string // what Policy decides over, of After
	all    []string // the others
	letRun bool
	err    error
}

// New begins a flow of a kind, a free text of at most [flowfabric.MaxNameBytes].
func New(kind string, options ...Option) *Flow {
	f := &Flow{cmd: flowfabric.SubmitFlow{Kind: kind}, lane: "default"}
	for _, o := range options {
		o(f)
	}
	return f
}

// ID sets the id of the flow, which makes its submission repeatable.
func ID(id flowfabric.FlowID) Option { return func(f *Flow) { f.cmd.FlowID = id } }

// Lane is where the nodes run that do not say otherwise. Default "default".
func Lane(lane flowfabric.LaneID) Option { return func(f *Flow) { f.lane = lane } }

// Namespace is the tenant of the flow and its nodes.
func Namespace(ns flowfabric.Namespace) Option { return func(f *Flow) { f.cmd.Namespace = ns } }

// Tags are the tags of the flow.
func Tags(tags map[string]string) Option { return func(f *Flow) { f.cmd.Tags = tags } }

// Node adds a node. in is encoded as JSON, unless it is []byte or nil. Nodes may be added in any order.
func (f *Flow) Node(name string, in any, options ...NodeOption) *Flow {
	n := node{FlowNode: flowfabric.FlowNode{Name: name, Submit: flowfabric.Submit{Lane: f.lane, Kind: name}}}
	switch in := in.(type) {
	case nil:
	case []byte:
		n.Submit.Payload = in
	default:
		n.Submit.Payload, n.err = json.Marshal(in)
	}
	for _, o := range options {
		o(&n)
	}
	n.settle()
	if n.err != nil && f.err == nil {
		f.err = &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "build flow", Detail: fmt.Sprintf("node %.80q: %v", name, n.err), Err: n.err}
	}
	f.cmd.Nodes = append(f.cmd.Nodes, n.FlowNode)
	return f
}

// Plan implements [flowfabric.FlowPlan].
func (f *Flow) Plan() (flowfabric.SubmitFlow, error) { return f.cmd, f.err }

// settle puts what the options say about dependencies together.
func (n *node) settle() {
	n.After = append(append([]string(nil), n.all...), n.choice...)
	if len(n.choice) > 0 {
		n.Required = n.all
	}
	switch choosy := n.Policy.Kind == flowfabric.AnyOf || n.Policy.Kind == flowfabric.Quorum; {
	case n.letRun && choosy:
		n.Policy.OnSatisfied = flowfabric.LetRun
	case n.letRun:
		n.fail("LetRun belongs to AnyOf and Quorum")
	}
}

func (n *node) fail(problem string) {
	if n.err == nil {
		n.err = &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: problem}
	}
}

// choose sets the policy, of which a node has one.
func (n *node) choose(p flowfabric.GroupPolicy, names []string) {
	if len(n.choice) > 0 {
		n.fail("only one of AnyOf, Quorum and AllEnded can decide; put a node between for two")
		return
	}
	if len(names) == 0 {
		n.fail("AnyOf, Quorum and AllEnded need names")
		return
	}
	n.Policy, n.choice = p, names
}

// After makes a node wait for others, all of which must succeed. Beside AnyOf, Quorum or AllEnded both must hold.
func After(names ...string) NodeOption { return func(n *node) { n.all = append(n.all, names...) } }

// AnyOf makes a node wait for the first of others that succeeds. The rest, as far as nothing else needs it, is then
// cancelled.
func AnyOf(names ...string) NodeOption {
	return func(n *node) { n.choose(flowfabric.GroupPolicy{Kind: flowfabric.AnyOf}, names) }
}

// Quorum makes a node wait until k of others have succeeded. The rest is then cancelled as with [AnyOf].
func Quorum(k int, names ...string) NodeOption {
	return func(n *node) { n.choose(flowfabric.GroupPolicy{Kind: flowfabric.Quorum, K: k}, names) }
}

// AllEnded makes a node wait until others have ended, well or not.
func AllEnded(names ...string) NodeOption {
	return func(n *node) { n.choose(flowfabric.GroupPolicy{Kind: flowfabric.AllEnded}, names) }
}

// LetRun keeps the rest of AnyOf or Quorum running.
func LetRun() NodeOption { return func(n *node) { n.letRun = true } }

// InputFrom makes the result of a node this one depends on its payload.
func InputFrom(name string) NodeOption { return func(n *node) { n.InputFrom = name } }

// Kind is the kind the node's handler is registered under. Default: its name.
func Kind(kind string) NodeOption { return func(n *node) { n.Submit.Kind = kind } }

// OnLane is the lane of the node.
func OnLane(lane flowfabric.LaneID) NodeOption { return func(n *node) { n.Submit.Lane = lane } }

// Delay is how long after the submission of the flow the node may run at the earliest.
func Delay(d time.Duration) NodeOption { return func(n *node) { n.Submit.Delay = d } }

// Priority is the node's place among others of its lane.
func Priority(p int) NodeOption { return func(n *node) { n.Submit.Priority = p } }

// Policy is the node's policy: retries, timeouts, what it requires of a worker.
func Policy(p *flowfabric.Policy) NodeOption { return func(n *node) { n.Submit.Policy = p } }

// Tagged gives the node tags.
func Tagged(tags map[string]string) NodeOption { return func(n *node) { n.Submit.Tags = tags } }
