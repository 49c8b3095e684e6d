package storetest

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// flows checks what the records of flows say against the members and edges that are there (chapter 20, section 20.24:
// F1, F2, F4, F6, F8, F13, F16).
func (a *audit) flows(d *store.Dump) {
	members, ended := make(map[flowfabric.FlowID]int), make(map[flowfabric.FlowID]int)
	flowOf := make(map[flowfabric.ExecutionID]flowfabric.FlowID)
	awaits := make(map[flowfabric.ExecutionID]bool)
	for _, x := range d.Executions {
		if !x.FlowID.IsZero() {
			members[x.FlowID]++
			if x.State.Finished() {
				ended[x.FlowID]++
			}
			flowOf[x.ID] = x.FlowID
		}
		awaits[x.ID] = x.AwaitsUpstream
		if x.AwaitsUpstream && (x.Ready || x.State.Finished()) {
			a.note("F8: %s awaits its upstreams and is %s", x.ID, x.State)
		}
	}
	edges := make(map[flowfabric.FlowID]int)
	siblings := make(map[flowfabric.ExecutionID]bool)
	owed := make(map[flowfabric.FlowID]int)
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Edge:
			edges[rec.FlowID]++
			for _, id := range []flowfabric.ExecutionID{rec.Upstream, rec.Downstream} {
				if flowOf[id] != rec.FlowID {
					a.note("F4: edge %s of flow %s touches %s, which is of %s", rec.EdgeID, rec.FlowID, id, flowOf[id])
				}
			}
		case *record.Errand:
			siblings[rec.ExecutionID] = siblings[rec.ExecutionID] || rec.Kind == record.CancelSiblings
		case *record.BacklogMember:
			owed[rec.FlowID]++
		}
	}
	for _, rec := range d.Records {
		switch rec := rec.(type) {
		case *record.Flow:
			if removing(rec, d) {
				break
			}
			if rec.NodeCount != members[rec.FlowID] || rec.EdgeCount != edges[rec.FlowID] {
				a.note("F2: flow %s counts %d members and %d edges; there are %d and %d", rec.FlowID, rec.NodeCount, rec.EdgeCount, members[rec.FlowID], edges[rec.FlowID])
			}
			if rec.EndedCount != ended[rec.FlowID] {
				a.note("F2: flow %s counts %d members that have ended; there are %d", rec.FlowID, rec.EndedCount, ended[rec.FlowID])
			}
			if rec.GraphRevision != uint64(rec.NodeCount+rec.EdgeCount) {
				a.note("F1: flow %s is at revision %d with %d members and %d edges", rec.FlowID, rec.GraphRevision, rec.NodeCount, rec.EdgeCount)
			}
		case *record.Group:
			if counts := []int{rec.Success, rec.Fail, rec.Skip, rec.Running}; slices.Min(counts) < 0 || rec.Success+rec.Fail+rec.Skip > rec.Total {
				a.note("F6: the group of %s counts %v of %d", rec.Downstream, counts, rec.Total)
			}
			if rec.SiblingsPending != siblings[rec.Downstream] {
				a.note("F13: the group of %s says %t of the cancel of its siblings", rec.Downstream, rec.SiblingsPending)
			}
			if rec.State != flowfabric.GroupPending && awaits[rec.Downstream] {
				a.note("F8: %s awaits a group that is %s", rec.Downstream, rec.State)
			}
		case *record.Backlog:
			if rec.Outstanding != owed[rec.FlowID] || rec.Outstanding == 0 && !rec.Spreading {
				a.note("F16: the backlog of %s says %d members are owed; there are %d", rec.FlowID, rec.Outstanding, owed[rec.FlowID])
			}
		}
	}
}

// removing reports whether a flow has ended so long ago that its records are being removed, a batch at a time.
func removing(f *record.Flow, d *store.Dump) bool { return f.RemoveAt != 0 && f.RemoveAt <= d.Now }
