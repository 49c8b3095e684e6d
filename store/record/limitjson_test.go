package record_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestLimits_AppendJSONIsWhatTheLibraryWrites(t *testing.T) {
	amounts := rapid.Custom(func(t *rapid.T) ff.Amounts {
		return rapid.MapOfN(rapid.OneOf(rapid.SampledFrom([]string{"total_tokens", "a<b", `"`}), rapid.String()), rapid.Int64(), 0, 4).Draw(t, "amounts")
	})
	uuid := rapid.Custom(func(t *rapid.T) [16]byte {
		return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	})
	rapid.Check(t, func(t *rapid.T) {
		l := &record.Limits{
			Admitted: rapid.Bool().Draw(t, "admitted"), Pass: rapid.Bool().Draw(t, "pass"), Since: rapid.Uint64().Draw(t, "since"),
			Gate: rapid.String().Draw(t, "gate"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "budgets") {
			l.Budgets = append(l.Budgets, record.BudgetUse{
				ID: ff.BudgetID(uuid.Draw(t, "budget")), Estimate: amounts.Draw(t, "estimate"), Reserved: amounts.Draw(t, "reserved"),
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "quotas") {
			l.Quotas = append(l.Quotas, ff.QuotaUse{ID: ff.QuotaID(uuid.Draw(t, "quota")), Key: rapid.String().Draw(t, "key")})
		}
		want, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		got := l.AppendJSON([]byte("before "))
		if diff := cmp.Diff("before "+string(want), string(got)); diff != "" {
			t.Fatal(diff)
		}
		var back record.Limits
		if err := json.Unmarshal(got[len("before "):], &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*l, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestLimits_OfNobodyAreNull(t *testing.T) {
	if got := string((*record.Limits)(nil).AppendJSON(nil)); got != "null" {
		t.Errorf("no limits are %s, want null", got)
	}
}
