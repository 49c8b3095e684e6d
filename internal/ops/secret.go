package ops

import (
	"bytes"
	"context"
	"crypto/subtle"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// FirstKid names the secret a deployment begins with when nobody gave it one.
const FirstKid = "k1"

// eventSecretRotated is the type of the operator event of a rotation.
const eventSecretRotated = "waitpoint_hmac_rotation_complete"

// SecretExpired reports whether a secret verifies no longer; at the moment of its expiry it still does (chapter 40, 7.3).
func SecretExpired(s *record.Secret, now ff.Timestamp) bool {
	return s.ExpiresAt != 0 && now > s.ExpiresAt
}

// CurrentSecret is the one of a list that signs, nil for none.
func CurrentSecret(list []*record.Secret, now ff.Timestamp) (current *record.Secret) {
	for _, s := range list {
		if s.Active && !SecretExpired(s, now) && (current == nil || s.RotatedAt >= current.RotatedAt) {
			current = s
		}
	}
	return current
}

// Secrets reads all secrets and the time they were read.
func (r Rules) Secrets(ctx context.Context, st store.Store) ([]*record.Secret, ff.Timestamp, error) {
	found, err := st.Records(ctx, store.RecordQuery{Family: record.Secrets, Limit: ff.MaxSecrets})
	if err != nil {
		return nil, 0, err
	}
	tx, err := st.View(ctx, store.Reads{})
	if err != nil {
		return nil, 0, err
	}
	list := make([]*record.Secret, len(found))
	for i, s := range found {
		list[i] = s.(*record.Secret)
	}
	return list, tx.Now(), nil
}

// ListSecrets tells of the secrets that verify, in order of their names.
func (r Rules) ListSecrets(ctx context.Context, st store.Store) ([]ff.SecretSnapshot, error) {
	list, now, err := r.Secrets(ctx, st)
	if err != nil {
		return nil, named("list secrets", err)
	}
	current := CurrentSecret(list, now)
	told := []ff.SecretSnapshot{}
	for _, s := range list {
		if !SecretExpired(s, now) {
			told = append(told, ff.SecretSnapshot{Kid: s.Kid, Current: s == current, RotatedAt: s.RotatedAt, ExpiresAt: s.ExpiresAt})
		}
	}
	return told, nil
}

// secretOp is an operation on the secrets that are known, and on one of a name.
func (r Rules) secretOp(name string, known []*record.Secret, kid string, decide func(tx *store.Tx, now []*record.Secret) error) *Op {
	home := r.home(ff.Partition{Family: ff.FamilyFlow})
	op := &Op{name: name}
	op.Partition = home
	op.Reads.Records = []record.Key{record.SecretKey{Home: home, Kid: kid}}
	for _, s := range known {
		if s.Kid != kid {
			op.Reads.Records = append(op.Reads.Records, s.SecretKey)
		}
	}
	op.Decide = func(tx *store.Tx) error {
		var now []*record.Secret
		for _, key := range op.Reads.Records {
			if s := store.Get[*record.Secret](tx, key); s != nil {
				now = append(now, s)
			}
		}
		return decide(tx, now)
	}
	return op
}

// SeedSecret makes the first signing secret of a deployment, active and without end. known are the secrets as last read;
// if one of them signs, it stays. out gets what signs then.
func (r Rules) SeedSecret(kid string, secret []byte, known []*record.Secret, out **record.Secret) *Op {
	return r.secretOp("seed secret", known, kid, func(tx *store.Tx, list []*record.Secret) error {
		if *out = CurrentSecret(list, tx.Now()); *out != nil {
			return nil
		}
		key := record.SecretKey{Home: r.home(ff.Partition{Family: ff.FamilyFlow}), Kid: kid}
		tx.Register(&record.Secret{SecretKey: key, Secret: secret, Active: true, RotatedAt: tx.Now()})
		*out = store.Get[*record.Secret](tx, key)
		return nil
	})
}

// RotateSecret makes a new secret sign (chapter 40, section 7.5). known are the secrets as last read. A rotation since
// then is a conflict: each changes the secret that signed before it.
func (r Rules) RotateSecret(cmd ff.RotateSecret, known []*record.Secret, out *ff.RotateResult) (*Op, error) {
	secret, err := cmd.Validate()
	if err == nil {
		err = ff.ValidateText("actor", cmd.Actor, ff.MaxNameBytes)
	}
	if err != nil {
		return nil, named("rotate secret", err)
	}
	return r.secretOp("rotate secret", known, cmd.NewKid, func(tx *store.Tx, list []*record.Secret) error {
		*out = ff.RotateResult{NewKid: cmd.NewKid}
		now := tx.Now()
		current := CurrentSecret(list, now)
		for _, s := range list {
			switch {
			case s.Kid != cmd.NewKid:
			case s == current && subtle.ConstantTimeCompare(s.Secret, secret) == 1:
				out.Noop = true
				return nil
			default:
				return rotationConflict("a secret of that name exists; choose another name")
			}
		}
		if current == nil && CurrentSecret(known, now) != nil {
			return rotationConflict("somebody else has just rotated; look at the secrets before you repeat it")
		}
		if len(list) >= ff.MaxSecrets {
			return &ff.Error{Code: ff.CodeResourceExhausted, Detail: "too many secrets still verify; rotate again when some have expired"}
		}
		r.retire(tx, list, current, now.Add(cmd.Grace), out)
		key := record.SecretKey{Home: r.home(ff.Partition{Family: ff.FamilyFlow}), Kid: cmd.NewKid}
		tx.Put(&record.Secret{SecretKey: key, Secret: bytes.Clone(secret), Active: true, RotatedAt: now})
		tx.Append(secretRotated(key.Home, out.PreviousKid, &cmd, now))
		return nil
	}), nil
}

func secretRotated(home ff.Partition, previous string, cmd *ff.RotateSecret, now ff.Timestamp) record.Event {
	return adminEvent(home, eventSecretRotated, now, struct {
		PreviousKid string `json:"previous_kid,omitempty"`
		NewKid      string `json:"new_kid"`
		GraceMS     int64  `json:"grace_ms"`
		Actor       string `json:"actor,omitempty"`
	}{previous, cmd.NewKid, cmd.Grace.Milliseconds(), cmd.Actor})
}

func rotationConflict(what string) error {
	return &ff.Error{Code: ff.CodeRotationConflict, Detail: what}
}

// retire lets the current secret verify until a time, and removes those that verify no longer.
func (r Rules) retire(tx *store.Tx, list []*record.Secret, current *record.Secret, until ff.Timestamp, out *ff.RotateResult) {
	for _, s := range list {
		switch {
		case s == current:
			old := *s
			old.Active, old.ExpiresAt = false, until
			tx.Put(&old)
			out.PreviousKid = s.Kid
		case SecretExpired(s, tx.Now()):
			tx.Delete(s.SecretKey)
			out.Removed++
		}
	}
}
