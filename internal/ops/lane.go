package ops

import (
	"cmp"
	"context"
	"fmt"
	"math"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// eventLaneUpdated is the type of the operator event of a change to a lane.
const eventLaneUpdated = "lane_updated"

// laneKey names the record of a lane on the shard that holds p.
func (r Rules) laneKey(p ff.Partition, lane ff.LaneID) record.LaneKey {
	return record.LaneKey{Home: r.home(p), Lane: lane}
}

// LaneHome returns the partition on which a lane's settings are read and its events are written.
func (r Rules) LaneHome(lane ff.LaneID) ff.Partition { return r.Partitions.OfLane(lane) }

// LaneKeys names the records of lanes on their home shards.
func (r Rules) LaneKeys(lanes []ff.LaneID) []record.Key {
	keys := make([]record.Key, len(lanes))
	for i, lane := range lanes {
		keys[i] = r.laneKey(r.LaneHome(lane), lane)
	}
	return keys
}

// settingsOf fills in the defaults of a lane without a record, and of fields a record written by hand left out.
func settingsOf(l *record.Lane) record.Lane {
	if l == nil {
		return record.Lane{State: ff.LaneActive, Weight: ff.DefaultLaneWeight}
	}
	s := *l
	s.State, s.Weight = cmp.Or(s.State, ff.LaneActive), max(s.Weight, ff.DefaultLaneWeight)
	return s
}

// newLane is the record of a lane that e is the first to use.
func (r Rules) newLane(e *record.Execution, now ff.Timestamp) *record.Lane {
	l := settingsOf(nil)
	l.LaneKey = r.laneKey(e.ID.Partition(), e.Lane)
	l.RegisteredAt, l.RegisteredBy, l.UpdatedAt = now, e.Creator, now
	return &l
}

// UpdateLane changes the settings of a lane on the shard of a partition. On that of [Rules.LaneHome] it also writes the
// event.
func (r Rules) UpdateLane(shard ff.Partition, cmd ff.UpdateLane, after *ff.LaneSnapshot) (*Op, error) {
	if err := checkUpdateLane(&cmd); err != nil {
		return nil, named("update lane", err)
	}
	key, home := r.laneKey(shard, cmd.Lane), r.LaneHome(cmd.Lane)
	op := &Op{name: "update lane"}
	op.Partition, op.Order = shard, uint64(home.Index)
	op.Reads.Records = []record.Key{key}
	op.Decide = func(tx *store.Tx) error {
		old := store.Get[*record.Lane](tx, key)
		l := settingsOf(old)
		if old == nil {
			l.LaneKey, l.RegisteredAt, l.RegisteredBy = key, tx.Now(), cmp.Or(cmd.Actor, "operator")
		}
		l.State = value(cmd.State, l.State)
		l.Weight = value(cmd.Weight, l.Weight)
		l.MaxConcurrency = value(cmd.MaxConcurrency, l.MaxConcurrency)
		l.UpdatedAt = tx.Now()
		tx.Put(&l)
		if r.home(home) == key.Home {
			tx.Append(laneUpdated(home, &cmd, tx.Now()))
		}
		*after = laneSnapshot(cmd.Lane, &l)
		return nil
	}
	return op, nil
}

func value[T any](p *T, old T) T {
	if p == nil {
		return old
	}
	return *p
}

func laneUpdated(home ff.Partition, cmd *ff.UpdateLane, now ff.Timestamp) record.Event {
	return adminEvent(home, eventLaneUpdated, now, struct {
		Lane           ff.LaneID     `json:"lane"`
		State          *ff.LaneState `json:"state,omitempty"`
		Weight         *int          `json:"weight,omitempty"`
		MaxConcurrency *int          `json:"max_concurrency,omitempty"`
		Reason         string        `json:"reason,omitempty"`
		Actor          string        `json:"actor,omitempty"`
	}{cmd.Lane, cmd.State, cmd.Weight, cmd.MaxConcurrency, cmd.Reason, cmd.Actor})
}

func checkUpdateLane(c *ff.UpdateLane) error {
	if err := firstError(
		c.Lane.Validate(), ff.ValidateText("reason", c.Reason, ff.MaxReasonBytes), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
		checkCount("weight", c.Weight, 1, ff.MaxLaneWeight), checkCount("max_concurrency", c.MaxConcurrency, 0, ff.MaxLaneConcurrency),
	); err != nil || c.State == nil {
		return err
	}
	switch *c.State {
	case ff.LaneActive, ff.LanePaused, ff.LaneDraining, ff.LaneDisabled:
		return nil
	default:
		return invalid("state", fmt.Sprintf("is %.40q; want one of active, paused, draining, disabled", *c.State))
	}
}

func checkCount(field string, n *int, least, most int) error {
	if n != nil && (*n < least || *n > most) {
		return invalid(field, fmt.Sprintf("is %d; it must be between %d and %d", *n, least, most))
	}
	return nil
}

// Lane tells the settings of a lane.
func (r Rules) Lane(ctx context.Context, st store.Store, lane ff.LaneID) (ff.LaneSnapshot, error) {
	if err := lane.Validate(); err != nil {
		return ff.LaneSnapshot{}, named("lane", err)
	}
	keys := r.LaneKeys([]ff.LaneID{lane})
	tx, err := st.View(ctx, store.Reads{Records: keys})
	if err != nil {
		return ff.LaneSnapshot{}, named("lane", err)
	}
	return laneSnapshot(lane, store.Get[*record.Lane](tx, keys[0])), nil
}

// laneSnapshot tells of a lane's record, which may be nil.
func laneSnapshot(lane ff.LaneID, l *record.Lane) ff.LaneSnapshot {
	s := settingsOf(l)
	return ff.LaneSnapshot{
		Lane: lane, State: s.State, Weight: s.Weight, MaxConcurrency: s.MaxConcurrency,
		RegisteredAt: s.RegisteredAt, UpdatedAt: s.UpdatedAt,
	}
}

// Admits refuses submissions to a lane whose settings, which may be nil, keep them out.
func Admits(lane ff.LaneID, l *record.Lane) error {
	s := settingsOf(l)
	if s.State.Intake() {
		return nil
	}
	return &ff.Error{
		Code: ff.CodeLaneClosed, Op: "submit",
		Detail: fmt.Sprintf("lane %q is %s and takes no submissions; use another lane, or try again once it is active", lane, s.State),
		Attrs:  map[string]string{"lane": string(lane), "state": string(s.State)},
	}
}

// ListLanes lists the lanes that were used or set up. A lane is known on each shard that has seen it; it is listed once.
func (r Rules) ListLanes(ctx context.Context, cat store.Catalog, q ff.ListLanes) (ff.Page[ff.LaneSnapshot], error) {
	var page ff.Page[ff.LaneSnapshot]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(checkLimit(limit), ff.ValidateText("after", q.After, ff.MaxNameBytes)); err != nil {
		return page, named("list lanes", err)
	}
	after := ff.LaneID(q.After)
	for {
		rq := store.RecordQuery{Family: record.Lanes, Limit: ff.MaxPage}
		if after != "" { // behind its records of all shards
			rq.After = record.LaneKey{Home: ff.Partition{Family: ff.FamilyFlow, Index: math.MaxUint16}, Lane: after}
		}
		found, err := cat.Records(ctx, rq)
		if err != nil {
			return page, named("list lanes", err)
		}
		for _, rec := range found {
			l := rec.(*record.Lane)
			last := len(page.Items) - 1
			switch {
			case last >= 0 && page.Items[last].Lane == l.Lane:
				if r.home(r.LaneHome(l.Lane)) == l.Home {
					page.Items[last] = laneSnapshot(l.Lane, l)
				}
			case len(page.Items) == limit:
				page.Next = string(page.Items[last].Lane)
				return page, nil
			default:
				page.Items = append(page.Items, laneSnapshot(l.Lane, l))
				after = l.Lane
			}
		}
		if len(found) < ff.MaxPage {
			return page, nil
		}
	}
}

// LaneCounts counts the work of a lane.
func (r Rules) LaneCounts(ctx context.Context, cat store.Catalog, lane ff.LaneID) (ff.LaneCounts, error) {
	if err := lane.Validate(); err != nil {
		return ff.LaneCounts{}, named("lane counts", err)
	}
	n, err := cat.CountLane(ctx, lane, ff.MaxLaneCount)
	if err != nil {
		return ff.LaneCounts{}, named("lane counts", err)
	}
	return ff.LaneCounts{
		Lane: lane, Waiting: n.Ready, Active: n.Active, Delayed: n.Delayed, OldestAt: n.OldestAt,
		Capped: max(n.Ready, n.Active, n.Delayed) >= ff.MaxLaneCount,
	}, nil
}
