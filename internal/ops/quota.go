package ops

import (
	"cmp"
	"context"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/admission"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func quotaKey(id ff.QuotaID) record.QuotaKey { return record.QuotaKey{Home: limitsHome, QuotaID: id} }

// checkQuota checks a definition as a whole.
func checkQuota(q *record.Quota) error {
	bad := func(problem string) error { return &ff.Error{Code: ff.CodeInvalidQuotaSpec, Detail: problem} }
	window := time.Duration(q.WindowMS) * time.Millisecond
	switch {
	case q.Rate < 0 || q.Rate > ff.MaxQuotaRate:
		return bad("rate must be between 0 and 1,000,000")
	case q.MaxConcurrent < 0 || q.MaxConcurrent > ff.MaxQuotaConcurrency:
		return bad("max_concurrent must be between 0 and 1,000,000")
	case q.WindowKind != ff.SlidingWindow && q.WindowKind != ff.FixedWindow:
		return bad("window_kind must be sliding or fixed")
	case q.Rate > 0 && (window < shortestQuota || window > ff.MaxQuotaWindow):
		return bad("window must be between a second and 31 days when there is a rate")
	case q.Rate == 0 && q.WindowMS != 0:
		return bad("window needs a rate")
	case q.JitterMS < 0 || q.JitterMS > q.WindowMS:
		return bad("jitter must be between 0 and the window")
	}
	return nil
}

// CreateQuota defines a quota; out gets whether it was there.
func (r Rules) CreateQuota(cmd ff.CreateQuota, out *ff.CreateResult) (*Op, error) {
	const name = "create quota"
	cmd.WindowKind = cmp.Or(cmd.WindowKind, ff.SlidingWindow)
	q := record.Quota{
		QuotaKey: quotaKey(cmd.QuotaID), Scope: cmd.Scope, Rate: cmd.Rate, WindowMS: cmd.Window.Milliseconds(), WindowKind: cmd.WindowKind,
		MaxConcurrent: cmd.MaxConcurrent, JitterMS: cmd.Jitter.Milliseconds(), Definition: digestOfDefinition(cmd),
	}
	if err := firstError(r.hasLimits(), checkScope(cmd.Scope, ff.CodeInvalidQuotaSpec), checkQuota(&q)); err != nil {
		return nil, named(name, err)
	}
	return r.onLimits(name, record.OrderOfLimits(cmd.QuotaID), append(scopeKeysOf(cmd.Scope), q.QuotaKey), func(tx *store.Tx) error {
		if old := store.Get[*record.Quota](tx, q.QuotaKey); old != nil {
			*out = ff.LimitAlreadySatisfied
			if string(old.Definition) != string(q.Definition) {
				return &ff.Error{Code: ff.CodeQuotaConflict, Detail: "a quota of that id is defined otherwise; use another id, or update it"}
			}
			return nil
		}
		n := q
		n.CreatedAt, n.UpdatedAt = tx.Now(), tx.Now()
		tx.Put(&n)
		*out = ff.LimitCreated
		return attach(tx, cmd.Scope, func(s *record.LimitScope) int {
			s.Quotas = append(slices.Clone(s.Quotas), cmd.QuotaID)
			return len(s.Quotas)
		})
	}), nil
}

// eventQuotaUpdated is the type of the operator event of a change to a quota.
const eventQuotaUpdated = "quota_updated"

// UpdateQuota changes a quota; out gets it as it is then. uses are its keys that somebody waits for, as last read: they are
// looked at again.
func (r Rules) UpdateQuota(cmd ff.UpdateQuota, uses []record.Key, out *ff.QuotaStatus) (*Op, error) {
	const name = "update quota"
	if err := firstError(r.hasLimits(), ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes)); err != nil {
		return nil, named(name, err)
	}
	key := quotaKey(cmd.QuotaID)
	return r.onLimits(name, record.OrderOfLimits(cmd.QuotaID), append([]record.Key{key}, uses...), func(tx *store.Tx) error {
		old := store.Get[*record.Quota](tx, key)
		if old == nil {
			return quotaNotFound(cmd.QuotaID)
		}
		n := *old
		if cmd.Rate != nil {
			n.Rate = *cmd.Rate
		}
		if cmd.Window != nil {
			n.WindowMS = cmd.Window.Milliseconds()
		}
		if cmd.MaxConcurrent != nil {
			n.MaxConcurrent = *cmd.MaxConcurrent
		}
		if cmd.Jitter != nil {
			n.JitterMS = cmd.Jitter.Milliseconds()
		}
		if err := checkQuota(&n); err != nil {
			return err
		}
		n.UpdatedAt = tx.Now()
		tx.Put(&n)
		wake(tx, uses)
		tx.Append(adminEvent(key.Home, eventQuotaUpdated, n.UpdatedAt, struct {
			QuotaID       ff.QuotaID `json:"quota_id"`
			Rate          int64      `json:"rate,omitempty"`
			WindowMS      int64      `json:"window_ms,omitempty"`
			MaxConcurrent int64      `json:"max_concurrent,omitempty"`
			JitterMS      int64      `json:"jitter_ms,omitempty"`
			Actor         string     `json:"actor,omitempty"`
		}{n.QuotaID, n.Rate, n.WindowMS, n.MaxConcurrent, n.JitterMS, cmd.Actor}))
		*out = quotaStatusOf(&n)
		return nil
	}), nil
}

// wake has keys of a quota looked at.
func wake(tx *store.Tx, uses []record.Key) {
	for _, key := range uses {
		if u := store.Get[*record.QuotaUse](tx, key); u != nil {
			n := *u
			n.WakeAt = tx.Now()
			tx.Put(&n)
		}
	}
}

// DeleteQuota removes a quota. What is under it is held back by it no longer, and uses, its keys, are looked at.
func (r Rules) DeleteQuota(q *record.Quota, uses []record.Key) *Op {
	keys := append(append(scopeKeysOf(q.Scope), q.QuotaKey), uses...)
	return r.onLimits("delete quota", record.OrderOfLimits(q.QuotaID), keys, func(tx *store.Tx) error {
		if tx.Record(q.QuotaKey) == nil {
			return quotaNotFound(q.QuotaID)
		}
		tx.Delete(q.QuotaKey)
		wake(tx, uses)
		detach(tx, q.Scope, func(s *record.LimitScope) {
			s.Quotas = slices.DeleteFunc(slices.Clone(s.Quotas), func(id ff.QuotaID) bool { return id == q.QuotaID })
		})
		return nil
	})
}

func quotaStatusOf(q *record.Quota) ff.QuotaStatus {
	return ff.QuotaStatus{
		QuotaID: q.QuotaID, Scope: q.Scope, Rate: q.Rate, Window: time.Duration(q.WindowMS) * time.Millisecond, WindowKind: q.WindowKind,
		MaxConcurrent: q.MaxConcurrent, Jitter: time.Duration(q.JitterMS) * time.Millisecond, CreatedAt: q.CreatedAt, UpdatedAt: q.UpdatedAt,
	}
}

// Quota reads a quota.
func (r Rules) Quota(ctx context.Context, st store.Store, id ff.QuotaID) (*record.Quota, error) {
	if err := r.hasLimits(); err != nil {
		return nil, err
	}
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{quotaKey(id)}})
	if err != nil {
		return nil, err
	}
	q := store.Get[*record.Quota](tx, quotaKey(id))
	if q == nil {
		return nil, quotaNotFound(id)
	}
	return q, nil
}

// DescribeQuota tells of a quota.
func (r Rules) DescribeQuota(ctx context.Context, st store.Store, id ff.QuotaID) (ff.QuotaStatus, error) {
	q, err := r.Quota(ctx, st, id)
	if err != nil {
		return ff.QuotaStatus{}, named("describe quota", err)
	}
	return quotaStatusOf(q), nil
}

// ListQuotas lists quotas in the order of their ids.
func (r Rules) ListQuotas(ctx context.Context, st store.Store, q ff.ListQuotas) (ff.Page[ff.QuotaStatus], error) {
	var page ff.Page[ff.QuotaStatus]
	after, err := parseAfter[ff.QuotaID](q.After)
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(r.hasLimits(), err, checkLimit(limit)); err != nil {
		return page, named("list quotas", err)
	}
	found, err := st.Records(ctx, recordsPage(record.Quotas, q.After != "", quotaKey(after), limit))
	if err != nil {
		return page, named("list quotas", err)
	}
	for _, rec := range found {
		page.Items = append(page.Items, quotaStatusOf(rec.(*record.Quota)))
	}
	if len(found) == limit {
		page.Next = page.Items[limit-1].QuotaID.String()
	}
	return page, nil
}

// QuotaUses reads keys of a quota that are in use, in byte order behind after.
func (r Rules) QuotaUses(ctx context.Context, st store.Store, id ff.QuotaID, after string, limit int) ([]*record.QuotaUse, error) {
	found, err := st.Records(ctx, store.RecordQuery{
		Family: record.QuotaUses, After: record.QuotaUseKey{Home: limitsHome, QuotaID: id, UseKey: after}, Prefix: 1, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	list := make([]*record.QuotaUse, len(found))
	for i, rec := range found {
		list[i] = rec.(*record.QuotaUse)
	}
	return list, nil
}

// ListQuotaKeys tells of the keys of a quota that are in use.
func (r Rules) ListQuotaKeys(ctx context.Context, st store.Store, q ff.ListQuotaKeys) (ff.Page[ff.QuotaKeyStatus], error) {
	const name = "list quota keys"
	var page ff.Page[ff.QuotaKeyStatus]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(checkLimit(limit), ff.ValidateText("after", q.After, ff.MaxNameBytes)); err != nil {
		return page, named(name, err)
	}
	def, err := r.Quota(ctx, st, q.QuotaID)
	if err != nil {
		return page, named(name, err)
	}
	tx, err := st.View(ctx, store.Reads{})
	if err != nil {
		return page, named(name, err)
	}
	uses, err := r.QuotaUses(ctx, st, q.QuotaID, q.After, limit)
	if err != nil {
		return page, named(name, err)
	}
	for _, u := range uses {
		inWindow, freeAt := admission.InWindow(def, u, tx.Now())
		page.Items = append(page.Items, ff.QuotaKeyStatus{Key: u.UseKey, Active: u.Active, InWindow: inWindow, Waiting: u.Waiting, FreeAt: freeAt})
	}
	if len(uses) == limit {
		page.Next = uses[limit-1].UseKey
	}
	return page, nil
}
