package worker

import (
	"errors"
	"testing"
)

// TestOutcomes_HaveAWordForEveryEnd: a label without a value would hide how handlers end.
func TestOutcomes_HaveAWordForEveryEnd(t *testing.T) {
	for a := complete; a <= told; a++ {
		if outcomes[a] == "" {
			t.Errorf("%s has no word", a)
		}
	}
	if got := claimOutcome(nil, errors.New("down")); got != "error" {
		t.Errorf("a claim that failed is %q", got)
	}
}
