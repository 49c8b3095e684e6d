package waitpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Keys finds the secret of a name; nil when there is none that verifies. expired says that there was one.
type Keys func(kid string) (secret []byte, expired bool)

// Key signs tokens.
type Key struct {
	Kid    string
	Secret []byte
}

// What is signed begins with what it is for, so that no signature of one kind is one of another.
const (
	tokenDomain = "ff-waitpoint-token-1"
	linkDomain  = "ff-signal-link-1"
)

// frame writes texts to a hash, each behind its length: no two lists of texts are the same bytes.
func frame(h hash.Hash, parts ...string) {
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:]) // never fails
		h.Write([]byte(p))
	}
}

// digest is the MAC of a waitpoint's token (chapter 40, section 7.1).
func digest(key Key, w *record.Waitpoint) []byte {
	h := hmac.New(sha256.New, key.Secret)
	var created [8]byte
	binary.BigEndian.PutUint64(created[:], uint64(w.CreatedAt))
	frame(h, tokenDomain, key.Kid, w.ExecutionID.String(), w.WaitpointID.String(), w.Name, string(created[:]))
	return h.Sum(nil)
}

// Mint makes the token of a waitpoint.
func Mint(key Key, w *record.Waitpoint) ff.WaitpointToken {
	return ff.WaitpointToken(key.Kid + ":" + hex.EncodeToString(digest(key, w)))
}

// KidOf is the name of the key a token says it was signed with; empty for a malformed one.
func KidOf(t ff.WaitpointToken) string {
	kid, _ := t.Fingerprint()
	return kid
}

// Verify checks the token of a waitpoint in the order of chapter 40, section 7.3. w may be nil: then a token that is well
// formed is refused like a forged one, and takes as long. It fails with [ff.ErrMissingToken], [ff.ErrInvalidToken],
// [ff.ErrTokenExpired].
func Verify(keys Keys, t ff.WaitpointToken, w *record.Waitpoint) error {
	if t == "" {
		return &ff.Error{Code: ff.CodeMissingToken, Detail: "give the token of the waitpoint"}
	}
	kid, given := parseToken(t)
	if kid == "" {
		return invalidToken()
	}
	secret, expired := keys(kid)
	if expired {
		return &ff.Error{Code: ff.CodeTokenExpired, Detail: "the key that signed the token verifies no longer"}
	}
	stands := w != nil && len(secret) > 0
	if w == nil {
		w = &record.Waitpoint{}
	}
	if !hmac.Equal(digest(Key{kid, secret}, w), given) || !stands {
		return invalidToken()
	}
	return nil
}

// parseToken takes a token apart; kid is empty if it is malformed.
func parseToken(t ff.WaitpointToken) (kid string, given []byte) {
	kid, text, ok := strings.Cut(t.Reveal(), ":")
	if !ok || ff.CheckKid(kid) != nil || len(text) != hex.EncodedLen(sha256.Size) || strings.ToLower(text) != text {
		return "", nil
	}
	given, err := hex.DecodeString(text)
	if err != nil {
		return "", nil
	}
	return kid, given
}

func invalidToken() error {
	return &ff.Error{Code: ff.CodeInvalidToken, Detail: "it is not a token of this waitpoint"}
}

// Link is what a [ff.SignalLink] says.
type Link struct {
	ExecutionID ff.ExecutionID
	WaitpointID ff.WaitpointID
	SignalName  string
	Source      string
	ExpiresAt   ff.Timestamp // 0 for never
	SingleUse   bool
	ID          string // of this link: what a single use is known by
}

var linkEncoding = base64.RawURLEncoding.Strict()

const linkVersion = 1

// SealLink packs and signs a link: version, kid, partition, execution, waitpoint, expiry, single use, signal name, source,
// MAC; integers in big-endian order, texts behind two bytes of length. It fails with [ff.ErrInvalidInput] when it is too long.
func SealLink(key Key, l Link) (ff.SignalLink, error) {
	execution := l.ExecutionID.UUID()
	b := []byte{linkVersion}
	b = appendText(b, key.Kid)
	b = binary.BigEndian.AppendUint16(b, l.ExecutionID.Partition().Index)
	b = append(append(b, execution[:]...), l.WaitpointID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.ExpiresAt))
	once := byte(0)
	if l.SingleUse {
		once = 1
	}
	b = appendText(appendText(append(b, once), l.SignalName), l.Source)
	if len(b)+sha256.Size > ff.MaxLinkBytes {
		return "", &ff.Error{Code: ff.CodeInvalidInput, Detail: "the link is too long; shorten the signal's name or its source"}
	}
	return ff.SignalLink(linkEncoding.EncodeToString(append(b, linkMAC(key.Secret, b)...))), nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func linkMAC(secret, signed []byte) []byte {
	h := hmac.New(sha256.New, secret)
	frame(h, linkDomain, string(signed))
	return h.Sum(nil)
}

// OpenLink verifies a link and says what it says. It fails with [ff.ErrInvalidToken], [ff.ErrTokenExpired].
func OpenLink(keys Keys, text ff.SignalLink, now ff.Timestamp) (Link, error) {
	bad := &ff.Error{Code: ff.CodeInvalidToken, Detail: "it is not a link of this deployment"}
	if linkEncoding.DecodedLen(len(text)) > ff.MaxLinkBytes || strings.ContainsAny(text.Reveal(), "\r\n") {
		return Link{}, bad
	}
	b, err := linkEncoding.DecodeString(text.Reveal())
	if err != nil || len(b) <= sha256.Size {
		return Link{}, bad
	}
	signed, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	kid, l, ok := readLink(signed)
	if !ok {
		return Link{}, bad
	}
	secret, expired := keys(kid)
	if !hmac.Equal(linkMAC(secret, signed), mac) && !expired || len(secret) == 0 && !expired {
		return Link{}, bad
	}
	if expired || l.ExpiresAt != 0 && now > l.ExpiresAt {
		return Link{}, &ff.Error{Code: ff.CodeTokenExpired, Detail: "the link has expired"}
	}
	l.ID = hex.EncodeToString(mac[:16])
	return l, nil
}

// LinkKid is the name of the key a link says it was signed with; empty for a malformed one.
func LinkKid(text ff.SignalLink) string {
	if b, err := linkEncoding.DecodeString(text.Reveal()); err == nil && len(b) > sha256.Size {
		kid, _, _ := readLink(b[:len(b)-sha256.Size])
		return kid
	}
	return ""
}

func readLink(b []byte) (kid string, l Link, ok bool) {
	if len(b) == 0 || b[0] != linkVersion {
		return "", l, false
	}
	b = b[1:]
	const fixed = 2 + 16 + 16 + 8 + 1
	if kid, b, ok = takeText(b); !ok || ff.CheckKid(kid) != nil || len(b) < fixed {
		return "", l, false
	}
	l.ExecutionID = ff.ExecutionIDFrom(binary.BigEndian.Uint16(b), [16]byte(b[2:18]))
	l.WaitpointID = ff.WaitpointID(b[18:34])
	l.ExpiresAt = ff.Timestamp(binary.BigEndian.Uint64(b[34:42]))
	l.SingleUse = b[42] == 1
	if b[42] > 1 {
		return "", l, false
	}
	b = b[fixed:]
	if l.SignalName, b, ok = takeText(b); !ok {
		return "", l, false
	}
	if l.Source, b, ok = takeText(b); !ok || len(b) > 0 {
		return "", l, false
	}
	return kid, l, true
}

func takeText(b []byte) (string, []byte, bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n || !utf8.Valid(b[:n]) || slices.Contains(b[:n], 0) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
