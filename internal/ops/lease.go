package ops

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// ListExpiredLeases lists leases by their expiry, over all shards (W28).
func (r Rules) ListExpiredLeases(ctx context.Context, st store.Store, q ff.ListExpiredLeases) (ff.Page[ff.ExpiredLease], error) {
	var page ff.Page[ff.ExpiredLease]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(
		checkLimit(limit), checkInstant("as_of", q.AsOf), checkOptional(q.Namespace, q.Namespace.Validate),
	); err != nil {
		return page, named("list expired leases", err)
	}
	lq := store.LeaseQuery{ExpiresBy: q.AsOf, Namespace: q.Namespace, Limit: limit}
	filters := []any{q.Namespace}
	if q.After != "" {
		position, err := readCursor("expired leases", filters, q.After, positionBytes)
		if err != nil {
			return page, named("list expired leases", err)
		}
		lq.After.ExpiresAt, lq.After.ExecutionID = positionFrom(position)
	}
	if lq.ExpiresBy == 0 {
		tx, err := st.View(ctx, store.Reads{NextDue: true}) // for the storage clock
		if err != nil {
			return page, named("list expired leases", err)
		}
		lq.ExpiresBy = tx.Now()
	}
	found, err := st.Leases(ctx, lq)
	if err != nil {
		return page, named("list expired leases", err)
	}
	for _, e := range found {
		page.Items = append(page.Items, ff.ExpiredLease{
			ExecutionID: e.ID, LeaseID: e.LeaseID, Epoch: e.Epoch, AttemptIndex: e.AttemptIndex, WorkerID: e.WorkerID,
			WorkerInstanceID: e.WorkerInstanceID, ExpiresAt: e.LeaseExpiresAt,
		})
	}
	if len(found) == limit {
		last := found[limit-1]
		page.Next = newCursor("expired leases", filters, positionOf(last.LeaseExpiresAt, last.ID))
	}
	return page, nil
}

// leaseIDOf mints the id of a lease for a claim. With a request id, everything but 42 random bits follows from that and
// the worker instance, so that the leases of one request are known by their ids (W36). In both cases it is a random UUID
// by its form.
func leaseIDOf(c *ff.Claim) ff.LeaseID {
	id := ff.NewLeaseID()
	if c.RequestID == "" {
		return id
	}
	tag := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", c.WorkerInstanceID, c.RequestID))
	copy(id[:6], tag[:])
	copy(id[9:13], tag[6:])
	return id
}

// sameRequest reports whether two lease ids were minted for one request.
func sameRequest(x, y ff.LeaseID) bool {
	return [6]byte(x[:6]) == [6]byte(y[:6]) && [4]byte(x[9:13]) == [4]byte(y[9:13])
}

// Regrant returns what earlier claims with the request id of cmd were granted and still hold, up to cmd.Max.
func (r Rules) Regrant(ctx context.Context, st store.Store, cmd ff.Claim) ([]ff.Claimed, error) {
	mine, lq := leaseIDOf(&cmd), store.LeaseQuery{WorkerInstanceID: cmd.WorkerInstanceID, Limit: ff.MaxPage}
	var ids []ff.ExecutionID
	for {
		found, err := st.Leases(ctx, lq)
		if err != nil {
			return nil, named("claim", err)
		}
		for _, e := range found {
			if sameRequest(e.LeaseID, mine) && len(ids) < cmd.Max {
				ids = append(ids, e.ID)
			}
		}
		if len(found) < lq.Limit || len(ids) == cmd.Max {
			break
		}
		last := found[len(found)-1]
		lq.After = store.LeaseCursor{ExpiresAt: last.LeaseExpiresAt, ExecutionID: last.ID}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return r.heldBy(ctx, st, mine, ids, cmd)
}

// heldBy loads executions and returns those whose lease is one of the request's and has not run out.
func (r Rules) heldBy(ctx context.Context, st store.Store, mine ff.LeaseID, ids []ff.ExecutionID, cmd ff.Claim) ([]ff.Claimed, error) {
	tx, err := st.View(ctx, store.Reads{Executions: ids})
	if err != nil {
		return nil, named("claim", err)
	}
	var out []ff.Claimed
	for _, id := range ids {
		e := tx.Execution(id)
		if e == nil || e.State.Ownership != ff.Leased || tx.Now() >= e.LeaseExpiresAt || !sameRequest(e.LeaseID, mine) {
			continue
		}
		e = lifecycle.Normalize(e, nil)
		by := cmd
		by.LeaseTTL = e.LeaseExpiresAt.Sub(e.LeaseRenewedAt)
		out = append(out, claimed(e, by, continues(e)))
	}
	return out, nil
}

// continues reports whether the lease e is under continues an attempt that began before it.
func continues(e *record.Execution) bool { return e.AttemptStartedAt < e.LeaseAcquiredAt }
