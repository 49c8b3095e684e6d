package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
)

// The life of an execution updates its row several times. No index is on what changes, so updates stay in their page. A
// transaction that is open anywhere on the server, of another test perhaps, keeps the old versions there, and pages fill up;
// so one try of several must succeed.
func TestUpdates_OfExecutionsStayInTheirPage(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	eng, err := engine.Open(t.Context(), open(t, url, nil), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := pool(t, url, 1)
	const executions, perExecution, tries = 500, 3, 5 // claim, renew, complete
	all, hot := 0, 0
	for range tries {
		before, hotBefore := updates(t, p)
		live(t, eng, executions)
		for all = 0; all < executions*perExecution; { // sessions report what they did a little later
			all, hot = updates(t, p)
			all, hot = all-before, hot-hotBefore
		}
		if hot*100 >= all*95 {
			break
		}
	}
	if err := eng.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if hot*100 < all*95 {
		t.Errorf("%d of %d updates stayed in their page, want nearly all", hot, all)
	}
}

// live takes n executions from their submission to their end.
func live(t *testing.T, eng *engine.Engine, n int) {
	t.Helper()
	jobs := make([]ff.Submit, n)
	for i := range jobs {
		jobs[i] = ff.Submit{Lane: "mail", Kind: "send", Tags: map[string]string{"team.name": "mail"}}
	}
	if _, err := eng.SubmitMany(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < n; {
		list, err := eng.Claim(t.Context(), ff.Claim{Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Max: 50})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if _, err := eng.Renew(t.Context(), ff.Renew{ExecutionID: c.ExecutionID, Fence: c.Fence}); err != nil {
				t.Fatal(err)
			}
			if err := eng.Complete(t.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte("ok")}); err != nil {
				t.Fatal(err)
			}
		}
		done += len(list)
	}
}

// updates reads how often rows of ff_exec_core were updated, and how often within their page.
func updates(t *testing.T, p *pgxpool.Pool) (all, hot int) {
	t.Helper()
	err := p.QueryRow(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd, pg_sleep(0.01)::text FROM pg_stat_user_tables
		WHERE relname = 'ff_exec_core'`).Scan(&all, &hot, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all, hot
}
