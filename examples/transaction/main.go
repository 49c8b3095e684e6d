// Transaction shows how an application's own rows and the work they call for are committed together: an order and the
// execution that ships it, in one transaction of SQLite. postgres.SubmitTx does the same for pgx and database/sql.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

type order struct{ Number int }

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	const file = "shop.db"
	st, err := sqlite.Open(ctx, file, &sqlite.Config{Shared: true}) // the file is the application's, too
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()
	db, err := driver.OpenConn(file)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := sqlitex.ExecuteScript(db, "CREATE TABLE orders (number INTEGER PRIMARY KEY)", nil); err != nil {
		return err
	}

	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"shipping"}})
	worker.Handle(w, "ship", func(_ context.Context, _ *worker.Task, in order) (string, error) {
		return fmt.Sprintf("order %d is on its way", in.Number), nil
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	// The customer changes their mind: neither the order nor the work was ever there.
	changedMind := errors.New("the customer changed their mind")
	if _, err := place(ctx, db, st, 1, changedMind); !errors.Is(err, changedMind) {
		return err
	}
	id, err := place(ctx, db, st, 2, nil)
	if err != nil {
		return err
	}
	res, err := eng.Wait(ctx, id, 30*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", res.Outcome, res.Payload)
	page, err := eng.List(ctx, flowfabric.ListExecutions{Lane: "shipping"})
	if err != nil {
		return err
	}
	fmt.Println("executions:", len(page.Items))
	stop()
	return <-ended
}

// place stores an order and submits its shipping, both or neither.
func place(ctx context.Context, db *driver.Conn, st *sqlite.Store, number int, regret error) (id flowfabric.ExecutionID, err error) {
	end, err := sqlitex.ImmediateTransaction(db)
	if err != nil {
		return id, err
	}
	defer end(&err)
	if err := sqlitex.Execute(db, "INSERT INTO orders VALUES (?)", &sqlitex.ExecOptions{Args: []any{number}}); err != nil {
		return id, err
	}
	results, err := sqlite.SubmitTx(ctx, db, sqlite.TxOptions{Store: st}, flowfabric.Submit{
		Lane: "shipping", Kind: "ship", Payload: []byte(`{"Number":` + strconv.Itoa(number) + `}`),
	})
	if err != nil {
		return id, err
	}
	return results[0].ID, regret
}
