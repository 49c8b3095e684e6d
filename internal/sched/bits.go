package sched

import "math/bits"

// bitset is a set of small numbers.
type bitset []uint64

func (b bitset) has(i int) bool { return i/64 < len(b) && b[i/64]&(1<<(i%64)) != 0 }

func (b *bitset) add(i int) {
	for i/64 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitset) remove(i int) {
	if i/64 < len(b) {
		b[i/64] &^= 1 << (i % 64)
	}
}

// meets reports whether two sets have a number in common.
func (b bitset) meets(other bitset) bool {
	for i := range min(len(b), len(other)) {
		if b[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

// and returns the numbers two sets have in common.
func (b bitset) and(other bitset) bitset {
	c := make(bitset, min(len(b), len(other)))
	for i := range c {
		c[i] = b[i] & other[i]
	}
	return c
}

// subtract removes what is in other.
func (b bitset) subtract(other bitset) {
	for i := range min(len(b), len(other)) {
		b[i] &^= other[i]
	}
}

// common calls yield for the numbers two sets have in common, ascending from the first one at or behind from and around,
// until it returns false.
func (b bitset) common(other bitset, from int, yield func(i int) bool) {
	words := min(len(b), len(other))
	if words == 0 {
		return
	}
	first, low := from/64%words, uint64(1)<<(from%64)-1
	for n := range words + 1 {
		w := (first + n) % words
		both := b[w] & other[w]
		switch n {
		case 0:
			both &^= low
		case words: // the part of the first word that was left out
			both &= low
		}
		for ; both != 0; both &= both - 1 {
			if !yield(64*w + bits.TrailingZeros64(both)) {
				return
			}
		}
	}
}
