package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
)

// callersTx is a transaction of a caller, in pgx or in database/sql.
type callersTx interface {
	submit(ctx context.Context, cmds ...ff.Submit) ([]ff.SubmitResult, error)
	complete(ctx context.Context, cmd ff.Complete) error
	step(ctx context.Context, cmd ff.RecordStep) (ff.StepMemo, error)
	exec(ctx context.Context, sql string) error
	end(ctx context.Context, commit bool) error
}

type pgxTx struct{ tx pgx.Tx }

func (x pgxTx) submit(ctx context.Context, cmds ...ff.Submit) ([]ff.SubmitResult, error) {
	return postgres.SubmitTx(ctx, x.tx, postgres.TxOptions{}, cmds...)
}

func (x pgxTx) complete(ctx context.Context, cmd ff.Complete) error {
	return postgres.CompleteTx(ctx, x.tx, postgres.TxOptions{}, cmd)
}

func (x pgxTx) exec(ctx context.Context, sql string) error {
	_, err := x.tx.Exec(ctx, sql)
	return err
}

func (x pgxTx) end(ctx context.Context, commit bool) error {
	if commit {
		return x.tx.Commit(ctx)
	}
	return x.tx.Rollback(ctx)
}

type sqlTx struct{ tx *sql.Tx }

func (x sqlTx) submit(ctx context.Context, cmds ...ff.Submit) ([]ff.SubmitResult, error) {
	return postgres.SubmitSQLTx(ctx, x.tx, postgres.TxOptions{}, cmds...)
}

func (x sqlTx) complete(ctx context.Context, cmd ff.Complete) error {
	return postgres.CompleteSQLTx(ctx, x.tx, postgres.TxOptions{}, cmd)
}

func (x sqlTx) exec(ctx context.Context, sql string) error {
	_, err := x.tx.ExecContext(ctx, sql)
	return err
}

func (x sqlTx) end(_ context.Context, commit bool) error {
	if commit {
		return x.tx.Commit()
	}
	return x.tx.Rollback()
}

// txEnv is an engine on a database in which a caller has transactions, too.
type txEnv struct {
	*testing.T
	url   string
	pool  *pgxpool.Pool
	eng   ff.Service
	begin func() callersTx
}

// inCallersTx runs a test for both forms, and for database/sql in both ways in which pgx sends parameters.
func inCallersTx(t *testing.T, test func(e *txEnv)) {
	for name, begin := range map[string]func(e *txEnv) callersTx{
		"pgx": func(e *txEnv) callersTx {
			tx, err := e.pool.Begin(e.Context())
			e.must(err)
			return pgxTx{tx}
		},
		"database/sql": func(e *txEnv) callersTx { return e.sqlTx("") },
		"database/sql, simple protocol": func(e *txEnv) callersTx {
			return e.sqlTx("default_query_exec_mode=simple_protocol")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &txEnv{T: t, url: migrated(t)}
			e.pool = pool(t, e.url, 4)
			run(t, e.url, `CREATE TABLE orders (id integer PRIMARY KEY)`)
			t.Cleanup(func() { run(t, e.url, `DROP TABLE orders`) })
			e.begin = func() callersTx { return begin(e) }
			e.eng = e.engine()
			test(e)
		})
	}
}

func (e *txEnv) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *txEnv) sqlTx(param string) callersTx {
	e.Helper()
	cfg, err := pgx.ParseConfig(withParam(e.url, param))
	e.must(err)
	db := stdlib.OpenDB(*cfg)
	e.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(e.Context(), nil)
	e.must(err)
	return sqlTx{tx}
}

// withParam adds a parameter to a URL, unless it is empty.
func withParam(url, param string) string {
	switch {
	case param == "":
		return url
	case strings.Contains(url, "?"):
		return url + "&" + param
	default:
		return url + "?" + param
	}
}

// engine opens another engine on the database. It polls so rarely that only a wake-up is in time.
func (e *txEnv) engine() ff.Service {
	e.Helper()
	eng, err := engine.Open(e.Context(), open(e, e.url, nil), engine.Config{ClaimPoll: time.Minute})
	e.must(err)
	e.Cleanup(func() { _ = eng.Close(context.Background()) })
	return eng
}

func (e *txEnv) claim(wait time.Duration) []ff.Claimed {
	e.Helper()
	list, err := e.eng.Claim(e.Context(), ff.Claim{Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Max: 10, Wait: wait})
	e.must(err)
	return list
}

func (e *txEnv) orders() (n int) {
	e.Helper()
	e.must(e.pool.QueryRow(e.Context(), `SELECT count(*) FROM orders`).Scan(&n))
	return n
}

var mailJob = ff.Submit{Lane: "mail", Kind: "send", Payload: []byte("\x00{\"to\":\"\\x\"}"), Tags: map[string]string{"team.name": `a "b" \c, {d}`}}

func TestSubmitTx_RolledBackWasNeverSubmitted(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		tx := e.begin()
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
		res, err := tx.submit(e.Context(), mailJob)
		e.must(err)
		if len(res) != 1 || res[0].Outcome != ff.Created {
			e.Fatalf("got %+v, want one execution created", res)
		}
		e.must(tx.end(e.Context(), false))
		if _, err := e.eng.Describe(e.Context(), res[0].ID); !errors.Is(err, ff.ErrExecutionNotFound) {
			e.Errorf("describe: got %v, want ErrExecutionNotFound", err)
		}
		if got := e.claim(0); len(got) != 0 {
			e.Errorf("claimed %v, want nothing", got)
		}
	})
}

func TestSubmitTx_CommittedIsClaimableAtOnceByAnotherProcess(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		listening(e.T, e.url)
		claimed := make(chan []ff.Claimed, 1)
		go func() { claimed <- e.claim(30 * time.Second) }()
		tx := e.begin()
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
		res, err := tx.submit(e.Context(), mailJob)
		e.must(err)
		select {
		case got := <-claimed:
			e.Fatalf("claimed %v before the commit", got)
		default:
		}
		e.must(tx.end(e.Context(), true))
		got := <-claimed
		if len(got) != 1 || got[0].ExecutionID != res[0].ID {
			e.Fatalf("claimed %+v, want %s", got, res[0].ID)
		}
		if diff := cmp.Diff(mailJob.Payload, got[0].Payload); diff != "" {
			e.Errorf("payload (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(mailJob.Tags, got[0].Tags); diff != "" {
			e.Errorf("tags (-want +got):\n%s", diff)
		}
	})
}

// Every kind of column goes through: keys, policies, capabilities, delays.
func TestSubmitTx_KeepsAllThatIsAskedFor(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		policy := ff.Retry(3, ff.FixedBackoff(time.Second))
		policy.Routing = &ff.RoutingRequirements{RequiredCapabilities: []string{"gpu", `q"uo\te`}}
		cmd := ff.Submit{Lane: "mail", Kind: "send", Namespace: "tenant-ä", IdempotencyKey: `k "1" \`, Priority: 7, Policy: policy}
		listening(e.T, e.url)
		tx := e.begin()
		first, err := tx.submit(e.Context(), cmd)
		e.must(err)
		again, err := tx.submit(e.Context(), cmd)
		e.must(err)
		other := cmd
		other.Kind = "another"
		conflict, err := tx.submit(e.Context(), other)
		e.must(err)
		e.must(tx.end(e.Context(), true))
		if first[0].Outcome != ff.Created {
			e.Errorf("first: got %+v, want it created", first[0])
		}
		if again[0].Outcome != ff.Duplicate || again[0].ID != first[0].ID {
			e.Errorf("again: got %+v, want a duplicate of %s", again[0], first[0].ID)
		}
		if !errors.Is(conflict[0].Err, ff.ErrIdempotencyConflict) {
			e.Errorf("with another kind: got %+v, want ErrIdempotencyConflict", conflict[0])
		}
		later, err := e.eng.Submit(e.Context(), cmd)
		e.must(err)
		if later.Outcome != ff.Duplicate || later.ID != first[0].ID {
			e.Errorf("by an engine: got %+v, want a duplicate of %s", later, first[0].ID)
		}
		list, err := e.eng.Claim(e.Context(), ff.Claim{
			Lanes: []ff.LaneID{"mail"}, WorkerID: "w", WorkerInstanceID: "w-1", Wait: 30 * time.Second,
			Capabilities: []string{"gpu", `q"uo\te`},
		})
		e.must(err)
		if len(list) != 1 || list[0].ExecutionID != first[0].ID || list[0].Priority != 7 || list[0].Namespace != "tenant-ä" {
			e.Errorf("claimed %+v, want the one that was submitted", list)
		}
	})
}

func TestSubmitTx_AfterARefusalTheTransactionGoesOn(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		draining := ff.LaneDraining
		_, err := e.eng.UpdateLane(e.Context(), ff.UpdateLane{Lane: "closed", State: &draining})
		e.must(err)
		tx := e.begin()
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
		if _, err := tx.submit(e.Context(), ff.Submit{Lane: "closed", Kind: "send"}); !errors.Is(err, ff.ErrLaneClosed) {
			e.Errorf("closed lane: got %v, want ErrLaneClosed", err)
		}
		if _, err := tx.submit(e.Context(), mailJob, ff.Submit{Lane: "mail", Kind: "a\x00b"}); err == nil {
			e.Error("a kind that no text can hold was taken")
		}
		if _, err := tx.submit(e.Context(), make([]ff.Submit, ff.MaxSubmitMany+1)...); !errors.Is(err, ff.ErrInvalidInput) {
			e.Errorf("too many: got %v, want ErrInvalidInput", err)
		}
		if res, err := tx.submit(e.Context()); err != nil || len(res) != 0 {
			e.Errorf("none: got %v, %v", res, err)
		}
		res, err := tx.submit(e.Context(), mailJob)
		e.must(err)
		e.must(tx.end(e.Context(), true))
		if n := e.orders(); n != 1 {
			e.Errorf("%d orders, want 1", n)
		}
		if got := e.claim(0); len(got) != 1 || got[0].ExecutionID != res[0].ID {
			e.Errorf("claimed %v, want only %s", got, res[0].ID)
		}
	})
}

func TestSubmitTx_LeavesThePlannerSettingsOfTheCaller(t *testing.T) {
	t.Parallel()
	p := pool(t, migrated(t), 1)
	tx, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context()) //nolint:errcheck // nothing of it is wanted
	if _, err := tx.Exec(t.Context(), `SET LOCAL enable_hashjoin = off`); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []ff.Submit{mailJob, {Lane: "mail", Kind: "a\x00b"}} { // one that is taken, one that fails late
		_, _ = postgres.SubmitTx(t.Context(), tx, postgres.TxOptions{}, cmd)
		got := map[string]string{}
		for _, name := range []string{"jit", "enable_seqscan", "enable_hashjoin", "plan_cache_mode"} {
			var value string
			if err := tx.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&value); err != nil {
				t.Fatal(err)
			}
			got[name] = value
		}
		want := map[string]string{"jit": "on", "enable_seqscan": "on", "enable_hashjoin": "off", "plan_cache_mode": "auto"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
	}
}

func TestSubmitTx_RefusesATransactionThatHasEnded(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		tx := e.begin()
		e.must(tx.end(e.Context(), true))
		if _, err := tx.submit(e.Context(), mailJob); !errors.Is(err, ff.ErrInvalidInput) {
			e.Errorf("got %v, want ErrInvalidInput", err)
		}
	})
}

func TestCompleteTx_CommitsWithTheCallersRows(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%t", commit), func(t *testing.T) {
			inCallersTx(t, func(e *txEnv) {
				_, err := e.eng.Submit(e.Context(), mailJob)
				e.must(err)
				c := e.claim(0)[0]
				tx := e.begin()
				e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
				e.must(tx.complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte(`"sent"`)}))
				e.must(tx.end(e.Context(), commit))
				res, err := e.eng.Result(e.Context(), c.ExecutionID)
				e.must(err)
				if commit {
					if res.Outcome != ff.OutcomeSuccess || string(res.Payload) != `"sent"` || e.orders() != 1 {
						e.Errorf("got %s, %q and %d orders, want both committed", res.Outcome, res.Payload, e.orders())
					}
					return
				}
				if res.Outcome != ff.OutcomeNone || e.orders() != 0 {
					e.Errorf("got %s and %d orders, want neither", res.Outcome, e.orders())
				}
				e.must(e.eng.Complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence})) // the lease was kept
			})
		})
	}
}

func TestCompleteTx_IsFenced(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		_, err := e.eng.Submit(e.Context(), mailJob)
		e.must(err)
		c := e.claim(0)[0]
		_, err = e.eng.RevokeLease(e.Context(), ff.RevokeLease{ExecutionID: c.ExecutionID})
		e.must(err)
		tx := e.begin()
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (1)`))
		if err := tx.complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}); err == nil {
			e.Error("a revoked lease completed the execution")
		}
		e.must(tx.exec(e.Context(), `INSERT INTO orders VALUES (2)`)) // the transaction can still be used
		e.must(tx.end(e.Context(), true))
		if got := e.claim(0); len(got) != 1 {
			e.Errorf("claimed %v, want the execution again", got)
		}
	})
}

// A change that another engine commits between the reading and the writing is noticed, and what is there now decides.
func TestCompleteTx_AConflictIsDecidedAgain(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		_, err := e.eng.Submit(e.Context(), mailJob)
		e.must(err)
		c := e.claim(0)[0]
		s := open(e, e.url, nil)
		blocker, err := pgx.Connect(e.Context(), e.url)
		e.must(err)
		defer blocker.Close(context.Background())
		_, err = blocker.Exec(e.Context(), `BEGIN; UPDATE ff_exec_core SET version = version + 1, progress_message = 'meanwhile'`)
		e.must(err)
		tx := e.begin()
		done := make(chan error, 1)
		go func() { done <- tx.complete(e.Context(), ff.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence}) }()
		waiting(e.T, e.url)
		_, err = blocker.Exec(e.Context(), `COMMIT`)
		e.must(err)
		e.must(<-done)
		e.must(tx.end(e.Context(), true))
		view, err := s.View(e.Context(), store.Reads{Executions: []ff.ExecutionID{c.ExecutionID}})
		e.must(err)
		if got := view.Execution(c.ExecutionID); got.State.Outcome != ff.OutcomeSuccess || got.ProgressMessage != "meanwhile" {
			e.Errorf("got %s with progress %q, want both changes", got.State.Outcome, got.ProgressMessage)
		}
	})
}

// waiting waits until a session of the database waits for a lock.
func waiting(t *testing.T, url string) {
	t.Helper()
	p := pool(t, url, 1)
	for n := 0; n == 0; {
		err := p.QueryRow(t.Context(), `SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A transaction in which a statement has failed answers with the server's error, and nothing hangs.
func TestSubmitTx_InAFailedTransaction(t *testing.T) {
	inCallersTx(t, func(e *txEnv) {
		tx := e.begin()
		if err := tx.exec(e.Context(), `SELECT 1/0`); err == nil {
			e.Fatal("the division succeeded")
		}
		_, err := tx.submit(e.Context(), mailJob)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "25P02" {
			e.Errorf("got %v, want in_failed_sql_transaction", err)
		}
		e.must(tx.end(e.Context(), false))
	})
}
