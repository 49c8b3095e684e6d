package sqlstore

import (
	"iter"
	"math/bits"
	"slices"
)

// MaxColumns is how many columns a table may have.
const MaxColumns = 128

// ColumnSet is a set of columns of one table, by position. It is comparable; the zero value is empty.
type ColumnSet [MaxColumns / 64]uint64

// FirstColumns is the set of the first n columns.
func FirstColumns(n int) ColumnSet {
	var s ColumnSet
	for i := range n {
		s.Add(i)
	}
	return s
}

// Add puts column i into the set.
func (s *ColumnSet) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Remove takes column i out of the set.
func (s *ColumnSet) Remove(i int) { s[i/64] &^= 1 << (i % 64) }

// Has reports whether column i is in the set.
func (s ColumnSet) Has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// Union returns the columns of both sets.
func (s ColumnSet) Union(other ColumnSet) ColumnSet {
	for w := range s {
		s[w] |= other[w]
	}
	return s
}

// Compare orders sets, so that what is done for each of several is done in one order.
func (s ColumnSet) Compare(other ColumnSet) int { return slices.Compare(s[:], other[:]) }

// All yields the columns of the set in order.
func (s ColumnSet) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, rest := range s {
			for ; rest != 0; rest &= rest - 1 {
				if !yield(64*w + bits.TrailingZeros64(rest)) {
					return
				}
			}
		}
	}
}
