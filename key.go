package flowfabric

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Role is what a caller may do.
type Role string

// Roles.
const (
	RoleViewer    Role = "viewer"    // reads
	RoleSubmitter Role = "submitter" // submits, and cancels what it may see
	RoleWorker    Role = "worker"    // claims and reports
	RoleOperator  Role = "operator"  // acts on what others submitted
	RoleAdmin     Role = "admin"     // limits, secrets, keys
)

// Roles are all there are.
var Roles = []Role{RoleViewer, RoleSubmitter, RoleWorker, RoleOperator, RoleAdmin}

// Covers reports whether whoever has role r may do what asks for the other: all of them read, an operator may what a
// submitter may, an admin everything.
func (r Role) Covers(other Role) bool {
	switch r {
	case RoleAdmin:
		return slices.Contains(Roles, other)
	case RoleOperator:
		return other == RoleOperator || other == RoleSubmitter || other == RoleViewer
	case RoleSubmitter, RoleWorker:
		return other == r || other == RoleViewer
	case RoleViewer:
		return other == RoleViewer
	default:
		return false
	}
}

// Bounds of keys.
const (
	// MaxKeys is how many keys there may be, those that are good no longer and not yet removed included.
	MaxKeys = 1000
	// MaxKeyScopes bounds the namespaces, and the lanes, a key is limited to.
	MaxKeyScopes = 64
	// MaxKeyLife bounds how long a key that expires is good, and MaxKeyGrace how long the old secret verifies after a rotation.
	MaxKeyLife  = 10 * 365 * 24 * time.Hour
	MaxKeyGrace = 30 * 24 * time.Hour
	// KeyTrace is how long keys that are revoked or expired are still listed. After it the next CreateKey removes them.
	KeyTrace = 30 * 24 * time.Hour
)

// KeyID names a key. It is no secret.
type KeyID string

// KeyText is the text a caller presents, "ffk_ID_SECRET": whoever has it may what the key may, so it prints redacted, in every
// verb of fmt and in logs; [KeyText.Reveal] gives it away.
type KeyText string

// KeyPrefix begins every [KeyText], so that scanners for leaked secrets find it.
const KeyPrefix = "ffk_"

// Lengths of the parts of a key before they are written, in bytes.
const (
	KeyIDBytes     = 10
	KeySecretBytes = 32
)

var (
	keyEncoding   = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	keyIDLen      = keyEncoding.EncodedLen(KeyIDBytes)
	keySecretLen  = keyEncoding.EncodedLen(KeySecretBytes)
	errKeyRefused = &Error{Code: CodeInvalidToken, Detail: "the key is not valid"}
)

// NewKeyText writes a key.
func NewKeyText(id [KeyIDBytes]byte, secret [KeySecretBytes]byte) KeyText {
	return KeyText(KeyPrefix + keyEncoding.EncodeToString(id[:]) + "_" + keyEncoding.EncodeToString(secret[:]))
}

// Parse returns the id of the key and the digest of its secret, which is all that is ever stored of it. A secret has 256 bits of
// chance, so SHA-256 is enough: there is nothing to guess that a slow hash would make dearer, and verifying stays cheap. It
// fails with [ErrInvalidToken] for what is no text of a key; each key has one text.
func (t KeyText) Parse() (KeyID, [sha256.Size]byte, error) {
	rest, ok := strings.CutPrefix(string(t), KeyPrefix)
	if !ok || len(rest) != keyIDLen+1+keySecretLen || rest[keyIDLen] != '_' {
		return "", [sha256.Size]byte{}, errKeyRefused
	}
	id, text := rest[:keyIDLen], rest[keyIDLen+1:]
	secret, err := keyEncoding.DecodeString(text)
	if err != nil || keyEncoding.EncodeToString(secret) != text || CheckKeyID(KeyID(id)) != nil {
		return "", [sha256.Size]byte{}, errKeyRefused
	}
	return KeyID(id), sha256.Sum256(secret), nil
}

// CheckKeyID reports a text that no key has as id: [ErrInvalidInput].
func CheckKeyID(id KeyID) error {
	_, err := DecodeKeyID(id)
	return err
}

// DecodeKeyID returns what the text of an id is made of. It fails with [ErrInvalidInput].
func DecodeKeyID(id KeyID) ([KeyIDBytes]byte, error) {
	b, err := keyEncoding.DecodeString(string(id))
	if err != nil || len(id) != keyIDLen || len(b) != KeyIDBytes { // the decoder passes over line ends
		return [KeyIDBytes]byte{}, invalid("key_id", fmt.Sprintf("must have %d letters a to z and digits 2 to 7", keyIDLen))
	}
	return [KeyIDBytes]byte(b), nil
}

// Reveal returns the text itself.
func (t KeyText) Reveal() string { return string(t) }

// String returns the text with its secret redacted.
func (t KeyText) String() string {
	id, _, err := t.Parse()
	if err != nil {
		return "<REDACTED:malformed>"
	}
	return KeyPrefix + string(id) + "_<REDACTED>"
}

// Format implements [fmt.Formatter], so that no verb shows the secret.
func (t KeyText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// LogValue implements [slog.LogValuer].
func (t KeyText) LogValue() slog.Value { return slog.StringValue(t.String()) }

// CreateKey makes an API key.
type CreateKey struct {
	Name string `json:"name,omitzero"` // 1 to [MaxNameBytes] bytes: who acts, in events and in the audit log
	// Roles are what the key may do: at least one.
	Roles []Role `json:"roles,omitzero"`
	// Namespaces and Lanes are what the key is limited to, at most [MaxKeyScopes] each; none is no limit. Lanes are for workers,
	// since a claim names lanes and takes what is there, of any namespace; namespaces are for everybody else.
	Namespaces []Namespace `json:"namespaces,omitzero"`
	Lanes      []LaneID    `json:"lanes,omitzero"`
	// ExpiresIn is how long the key is good: a second to [MaxKeyLife]; 0 for no end.
	ExpiresIn time.Duration `json:"expires_in_ms,omitzero"`
	Actor     string        `json:"actor,omitzero"` // recorded with the key and its event, at most [MaxNameBytes]
}

// RotateKey gives a key another secret.
type RotateKey struct {
	KeyID KeyID `json:"key_id,omitzero"`
	// Grace is how long the present secret verifies besides the new one: 0 to [MaxKeyGrace]. 0 is for one that has leaked.
	Grace time.Duration `json:"grace_ms,omitzero"`
	// ExpiresIn is how long the key is good from now on, as in [CreateKey]; 0 leaves that as it is.
	ExpiresIn time.Duration `json:"expires_in_ms,omitzero"`
	Actor     string        `json:"actor,omitzero"` // recorded with the event, at most [MaxNameBytes]
}

// RevokeKey withdraws a key for good.
type RevokeKey struct {
	KeyID KeyID  `json:"key_id,omitzero"`
	Actor string `json:"actor,omitzero"` // recorded with the key and its event, at most [MaxNameBytes]
}

// VerifyKey asks whether a key is good.
type VerifyKey struct {
	Text KeyText `json:"text,omitzero"`
}

// IssuedKey is a key with its text, which is told this once.
type IssuedKey struct {
	Text KeyText     `json:"text,omitzero"`
	Key  KeySnapshot `json:"key,omitzero"`
}

// KeySnapshot tells of a key, without its secret.
type KeySnapshot struct {
	KeyID         KeyID       `json:"key_id,omitzero"`
	Name          string      `json:"name,omitzero"`
	Roles         []Role      `json:"roles,omitzero"`
	Namespaces    []Namespace `json:"namespaces,omitzero"`
	Lanes         []LaneID    `json:"lanes,omitzero"`
	CreatedAt     Timestamp   `json:"created_at,omitzero"`
	CreatedBy     string      `json:"created_by,omitzero"`
	ExpiresAt     Timestamp   `json:"expires_at,omitzero"`     // at this moment it is good no longer; 0 for no end
	RotatedAt     Timestamp   `json:"rotated_at,omitzero"`     // 0: never
	PreviousUntil Timestamp   `json:"previous_until,omitzero"` // before this moment the secret before the last rotation verifies, too
	RevokedAt     Timestamp   `json:"revoked_at,omitzero"`
	RevokedBy     string      `json:"revoked_by,omitzero"`
}

// ListKeys asks for keys in the order of their ids.
type ListKeys struct {
	After string `json:"after,omitzero"` // cursor of the previous page
	Limit int    `json:"limit,omitzero"` // 1 to [MaxPage]; default [DefaultPage]
}
