package store

import (
	"bytes"
	"maps"
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// graph is what a batch knows of the edges and members of flows.
type graph struct {
	edges   map[EdgesQuery][]record.Key
	members map[MembersQuery][]flowfabric.ExecutionID
	written ends // edges that units of the batch have written: answers that were read before lack them
}

// ends are edges by either end.
type ends map[flowfabric.ExecutionID][]*record.Edge

func (n *ends) note(e *record.Edge) {
	if *n == nil {
		*n = make(ends)
	}
	(*n)[e.Upstream] = append((*n)[e.Upstream], e)
	(*n)[e.Downstream] = append((*n)[e.Downstream], e)
}

// AddEdges adds the ordered answer to a query.
func (b *Batch) AddEdges(q EdgesQuery, list []*record.Edge) {
	keys := make([]record.Key, len(list))
	for i, e := range list {
		keys[i] = e.Key()
		b.AddRecord(keys[i], e)
	}
	if b.graph.edges == nil {
		b.graph.edges = make(map[EdgesQuery][]record.Key)
	}
	b.graph.edges[q] = keys
}

// AddMembers adds the ordered answer to a query.
func (b *Batch) AddMembers(q MembersQuery, list []flowfabric.ExecutionID) {
	if b.graph.members == nil {
		b.graph.members = make(map[MembersQuery][]flowfabric.ExecutionID)
	}
	b.graph.members[q] = list
}

// Edges returns the answer to a query named in the unit's Reads or that of an earlier unit, as the batch has changed it.
// It panics when the query was not read.
func (tx *Tx) Edges(q EdgesQuery) []*record.Edge {
	keys, ok := tx.batch.graph.edges[q]
	if !ok {
		panic("store: the edges of " + q.Of.String() + " were not named in Reads")
	}
	found := make(map[record.Key]*record.Edge, len(keys))
	for _, key := range keys {
		if e := Get[*record.Edge](tx, key); e != nil {
			found[key] = e
		}
	}
	full := len(keys) == q.Limit
	add := func(e *record.Edge) {
		end := e.Upstream
		if q.Incoming {
			end = e.Downstream
		}
		switch {
		case e.FlowID != q.Flow.FlowID || end != q.Of || bytes.Compare(e.EdgeID[:], q.After[:]) <= 0:
		case full && record.CompareKeys(e.EdgeKey, keys[len(keys)-1]) > 0: // the next query finds it
		default:
			if cur := Get[*record.Edge](tx, e.EdgeKey); cur != nil {
				found[e.EdgeKey] = cur
			}
		}
	}
	for _, e := range tx.batch.graph.written[q.Of] {
		add(e)
	}
	for _, e := range tx.unit.edges[q.Of] {
		add(e)
	}
	return slices.SortedFunc(maps.Values(found), func(x, y *record.Edge) int { return bytes.Compare(x.EdgeID[:], y.EdgeID[:]) })
}

// Members returns the answer to a query, under the rules of [Tx.Edges].
func (tx *Tx) Members(q MembersQuery) []flowfabric.ExecutionID {
	list, ok := tx.batch.graph.members[q]
	if !ok {
		panic("store: the members of flow " + q.Flow.FlowID.String() + " were not named in Reads")
	}
	full := len(list) == q.Limit
	known := slices.Clone(list)
	for id, ent := range tx.batch.executions {
		switch {
		case ent.current == nil || ent.current == ent.stored || ent.current.FlowID != q.Flow.FlowID: // as it was when the answer was read
		case id.Compare(q.After) <= 0 || full && id.Compare(list[len(list)-1]) > 0:
		default:
			known = append(known, id)
		}
	}
	slices.SortFunc(known, flowfabric.ExecutionID.Compare)
	return slices.Compact(known)
}

// Missing returns what of r was not read yet, and whether that is anything: what Decide passes to [Tx.Need]. It knows of
// executions, records, attempts, edges and members; r names nothing else.
func (tx *Tx) Missing(r Reads) (Reads, bool) {
	b := tx.batch
	var m Reads
	for _, id := range r.Executions {
		if b.executions[id] == nil && tx.unit.executions.get(id) == nil {
			m.Executions = append(m.Executions, id)
		}
	}
	for _, key := range r.Records {
		if _, written := tx.unit.keyed[key]; b.keyed.known[key] == nil && !written {
			m.Records = append(m.Records, key)
		}
	}
	for _, key := range r.Attempts {
		if b.attempts[key] == nil && tx.unit.attemptPuts.get(key) == nil {
			m.Attempts = append(m.Attempts, key)
		}
	}
	for _, q := range r.Edges {
		if _, known := b.graph.edges[q]; !known {
			m.Edges = append(m.Edges, q)
		}
	}
	for _, q := range r.Members {
		if _, known := b.graph.members[q]; !known {
			m.Members = append(m.Members, q)
		}
	}
	return m, !m.empty()
}
