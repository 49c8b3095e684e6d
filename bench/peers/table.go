package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// result is what the rounds of one entrant gave.
type result struct {
	rounds  []figures
	missing string // why there are none
}

// median of the rounds that have the figure; ok is false when none has.
func (r result) median(c column) (m float64, ok bool) {
	var all []float64
	for _, f := range r.rounds {
		if v, measured := f[c]; measured {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2, true
	}
	return all[len(all)/2], true
}

func (r result) cell(c column) string {
	v, ok := r.median(c)
	switch {
	case !ok:
		return cmp.Or(r.missing, errUnsupported.Error())
	case c == latency:
		return fmt.Sprintf("%.2f", v)
	default:
		return thousands(int(v + 0.5))
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// writeTable writes the results of the entrants, in their order, as Markdown.
func writeTable(w io.Writer, results []result) error {
	head := "| Queue | Store |"
	for _, c := range columns {
		head += " " + string(c) + " |"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n|%s\n", head, strings.Repeat("---|", len(columns)+2))
	for i, r := range results {
		fmt.Fprintf(&b, "| %s | %s |", entrants[i].name, entrants[i].store)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", r.cell(c))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
