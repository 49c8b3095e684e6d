package ops

import (
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// limitsHome is where budgets and quotas live. Stores that have them have one shard, so that it is everybody's.
var limitsHome = ff.Partition{Family: ff.FamilyFlow}

// booksOf are the budgets and quotas as a unit sees them.
func booksOf(tx *store.Tx) *admission.Books { return admission.NewBooks(limitsHome, tx.Record) }

// keepBooks writes what was changed in books.
func keepBooks(tx *store.Tx, b *admission.Books) {
	for _, r := range b.Changed() {
		tx.Put(r)
	}
}

// releases reports whether a change takes the lease's part of budgets and quotas back. A lease that ran out keeps it until
// another one continues, or the execution ends: the attempt is active (chapter 10, row 5).
func releases(before, after *record.Execution) bool {
	return before.Limits != nil && before.Limits.Admitted && after.State.Phase != ff.PhaseActive
}

// releaseLimits takes back what the lease of before held.
func releaseLimits(tx *store.Tx, before, after *record.Execution) {
	if before == nil || !releases(before, after) {
		return
	}
	books := booksOf(tx)
	after.Limits = books.Release(before, tx.Now())
	keepBooks(tx, books)
}

// Hit is the note of a unit that an execution is kept back: by a budget in one of its dimensions, or by a quota for its rate or
// else its concurrency.
type Hit struct {
	Dimension string // empty for a quota
	Rate      bool
}

// park keeps an execution back that a budget or quota refuses.
func park(tx *store.Tx, books *admission.Books, e *record.Execution, refused *admission.Refusal) (*record.Execution, error) {
	gate := refused.Gate
	if refused.Action == ff.LimitSuspends {
		gate = ""
	}
	ch, err := lifecycle.Park(e, refused.Reason, gate, refused.Detail, tx.Now())
	if err != nil {
		return nil, err
	}
	if refused.Full { // else it waits behind others
		tx.Note(Hit{Dimension: refused.Dimension, Rate: refused.Rate})
	}
	if gate != "" {
		place := record.ParkingKey{Gate: gate, Place: record.ParkingPlace(e), ExecutionID: e.ID}
		tx.Register(&record.Parking{ParkingKey: place, ParkedAt: tx.Now()})
		books.Wait(refused, tx.Now())
	}
	return ch.Execution, nil
}

// refusal is the error of a call that a budget or quota does not let through.
func refusal(r *admission.Refusal) error {
	code := ff.CodeBudgetExceeded
	if r.Reason == ff.WaitingForQuota {
		code = ff.CodeConcurrencyLimitExceeded
		if r.Rate {
			code = ff.CodeRateLimitExceeded
		}
	}
	return &ff.Error{Code: code, Detail: r.Detail}
}

// limitsKeys are the records that decide whether executions may run.
func limitsKeys(list []*record.Execution) (keys []record.Key) {
	for _, e := range list {
		if e.Limits != nil && !e.Limits.Admitted {
			keys = append(keys, admission.KeysToAdmit(limitsHome, e)...)
		}
	}
	return keys
}

// leavesGate reports whether a change takes an execution away from where it was parked.
func leavesGate(before, after *record.Execution) bool {
	return before.Limits != nil && before.Limits.Gate != "" && (after.Limits == nil || after.Limits.Gate != before.Limits.Gate)
}

// gateKeys are the records of where an execution is parked, and of its place there.
func gateKeys(e *record.Execution) (at record.Key, place record.ParkingKey) {
	place = record.ParkingKey{Gate: e.Limits.Gate, Place: record.ParkingPlace(e), ExecutionID: e.ID}
	return admission.GateOf(limitsHome, e.Limits), place
}

// leaveGate takes an execution from where it was parked.
func leaveGate(tx *store.Tx, before, after *record.Execution) {
	if before == nil || !leavesGate(before, after) {
		return
	}
	at, place := gateKeys(before)
	if tx.Record(place) != nil {
		tx.Delete(place)
	}
	if at != nil {
		books := booksOf(tx)
		books.Leave(at, tx.Now())
		keepBooks(tx, books)
	}
}

// OpenGate lets those go on that wait for a budget or a quota and have room now, and resets a budget that is due. seen is the
// budget, or the use of the quota, and parked are the first that wait, as they were last read, in this order.
func (r Rules) OpenGate(seen record.Keyed, parked []*record.Parking) *Op {
	at := seen.Key()
	op := &Op{name: "open gate"}
	op.Partition, op.Order, op.Beliefs = at.Partition(), orderOfLimit(at), r.Beliefs
	op.Reads.Records = []record.Key{at}
	if use, ok := at.(record.QuotaUseKey); ok {
		op.Reads.Records = append(op.Reads.Records, record.QuotaKey{Home: use.Home, QuotaID: use.QuotaID})
	}
	for _, p := range parked {
		op.Reads.Records = append(op.Reads.Records, p.ParkingKey)
		op.Reads.Executions = append(op.Reads.Executions, p.ExecutionID)
	}
	op.Decide = func(tx *store.Tx) error {
		g := gate{Rules: r, tx: tx, at: at, seen: *seen.VersionField()}
		return g.open(parked)
	}
	return op
}

// orderOfLimit puts what changes one budget, or one quota, into one commit queue.
func orderOfLimit(at record.Key) uint64 {
	switch key := at.(type) {
	case record.BudgetKey:
		return record.OrderOfLimits(key.BudgetID)
	case record.QuotaUseKey:
		return record.OrderOfLimits(key.QuotaID)
	default:
		return 0
	}
}

// gate is one look at those that wait for a budget or quota.
type gate struct {
	Rules
	tx   *store.Tx
	at   record.Key
	seen int64 // the version the list of those that wait is not older than
}

// books are those of the gate's own home.
func (g *gate) books() *admission.Books { return admission.NewBooks(g.at.Partition(), g.tx.Record) }

func (g *gate) open(parked []*record.Parking) error {
	now := g.tx.Now()
	if b, ok := g.tx.Record(g.at).(*record.Budget); ok && b.NextResetAt != 0 && b.NextResetAt <= now {
		books := g.books()
		books.Reset(b.BudgetID, now)
		keepBooks(g.tx, books)
	}
	rec := g.tx.Record(g.at)
	if rec == nil || rec.DueTime() == 0 || rec.DueTime() > now {
		return nil // somebody else has looked
	}
	var waiting []*record.Execution
	for _, p := range parked {
		if e := g.tx.Execution(p.ExecutionID); e != nil {
			waiting = append(waiting, e)
		}
	}
	if err := needEndings(g.tx, waiting); err != nil {
		return err
	}
	if missing, any := g.tx.Missing(store.Reads{Records: limitsKeys(waiting)}); any {
		return g.tx.Need(missing)
	}
	found, went, changes, err := g.decide(parked, now)
	if err != nil {
		return err
	}
	if err := g.finish(g.tx, changes...); err != nil {
		return err
	}
	books := g.books()
	if none := found == 0 && *rec.VersionField() == g.seen; !books.Looked(g.at, none, went, now) {
		g.tx.Delete(g.at)
		return nil
	}
	keepBooks(g.tx, books)
	return nil
}

// decide looks at each that waits, in order, on trial: what those in front of it will take is taken.
func (g *gate) decide(parked []*record.Parking, now ff.Timestamp) (found, went int, changes []lifecycle.Change, err error) {
	trial := g.books()
	for _, p := range parked {
		if g.tx.Record(p.ParkingKey) == nil {
			continue
		}
		e := g.tx.Execution(p.ExecutionID)
		if e == nil || !lifecycle.ParkedAt(e, p.Gate) {
			g.tx.Delete(p.ParkingKey)
			continue
		}
		found++
		_, refused := trial.Admit(e, now)
		var ch lifecycle.Change
		switch {
		case refused == nil:
			ch, err = lifecycle.Unpark(e, now)
			went++
		case refused.Action == ff.LimitCancels:
			ch, err = lifecycle.Cancel(e, attemptAsStored(g.tx, e), &ff.Cancel{
				ExecutionID: e.ID, Source: ff.SourceFlowCascade, Reason: refused.Detail,
			}, now)
		case refused.Gate != p.Gate:
			books := g.books()
			ch.Execution, err = park(g.tx, books, e, refused)
			keepBooks(g.tx, books)
		}
		if err != nil {
			return 0, 0, nil, err
		}
		if ch.Execution != nil {
			changes = append(changes, ch)
		}
	}
	return found, went, changes, nil
}

// attemptAsStored is the stored attempt of an execution, if the rules that end it need that; [needEndings] has read it.
func attemptAsStored(tx *store.Tx, e *record.Execution) *record.Attempt {
	if !lifecycle.NeedsAttempt(e) {
		return nil
	}
	return tx.Attempt(record.AttemptKey{ExecutionID: e.ID, Index: e.AttemptIndex})
}

// SweepUsageKeys forgets up to limit reports that are remembered no longer. handled gets how many there were.
func (r Rules) SweepUsageKeys(shard ff.Partition, order uint64, limit int, handled *int) *Op {
	op := &Op{name: "sweep usage keys"}
	op.Partition, op.Order = shard, order
	op.Reads.DueRecords = []store.DueRecordsQuery{{Family: record.UsageKeys, Limit: limit}}
	op.Decide = func(tx *store.Tx) error {
		due := tx.DueRecords(0)
		*handled = len(due)
		for _, rec := range due {
			if rec.DueTime() <= tx.Now() {
				tx.Delete(rec.Key())
			}
		}
		return nil
	}
	return op
}

// limitsOf are the budgets and quotas of a policy and those of scopes, each once: the policy's first.
func limitsOf(own *ff.Limits, scoped *ff.Limits) *record.Limits {
	l := &record.Limits{}
	for _, from := range []*ff.Limits{own, scoped} {
		if from == nil {
			continue
		}
		for _, u := range from.Budgets {
			if !slices.ContainsFunc(l.Budgets, func(o record.BudgetUse) bool { return o.ID == u.ID }) {
				l.Budgets = append(l.Budgets, record.BudgetUse{ID: u.ID, Estimate: u.Estimate})
			}
		}
		for _, u := range from.Quotas {
			if !slices.ContainsFunc(l.Quotas, func(o ff.QuotaUse) bool { return o.ID == u.ID }) {
				l.Quotas = append(l.Quotas, u)
			}
		}
	}
	if len(l.Budgets)+len(l.Quotas) == 0 {
		return nil
	}
	return l
}
