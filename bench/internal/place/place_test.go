package place

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/internal/clock"
)

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

func TestIsLeftOver_OwnNamesOfMoreThanTenMinutes(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 10, 1, 0, time.UTC)
	for name, want := range map[string]bool{
		"ff_bench_20261123080000_abcdefgh": true,
		"ff_bench_20261123080001_abcdefgh": false, // ten minutes, to the second
		"ff_bench_20261123090000_abcdefgh": false, // another machine's clock
		"ff_kept_20261123080000_abcdefgh":  false,
		"ff_bench_of_ann":                  false,
		"postgres":                         false,
	} {
		if got := isLeftOver(name, now); got != want {
			t.Errorf("isLeftOver(%q) = %t; want %t", name, got, want)
		}
	}
}

func TestDatabaseName_IsLeftOverUnlessItIsToBeKept(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 10, 1, 0, time.UTC)
	if name := databaseName(made, false); !isLeftOver(name, made.Add(time.Hour)) {
		t.Errorf("%q would stay for ever", name)
	}
	if name := databaseName(made, true); isLeftOver(name, made.Add(time.Hour)) {
		t.Errorf("%q would be dropped", name)
	}
}

// onceMade creates a place and leaves its removal to the test's end.
func onceMade(t *testing.T, rawURL string, c clock.Clock) Place {
	t.Helper()
	p, err := Create(t.Context(), rawURL, false, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Drop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestCreate_DropsDatabasesOfRunsThatWereKilled(t *testing.T) {
	url := os.Getenv("FF_PG_TEST_URL")
	if url == "" {
		t.Skip("FF_PG_TEST_URL is not set")
	}
	c := clock.NewSim(clock.Real().Now().Add(-time.Hour))
	free, busy := onceMade(t, url, c), onceMade(t, url, c)
	conn, err := pgx.Connect(t.Context(), busy.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	onceMade(t, url, clock.Real())
	for p, want := range map[Place]bool{free: false, busy: true} {
		c, err := pgx.Connect(t.Context(), p.URL())
		if err == nil {
			_ = c.Close(t.Context())
		}
		if (err == nil) != want {
			t.Errorf("%s: connect = %v; want it there: %t", p.URL(), err, want)
		}
	}
}

func TestWith_RemovesThePlaceWhenInterrupted(t *testing.T) {
	url := os.Getenv("FF_PG_TEST_URL")
	if url == "" {
		t.Skip("FF_PG_TEST_URL is not set")
	}
	interrupted := errors.New("interrupted")
	ctx, interrupt := context.WithCancelCause(t.Context())
	var own string
	err := With(ctx, url, false, clock.Real(), func(p Place) error {
		own = p.URL()
		interrupt(interrupted)
		return context.Cause(ctx)
	})
	if !errors.Is(err, interrupted) {
		t.Errorf("With = %v; want %v", err, interrupted)
	}
	if conn, err := pgx.Connect(t.Context(), own); err == nil {
		t.Errorf("%s is still there", own)
		_ = conn.Close(t.Context())
	}
}

func TestProbe_MeasuresWhatTheStoreCanDo(t *testing.T) {
	urls := []string{"sqlite:"}
	if url := os.Getenv("FF_PG_TEST_URL"); url != "" {
		urls = append(urls, url)
	}
	for _, url := range urls {
		p := onceMade(t, url, clock.Real())
		probe, err := p.Probe(t.Context(), clock.Real())
		if err != nil {
			t.Fatal(err)
		}
		if probe.CommitsPerS <= 0 || (probe.RoundTrip > 0) != strings.HasPrefix(url, "postgres") {
			t.Errorf("%s: %+v", url, probe)
		}
	}
}
