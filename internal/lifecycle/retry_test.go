package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func retrying(b *ff.Backoff, retries int) *record.Execution {
	return &record.Execution{ID: execID, Policy: ff.Retry(1<<31, b), RetryCount: retries}
}

func TestBackoff(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		backoff *ff.Backoff
		want    []time.Duration // before the first, second, … retry
	}{
		"default":        {nil, []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9}},
		"fixed":          {ff.FixedBackoff(5 * time.Second), []time.Duration{5e9, 5e9, 5e9}},
		"fixed at once":  {ff.FixedBackoff(0), []time.Duration{0, 0}},
		"exponential":    {ff.ExponentialBackoff(100*time.Millisecond, time.Second, 3), []time.Duration{100e6, 300e6, 900e6, 1e9, 1e9}},
		"fractional":     {ff.ExponentialBackoff(time.Millisecond, time.Minute, 1.5), []time.Duration{1e6, 1e6, 2e6, 3e6, 5e6, 7e6, 11e6}},
		"flat":           {ff.ExponentialBackoff(time.Second, time.Minute, 1), []time.Duration{1e9, 1e9, 1e9}},
		"first over max": {ff.ExponentialBackoff(time.Hour, time.Minute, 2), []time.Duration{60e9, 60e9}},
		"up to days":     {ff.ExponentialBackoff(day, 3*day, 2), []time.Duration{day, 2 * day, 3 * day}},
	} {
		for n, want := range c.want {
			if got := backoffOf(retrying(c.backoff, n)); got != want {
				t.Errorf("%s: retry %d waits %s, want %s", name, n, got, want)
			}
		}
	}
}

func TestBackoff_SaturatesAtTheMaximum(t *testing.T) {
	hundredYears := time.Duration(ff.MaxSpanMS) * time.Millisecond
	for _, n := range []int{100, 1_000, 1 << 30} {
		if got := backoffOf(retrying(ff.ExponentialBackoff(time.Millisecond, hundredYears, 1000), n)); got != hundredYears {
			t.Errorf("retry %d waits %s, want %s", n, got, hundredYears)
		}
		if got := backoffOf(retrying(ff.ExponentialBackoff(0, time.Minute, 1000), n)); got != 0 {
			t.Errorf("retry %d of a backoff from 0 waits %s", n, got)
		}
	}
	e := running4(t)
	e.Policy = ff.Retry(1, ff.FixedBackoff(hundredYears))
	_, res, err := Fail(e, &ff.Fail{Fence: ff.Fence{LeaseID: leaseID, Epoch: 3, AttemptID: attemptID}}, began)
	noError(t, err)
	if want := began + ff.Timestamp(ff.MaxSpanMS); res.DelayUntil != want {
		t.Errorf("retry at %d, want %d", res.DelayUntil, want)
	}
}

// TestI31_BackoffStaysInBounds: within the policy's bounds, with jitter in the upper half, without it monotone.
func TestI31_BackoffStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		initial := rapid.Int64Range(0, 1e7).Draw(t, "initial")
		most := rapid.Int64Range(0, ff.MaxSpanMS).Draw(t, "max")
		b := ff.Backoff{Type: ff.BackoffExponential, InitialDelayMS: initial, MaxDelayMS: most, Multiplier: rapid.Float64Range(1, 1000).Draw(t, "multiplier")}
		n := rapid.IntRange(0, 1000).Draw(t, "retries")
		plain, next := backoffOf(retrying(&b, n)).Milliseconds(), backoffOf(retrying(&b, n+1)).Milliseconds()
		if plain < min(initial, most) || plain > most || next < plain {
			t.Fatalf("retry %d waits %d ms, the next %d ms", n, plain, next)
		}
		b.Jitter = true
		e := retrying(&b, n)
		e.ID = ff.ExecutionIDFrom(1, uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")))
		spread := backoffOf(e).Milliseconds()
		if spread < plain/2 || spread > plain {
			t.Fatalf("with jitter retry %d waits %d ms, without %d ms", n, spread, plain)
		}
		if again := backoffOf(e).Milliseconds(); again != spread {
			t.Fatalf("the same retry waits %d ms and %d ms", spread, again)
		}
	})
}

func TestBackoff_JitterSpreads(t *testing.T) {
	b := &ff.Backoff{Type: ff.BackoffFixed, DelayMS: 10_000, Jitter: true}
	var tenths [5]int
	for n := range 1000 {
		e := retrying(b, n%3)
		e.ID = ff.ExecutionIDFrom(1, uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n)))
		tenths[(backoffOf(e).Milliseconds()-5_000)/1_000]++
	}
	for i, n := range tenths {
		if n < 140 || n > 260 {
			t.Errorf("%d of 1000 retries wait between %d and %d s, want about 200", n, 5+i, 6+i)
		}
	}
}

func TestFail_RetriesByCategoryAndCount(t *testing.T) {
	three, none := uint32(3), uint32(0)
	only := func(categories ...string) *ff.Policy {
		return &ff.Policy{Retry: &ff.RetryPolicy{MaxRetries: &three, RetryableCategories: categories}}
	}
	for name, c := range map[string]struct {
		policy   *ff.Policy
		category ff.FailureCategory
		retries  int
		want     bool
	}{
		"no policy":                          {nil, "transient", 0, false},
		"policy without retry":               {&ff.Policy{}, "transient", 0, false},
		"default of a retry policy is three": {&ff.Policy{Retry: &ff.RetryPolicy{}}, "transient", 2, true},
		"and no more":                        {&ff.Policy{Retry: &ff.RetryPolicy{}}, "transient", 3, false},
		"none allowed":                       {&ff.Policy{Retry: &ff.RetryPolicy{MaxRetries: &none}}, "transient", 0, false},
		"transient":                          {only(), "transient", 0, true},
		"infra_crash":                        {only(), "infra_crash", 0, true},
		"timeout":                            {only(), "timeout", 0, true},
		"a category of the user's":           {only(), "smtp_busy", 0, true},
		"permanent":                          {only(), "permanent", 0, false},
		"cancelled":                          {only(), "cancelled", 0, false},
		"permanent, though named":            {only("permanent"), "permanent", 0, false},
		"cancelled, though named":            {only("cancelled"), "cancelled", 0, false},
		"named":                              {only("timeout", "smtp_busy"), "smtp_busy", 0, true},
		"not named":                          {only("timeout", "smtp_busy"), "transient", 0, false},
		"last retry":                         {only(), "transient", 2, true},
		"used up":                            {only(), "transient", 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := running4(t)
			e.Policy, e.RetryCount = c.policy, c.retries
			_, res, err := Fail(e, &ff.Fail{Fence: holder, Category: c.category}, began)
			noError(t, err)
			if res.Retrying != c.want {
				t.Errorf("retrying: %t, want %t", res.Retrying, c.want)
			}
		})
	}
}
