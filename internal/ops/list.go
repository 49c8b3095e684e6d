package ops

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// publicStates are the states a list may ask for; no execution is ever resumable, but asking is no mistake.
var publicStates = []ff.PublicState{
	ff.PublicWaiting, ff.PublicDelayed, ff.PublicRateLimited, ff.PublicWaitingChildren, ff.PublicActive, ff.PublicSuspended,
	ff.PublicResumable, ff.PublicCompleted, ff.PublicFailed, ff.PublicCancelled, ff.PublicExpired, ff.PublicSkipped,
}

// List returns a page of executions, newest first.
func (r Rules) List(ctx context.Context, st store.Catalog, q ff.ListExecutions) (ff.Page[ff.ExecutionSummary], error) {
	var page ff.Page[ff.ExecutionSummary]
	sq, err := listQuery(q)
	if err != nil {
		return page, named("list", err)
	}
	found, err := st.List(ctx, sq)
	if err != nil {
		return page, named("list", err)
	}
	for _, e := range found.Executions {
		page.Items = append(page.Items, summaryOf(lifecycle.Normalize(e, nil)))
	}
	if next := found.Next; next != (store.ListCursor{}) {
		page.Next = newCursor("executions", filtersOf(sq), positionOf(next.CreatedAt, next.ExecutionID))
	}
	return page, nil
}

// ListPartition returns a page of the executions of a partition.
func (r Rules) ListPartition(ctx context.Context, st store.Catalog, q ff.ListPartition) (ff.Page[ff.ExecutionID], error) {
	const name = "list partition"
	var page ff.Page[ff.ExecutionID]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := checkLimit(limit); err != nil {
		return page, named(name, err)
	}
	from := ff.ExecutionIDFrom(q.Partition, [16]byte{})
	if !q.After.IsZero() {
		if q.After.Partition().Index != q.Partition {
			return page, named(name, invalid("after", "is of another partition"))
		}
		next, last := following(q.After.UUID())
		if last {
			return page, nil
		}
		from = ff.ExecutionIDFrom(q.Partition, next)
	}
	if q.Partition >= r.Partitions.Flow {
		return page, nil
	}
	found, err := st.ListPartition(ctx, store.PartitionQuery{From: from, Limit: limit + 1})
	if err != nil {
		return page, named(name, err)
	}
	if len(found) > limit {
		found = found[:limit]
		page.Next = found[limit-1].String()
	}
	page.Items = found
	return page, nil
}

// following is the UUID behind id; of the last there is none.
func following(id [16]byte) (next [16]byte, last bool) {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			return id, false
		}
	}
	return id, true
}

// listQuery validates a question and translates it for the store.
func listQuery(q ff.ListExecutions) (store.ListQuery, error) {
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	states := slices.Compact(slices.Sorted(slices.Values(q.States)))
	sq := store.ListQuery{
		Lane: q.Lane, Namespace: q.Namespace, Kind: q.Kind, States: states, TagKey: q.TagKey, TagValue: q.TagValue,
		CreatedFrom: q.CreatedFrom, CreatedBefore: q.CreatedBefore, Limit: limit, Scan: ff.MaxListScan,
	}
	if err := firstError(
		checkLimit(limit), checkOptional(q.Lane, q.Lane.Validate), checkOptional(q.Namespace, q.Namespace.Validate),
		ff.ValidateText("kind", q.Kind, ff.MaxNameBytes), checkInstant("created_from", q.CreatedFrom),
		checkInstant("created_before", q.CreatedBefore), checkTagFilter(q.TagKey, q.TagValue), checkStates(states),
	); err != nil {
		return sq, err
	}
	if q.After != "" {
		position, err := readCursor("executions", filtersOf(sq), q.After, positionBytes)
		if err != nil {
			return sq, err
		}
		sq.After.CreatedAt, sq.After.ExecutionID = positionFrom(position)
	}
	return sq, nil
}

// filtersOf is what two pages of one list have in common.
func filtersOf(q store.ListQuery) any {
	return []any{q.Lane, q.Namespace, q.Kind, q.States, q.TagKey, q.TagValue, q.CreatedFrom, q.CreatedBefore}
}

// checkOptional checks a value that may be unset.
func checkOptional[T ~string](v T, validate func() error) error {
	if v == "" {
		return nil
	}
	return validate()
}

func checkLimit(n int) error {
	if n < 1 || n > ff.MaxPage {
		return invalid("limit", fmt.Sprintf("is %d; it must be between 1 and %d", n, ff.MaxPage))
	}
	return nil
}

func checkTagFilter(key, value string) error {
	switch {
	case key != "":
		return ff.ValidateTags(map[string]string{key: value})
	case value != "":
		return invalid("tag_value", "is set without tag_key; give both")
	default:
		return nil
	}
}

func checkStates(states []ff.PublicState) error {
	for _, s := range states {
		if !slices.Contains(publicStates, s) {
			return invalid("states", fmt.Sprintf("has %.40q; want any of %v", s, publicStates))
		}
	}
	return nil
}

func summaryOf(e *record.Execution) ff.ExecutionSummary {
	return ff.ExecutionSummary{
		ExecutionID: e.ID, FlowID: e.FlowID, Lane: e.Lane, Namespace: e.Namespace, Kind: e.Kind, Priority: e.Priority,
		PublicState: lifecycle.PublicState(e.State), State: e.State, BlockingDetail: e.BlockingDetail, Tags: e.Tags,
		TotalAttempts: e.TotalAttempts, RetryCount: e.RetryCount, CreatedAt: e.CreatedAt, StartedAt: e.StartedAt,
		CompletedAt: e.CompletedAt, LastMutationAt: e.LastMutationAt, WorkerInstanceID: e.WorkerInstanceID,
		FailureReason: e.FailureReason,
	}
}
