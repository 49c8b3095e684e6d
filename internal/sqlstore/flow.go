package sqlstore

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func flowHome(f *record.Flow) *flowfabric.Partition { return &f.Home }

// flows is ff_flow_core. Its columns up to raw_fields are the ones chapter 20.2 binds; the rest is ours.
var flows = Table[record.Flow]{Name: "ff_flow_core", Keys: 1, Columns: slices.Concat(
	fixed(
		uuidKey("flow_id", func(f *record.Flow) *flowfabric.FlowID { return &f.FlowID }),
		home(flowHome),
		integer("created_at_ms", Int64, func(f *record.Flow) *flowfabric.Timestamp { return &f.CreatedAt }),
	),
	[]Column[record.Flow]{
		integer("graph_revision", Int64, func(f *record.Flow) *uint64 { return &f.GraphRevision }),
		text("public_flow_state", func(f *record.Flow) *flowfabric.FlowState { return &f.State }),
		optionalInteger("terminal_at_ms", Int64, func(f *record.Flow) *flowfabric.Timestamp { return &f.TerminalAt }),
		{
			Name: "raw_fields", Kind: Merge,
			Write: func(f *record.Flow, w Writer) { writeJSON(w, flowFields(f)) },
			Read:  func(f *record.Flow, v Reader) { setFlowFields(f, v.Text()) },
			Changed: func(a, b *record.Flow) bool {
				return flowNumbersOf(a) != flowNumbersOf(b) || a.Kind != b.Kind || a.Namespace != b.Namespace ||
					a.CancellationPolicy != b.CancellationPolicy || a.CancelReason != b.CancelReason || !maps.Equal(a.Tags, b.Tags)
			},
		},
		integer("version", Int64, func(f *record.Flow) *int64 { return &f.Version }),
		boolean("sealed", func(f *record.Flow) *bool { return &f.Sealed }),
		integer("ended_count", Int32, func(f *record.Flow) *int { return &f.EndedCount }),
		integer("bad_count", Int32, func(f *record.Flow) *int { return &f.BadCount }),
		optionalInteger("remove_at_ms", Int64, func(f *record.Flow) *flowfabric.Timestamp { return &f.RemoveAt }),
	},
)}

// flowNumbers are the numbers of a flow that raw_fields holds.
type flowNumbers struct {
	nodes, edges int
	mutated      flowfabric.Timestamp
}

func flowNumbersOf(f *record.Flow) flowNumbers {
	return flowNumbers{f.NodeCount, f.EdgeCount, f.LastMutationAt}
}

// flowFields is what raw_fields holds: the keys of the chapter, and the tags beside them. An update merges it into what is stored, so that what others keep there stays; for the same reason no tag can be taken away.
func flowFields(f *record.Flow) map[string]any {
	raw := map[string]any{
		"flow_kind": f.Kind, "namespace": f.Namespace, "node_count": f.NodeCount, "edge_count": f.EdgeCount,
		"last_mutation_at_ms": f.LastMutationAt,
	}
	if f.CancellationPolicy != "" {
		raw["cancellation_policy"] = f.CancellationPolicy
	}
	if f.CancelReason != nil {
		raw["cancel_reason"] = *f.CancelReason
	}
	for key, value := range f.Tags {
		raw[key] = value
	}
	return raw
}

// setFlowFields reads raw_fields. A key of another type, written by hand, counts as absent.
func setFlowFields(f *record.Flow, s string) {
	raw := map[string]json.RawMessage{}
	_ = json.Unmarshal([]byte(s), &raw)
	f.Namespace = "default"
	for key, into := range map[string]any{
		"flow_kind": &f.Kind, "namespace": &f.Namespace, "node_count": &f.NodeCount, "edge_count": &f.EdgeCount,
		"last_mutation_at_ms": &f.LastMutationAt, "cancellation_policy": &f.CancellationPolicy, "cancel_reason": &f.CancelReason,
	} {
		if value, ok := raw[key]; ok {
			_ = json.Unmarshal(value, into)
		}
	}
	f.CancellationPolicy = cancellationPolicy(f.CancellationPolicy)
	for key, value := range raw {
		var tag *string
		if isTag(key) && json.Unmarshal(value, &tag) == nil && tag != nil {
			if f.Tags == nil {
				f.Tags = make(map[string]string)
			}
			f.Tags[key] = *tag
		}
	}
}

// isTag reports whether a key begins with a lower-case word and a dot (chapter 20, section 20.17).
func isTag(key string) bool {
	word, _, dotted := strings.Cut(key, ".")
	if !dotted || word == "" || word[0] < 'a' || word[0] > 'z' {
		return false
	}
	return strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// cancellationPolicy reads a policy, which has an alias.
func cancellationPolicy(stored flowfabric.CancellationPolicy) flowfabric.CancellationPolicy {
	if stored == "cancel_flow_only" {
		return flowfabric.FlowOnly
	}
	return stored
}
