package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// printer writes results: tables for people, or the JSON form of the HTTP API for programs.
type printer struct {
	w    io.Writer
	json bool
	now  flowfabric.Timestamp // ages count from here
}

// value prints v as JSON, or else what table writes.
func (p printer) value(v any, table func(w io.Writer)) error {
	if p.json {
		text, err := wire.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		_, err = p.w.Write(append(text, '\n'))
		return err
	}
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// done prints an answer that is one line.
func (p printer) done(v any, format string, args ...any) error {
	return p.value(v, func(w io.Writer) { fmt.Fprintf(w, format+"\n", args...) })
}

// row writes a line of a table.
func row(w io.Writer, cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = io.WriteString(w, "\t")
		}
		fmt.Fprint(w, orDash(fmt.Sprint(cell)))
	}
	_, _ = io.WriteString(w, "\n")
}

// field writes a line of a list of fields, unless the value says nothing.
func field(w io.Writer, name string, value any) {
	if text := fmt.Sprint(value); text != "" && text != "0" && text != "-" {
		fmt.Fprintf(w, "%s\t%s\n", name, oneLine(text))
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return oneLine(text)
}

// oneLine keeps texts of others from breaking a table, or a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// age is how long ago an instant was.
func (p printer) age(t flowfabric.Timestamp) string {
	if t.IsZero() {
		return "-"
	}
	return span(p.now.Sub(t))
}

// span is a duration in its two largest units, as people say it.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// instant is a time of day in UTC; empty if it is unset.
func instant(t flowfabric.Timestamp) string {
	if t.IsZero() {
		return ""
	}
	return t.Time().Format("2006-01-02 15:04:05.000Z")
}

// pairs writes a map as key=value, in order of keys.
func pairs[V any](m map[string]V) string {
	parts := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s=%v", key, m[key]))
	}
	return strings.Join(parts, ",")
}

// words joins what has a text.
func words[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i, word := range list {
		parts[i] = string(word)
	}
	return strings.Join(parts, ",")
}
