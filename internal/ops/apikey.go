package ops

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// Types of the operator events of keys.
const (
	eventKeyCreated = "key_created"
	eventKeyRotated = "key_rotated"
	eventKeyRevoked = "key_revoked"
)

// minKeyLife is the shortest time a key that expires is good.
const minKeyLife = time.Second

// keyOf names a key. All of them live on one shard.
func (r Rules) keyOf(id ff.KeyID) record.APIKeyKey {
	return record.APIKeyKey{Home: r.home(ff.Partition{Family: ff.FamilyFlow}), ID: id}
}

// keyOp is an operation on one key, which is nil if there is none.
func (r Rules) keyOp(name string, id ff.KeyID, decide func(tx *store.Tx, k *record.APIKey) error) *Op {
	key := r.keyOf(id)
	op := &Op{name: name}
	op.Partition, op.Reads.Records = key.Home, []record.Key{key}
	op.Decide = func(tx *store.Tx) error { return decide(tx, store.Get[*record.APIKey](tx, key)) }
	return op
}

func keyNotFound(id ff.KeyID) error { return &ff.Error{Code: ff.CodeKeyNotFound, Detail: string(id)} }

// keyGood reports whether a key may be used at all. At the moment it expires it is good no longer.
func keyGood(k *record.APIKey, now ff.Timestamp) bool {
	return k.RevokedAt == 0 && (k.ExpiresAt == 0 || now < k.ExpiresAt)
}

// keyTraced reports whether a key that is good no longer is still to be listed.
func keyTraced(k *record.APIKey, now ff.Timestamp) bool {
	ended := cmp.Or(k.RevokedAt, k.ExpiresAt)
	return keyGood(k, now) || now < ended.Add(ff.KeyTrace)
}

// Keys reads all keys, for [Rules.CreateKey].
func (r Rules) Keys(ctx context.Context, st store.Catalog) ([]*record.APIKey, error) {
	found, err := st.Records(ctx, store.RecordQuery{Family: record.APIKeys, Limit: ff.MaxKeys})
	if err != nil {
		return nil, err
	}
	list := make([]*record.APIKey, len(found))
	for i, k := range found {
		list[i] = k.(*record.APIKey)
	}
	return list, nil
}

// CreateKey makes a key of a new id and of a secret of which digest is the digest, and removes those that need no longer be
// listed. known are the keys as last read: creations at the same time may pass the bound by as many as they are.
func (r Rules) CreateKey(cmd ff.CreateKey, id ff.KeyID, digest []byte, known []*record.APIKey, out *ff.KeySnapshot) (*Op, error) {
	const name = "create key"
	if err := checkCreateKey(&cmd); err != nil {
		return nil, named(name, err)
	}
	op := r.keyOp(name, id, func(tx *store.Tx, k *record.APIKey) error {
		if k != nil {
			return &ff.Error{Code: ff.CodeBug, Detail: "the id of a new key is taken"}
		}
		now, removed := tx.Now(), 0
		for _, old := range known {
			if k := store.Get[*record.APIKey](tx, old.APIKeyKey); k != nil && !keyTraced(k, now) {
				tx.Delete(k.APIKeyKey)
				removed++
			}
		}
		if len(known)-removed >= ff.MaxKeys {
			return &ff.Error{Code: ff.CodeResourceExhausted, Detail: "there are too many keys, those counted that were revoked or expired lately"}
		}
		k = &record.APIKey{
			APIKeyKey: r.keyOf(id), Name: cmd.Name, Digest: digest, Roles: cmd.Roles, Namespaces: cmd.Namespaces, Lanes: cmd.Lanes,
			CreatedAt: now, CreatedBy: cmd.Actor, ExpiresAt: keyExpiry(now, cmd.ExpiresIn),
		}
		tx.Put(k)
		tx.Append(keyEvent(k, eventKeyCreated, cmd.Actor, now))
		*out = keySnapshot(k)
		return nil
	})
	for _, k := range known {
		op.Reads.Records = append(op.Reads.Records, k.APIKeyKey)
	}
	return op, nil
}

func keyExpiry(now ff.Timestamp, in time.Duration) ff.Timestamp {
	if in == 0 {
		return 0
	}
	return now.Add(in)
}

func checkCreateKey(c *ff.CreateKey) error {
	c.Roles = slices.Compact(slices.Sorted(slices.Values(c.Roles)))
	c.Namespaces, c.Lanes = slices.Clone(c.Namespaces), slices.Clone(c.Lanes) // the record outlives the call
	if err := firstError(
		ff.ValidateName("name", c.Name), checkKeyLife(c.ExpiresIn), ff.ValidateText("actor", c.Actor, ff.MaxNameBytes),
		checkScopes("namespaces", c.Namespaces, ff.Namespace.Validate), checkScopes("lanes", c.Lanes, ff.LaneID.Validate),
	); err != nil {
		return err
	}
	if len(c.Roles) == 0 {
		return invalid("roles", fmt.Sprintf("are missing; want any of %v", ff.Roles))
	}
	for _, role := range c.Roles {
		if !slices.Contains(ff.Roles, role) {
			return invalid("roles", fmt.Sprintf("have %.40q; want any of %v", string(role), ff.Roles))
		}
	}
	return nil
}

func checkScopes[T ~string](field string, list []T, validate func(T) error) error {
	if len(list) > ff.MaxKeyScopes {
		return invalid(field, fmt.Sprintf("are %d; at most %d are allowed", len(list), ff.MaxKeyScopes))
	}
	for _, v := range list {
		if err := validate(v); err != nil {
			return err
		}
	}
	return nil
}

func checkKeyLife(in time.Duration) error {
	if in == 0 {
		return nil
	}
	return checkSpan("expires_in", in, minKeyLife, ff.MaxKeyLife)
}

// RotateKey gives a key the secret of which digest is the digest.
func (r Rules) RotateKey(cmd ff.RotateKey, digest []byte, out *ff.KeySnapshot) (*Op, error) {
	const name = "rotate key"
	err := firstError(ff.CheckKeyID(cmd.KeyID), checkKeyLife(cmd.ExpiresIn), ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes))
	if err == nil && (cmd.Grace < 0 || cmd.Grace > ff.MaxKeyGrace) {
		err = &ff.Error{Code: ff.CodeInvalidGrace, Detail: fmt.Sprintf("a grace must be between 0 and %s", ff.MaxKeyGrace)}
	}
	if err != nil {
		return nil, named(name, err)
	}
	return r.keyOp(name, cmd.KeyID, func(tx *store.Tx, old *record.APIKey) error {
		now := tx.Now()
		switch {
		case old == nil:
			return keyNotFound(cmd.KeyID)
		case bytes.Equal(old.Digest, digest): // this very rotation, whose commit was made and not heard of
			*out = keySnapshot(old)
			return nil
		case !keyGood(old, now):
			return invalid("key_id", "is of a key that is revoked or has expired; make another")
		case cmd.Grace > 0 && now < old.PreviousUntil:
			return rotationConflict("the secret before the last rotation still verifies; rotate when its grace is over, or with a grace of 0")
		}
		k := *old
		k.Digest, k.RotatedAt = digest, now
		k.PreviousDigest, k.PreviousUntil = nil, 0
		if cmd.Grace > 0 {
			k.PreviousDigest, k.PreviousUntil = old.Digest, now.Add(cmd.Grace)
		}
		if cmd.ExpiresIn > 0 {
			k.ExpiresAt = now.Add(cmd.ExpiresIn)
		}
		tx.Put(&k)
		tx.Append(keyEvent(&k, eventKeyRotated, cmd.Actor, now))
		*out = keySnapshot(&k)
		return nil
	}), nil
}

// RevokeKey withdraws a key.
func (r Rules) RevokeKey(cmd ff.RevokeKey, out *ff.KeySnapshot) (*Op, error) {
	const name = "revoke key"
	if err := firstError(ff.CheckKeyID(cmd.KeyID), ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes)); err != nil {
		return nil, named(name, err)
	}
	return r.keyOp(name, cmd.KeyID, func(tx *store.Tx, old *record.APIKey) error {
		switch {
		case old == nil:
			return keyNotFound(cmd.KeyID)
		case old.RevokedAt == 0:
			k := *old
			k.RevokedAt, k.RevokedBy = tx.Now(), cmd.Actor
			tx.Put(&k)
			tx.Append(keyEvent(&k, eventKeyRevoked, cmd.Actor, tx.Now()))
			old = &k
		}
		*out = keySnapshot(old)
		return nil
	}), nil
}

// VerifyKey tells of the key a text belongs to. Why there is none is not told.
func (r Rules) VerifyKey(ctx context.Context, st store.Store, cmd ff.VerifyKey) (ff.KeySnapshot, error) {
	const name = "verify key"
	id, digest, err := cmd.Text.Parse()
	if err != nil {
		return ff.KeySnapshot{}, named(name, err)
	}
	key := r.keyOf(id)
	tx, err := st.View(ctx, store.Reads{Records: []record.Key{key}})
	if err != nil {
		return ff.KeySnapshot{}, named(name, err)
	}
	k := store.Get[*record.APIKey](tx, key)
	if k == nil || !keyGood(k, tx.Now()) || !keyHas(k, digest[:], tx.Now()) {
		return ff.KeySnapshot{}, &ff.Error{Code: ff.CodeInvalidToken, Op: name, Detail: "the key is not valid"}
	}
	return keySnapshot(k), nil
}

// keyHas reports whether a digest is that of the secret of a key. It takes the same time wherever the two differ.
func keyHas(k *record.APIKey, digest []byte, now ff.Timestamp) bool {
	return subtle.ConstantTimeCompare(k.Digest, digest) == 1 ||
		now < k.PreviousUntil && subtle.ConstantTimeCompare(k.PreviousDigest, digest) == 1
}

// ListKeys lists keys in the order of their ids.
func (r Rules) ListKeys(ctx context.Context, st store.Catalog, q ff.ListKeys) (ff.Page[ff.KeySnapshot], error) {
	const name = "list keys"
	var page ff.Page[ff.KeySnapshot]
	limit := cmp.Or(q.Limit, ff.DefaultPage)
	err := checkLimit(limit)
	if err == nil && q.After != "" && ff.CheckKeyID(ff.KeyID(q.After)) != nil {
		err = invalid("after", "is no cursor of keys")
	}
	if err != nil {
		return page, named(name, err)
	}
	found, err := st.Records(ctx, recordsPage(record.APIKeys, q.After != "", r.keyOf(ff.KeyID(q.After)), limit))
	if err != nil {
		return page, named(name, err)
	}
	for _, k := range found {
		page.Items = append(page.Items, keySnapshot(k.(*record.APIKey)))
	}
	if len(found) == limit {
		page.Next = string(page.Items[limit-1].KeyID)
	}
	return page, nil
}

// keySnapshot copies the lists: the record may be read by others.
func keySnapshot(k *record.APIKey) ff.KeySnapshot {
	return ff.KeySnapshot{
		KeyID: k.ID, Name: k.Name, Roles: slices.Clone(k.Roles), Namespaces: slices.Clone(k.Namespaces), Lanes: slices.Clone(k.Lanes),
		CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt, RotatedAt: k.RotatedAt, PreviousUntil: k.PreviousUntil,
		RevokedAt: k.RevokedAt, RevokedBy: k.RevokedBy,
	}
}

func keyEvent(k *record.APIKey, kind, actor string, now ff.Timestamp) record.Event {
	return adminEvent(k.Home, kind, now, struct {
		KeyID         ff.KeyID       `json:"key_id"`
		Name          string         `json:"name"`
		Roles         []ff.Role      `json:"roles"`
		Namespaces    []ff.Namespace `json:"namespaces,omitempty"`
		Lanes         []ff.LaneID    `json:"lanes,omitempty"`
		ExpiresAt     ff.Timestamp   `json:"expires_at,omitempty"`
		PreviousUntil ff.Timestamp   `json:"previous_until,omitempty"`
		Actor         string         `json:"actor,omitempty"`
	}{k.ID, k.Name, k.Roles, k.Namespaces, k.Lanes, k.ExpiresAt, k.PreviousUntil, actor})
}
