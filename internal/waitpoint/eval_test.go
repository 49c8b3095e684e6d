package waitpoint

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// sig is a signal "key/name/source", with a number as its id.
func sig(n byte, key, name, source string) record.SignalRef {
	return record.SignalRef{
		SignalID: ff.SignalID{n}, WaitpointID: pointOf(key), Key: key, Name: name, SourceType: "test", SourceIdentity: source,
	}
}

func pointOf(key string) (id ff.WaitpointID) {
	copy(id[:], key)
	return id
}

func named(name string, c ff.Condition) ff.Condition {
	c.SignalName = name
	return c
}

// The table of chapter 40, section 2.2.
func TestSatisfied(t *testing.T) {
	a1, a2 := sig(1, "a", "ok", "ann"), sig(2, "a", "ok", "bob")
	b1, aNo := sig(3, "b", "ok", "ann"), sig(4, "a", "no", "eve")
	for name, tc := range map[string]struct {
		c       ff.Condition
		signals []record.SignalRef
		want    bool
	}{
		"single, none":                 {ff.OnSignal("a"), nil, false},
		"single, any":                  {ff.OnSignal("a"), []record.SignalRef{aNo}, true},
		"single, another waitpoint":    {ff.OnSignal("a"), []record.SignalRef{b1}, false},
		"single by name":               {ff.OnNamed("a", "ok"), []record.SignalRef{aNo, a1}, true},
		"single by name, another":      {ff.OnNamed("a", "ok"), []record.SignalRef{aNo}, false},
		"operator only":                {ff.OnOperator(), []record.SignalRef{a1}, false},
		"timeout only":                 {ff.OnTimeout(), []record.SignalRef{a1}, false},
		"all of, one":                  {ff.OnAll(ff.OnSignal("a"), ff.OnSignal("b")), []record.SignalRef{a1}, false},
		"all of, both":                 {ff.OnAll(ff.OnSignal("a"), ff.OnSignal("b")), []record.SignalRef{b1, a1}, true},
		"all of nothing":               {ff.OnAll(), []record.SignalRef{a1}, false},
		"any of":                       {ff.OnAny("a", "b"), []record.SignalRef{b1}, true},
		"2 waitpoints, one twice":      {ff.OnCount(2, ff.DistinctWaitpoints, "a", "b"), []record.SignalRef{a1, a2}, false},
		"2 waitpoints":                 {ff.OnCount(2, ff.DistinctWaitpoints, "a", "b"), []record.SignalRef{a1, b1}, true},
		"2 signals on one waitpoint":   {ff.OnCount(2, ff.DistinctSignals, "a"), []record.SignalRef{a1, a2}, true},
		"2 sources, one twice":         {ff.OnCount(2, ff.DistinctSources, "a", "b"), []record.SignalRef{a1, b1}, false},
		"2 sources":                    {ff.OnCount(2, ff.DistinctSources, "a", "b"), []record.SignalRef{b1, a2}, true},
		"2 sources, one by its name":   {named("ok", ff.OnCount(2, ff.DistinctSources, "a")), []record.SignalRef{a1, aNo}, false},
		"2 sources, another waitp.":    {ff.OnCount(2, ff.DistinctSources, "b"), []record.SignalRef{b1, a2}, false},
		"FIX-S2 counts do not mix":     {ff.OnAll(ff.OnCount(2, ff.DistinctSignals, "a"), ff.OnCount(2, ff.DistinctSignals, "b")), []record.SignalRef{a1, a2, b1}, false},
		"FIX-S2 one signal, two nodes": {ff.OnAll(ff.OnCount(1, ff.DistinctSignals, "a"), ff.OnSignal("a")), []record.SignalRef{a1}, true},
		"FIX-S3 all of all of count": {
			ff.OnAll(ff.OnAll(ff.OnAll(ff.OnCount(1, ff.DistinctSources, "a")), ff.OnSignal("b"))), []record.SignalRef{a1, b1}, true,
		},
	} {
		if got := Satisfied(&tc.c, tc.signals); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestEffectOfASignalThatDoesNotSatisfy(t *testing.T) {
	count := ff.OnCount(3, ff.DistinctSources, "a", "b")
	tree := ff.OnAll(named("ok", ff.OnCount(2, ff.DistinctSources, "a")), ff.OnNamed("b", "ok"))
	for name, tc := range map[string]struct {
		c    ff.Condition
		have []record.SignalRef
		s    record.SignalRef
		want ff.SignalEffect
	}{
		"single, another name":     {ff.OnNamed("a", "ok"), nil, sig(1, "a", "no", "ann"), "no_op"},
		"operator only":            {ff.OnOperator(), nil, sig(1, "a", "ok", "ann"), "no_op"},
		"count, one more":          {count, nil, sig(1, "a", "ok", "ann"), "appended_to_waitpoint"},
		"count, the same source":   {count, []record.SignalRef{sig(1, "a", "ok", "ann")}, sig(2, "b", "ok", "ann"), "appended_to_waitpoint_duplicate"},
		"count, foreign waitpoint": {count, nil, sig(1, "c", "ok", "ann"), "signal_ignored_not_in_condition"},
		"tree, wrong name":         {tree, nil, sig(1, "b", "no", "ann"), "signal_ignored_matcher_failed"},
		"tree, one of two":         {tree, nil, sig(1, "b", "ok", "ann"), "appended_to_waitpoint"},
		"tree, satisfied node":     {tree, []record.SignalRef{sig(1, "b", "ok", "ann")}, sig(2, "b", "ok", "bob"), "appended_to_waitpoint_duplicate"},
	} {
		if got := effectOf(&tc.c, contributionOf(&tc.c, tc.have, &tc.s)); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

var keys, names, sources = []string{"a", "b", "c"}, []string{"ok", "no"}, []string{"ann", "bob", "eve"}

func conditions(depth int) *rapid.Generator[ff.Condition] {
	return rapid.Custom(func(t *rapid.T) ff.Condition {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		switch {
		case kind == 0:
			return named(rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "name"), ff.OnSignal(rapid.SampledFrom(keys).Draw(t, "key")))
		case kind == 1 && depth > 1:
			return ff.OnAll(rapid.SliceOfN(conditions(depth-1), 1, 3).Draw(t, "members")...)
		default:
			on := keys[:rapid.IntRange(1, 3).Draw(t, "keys")]
			by := rapid.SampledFrom([]ff.CountKind{ff.DistinctWaitpoints, ff.DistinctSignals, ff.DistinctSources}).Draw(t, "by")
			c := ff.OnCount(rapid.IntRange(1, len(on)).Draw(t, "n"), by, on...)
			return named(rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "name"), c)
		}
	})
}

func signals() *rapid.Generator[[]record.SignalRef] {
	return rapid.Custom(func(t *rapid.T) []record.SignalRef {
		list := make([]record.SignalRef, rapid.IntRange(0, 12).Draw(t, "signals"))
		for i := range list {
			list[i] = sig(byte(i+1), rapid.SampledFrom(keys).Draw(t, "key"), rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(sources).Draw(t, "source"))
		}
		return list
	})
}

// I8: more signals never unsatisfy, and their order makes no difference.
func TestSatisfied_IsMonotoneAndKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, list := conditions(4).Draw(t, "condition"), signals().Draw(t, "signals")
		if err := c.Validate(); err != nil {
			t.Skip(err)
		}
		was := false
		for n := range len(list) + 1 {
			is := Satisfied(&c, list[:n])
			if was && !is {
				t.Fatalf("signal %d unsatisfied it", n)
			}
			was = is
		}
		shuffled := rapid.Permutation(slices.Clone(list)).Draw(t, "order")
		if Satisfied(&c, shuffled) != was {
			t.Fatalf("in another order it is %v", !was)
		}
	})
}

// What is kept of a suspension's signals says all that all of them do, at every moment.
func TestContributionOf_WhatIsLeftOutWouldChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, list := conditions(4).Draw(t, "condition"), signals().Draw(t, "signals")
		var kept []record.SignalRef
		for i, s := range list {
			if contributionOf(&c, kept, &s) == contributes {
				kept = append(kept, s)
			}
			if got, want := Satisfied(&c, kept), Satisfied(&c, list[:i+1]); got != want {
				t.Fatalf("after %d signals: kept %d say %v, all say %v", i+1, len(kept), got, want)
			}
		}
	})
}

func TestContributionOf_KeepsFew(t *testing.T) {
	c := ff.OnAll(ff.OnSignal("a"), ff.OnCount(3, ff.DistinctSignals, "b"))
	var kept []record.SignalRef
	for i := range 200 {
		s := sig(byte(i), keys[i%2], "ok", fmt.Sprint(i))
		if contributionOf(&c, kept, &s) == contributes {
			kept = append(kept, s)
		}
	}
	if len(kept) != 4 {
		t.Errorf("%d of 200 signals are kept, want 4", len(kept))
	}
}
