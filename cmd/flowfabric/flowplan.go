package main

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

// planFile is a flow as people write it.
type planFile struct {
	FlowID    flowfabric.FlowID    `json:"flow_id,omitzero"`
	Kind      string               `json:"kind,omitzero"`
	Namespace flowfabric.Namespace `json:"namespace,omitzero"`
	Lane      flowfabric.LaneID    `json:"lane,omitzero"` // of nodes that name none
	Tags      map[string]string    `json:"tags,omitzero"`
	Nodes     []planNode           `json:"nodes"`
}

// planNode is a member of the flow. Its kind is its name unless it says otherwise.
type planNode struct {
	Name      string                 `json:"name"`
	Kind      string                 `json:"kind,omitzero"`
	Lane      flowfabric.LaneID      `json:"lane,omitzero"`
	Input     jsontext.Value         `json:"input,omitzero"` // the payload: any JSON
	InputFrom string                 `json:"input_from,omitzero"`
	After     []string               `json:"after,omitzero"`
	Required  []string               `json:"required,omitzero"`
	Group     flowfabric.GroupPolicy `json:"group,omitzero"`
	Priority  int                    `json:"priority,omitzero"`
	Tags      map[string]string      `json:"tags,omitzero"`
	Delay     time.Duration          `json:"delay_ms,omitzero"`
	Policy    *flowfabric.Policy     `json:"policy,omitzero"`
}

const planHelp = `The plan is a JSON document:

  {"kind": "nightly", "lane": "etl", "nodes": [
    {"name": "extract", "input": {"url": "https://example.org/data"}},
    {"name": "clean", "after": ["extract"], "policy": {"retry_policy": {"max_retries": 3}}},
    {"name": "report", "kind": "render", "after": ["clean"], "input_from": "clean"}]}

A node has a name; kind (its name if it says nothing), lane, input, input_from, after, required,
group {"kind": "all_of", "any_of", "quorum" with "k", or "all_ended"}, priority, tags, delay_ms and policy.`

func newFlowSubmit() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "submit PLAN",
		Short: "Submit a flow in one commit, and print its id",
		Long:  "Submit a flow in one commit, and print its id. PLAN is @FILE, - for the standard input, or the text itself.\n" + planHelp,
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		var plan planFile
		if err := document(s.stdin, args[0], &plan); err != nil {
			return err
		}
		id, err := s.SubmitFlow(ctx, plan.command())
		if err != nil {
			return err
		}
		return s.out.done(struct {
			FlowID flowfabric.FlowID `json:"flow_id"`
		}{id}, "%s", id)
	})
}

func (p *planFile) command() flowfabric.SubmitFlow {
	flow := flowfabric.SubmitFlow{FlowID: p.FlowID, Kind: p.Kind, Namespace: p.Namespace, Tags: p.Tags}
	for _, n := range p.Nodes {
		node := flowfabric.FlowNode{
			Name: n.Name, After: n.After, Policy: n.Group, Required: n.Required, InputFrom: n.InputFrom,
			Submit: flowfabric.Submit{
				Lane: n.Lane, Kind: n.Kind, Payload: n.Input, Priority: n.Priority, Tags: n.Tags, Policy: n.Policy, Delay: n.Delay,
			},
		}
		if node.Submit.Lane == "" {
			node.Submit.Lane = p.Lane
		}
		if node.Submit.Kind == "" {
			node.Submit.Kind = n.Name
		}
		flow.Nodes = append(flow.Nodes, node)
	}
	return flow
}
