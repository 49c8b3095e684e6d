package worker

import (
	"errors"
	"testing"
)

// TestCapabilitiesHash_IsThatOfTheSpecification: chapter 10, section 1.4.
func TestCapabilitiesHash_IsThatOfTheSpecification(t *testing.T) {
	if got := digest("gpu,cuda"); got != "b21a6dfa" {
		t.Errorf("the vector of the specification: %s", got)
	}
	for _, set := range [][]string{{"gpu", "cuda"}, {"cuda", "gpu", "gpu"}} { // sorted: cuda,gpu
		if got := capabilitiesHash(set); got != digest("cuda,gpu") {
			t.Errorf("%v: %s", set, got)
		}
	}
	if got := capabilitiesHash(nil); got != "" {
		t.Errorf("none: %q", got)
	}
}

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
