package ops

import (
	"maps"
	"math"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Want is one waiting claim: who asks, and what it got.
type Want struct {
	Claim ff.Claim // validated, with its defaults
	Got   []ff.Claimed
}

// LaneAsk is a lane that a claim looks at, with what is known of it; the claim brings that up to date.
type LaneAsk struct {
	Lane   ff.LaneID
	Routes []int64 // what the claimers may take; at least one
	// Settings are the lane's as last seen, nil for the defaults; Seen says that they were ever. They need not be true: they
	// only spare round trips, and where they are not, the lanes' weights show one claim late.
	Settings *record.Lane
	Seen     bool
	// Limits are records of budgets and quotas that the last claim of the lane has needed: as with Settings, they only spare
	// round trips.
	Limits []record.Key
	// Credit is the lane's standing among the lanes that take turns.
	Credit int

	// Ended: nothing more was ready on Routes.
	Ended bool
	// Held: there may be more, but the lane's state or its concurrency kept it back.
	Held bool
	// Left are routes with work that was looked at, hidden from others meanwhile, and not granted.
	Left []int64
}

// HandsOut reports whether the settings, as last seen, let work of the lane be claimed.
func (a *LaneAsk) HandsOut() bool { return settingsOf(a.Settings).State.HandsOut() }

// Bounded reports whether the settings, as last seen, bound the lane's concurrency.
func (a *LaneAsk) Bounded() bool { return settingsOf(a.Settings).MaxConcurrency > 0 }

// Claim grants ready executions of one shard to wants, which share their capabilities. The lanes get turns by weight; the
// turns of one that has no work go to the others. The first want is served first.
//
// A lane's record is read with its work, and what is granted depends on its being unchanged at the commit. So nothing of
// a lane is handed out once a change that stops it is committed, and of a lane with bounded concurrency two claims cannot
// both take the last slot.
func (r Rules) Claim(shard ff.Partition, order uint64, asks []*LaneAsk, wants []*Want) *Op {
	c := &claim{asks: asks, wants: wants, home: r.home(shard)}
	for _, w := range wants {
		c.total += w.Claim.Max
	}
	c.total = min(c.total, ff.MaxClaim)
	limited := false
	for _, a := range asks {
		c.credits = append(c.credits, a.Credit)
		limited = limited || len(a.Limits) > 0
	}
	op := &Op{name: "claim"}
	if limited {
		op.Beliefs = r.Beliefs
	}
	op.Partition, op.Order, op.Reads, op.Decide = shard, order, c.firstReads(), c.decide
	return op
}

// claim is one run of [Rules.Claim].
type claim struct {
	asks    []*LaneAsk
	wants   []*Want
	home    ff.Partition
	total   int
	credits []int     // of the lanes, before the claim
	queries []queryOf // the claim queries so far, in order
}

// queryOf says what one claim query was for.
type queryOf struct{ lane, limit int }

func (c *claim) key(i int) record.LaneKey {
	return record.LaneKey{Home: c.home, Lane: c.asks[i].Lane}
}

// firstReads asks for the records of all lanes, and for work where the settings last seen let it be claimed. What a lane
// with bounded concurrency may give is known only when its slots were read.
func (c *claim) firstReads() store.Reads {
	var reads store.Reads
	rot, room := c.rotation(), make([]int, len(c.asks))
	for i, a := range c.asks {
		reads.Records = append(append(reads.Records, c.key(i)), a.Limits...)
		s := settingsOf(a.Settings)
		rot.weights[i] = s.Weight
		switch {
		case !s.State.HandsOut():
			rot.leave(i)
		case s.MaxConcurrency > 0:
			reads.Slots = append(reads.Slots, a.Lane)
		default:
			room[i] = c.total
		}
	}
	if len(c.asks) == 1 || !slices.ContainsFunc(c.asks, func(a *LaneAsk) bool { return !a.Seen }) {
		reads.Claimable = c.ask(rot.shares(c.total, room))
	}
	return reads
}

func (c *claim) rotation() *rotation {
	n := len(c.asks)
	return &rotation{weights: make([]int, n), credit: append([]int(nil), c.credits...), out: make([]bool, n)}
}

// ask makes the queries for so much of each lane.
func (c *claim) ask(shares []int) []store.ClaimQuery {
	var list []store.ClaimQuery
	for i, n := range shares {
		if n > 0 {
			c.queries = append(c.queries, queryOf{lane: i, limit: n})
			list = append(list, store.ClaimQuery{Lane: c.asks[i].Lane, Routes: c.asks[i].Routes, Limit: n})
		}
	}
	return list
}

// laneView is what one run of Decide sees of a lane.
type laneView struct {
	settings *record.Lane // as stored; nil for none
	room     int          // how many more may be granted
	found    []*record.Execution
	work     []admitted          // of found, what may run
	rest     []*record.Execution // of found, what was not looked at for want of room
	ended    bool
}

// admitted is an execution that may run, with the limits it runs under.
type admitted struct {
	*record.Execution
	limits *record.Limits
}

// maxParked bounds how many executions one claim keeps back because a budget or quota has no room. Where more of them stand
// in front, the next claim goes on.
const maxParked = 1000

// decide asks for more until the wants are met or the lanes can give no more, and grants what was found.
func (c *claim) decide(tx *store.Tx) error {
	rot, views, unread := c.look(tx)
	if len(unread) > 0 {
		return tx.Need(store.Reads{Slots: unread})
	}
	if missing, any := tx.Missing(store.Reads{Records: c.limits(views)}); any {
		return tx.Need(missing)
	}
	books := booksOf(tx)
	found, parked, err := c.admit(tx, books, rot, views)
	if err != nil {
		return err
	}
	room := make([]int, len(views))
	for i, v := range views {
		if !v.ended {
			room[i] = max(0, v.room-len(v.work))
		}
	}
	if found < c.total && len(parked) < maxParked {
		if more := c.ask(rot.shares(c.total-found, room)); len(more) > 0 {
			return tx.Need(store.Reads{Claimable: more})
		}
	}
	for _, e := range parked {
		tx.PutExecution(e)
	}
	keepBooks(tx, books)
	return c.grantAll(tx, rot, views)
}

// limits are the records that decide whether what was found may run.
func (c *claim) limits(views []laneView) (keys []record.Key) {
	for _, v := range views {
		keys = append(keys, limitsKeys(v.found)...)
	}
	return keys
}

// admit lets what was found run, as far as it is wanted and its limits have room. parked are those that have not: they are
// kept back, so that nobody stands behind them.
func (c *claim) admit(tx *store.Tx, books *admission.Books, rot *rotation, views []laneView) (found int, parked []*record.Execution, err error) {
	for i := range views {
		v := &views[i]
		for n, e := range v.found {
			if found >= c.total || len(v.work) >= v.room {
				v.rest = v.found[n:]
				break
			}
			limits, refused := books.Admit(e, tx.Now())
			if refused == nil {
				v.work = append(v.work, admitted{e, limits})
				found++
				continue
			}
			e, err := park(tx, books, e, refused)
			if err != nil {
				return 0, nil, err
			}
			parked = append(parked, e)
		}
		if v.ended && len(v.work) == 0 {
			rot.leave(i)
		}
	}
	return found, parked, nil
}

// look gathers what was loaded so far. unread are lanes whose slots must be known.
func (c *claim) look(tx *store.Tx) (rot *rotation, views []laneView, unread []ff.LaneID) {
	rot, views = c.rotation(), make([]laneView, len(c.asks))
	for i, a := range c.asks {
		v := &views[i]
		v.settings = store.Get[*record.Lane](tx, c.key(i))
		s := settingsOf(v.settings)
		rot.weights[i], v.room = s.Weight, math.MaxInt
		switch {
		case !s.State.HandsOut():
			v.room = 0
		case s.MaxConcurrency > 0 && !tx.HasSlots(a.Lane):
			unread = append(unread, a.Lane)
		case s.MaxConcurrency > 0:
			v.room = max(0, s.MaxConcurrency-tx.Slots(a.Lane))
		}
	}
	c.queries = c.queries[:tx.ClaimQueries()]
	for i, q := range c.queries {
		v, list := &views[q.lane], tx.Claimable(i)
		v.ended = len(list) < q.limit
		for _, e := range list {
			e = lifecycle.Normalize(e, nil)
			if lifecycle.Claimable(e, c.wants[0].Claim.Capabilities, tx.Now()) { // else it moved on within this batch
				v.found = append(v.found, e)
			}
		}
	}
	for i, v := range views {
		if v.room == 0 || v.ended && len(v.found) == 0 {
			rot.leave(i)
		}
	}
	return rot, views, unread
}

// grantAll gives the wants what was found, in turns, and tells of each lane how it stands then.
func (c *claim) grantAll(tx *store.Tx, rot *rotation, views []laneView) error {
	g := granter{wants: c.wants}
	g.reset()
	given := make([]int, len(views))
	can := func(i int) bool { return given[i] < min(len(views[i].work), views[i].room) }
	for range c.total {
		i := rot.next(can)
		if i < 0 {
			break
		}
		if err := g.grant(tx, views[i].work[given[i]], settingsOf(views[i].settings).MaxConcurrency > 0); err != nil {
			return err
		}
		given[i]++
	}
	for i, v := range views {
		c.conclude(tx, i, v, given[i])
		c.asks[i].Credit = rot.credit[i]
	}
	return nil
}

// conclude guards what was granted of a lane and notes how it stands.
func (c *claim) conclude(tx *store.Tx, i int, v laneView, given int) {
	switch bounded := settingsOf(v.settings).MaxConcurrency > 0; {
	case given == 0:
	case bounded:
		n := *v.settings
		tx.Put(&n) // another claim that counted the same slots fails its guard
	default:
		tx.Guard(c.key(i))
	}
	a := c.asks[i]
	a.Settings, a.Seen, a.Left, a.Limits = v.settings, true, nil, booksKeys(v.found)
	for _, e := range v.work[given:] {
		a.Left = append(a.Left, e.Route)
	}
	for _, e := range v.rest {
		a.Left = append(a.Left, e.Route)
	}
	a.Ended = v.ended && len(a.Left) == 0
	a.Held = !a.Ended && given >= v.room
}

// maxKnownLimits bounds [LaneAsk.Limits]: executions of a lane with more of them have little in common.
const maxKnownLimits = 16

// booksKeys are the records of budgets and quotas that several executions were decided on.
func booksKeys(list []*record.Execution) (keys []record.Key) {
	for _, key := range limitsKeys(list) {
		if _, own := key.(record.LedgerKey); own || slices.Contains(keys, key) {
			continue
		}
		if len(keys) == maxKnownLimits {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

// granter hands executions to wants in order.
type granter struct {
	wants []*Want
	next  int
}

func (g *granter) reset() {
	for _, w := range g.wants {
		w.Got = nil
	}
}

// grant leases e to the first want that is not served. There is one.
func (g *granter) grant(tx *store.Tx, a admitted, slot bool) error {
	e := a.Execution
	for len(g.wants[g.next].Got) >= g.wants[g.next].Claim.Max {
		g.next++
	}
	w := g.wants[g.next]
	ch, err := lifecycle.Claim(e, lifecycle.Grant{
		WorkerID: w.Claim.WorkerID, WorkerInstanceID: w.Claim.WorkerInstanceID, Capabilities: w.Claim.Capabilities,
		LeaseID: leaseIDOf(&w.Claim), AttemptID: ff.NewAttemptID(), TTL: w.Claim.LeaseTTL, Slot: slot,
	}, tx.Now())
	if err != nil {
		return err
	}
	ch.Execution.Limits = a.limits
	apply(tx, ch)
	w.Got = append(w.Got, claimed(ch.Execution, w.Claim, lifecycle.Resumes(e)))
	return nil
}

func claimed(e *record.Execution, by ff.Claim, resumed bool) ff.Claimed {
	return ff.Claimed{
		ExecutionID: e.ID, FlowID: e.FlowID,
		Fence:    ff.Fence{LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptID: e.AttemptID, AttemptIndex: e.AttemptIndex},
		WorkerID: e.WorkerID, WorkerInstanceID: e.WorkerInstanceID,
		Lane: e.Lane, Kind: e.Kind, Namespace: e.Namespace, Priority: e.Priority,
		Payload: e.Payload, PayloadEncoding: e.PayloadEncoding, Tags: maps.Clone(e.Tags),
		AttemptType: e.AttemptType, Resumed: resumed, RetryCount: e.RetryCount, ReplayCount: e.ReplayCount, ClaimedAt: e.LeaseAcquiredAt,
		CreatedAt: e.CreatedAt, LeaseExpiresAt: e.LeaseExpiresAt, LeaseTTL: by.LeaseTTL,
		Budgets: budgetsOf(e), TraceParent: e.TraceParent,
	}
}

// budgetsOf are the budgets an execution is under.
func budgetsOf(e *record.Execution) []ff.BudgetUse {
	if e.Limits == nil || len(e.Limits.Budgets) == 0 {
		return nil
	}
	uses := make([]ff.BudgetUse, len(e.Limits.Budgets))
	for i, u := range e.Limits.Budgets {
		uses[i] = ff.BudgetUse{ID: u.ID, Estimate: maps.Clone(u.Estimate)}
	}
	return uses
}
