package ops

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/graph"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// tagParent names, by its UUID, the member that made a member as its child.
const tagParent = "flow.parent"

// plan is nodes of a flow, checked as a whole and ready to be written.
type plan struct {
	flow  record.FlowKey
	nodes []planned
	edges int
	// scoped are the limits of the nodes' scopes, if they are known.
	scoped Scoped
}

// drafts are as much of the nodes as says which scopes they are in.
func (p *plan) drafts() []*record.Execution {
	list := make([]*record.Execution, len(p.nodes))
	for i := range p.nodes {
		list[i] = Draft(&p.nodes[i].cmd, p.flow.FlowID)
	}
	return list
}

// limitKeys are the records of the limits that nodes name.
func (p *plan) limitKeys(r Rules) (keys []record.Key) {
	for i := range p.nodes {
		keys = append(keys, r.limitKeysOf(&p.nodes[i].cmd)...)
	}
	return keys
}

// planned is a node with its defaults filled in.
type planned struct {
	ff.FlowNode
	cmd ff.Submit
}

// newPlan checks nodes as a whole: names, what they depend on, cycles, and each submission.
func (r Rules) newPlan(flow ff.FlowID, ns ff.Namespace, nodes []ff.FlowNode, tags map[string]string) (*plan, error) {
	p := &plan{flow: r.flowKey(flow), nodes: make([]planned, len(nodes))}
	if len(nodes) > ff.MaxFlowNodes {
		return nil, invalid("nodes", fmt.Sprintf("has %d; at most %d are allowed in one call", len(nodes), ff.MaxFlowNodes))
	}
	names := make(map[string]int, len(nodes))
	for i, node := range nodes {
		if err := firstError(checkNodeName(node.Name), checkUnset(&node.Submit)); err != nil {
			return nil, atNode(node.Name, err)
		}
		if _, twice := names[node.Name]; twice {
			return nil, invalid("nodes", fmt.Sprintf("has two nodes named %q", node.Name))
		}
		names[node.Name] = i
		p.edges += len(node.After)
	}
	if p.edges > ff.MaxFlowEdges {
		return nil, invalid("nodes", fmt.Sprintf("have %d dependencies; at most %d are allowed in one call", p.edges, ff.MaxFlowEdges))
	}
	for i, node := range nodes {
		if err := checkDependencies(&node, names); err != nil {
			return nil, atNode(node.Name, err)
		}
		policy, err := graph.CheckPolicy(node.Policy)
		if err != nil {
			return nil, atNode(node.Name, err)
		}
		node.Policy = policy
		cmd := node.Submit
		cmd.ID, cmd.Namespace = ff.NodeID(flow, node.Name, r.Partitions), ns
		cmd.Tags = maps.Clone(cmd.Tags)
		if cmd.Tags == nil {
			cmd.Tags = make(map[string]string, len(tags)+1)
		}
		maps.Copy(cmd.Tags, tags)
		cmd.Tags[ff.TagNode] = node.Name
		if err := r.checkSubmit(&cmd); err != nil {
			return nil, atNode(node.Name, err)
		}
		cmd.Payload, cmd.Policy = bytes.Clone(cmd.Payload), cmd.Policy.Normalized()
		p.nodes[i] = planned{node, cmd}
	}
	return p, checkCycles(nodes, names)
}

func atNode(name string, err error) error {
	if e, ok := err.(*ff.Error); ok { //nolint:errorlint // made just above
		n := *e
		n.Detail = fmt.Sprintf("node %.80q: %s", name, e.Detail)
		return &n
	}
	return err
}

func checkNodeName(name string) error {
	if name == "" {
		return invalid("name", "is empty")
	}
	return ff.ValidateText("name", name, ff.MaxNodeName)
}

// checkUnset refuses what the flow says for its nodes.
func checkUnset(cmd *ff.Submit) error {
	switch {
	case !cmd.ID.IsZero():
		return invalid("id", "is set; it follows from the flow and the name of the node")
	case cmd.IdempotencyKey != "":
		return invalid("idempotency_key", "is set; repeat the submission of the flow with its id instead")
	case cmd.Namespace != "":
		return invalid("namespace", "is set; members are in the namespace of their flow")
	default:
		return nil
	}
}

func checkDependencies(node *ff.FlowNode, names map[string]int) error {
	for i, up := range node.After {
		switch _, known := names[up]; {
		case up == node.Name:
			return &ff.Error{Code: ff.CodeSelfReferencingEdge, Detail: "it depends on itself"}
		case !known:
			return invalid("after", fmt.Sprintf("names %.80q, which is no node of the flow", up))
		case slices.Contains(node.After[:i], up) && len(node.After) <= 64:
			return invalid("after", fmt.Sprintf("names %.80q twice", up))
		}
	}
	for _, up := range node.Required {
		if !slices.Contains(node.After, up) {
			return invalid("required", fmt.Sprintf("names %.80q, which is not in after", up))
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(node.After)))); n < len(node.After) {
		return invalid("after", "names a node twice")
	}
	choosy := node.Policy.Kind == ff.AnyOf || node.Policy.Kind == ff.Quorum
	switch free := len(node.After) - len(node.Required); {
	case len(node.After) == 0 && node.Policy != (ff.GroupPolicy{}) && node.Policy.Kind != ff.AllOf:
		return invalid("policy", "decides over after, which is empty")
	case choosy && free < max(node.Policy.K, 1):
		return invalid("policy", fmt.Sprintf("needs %d of %d nodes: it can never be satisfied", max(node.Policy.K, 1), free))
	case node.InputFrom != "" && !slices.Contains(node.After, node.InputFrom):
		return invalid("input_from", fmt.Sprintf("names %.80q, which is not in after", node.InputFrom))
	}
	return nil
}

// checkCycles takes away nodes that depend on nothing that is left, until none is.
func checkCycles(nodes []ff.FlowNode, names map[string]int) error {
	open := make([]int, len(nodes))
	down := make([][]int, len(nodes))
	var free []int
	for i, node := range nodes {
		open[i] = len(node.After)
		for _, up := range node.After {
			down[names[up]] = append(down[names[up]], i)
		}
		if open[i] == 0 {
			free = append(free, i)
		}
	}
	for n := 0; n < len(free); n++ {
		for _, i := range down[free[n]] {
			if open[i]--; open[i] == 0 {
				free = append(free, i)
			}
		}
	}
	if len(free) == len(nodes) {
		return nil
	}
	i := slices.IndexFunc(open, func(n int) bool { return n > 0 })
	return &ff.Error{Code: ff.CodeCycleDetected, Detail: fmt.Sprintf("node %.80q depends, over others, on itself or on nodes that do", nodes[i].Name)}
}

// ids are the ids of the nodes.
func (p *plan) ids() []ff.ExecutionID {
	ids := make([]ff.ExecutionID, len(p.nodes))
	for i, n := range p.nodes {
		ids[i] = n.cmd.ID
	}
	return ids
}

// commands are the submissions of the nodes.
func (p *plan) commands() []ff.Submit {
	cmds := make([]ff.Submit, len(p.nodes))
	for i, n := range p.nodes {
		cmds[i] = n.cmd
	}
	return cmds
}

// checkNew refuses nodes whose executions exist: an execution is never written over.
func (p *plan) checkNew(tx *store.Tx) error {
	for _, n := range p.nodes {
		if e := tx.Execution(n.cmd.ID); e != nil {
			return atNode(n.Name, &ff.Error{
				Code: ff.CodeExecutionAlreadyInFlow, Detail: fmt.Sprintf("an execution with its id, %s, exists; use another flow id", e.ID),
			})
		}
	}
	return nil
}

// write creates the nodes that skip does not name, with the edges that lead to them, and returns how many of both.
func (p *plan) write(tx *store.Tx, r Rules, cfg ff.PartitionConfig, isKnown func(ff.LaneID, int64) bool, skip func(ff.ExecutionID) bool) (nodes, edges int, err error) {
	for i := range p.nodes {
		n := &p.nodes[i]
		if skip(n.cmd.ID) {
			continue
		}
		if err := lifecycle.CheckDeadline(&n.cmd, tx.Now()); err != nil {
			return 0, 0, atNode(n.Name, err)
		}
		e, err := r.underLimits(tx, lifecycle.SubmitMember(&n.cmd, p.flow.FlowID, len(n.After) > 0, tx.Now()), p.scoped)
		if store.IsNeed(err) {
			return 0, 0, err
		}
		if err != nil {
			return 0, 0, atNode(n.Name, err)
		}
		tx.PutExecution(e)
		r.register(tx, e, isKnown)
		if len(n.After) > 0 {
			p.link(tx, n, cfg)
		}
		nodes++
		edges += len(n.After)
	}
	return nodes, edges, nil
}

// link writes the edges that lead to a new node, all of them applied.
func (p *plan) link(tx *store.Tx, n *planned, cfg ff.PartitionConfig) {
	g := graph.NewGroup(groupKeyOf(p.flow, n.cmd.ID))
	g.Policy, g.Total, g.Running, g.Required = n.Policy, len(n.After), len(n.After), len(n.Required)
	tx.Put(g)
	for _, up := range n.After {
		key := record.EdgeKey{Home: p.flow.Home, FlowID: p.flow.FlowID, EdgeID: ff.NodeEdgeID(p.flow.FlowID, up, n.Name)}
		edge := graph.NewEdge(key, ff.NodeID(p.flow.FlowID, up, cfg), n.cmd.ID, tx.Now())
		edge.Applied, edge.AppliedAt, edge.State = true, tx.Now(), ff.EdgeApplied
		edge.Required = slices.Contains(n.Required, up)
		if up == n.InputFrom {
			edge.DataPassingRef = "result"
		}
		tx.Put(edge)
	}
}

// SubmitFlow is a flow about to be submitted.
type SubmitFlow struct {
	ID   ff.FlowID
	cmd  ff.SubmitFlow
	plan *plan
}

// NewFlow checks a whole flow and fills in its defaults.
func (r Rules) NewFlow(cmd ff.SubmitFlow) (*SubmitFlow, error) {
	if cmd.Namespace == "" {
		cmd.Namespace = ff.DefaultNamespace
	}
	if cmd.FlowID.IsZero() {
		cmd.FlowID = ff.NewFlowID()
	}
	if len(cmd.Nodes) == 0 {
		return nil, named("submit flow", invalid("nodes", "is empty"))
	}
	if err := firstError(ff.ValidateText("kind", cmd.Kind, ff.MaxNameBytes), cmd.Namespace.Validate(), ff.ValidateTags(cmd.Tags)); err != nil {
		return nil, named("submit flow", err)
	}
	cmd.Tags = maps.Clone(cmd.Tags)
	p, err := r.newPlan(cmd.FlowID, cmd.Namespace, cmd.Nodes, nil)
	if err != nil {
		return nil, named("submit flow", err)
	}
	return &SubmitFlow{ID: cmd.FlowID, cmd: cmd, plan: p}, nil
}

// Drafts are as much of the flow's members as says which scopes they are in; Scope sets the limits of these.
func (s *SubmitFlow) Drafts() []*record.Execution { return s.plan.drafts() }

// Scope sets the limits of the members' scopes.
func (s *SubmitFlow) Scope(known Scoped) { s.plan.scoped = known }

// Commands are the submissions of the flow's members.
func (s *SubmitFlow) Commands() []ff.Submit { return s.plan.commands() }

// SubmitFlow creates a flow with its members and edges. One that exists stays as it is.
func (r Rules) SubmitFlow(s *SubmitFlow, isKnown func(ff.LaneID, int64) bool) *Op {
	reads := store.Reads{Executions: s.plan.ids(), Records: s.plan.limitKeys(r)}
	op := r.onFlow("submit flow", s.ID, reads, func(tx *store.Tx, f *record.Flow) error {
		if f != nil {
			return nil
		}
		if err := s.plan.checkNew(tx); err != nil {
			return err
		}
		nodes, edges, err := s.plan.write(tx, r, r.Partitions, isKnown, func(ff.ExecutionID) bool { return false })
		if err != nil {
			return err
		}
		tx.Put(graph.Grow(&record.Flow{
			FlowKey: s.plan.flow, State: ff.FlowOpen, Kind: s.cmd.Kind, Namespace: s.cmd.Namespace, Tags: s.cmd.Tags, Sealed: true,
			CreatedAt: tx.Now(),
		}, nodes, edges, tx.Now()))
		return nil
	})
	op.Assume = func(ff.ExecutionID) (*record.Execution, bool) { return nil, true } // new, until the guard says otherwise
	return op
}
