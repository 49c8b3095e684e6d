package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
)

func newLane() *cobra.Command {
	return group("lane", "List lanes, and pause, drain, resume and set them up",
		newLaneList(), newLaneGet(), newLaneSet(),
		newLaneState("pause", "Hand out nothing of a lane; it takes submissions", flowfabric.LanePaused),
		newLaneState("drain", "Refuse submissions to a lane; what it has is handed out", flowfabric.LaneDraining),
		newLaneState("disable", "Refuse submissions to a lane and hand out nothing", flowfabric.LaneDisabled),
		newLaneState("resume", "Let a lane take submissions and hand them out", flowfabric.LaneActive))
}

func newLaneList() *cobra.Command {
	var page paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List lanes",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := collect(ctx, page, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.LaneSnapshot], error) {
			return s.ListLanes(ctx, flowfabric.ListLanes{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		head := []any{"LANE", "STATE", "WEIGHT", "MAX CONCURRENCY", "UPDATED"}
		return list(s, found, head, func(l flowfabric.LaneSnapshot) []any {
			return []any{l.Lane, l.State, l.Weight, bound(l.MaxConcurrency), s.out.age(l.UpdatedAt)}
		})
	})
	page.flags(cmd.Flags())
	return cmd
}

// bound says a limit for which 0 means none.
func bound[T int | int64](n T) any {
	if n == 0 {
		return "none"
	}
	return n
}

func newLaneGet() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "get LANE",
		Short: "Print the settings of a lane and how much work it has",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		lane, err := s.Lane(ctx, flowfabric.LaneID(args[0]))
		if err != nil {
			return err
		}
		counts, err := s.LaneCounts(ctx, lane.Lane)
		if err != nil {
			return err
		}
		return s.out.value(struct {
			flowfabric.LaneSnapshot
			Counts flowfabric.LaneCounts `json:"counts"`
		}{lane, counts}, func(w io.Writer) {
			s.out.lane(w, &lane)
			row(w, "waiting", counts.Waiting)
			row(w, "active", counts.Active)
			row(w, "delayed", counts.Delayed)
			field(w, "oldest waiting", s.out.age(counts.OldestAt))
			if counts.Capped {
				field(w, "", "counting stopped: there is more")
			}
		})
	})
}

func (p printer) lane(w io.Writer, l *flowfabric.LaneSnapshot) {
	row(w, "lane", l.Lane)
	row(w, "state", l.State)
	row(w, "weight", l.Weight)
	row(w, "max concurrency", bound(l.MaxConcurrency))
}

func newLaneSet() *cobra.Command {
	var weight, concurrency int
	var reason string
	var given *pflag.FlagSet
	cmd := onService(&cobra.Command{
		Use:   "set LANE",
		Short: "Change the weight of a lane, or how much of it may run at once",
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		update := flowfabric.UpdateLane{Lane: flowfabric.LaneID(args[0]), Reason: reason}
		update.Weight = ifGiven(given, "weight", &weight)
		update.MaxConcurrency = ifGiven(given, "max-concurrency", &concurrency)
		return s.updateLane(ctx, update)
	})
	given = cmd.Flags()
	cmd.Flags().IntVar(&weight, "weight", 0, "its share when a worker asks for several lanes that all have work")
	cmd.Flags().IntVar(&concurrency, "max-concurrency", 0, "how much of it may run at once; 0 for no bound")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// ifGiven returns the value of a flag, or nil if the command line did not give it.
func ifGiven[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if flags.Changed(name) {
		return value
	}
	return nil
}

func newLaneState(verb, short string, state flowfabric.LaneState) *cobra.Command {
	var reason string
	cmd := onService(&cobra.Command{
		Use:   verb + " LANE",
		Short: short,
		Args:  cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		return s.updateLane(ctx, flowfabric.UpdateLane{Lane: flowfabric.LaneID(args[0]), State: &state, Reason: reason})
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (s *session) updateLane(ctx context.Context, cmd flowfabric.UpdateLane) error {
	cmd.Actor = s.actor
	lane, err := s.UpdateLane(ctx, cmd)
	if err != nil {
		return err
	}
	return s.out.value(lane, func(w io.Writer) { s.out.lane(w, &lane) })
}
