package sqlstore

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColumnSet_HoldsTheColumnsOfBothWords(t *testing.T) {
	var s ColumnSet
	for _, i := range []int{0, 63, 64, 127} {
		s.Add(i)
	}
	s.Add(5)
	s.Remove(5)
	if diff := cmp.Diff([]int{0, 63, 64, 127}, slices.Collect(s.All())); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	for _, i := range []int{1, 5, 62, 65, 126} {
		if s.Has(i) {
			t.Errorf("column %d is in the set", i)
		}
	}
	if !s.Has(63) || !s.Has(64) {
		t.Error("a column that was added is not in the set")
	}
}

func TestColumnSet_JoinsAndOrders(t *testing.T) {
	var high, none ColumnSet
	high.Add(70)
	if got := slices.Collect(FirstColumns(2).Union(high).All()); !slices.Equal(got, []int{0, 1, 70}) {
		t.Errorf("union %v, want 0, 1 and 70", got)
	}
	if none.Compare(high) >= 0 || high.Compare(none) <= 0 || high.Compare(high) != 0 {
		t.Error("sets are not in an order")
	}
	if got := len(slices.Collect(FirstColumns(65).All())); got != 65 {
		t.Errorf("the first 65 columns are %d", got)
	}
}
