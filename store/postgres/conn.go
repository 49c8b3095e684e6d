package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// conn is a connection held for a while, with what is remembered about it between uses.
type conn struct {
	pooled *pgxpool.Conn
	pg     *pgconn.PgConn
	// unnamed: the server keeps no statements for this connection, so each travels with its text.
	unnamed bool
	*memory
}

// memory stays with a connection as long as it lives.
type memory struct {
	prepared map[string]*pgconn.StatementDescription
	sheet    sheet // room for parameters, reused
}

// memoryKey finds the memory among what others keep with the connection.
const memoryKey = "flowfabric"

func (st *Store) acquire(ctx context.Context) (*conn, error) {
	pooled, err := st.pool.Acquire(ctx)
	if err != nil {
		return nil, classify("acquire a connection", err, notSent)
	}
	pg := pooled.Conn().PgConn()
	m, ok := pg.CustomData()[memoryKey].(*memory)
	if !ok {
		m = &memory{prepared: make(map[string]*pgconn.StatementDescription)}
		pg.CustomData()[memoryKey] = m
	}
	return &conn{pooled: pooled, pg: pg, unnamed: st.cfg.Pooler, memory: m}, nil
}

// release gives the connection back. The pool drops it if it is broken or in a transaction.
func (c *conn) release() { c.pooled.Release() }

// trip is one round trip: statements that are sent together and answered together. A statement's parameters may be
// reused once it was sent.
type trip struct {
	c       *conn
	p       *pgconn.Pipeline
	answers []answer
	// lent, when not nil, takes the place of the connection: see sqlTrip.
	lent *sqlTrip
}

// answer is what is expected for one statement.
type answer struct {
	statement *statement
	prepare   bool
	row       func(values [][]byte) error // nil when rows do not matter
}

// binaryForm is the form of all parameters and results.
var binaryForm = []int16{1}

func (c *conn) startTrip(ctx context.Context) *trip {
	return &trip{c: c, p: c.pg.StartPipeline(ctx)}
}

// send adds a statement; row is called for each row of its result, whose values are valid only during the call.
func (t *trip) send(s *statement, params [][]byte, row func(values [][]byte) error) {
	if t.lent != nil {
		t.lent.add(s, params, row)
		return
	}
	if t.c.unnamed {
		t.p.SendQueryParams(s.sql, params, nil, binaryForm, binaryForm)
		t.answers = append(t.answers, answer{statement: s, row: row})
		return
	}
	if sd := t.c.prepared[s.name]; sd != nil {
		t.p.SendQueryStatement(sd, params, binaryForm, binaryForm)
		t.answers = append(t.answers, answer{statement: s, row: row})
		return
	}
	again := false
	for _, a := range t.answers {
		again = again || a.prepare && a.statement.name == s.name
	}
	if !again {
		t.p.SendPrepare(s.name, s.sql, nil)
	}
	t.p.SendQueryPrepared(s.name, params, binaryForm, binaryForm)
	t.answers = append(t.answers, answer{statement: s, prepare: !again, row: row})
}

// run sends everything and reads the answers. The error is the first one, that of the statement that did not succeed.
func (t *trip) run() error {
	if t.lent != nil {
		return t.lent.run()
	}
	err := t.p.Sync()
	for i := 0; err == nil && i < len(t.answers); i++ {
		err = t.read(&t.answers[i])
	}
	closeErr := t.p.Close()
	if err == nil {
		err = closeErr
	}
	if mustPrepareAgain(err) {
		clear(t.c.prepared)
	}
	return err
}

func (t *trip) read(a *answer) error {
	if a.prepare {
		res, err := t.p.GetResults()
		if err != nil {
			return fmt.Errorf("prepare %s: %w", a.statement.name, err)
		}
		sd, ok := res.(*pgconn.StatementDescription)
		if !ok {
			return errOutOfStep
		}
		sd.Name = a.statement.name
		t.c.prepared[sd.Name] = sd
	}
	res, err := t.p.GetResults()
	if err != nil {
		return err
	}
	rows, ok := res.(*pgconn.ResultReader)
	if !ok {
		return errOutOfStep
	}
	var rowErr error
	for rows.NextRow() {
		if a.row != nil && rowErr == nil {
			rowErr = a.row(rows.Values())
		}
	}
	if _, err := rows.Close(); err != nil {
		return err
	}
	return rowErr
}

var errOutOfStep = errors.New("the answers of a pipeline are out of step with its statements")
