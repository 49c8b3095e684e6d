package lifecycle

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/state-machine.md instead of comparing it")

const stateDoc = "../../docs/state-machine.md"

// TestStateMachineDoc keeps docs/state-machine.md the printed form of the tables.
func TestStateMachineDoc(t *testing.T) {
	want := printStateMachine()
	if *update {
		if err := os.WriteFile(stateDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(stateDoc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/state-machine.md does not follow the tables; run go generate ./internal/lifecycle (-want +got):\n%s", diff)
	}
}

func printStateMachine() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The state machine of an execution")
	p("")
	p("Printed from `internal/lifecycle/table.go` by `go generate ./internal/lifecycle`; do not edit.")
	p("")
	p("## Legal situations")
	p("")
	p("An execution's state is six stored dimensions. Every combination that may occur is in a row of this table; the public")
	p("state follows from the others. *Claimable* situations are in the ready index.")
	p("")
	p("| # | Situation | phase | ownership | eligibility | blocking reason | outcome | attempt state | public state | claimable |")
	p("|---|---|---|---|---|---|---|---|---|---|")
	for _, s := range Situations {
		claimable := ""
		if s.claimable {
			claimable = "yes"
		}
		p("| %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |", s.Row, s.Name, list(s.Phase), list(s.Ownership), list(s.Eligibility),
			list(s.Reason), list(s.Outcome), list(s.AttemptState), list(s.Public), claimable)
	}
	p("")
	p("## Transitions")
	p("")
	p("A trigger in a situation that no row names is refused.")
	p("")
	p("| Trigger | From | To |")
	p("|---|---|---|")
	for _, tr := range Transitions {
		from := make([]string, len(tr.From))
		for i, row := range tr.From {
			from[i] = fmt.Sprintf("%d %s", row, Situations[row-1].Name)
		}
		if tr.Only != "" {
			from[len(from)-1] += fmt.Sprintf(", with attempt state `%s`", tr.Only)
		}
		if len(from) == 0 {
			from = []string{"(none)"}
		}
		to := SituationOf(tr.To)
		end := fmt.Sprintf("%d %s", to.Row, to.Name)
		if tr.Keep {
			end += fmt.Sprintf(": eligibility `%s`, attempt state kept", tr.To.Eligibility)
		}
		if tr.To.Finished() {
			end += fmt.Sprintf(": phase `%s`, outcome `%s`", tr.To.Phase, tr.To.Outcome)
		}
		p("| %s | %s | %s |", tr.On, strings.Join(from, "; "), end)
	}
	return b.String()
}

func list[T ~string](values []T) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "`" + string(v) + "`"
	}
	return strings.Join(quoted, " ")
}
