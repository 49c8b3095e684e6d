package servicetest

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
)

var fairnessTests = []behaviour{
	{"ABatchIsSplitByWeight", testFairBatch},
	{"SingleClaimsFollowTheWeights", testFairSingle},
	{"LeftoversGoToLanesWithWork", testFairLeftovers},
	{"NoLaneStarves", testFairNoStarvation},
	{"WeightsHoldWithinALanesOrder", testFairOrder},
}

// weighted submits n executions to a lane of its own for each weight.
func (e *env) weighted(n int, weights ...int) []ff.LaneID {
	e.Helper()
	var lanes []ff.LaneID
	for i, w := range weights {
		lane := e.lane + ff.LaneID('a'+rune(i))
		lanes = append(lanes, lane)
		e.setLane(ff.UpdateLane{Lane: lane, Weight: new(w)})
		cmds := make([]ff.Submit, n)
		for j := range cmds {
			cmds[j] = e.command(ff.Submit{Lane: lane, Priority: j % 7})
		}
		e.submitMany(cmds)
	}
	return lanes
}

// perLane claims once from several lanes and counts what it got of each.
func (e *env) perLane(most int, lanes []ff.LaneID, seen []int) {
	e.Helper()
	cmd := e.wants(most)
	cmd.Lanes = lanes
	got, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
	for _, c := range got {
		for i, lane := range lanes {
			if c.Lane == lane {
				seen[i]++
			}
		}
	}
}

// oneShard skips what is exact only where all lanes live together.
func (e *env) oneShard() {
	if len(e.store.Shards()) > 1 {
		e.Skip("the weights hold on each shard, and the lanes live on several")
	}
}

func testFairBatch(e *env) {
	e.oneShard()
	lanes := e.weighted(100, 1, 3, 6)
	seen := make([]int, 3)
	e.perLane(100, lanes, seen)
	e.equal("of 100 that were claimed at once", seen, []int{10, 30, 60})
	e.perLane(50, lanes, seen)
	e.equal("and of 50 more", seen, []int{15, 45, 90})
}

func testFairSingle(e *env) {
	e.oneShard()
	lanes := e.weighted(100, 1, 3)
	seen := make([]int, 2)
	for range 40 {
		e.perLane(1, lanes, seen)
	}
	e.equal("of 40 that were claimed one by one", seen, []int{10, 30})
}

func testFairLeftovers(e *env) {
	e.oneShard()
	lanes := e.weighted(20, 1, 1000)
	seen := make([]int, 2)
	e.perLane(30, lanes, seen)
	e.equal("claimed", seen, []int{10, 20})
}

// testFairNoStarvation: the lightest lane has its turn however heavy the others are, on any number of shards.
func testFairNoStarvation(e *env) {
	lanes := e.weighted(300, 1, 100)
	seen := make([]int, 2)
	for range 25 {
		e.perLane(10, lanes, seen)
	}
	if seen[0] == 0 {
		e.Errorf("of 250 that were claimed none was of the lightest lane")
	}
}

func testFairOrder(e *env) {
	lanes := e.weighted(14, 1, 2)
	cmd := e.wants(28)
	cmd.Lanes = lanes
	got, err := e.svc.Claim(e.Context(), cmd)
	e.ok(err)
	last := map[ff.LaneID]int{lanes[0]: ff.MaxPriority, lanes[1]: ff.MaxPriority}
	for _, c := range got {
		if c.Priority > last[c.Lane] {
			e.Errorf("lane %s: priority %d was handed out after %d", c.Lane, c.Priority, last[c.Lane])
		}
		last[c.Lane] = c.Priority
	}
	e.advance(time.Millisecond)
}
