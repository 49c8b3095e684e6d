package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Secret is a text that is not shown.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String masks it, but tells whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "****"
}

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Format implements [fmt.Formatter], so that no verb shows the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// Millis is a span that is written in milliseconds.
type Millis time.Duration

// Duration returns the span.
func (m Millis) Duration() time.Duration { return time.Duration(m) }

// String is the number of milliseconds.
func (m Millis) String() string { return strconv.FormatInt(time.Duration(m).Milliseconds(), 10) }

// UnmarshalText implements [encoding.TextUnmarshaler]. The longest span is about 292 years.
func (m *Millis) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > int64((1<<63-1)/time.Millisecond) {
		return fmt.Errorf("expected a number of milliseconds, got '%s'", clip(string(text)))
	}
	*m = Millis(time.Duration(n) * time.Millisecond)
	return nil
}

// Switch is on or off.
type Switch bool

// String is "on" or "off".
func (s Switch) String() string {
	if s {
		return "on"
	}
	return "off"
}

// UnmarshalText implements [encoding.TextUnmarshaler]. Nothing but a word for on or off is taken, in any case: who means to
// protect something learns of a slip (chapter 70, section 8).
func (s *Switch) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "1", "true", "yes", "on":
		*s = true
	case "0", "false", "no", "off":
		*s = false
	default:
		return fmt.Errorf("expected on or off, got '%s'", clip(string(text)))
	}
	return nil
}

// LogFormat is the form of log lines.
type LogFormat string

// Log formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *LogFormat) UnmarshalText(text []byte) error {
	switch *f = LogFormat(text); *f {
	case LogText, LogJSON:
		return nil
	}
	return fmt.Errorf("unknown format '%s': expected 'text' or 'json'", clip(string(text)))
}

// clip shortens outside text before it enters an error.
func clip(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
