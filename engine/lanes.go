package engine

import (
	"context"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/commit"
)

// UpdateLane implements [flowfabric.Lanes]. Over a store of several shards the bound of concurrency holds for each of
// them, and a call that fails may have changed some: repeat it.
func (e *Engine) UpdateLane(ctx context.Context, cmd flowfabric.UpdateLane) (flowfabric.LaneSnapshot, error) {
	var after flowfabric.LaneSnapshot
	home := e.st.Shard(e.rules.LaneHome(cmd.Lane))
	shards := e.st.Shards()
	for i := range shards { // the home shard, which has the event, is last: then the change is made everywhere
		op, err := e.rules.UpdateLane(shards[(home+1+i)%len(shards)], cmd, &after)
		if err != nil {
			return flowfabric.LaneSnapshot{}, err
		}
		if err := e.do(ctx, op); err != nil {
			return flowfabric.LaneSnapshot{}, err
		}
	}
	e.intake.changed(cmd.Lane)
	e.sched.Changed(cmd.Lane)
	return after, nil
}

// Lane implements [flowfabric.Lanes].
func (e *Engine) Lane(ctx context.Context, lane flowfabric.LaneID) (flowfabric.LaneSnapshot, error) {
	if err := e.open("lane"); err != nil {
		return flowfabric.LaneSnapshot{}, err
	}
	s, err := e.rules.Lane(ctx, e.st, lane)
	return s, commit.Coded(err)
}

// ListLanes implements [flowfabric.Lanes].
func (e *Engine) ListLanes(ctx context.Context, q flowfabric.ListLanes) (flowfabric.Page[flowfabric.LaneSnapshot], error) {
	if err := e.open("list lanes"); err != nil {
		return flowfabric.Page[flowfabric.LaneSnapshot]{}, err
	}
	page, err := e.rules.ListLanes(ctx, e.st, q)
	return page, commit.Coded(err)
}

// LaneCounts implements [flowfabric.Lanes].
func (e *Engine) LaneCounts(ctx context.Context, lane flowfabric.LaneID) (flowfabric.LaneCounts, error) {
	if err := e.open("lane counts"); err != nil {
		return flowfabric.LaneCounts{}, err
	}
	n, err := e.rules.LaneCounts(ctx, e.st, lane)
	return n, commit.Coded(err)
}
