package main

import (
	"strings"
	"testing"
)

func TestMedian_OfTheRoundsThatHaveTheFigure(t *testing.T) {
	r := result{rounds: []figures{{submitOne: 30, latency: 1}, {submitOne: 10}, {submitOne: 20, latency: 4}, {}}}
	for c, want := range map[column]float64{submitOne: 20, latency: 2.5} {
		if got, ok := r.median(c); !ok || got != want {
			t.Errorf("median of %q = %v, %v, want %v", c, got, ok, want)
		}
	}
	if _, ok := r.median(submitBulk); ok {
		t.Error("a figure nobody has has a median")
	}
}

func TestTable_SaysWhatIsMissing(t *testing.T) {
	results := make([]result, len(entrants))
	results[0].rounds = []figures{{submitOne: 1234567, latency: 0.456, drainOf(16): 999}}
	results[6].missing = "no " + redisURL
	var b strings.Builder
	if err := writeTable(&b, results); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2+len(entrants) {
		t.Fatalf("%d lines, want %d", len(lines), 2+len(entrants))
	}
	if want := "| FlowFabric | PostgreSQL | 1,234,567 | unsupported | unsupported | 999 | unsupported | unsupported | unsupported | 0.46 |"; lines[2] != want {
		t.Errorf("line\n%s, want\n%s", lines[2], want)
	}
	if !strings.Contains(lines[8], "| no FF_REDIS_TEST_URL |") {
		t.Errorf("line %q does not say what is missing", lines[8])
	}
}
