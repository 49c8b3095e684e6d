package ops

// rotation deals turns to lanes in proportion to their weights: smooth weighted round robin, as nginx has it. Each turn,
// every lane that contends earns its weight, the richest of those that can take the turn takes it and pays what all have
// earned. So a lane that contends gets its share over any stretch of turns, is never kept waiting by more than the sum of
// the weights, and turns of one lane are spread out.
type rotation struct {
	weights []int
	credit  []int
	out     []bool // does not contend
}

// next gives a turn to one of the lanes that can take it and returns its number; -1: none can.
func (r *rotation) next(can func(i int) bool) int {
	best, total := -1, 0
	for i, w := range r.weights {
		if r.out[i] {
			continue
		}
		total += w
		if can(i) && (best < 0 || r.credit[i]+w > r.credit[best]+r.weights[best]) {
			best = i
		}
	}
	if best < 0 {
		return -1
	}
	r.credit[best] -= total
	for i, w := range r.weights {
		if !r.out[i] { // lanes that come and go could make it drift; among those that stay it never gets so far
			r.credit[i] = max(-total, min(r.credit[i]+w, total))
		}
	}
	return best
}

// shares says how many of n turns each lane would get, if it can take up to room of them. The rotation stays as it is.
func (r *rotation) shares(n int, room []int) []int {
	ahead := rotation{weights: r.weights, credit: append([]int(nil), r.credit...), out: r.out}
	got := make([]int, len(r.weights))
	for range n {
		i := ahead.next(func(i int) bool { return got[i] < room[i] })
		if i < 0 {
			break
		}
		got[i]++
	}
	return got
}

// leave takes a lane out of the rotation. When it comes back it starts afresh: what it had no use for is not saved up.
func (r *rotation) leave(i int) { r.out[i], r.credit[i] = true, 0 }
