package postgres_test

import (
	"fmt"
	"testing"
)

func BenchmarkZBacklog(b *testing.B) {
	s := benchStore(b)
	for _, waiting := range []int{10_000, 1_000_000} {
		have := len(func() []int { return nil }())
		_ = have
		fillQueue(b, s, waiting)
		for _, size := range []int{1, 100, 500} {
			n := 40000
			if size == 1 {
				n = 3000
			}
			fillQueue(b, s, n)
			b.Run(fmt.Sprintf("waiting=%d/batch=%d", waiting, size), func(b *testing.B) {
				b.N = n
				perLane(b, s, size, func(n int) int {
					held := claim(b, s, n)
					apply(b, s, completions(held)...)
					return len(held)
				})
			})
		}
	}
}
