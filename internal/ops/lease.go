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

// requestTag is what the ids of the leases of one request have in common.
type requestTag [10]byte

func tagOf(id ff.LeaseID) (tag requestTag) {
	copy(tag[:], id[:6])
	copy(tag[6:], id[9:13])
	return tag
}

// Regrant returns for each claim what earlier claims with its request id were granted and still hold, up to its Max. It passes
// over all leases once, or over those of the instance if there is one claim.
func (r Rules) Regrant(ctx context.Context, st store.Store, cmds []ff.Claim) ([][]ff.Claimed, error) {
	lq := store.LeaseQuery{Limit: ff.MaxPage}
	if len(cmds) == 1 {
		lq.WorkerInstanceID = cmds[0].WorkerInstanceID
	}
	ids := make(map[requestTag][]ff.ExecutionID, len(cmds))
	for i := range cmds {
		ids[tagOf(leaseIDOf(&cmds[i]))] = nil
	}
	for {
		found, err := st.Leases(ctx, lq)
		if err != nil {
			return nil, named("claim", err)
		}
		for _, e := range found {
			if list, ok := ids[tagOf(e.LeaseID)]; ok {
				ids[tagOf(e.LeaseID)] = append(list, e.ID)
			}
		}
		if len(found) < lq.Limit {
			break
		}
		last := found[len(found)-1]
		lq.After = store.LeaseCursor{ExpiresAt: last.LeaseExpiresAt, ExecutionID: last.ID}
	}
	held := make([][]ff.Claimed, len(cmds))
	for i, cmd := range cmds {
		tag := tagOf(leaseIDOf(&cmd))
		list := ids[tag]
		if len(list) == 0 {
			continue
		}
		var err error
		if held[i], err = r.heldBy(ctx, st, tag, list[:min(len(list), cmd.Max)], cmd); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// heldBy loads executions and returns those whose lease is one of the request's and has not run out.
func (r Rules) heldBy(ctx context.Context, st store.Store, mine requestTag, ids []ff.ExecutionID, cmd ff.Claim) ([]ff.Claimed, error) {
	tx, err := st.View(ctx, store.Reads{Executions: ids})
	if err != nil {
		return nil, named("claim", err)
	}
	var out []ff.Claimed
	for _, id := range ids {
		e := tx.Execution(id)
		if e == nil || e.State.Ownership != ff.Leased || tx.Now() >= e.LeaseExpiresAt || tagOf(e.LeaseID) != mine {
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
