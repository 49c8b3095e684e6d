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
	Kid       string // 1 to [MaxKidBytes] bytes, without ':'
	SecretHex string // 64 hex digits
}

// SeedResult says what secret a deployment has.
type SeedResult struct {
	Kid string
	// AlreadySeeded: Kid was there, and nothing was changed.
	AlreadySeeded bool
	SameSecret    bool // of AlreadySeeded: it is the secret that was given
}

// RotateSecret makes a new secret sign; the present one verifies for Grace longer. Choose a grace as long as the longest
// suspension that may be open, since what was signed is not signed again, and at least a minute: for so long other engines
// may go on to sign with the old secret. Zero is for a secret that has leaked.
type RotateSecret struct {
	NewKid       string // 1 to [MaxKidBytes] bytes, without ':'
	NewSecretHex string // an even number of hex digits, up to twice [MaxSecretBytes]
	Grace        time.Duration
	Actor        string
}

// RotateResult says what a rotation did.
type RotateResult struct {
	PreviousKid string // which signed before; empty for none
	NewKid      string
	// Noop: the new secret signed already, and nothing was changed.
	Noop bool
	// Removed counts the expired secrets that were removed.
	Removed int
	// OpenWaitpoints counts the waitpoints, up to [MaxOpenWaitpoints], whose tokens the previous secret signed and that still
	// take signals: what waits on them longer than the grace, no token can resume any more. -1 if that could not be counted.
	OpenWaitpoints int
}

// MaxOpenWaitpoints is how far [RotateResult.OpenWaitpoints] counts.
const MaxOpenWaitpoints = 10_000

// SecretSnapshot tells of a signing secret without telling it.
type SecretSnapshot struct {
	Kid       string
	Current   bool      // it signs
	RotatedAt Timestamp // since when it is there
	ExpiresAt Timestamp // until when, that moment included, it verifies; 0 for no end
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
