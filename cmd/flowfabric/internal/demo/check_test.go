package demo

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// hello is the SHA-256 of "hello".
const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func completed() *history {
	return &history{
		execution: &record.Execution{
			State:  flowfabric.StateVector{Outcome: flowfabric.OutcomeSuccess},
			Result: []byte(`{"words":1,"lines":0,"bytes":5,"sha256":"` + hello + `"}`),
		},
		attempts:    []*record.Attempt{{Outcome: record.AttemptRetried}, {Index: 1, Outcome: record.AttemptSucceeded, WorkerInstanceID: "w1"}},
		completions: []string{"success"},
	}
}

func TestCheckFile_FindsWhatIsNotCompletedExactlyOnce(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(*history)
		want    string // in the problem; "" for none
	}{
		"right":             {func(*history) {}, ""},
		"failed":            {func(h *history) { h.execution.State.Outcome = flowfabric.OutcomeFailed }, "not completed"},
		"two completions":   {func(h *history) { h.completions = []string{"success", "success"} }, "[success success], not one success"},
		"no completion":     {func(h *history) { h.completions = nil }, "[], not one success"},
		"two successes":     {func(h *history) { h.attempts[0].Outcome = record.AttemptSucceeded }, "2 attempts succeeded"},
		"no success":        {func(h *history) { h.attempts = nil }, "0 attempts succeeded"},
		"unreadable result": {func(h *history) { h.execution.Result = nil }, "cannot be read"},
		"wrong hash":        {func(h *history) { h.execution.Result = []byte(`{"sha256":"00"}`) }, "has SHA-256 00, the file " + hello},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a": "hello"})
			found, err := scan(dir)
			if err != nil {
				t.Fatal(err)
			}
			h := completed()
			c.breakIt(h)
			d, rep := &demonstration{dir: dir}, &Report{}
			d.checkFile(rep, found.files[0], h)
			switch {
			case c.want == "" && len(rep.Problems) != 0, c.want != "" && len(rep.Problems) != 1:
				t.Errorf("problems = %q", rep.Problems)
			case c.want != "" && !strings.Contains(rep.Problems[0], c.want):
				t.Errorf("problem = %q; want it to say %q", rep.Problems[0], c.want)
			}
		})
	}
}

func TestReadReports_DropsWhatAKillCutOff(t *testing.T) {
	id := flowfabric.ExecutionIDFrom(7, uuid.MustParse("019a0000-0000-7000-8000-000000000001"))
	var got []string
	readReports(strings.NewReader("begun "+id.String()+"\ndone "+id.String()+"\nbegun {fp:7}:019a00"), func(w what, id flowfabric.ExecutionID) {
		got = append(got, string(w)+" "+id.String())
	})
	want := []string{"begun {fp:7}:019a0000-0000-7000-8000-000000000001", "done {fp:7}:019a0000-0000-7000-8000-000000000001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRun_RefusesANumberOfProcessesThatCannotWork(t *testing.T) {
	for _, n := range []int{0, 1, 17} {
		if _, err := Run(t.Context(), Config{Dir: t.TempDir(), Processes: n}); err == nil || errors.Is(err, ErrNoFiles) {
			t.Errorf("Run with %d processes = %v", n, err)
		}
	}
}
