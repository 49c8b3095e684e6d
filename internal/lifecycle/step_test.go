package lifecycle

import (
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestStepOf_SaysWhoRecordedIt(t *testing.T) {
	e := running4(t)
	e.RetryCount, e.ReplayCount = 2, 1
	s := StepOf(e, record.StepKey{ExecutionID: execID, Name: "fetch"}, &ff.RecordStep{Position: 4, Error: "no", Category: "timeout", For: time.Second}, began+5)
	want := record.Step{
		StepKey: record.StepKey{ExecutionID: execID, Name: "fetch"}, Position: 4, Error: "no", Category: "timeout", AttemptIndex: 0, Epoch: 3,
		Retries: 2, Replays: 1, RecordedAt: began + 5, Until: began + 1_005,
	}
	equal(t, "step", s, &want)
}

func TestStepCounts(t *testing.T) {
	e := base()
	e.RetryCount, e.ReplayCount = 2, 1
	for name, tc := range map[string]struct {
		s    record.Step
		want bool
	}{
		"a result of long ago":                {record.Step{}, true},
		"an error of this run":                {record.Step{Error: "x", Retries: 2, Replays: 1}, true},
		"an error before the retry":           {record.Step{Error: "x", Retries: 1, Replays: 1}, false},
		"an error before the replay":          {record.Step{Error: "x", Retries: 2}, false},
		"a permanent error before the retry":  {record.Step{Error: "x", Category: ff.FailurePermanent}, true},
		"an error of another category before": {record.Step{Error: "x", Category: ff.FailureTimeout, Retries: 1, Replays: 1}, false},
	} {
		if got := StepCounts(e, &tc.s); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
