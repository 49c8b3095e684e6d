package postgres

import (
	"context"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
)

// host is a transaction of a caller.
type host interface {
	// exec runs a statement without parameters and fails if the transaction has ended.
	exec(ctx context.Context, sql string) error
	// trip begins a round trip within the transaction.
	trip(ctx context.Context) *trip
}

// guest is a session within a caller's transaction. Its commit ends a savepoint and not the transaction. The planner
// settings of the transaction are the caller's again when it has ended.
type guest struct {
	host    host
	careful bool // as in session
	now     flowfabric.Timestamp
	theirs  [][]byte // the caller's planner settings
	ended   bool
}

const (
	guestBegin    = `SAVEPOINT flowfabric`
	guestRollback = `ROLLBACK TO SAVEPOINT flowfabric`
	guestRelease  = `RELEASE SAVEPOINT flowfabric`
)

// The clock of a caller's transaction is that of the statement, since its BEGIN may be long ago.
var guestClock = newStatement(`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`)

var (
	releaseStatement = newStatement(guestRelease)
	theirSettings    = newStatement(settingsText(plannerSettings, func(_ int, s setting) string { return `current_setting('` + s.name + `')` }))
	restoreSettings  = newStatement(settingsText(plannerSettings, func(i int, s setting) string {
		return `set_config('` + s.name + `', ` + param(i+1) + `::text, true)`
	}))
)

// guestShapes are the statements of all guests: they differ in nothing that a text depends on.
var guestShapes shapes

func (g *guest) begin(ctx context.Context) error {
	if err := g.host.exec(ctx, guestBegin); err != nil {
		g.ended = true
		return classify("set a savepoint", err, notSent)
	}
	return nil
}

// Load implements [store.Session].
func (g *guest) Load(ctx context.Context, b *store.Batch, loads []*store.Load) error {
	t := g.host.trip(ctx)
	if g.now == 0 {
		t.send(theirSettings, nil, func(values [][]byte) error {
			for _, v := range values {
				g.theirs = append(g.theirs, append([]byte{}, v...))
			}
			return nil
		})
		t.send(settingsStatement, nil, nil)
		t.send(guestClock, nil, func(values [][]byte) error {
			g.now = flowfabric.Timestamp(intOf(values[0]))
			return nil
		})
	}
	r := gather(nil, loads)
	r.send(t)
	if err := t.run(); err != nil {
		return classify("load records", err, notSent)
	}
	b.SetNow(g.now)
	r.deliver(b)
	return nil
}

// Now implements [store.Session].
func (g *guest) Now() flowfabric.Timestamp { return g.now }

// Commit implements [store.Session]: what it writes is the caller's to commit. Other processes are told with it, since only
// then there is something to claim; whoever commits in large numbers pays for the lock that NOTIFY takes.
func (g *guest) Commit(ctx context.Context, ch *store.Changes) error {
	t := g.host.trip(ctx)
	ix := store.IndexesOf(ch.Executions)
	sendChanges(t, &guestShapes, g.careful, ch, ix)
	sendBelieved(t, &guestShapes, ch)
	if lanes := lanesOf(ix.ReadyAdd); len(lanes) > 0 {
		t.send(notifyStatement, wakeParams("", lanes), nil)
	}
	t.send(restoreSettings, g.theirs, nil)
	t.send(releaseStatement, nil, nil)
	if err := t.run(); err != nil {
		return classify("write", err, notSent)
	}
	g.ended = true
	return nil
}

// Close implements [store.Session].
func (g *guest) Close() {
	if g.ended {
		return
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if g.host.exec(ctx, guestRollback) == nil { // else the connection is lost, and with it the transaction
		_ = g.host.exec(ctx, guestRelease)
	}
}
