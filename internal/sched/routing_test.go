package sched

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/lifecycle"
)

// TestRouting_NothingIsMisroutedAndNothingIsHidden is I19, and W18: whatever another process submits, claims get only what
// their capabilities cover, and in the end all of that.
func TestRouting_NothingIsMisroutedAndNothingIsHidden(t *testing.T) {
	sets := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID[string])
	type step struct {
		submit bool
		set    []string
		most   int
	}
	rapid.Check(t, func(r *rapid.T) {
		shards := rapid.SampledFrom([]int{1, 3}).Draw(r, "shards")
		script := make([]step, rapid.IntRange(1, 40).Draw(r, "steps"))
		for i := range script {
			set, _ := ff.NormalizeCapabilities("required", sets.Draw(r, "set"))
			script[i] = step{rapid.Bool().Draw(r, "submit"), set, rapid.IntRange(1, 5).Draw(r, "most")}
		}
		var problem string // told outside of the bubble, where rapid is at home
		inBubble(t, shards, func(b *bench) {
			var waiting [][]string // what those that were not claimed yet require
			for _, s := range script {
				if s.submit {
					b.submit("mail", "test", s.set...)
					waiting = append(waiting, s.set)
					continue
				}
				b.after(refreshEvery) // new routes of another process are found so late
				got := b.drain(s.set, s.most)
				covered := func(required []string) bool { return lifecycle.Covers(s.set, required) }
				before := len(waiting)
				waiting = slices.DeleteFunc(waiting, covered)
				if len(got) != before-len(waiting) || slices.ContainsFunc(got, func(required []string) bool { return !covered(required) }) {
					problem = fmt.Sprintf("offering %v: what was claimed requires %v; left are %v", s.set, got, waiting)
					return
				}
			}
		})
		if problem != "" {
			r.Fatal(problem)
		}
	})
}

// drain claims until nothing is left, and returns what the executions require.
func (b *bench) drain(capabilities []string, most int) (required [][]string) {
	b.Helper()
	cmd := want(0, most, "mail")
	cmd.Capabilities = capabilities
	for {
		got, err := b.Claim(b.Context(), cmd)
		if err != nil {
			b.Fatal(err)
		}
		if len(got) == 0 {
			return required
		}
		for _, c := range got {
			required = append(required, b.stored(c.ExecutionID).Capabilities)
		}
	}
}
