package flowfabric

import (
	"fmt"
	"log/slog"
	"strings"
)

// WaitpointToken is the authority to signal one waitpoint: "kid:hexdigest" (chapter 40, section 7). Whoever has it may
// signal, so it prints redacted, in every verb of fmt and in logs; [WaitpointToken.Reveal] gives it away.
type WaitpointToken string

// tokenDigits is the length of the digest of a token.
const tokenDigits = 64

// Reveal returns the token itself.
func (t WaitpointToken) Reveal() string { return string(t) }

// String returns the token with its digest redacted.
func (t WaitpointToken) String() string {
	kid, digest, ok := t.split()
	if !ok {
		return "<REDACTED:malformed>"
	}
	return fmt.Sprintf("%s:<REDACTED:len=%d>", kid, len(digest))
}

// GoString implements [fmt.GoStringer].
func (t WaitpointToken) GoString() string { return fmt.Sprintf("WaitpointToken(%q)", t.String()) }

// Format implements [fmt.Formatter], so that no verb shows the token.
func (t WaitpointToken) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = fmt.Fprint(f, t.GoString())
		return
	}
	_, _ = fmt.Fprint(f, t.String())
}

// LogValue implements [slog.LogValuer].
func (t WaitpointToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Fingerprint returns the name of the key that signed the token and the first 16 digits of its digest: enough to tell two
// tokens apart, and no authority. Of a malformed token both are empty.
func (t WaitpointToken) Fingerprint() (kid, fingerprint string) {
	kid, digest, ok := t.split()
	if !ok || len(digest) != tokenDigits {
		return "", ""
	}
	return kid, digest[:16]
}

func (t WaitpointToken) split() (kid, digest string, ok bool) {
	kid, digest, ok = strings.Cut(string(t), ":")
	return kid, digest, ok && kid != "" && digest != ""
}

// SignalLink is the authority to send one kind of signal to one waitpoint, as a text that is safe in a URL: base64url. It
// is made of a token by SealLink, and says by itself which execution and waitpoint it is for. Like a token it prints
// redacted.
type SignalLink string

// Reveal returns the link itself.
func (l SignalLink) Reveal() string { return string(l) }

// String returns how long the link is.
func (l SignalLink) String() string { return fmt.Sprintf("<REDACTED:len=%d>", len(l)) }

// GoString implements [fmt.GoStringer].
func (l SignalLink) GoString() string { return fmt.Sprintf("SignalLink(%q)", l.String()) }

// Format implements [fmt.Formatter], so that no verb shows the link.
func (l SignalLink) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = fmt.Fprint(f, l.GoString())
		return
	}
	_, _ = fmt.Fprint(f, l.String())
}

// LogValue implements [slog.LogValuer].
func (l SignalLink) LogValue() slog.Value { return slog.StringValue(l.String()) }

// MaxLinkBytes bounds what a link packs; its text is a third longer.
const MaxLinkBytes = 2048
