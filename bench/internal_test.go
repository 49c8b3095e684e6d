package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentiles_NearestRank(t *testing.T) {
	var times []time.Duration
	for i := 200; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	var res Result
	res.percentiles(times)
	if diff := cmp.Diff([]float64{100, 190, 198}, []float64{res.P50MS, res.P95MS, res.P99MS}); diff != "" {
		t.Error(diff)
	}
	res.percentiles([]time.Duration{3 * time.Millisecond})
	if diff := cmp.Diff([]float64{3, 3, 3}, []float64{res.P50MS, res.P95MS, res.P99MS}); diff != "" {
		t.Error(diff)
	}
}

func TestParseStat(t *testing.T) {
	// pid, name, state, ppid, eight fields, then utime, stime, cutime, cstime in hundredths of a second.
	got, err := parseStat("77 (postgres: a) b) S 12 77 77 0 -1 4194624 100 200 0 0 11 22 33 44 20 0 1 0 500 1000 5 6\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.parent != 12 || got.cpu != 1100*time.Millisecond {
		t.Errorf("parseStat = %+v; want parent 12 and 1.1s", got)
	}
	for _, text := range []string{"", "77 (sh) S 12", "77 (sh) S x 77 77 0 -1 0 1 2 0 0 11 22 33 44"} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("parseStat(%q) succeeds", text)
		}
	}
}

func TestWithDatabaseName(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://ann:pw@host:5433/app?sslmode=disable": "postgres://ann:pw@host:5433/ff?sslmode=disable",
		"postgres://host":                          "postgres://host/ff",
		"postgres://host/?dbname=app&user=ann":     "postgres://host/ff?user=ann",
		"postgres:///app?host=/run&database=other": "postgres:///ff?host=%2Frun",
	} {
		if got, err := withDatabaseName(url, "ff"); got != want || err != nil {
			t.Errorf("withDatabaseName(%q) = %q, %v; want %q", url, got, err, want)
		}
	}
}

func TestFindPostmaster_ProcessOfAnotherProgramIsNoServer(t *testing.T) {
	if p, err := findPostmaster(1, "ff_bench_0123456789abcdef"); err == nil || p.used() != 0 {
		t.Errorf("findPostmaster = %+v, %v; want an error and no CPU", p, err)
	}
}
