package flowfabric

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of signing secrets (chapter 40, section 7.5).
const (
	// MaxKidBytes bounds the name of a secret.
	MaxKidBytes = 64
	// MaxSecretBytes bounds a secret; as hex it has twice as many characters.
	MaxSecretBytes = 1024
	// SeedSecretBytes is the length of the secret a deployment begins with.
	SeedSecretBytes = 32
	// DefaultGrace is the grace binaries use when none is given.
	DefaultGrace = 24 * time.Hour
	// MaxSecrets is how many secrets there may be, the retired ones that still verify included.
	MaxSecrets = 1000
)

// SeedSecret gives a deployment its first signing secret. Without one, the first engine that needs a secret makes it.
type SeedSecret struct {
	Kid       string `json:"kid,omitzero"`        // 1 to [MaxKidBytes] bytes, without ':'
	SecretHex string `json:"secret_hex,omitzero"` // 64 hex digits
}

// SeedResult says what secret a deployment has.
type SeedResult struct {
	Kid string `json:"kid,omitzero"`
	// AlreadySeeded: Kid was there, and nothing was changed.
	AlreadySeeded bool `json:"already_seeded,omitzero"`
	SameSecret    bool `json:"same_secret,omitzero"` // of AlreadySeeded: it is the secret that was given
}

// RotateSecret makes a new secret sign; the present one verifies for Grace longer. Choose a grace as long as the longest
// suspension that may be open, since what was signed is not signed again, and at least a minute: for so long other engines
// may go on to sign with the old secret. Zero is for a secret that has leaked.
type RotateSecret struct {
	NewKid       string        `json:"new_kid,omitzero"`        // 1 to [MaxKidBytes] bytes, without ':'
	NewSecretHex string        `json:"new_secret_hex,omitzero"` // an even number of hex digits, up to twice [MaxSecretBytes]
	Grace        time.Duration `json:"grace_ms,omitzero"`
	Actor        string        `json:"actor,omitzero"`
}

// RotateResult says what a rotation did.
type RotateResult struct {
	PreviousKid string `json:"previous_kid,omitzero"` // which signed before; empty for none
	NewKid      string `json:"new_kid,omitzero"`
	// Noop: the new secret signed already, and nothing was changed.
	Noop bool `json:"noop,omitzero"`
	// Removed counts the expired secrets that were removed.
	Removed int `json:"removed,omitzero"`
	// OpenWaitpoints counts the waitpoints, up to [MaxOpenWaitpoints], whose tokens the previous secret signed and that still
	// take signals: what waits on them longer than the grace, no token can resume any more. -1 if that could not be counted.
	OpenWaitpoints int `json:"open_waitpoints,omitzero"`
}

// MaxOpenWaitpoints is how far [RotateResult.OpenWaitpoints] counts.
const MaxOpenWaitpoints = 10_000

// SecretSnapshot tells of a signing secret without telling it.
type SecretSnapshot struct {
	Kid       string    `json:"kid,omitzero"`
	Current   bool      `json:"current,omitzero"`    // it signs
	RotatedAt Timestamp `json:"rotated_at,omitzero"` // since when it is there
	ExpiresAt Timestamp `json:"expires_at,omitzero"` // until when, that moment included, it verifies; 0 for no end
}

// CheckKid reports a name that no secret can have: [ErrInvalidKid].
func CheckKid(kid string) error {
	if kid == "" || len(kid) > MaxKidBytes || strings.Contains(kid, ":") || !utf8.ValidString(kid) {
		return &Error{Code: CodeInvalidKid, Detail: "the name of a secret has 1 to 64 bytes of UTF-8 and no ':'"}
	}
	return nil
}

// Validate checks the form of the command and returns the secret: [ErrInvalidKid], [ErrInvalidSecretHex].
func (c *SeedSecret) Validate() ([]byte, error) {
	secret, err := decodeSecret(c.Kid, c.SecretHex)
	if err == nil && len(secret) != SeedSecretBytes {
		return nil, &Error{Code: CodeInvalidSecretHex, Detail: "the first secret must have 64 hex digits"}
	}
	return secret, err
}

// Validate checks the form of the command and returns the new secret: [ErrInvalidKid], [ErrInvalidSecretHex],
// [ErrInvalidGrace].
func (c *RotateSecret) Validate() ([]byte, error) {
	if c.Grace < 0 {
		return nil, &Error{Code: CodeInvalidGrace, Detail: "a grace must not be negative"}
	}
	return decodeSecret(c.NewKid, c.NewSecretHex)
}

func decodeSecret(kid, text string) ([]byte, error) {
	if err := CheckKid(kid); err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(text)
	if err != nil || len(secret) == 0 || len(secret) > MaxSecretBytes { // err would repeat a part of the secret
		return nil, &Error{Code: CodeInvalidSecretHex, Detail: "a secret must be an even number of hex digits, 2 to 2048"}
	}
	return secret, nil
}
