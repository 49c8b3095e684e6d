package postgres

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// pgxHost is a transaction of pgx: a trip is one pipeline on its connection.
type pgxHost struct{ tx pgx.Tx }

func (h pgxHost) exec(ctx context.Context, sql string) error {
	_, err := h.tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

// Statements of a guest are not kept: plans made under a caller's settings would stay with them.
func (h pgxHost) trip(ctx context.Context) *trip {
	c := &conn{pg: h.tx.Conn().PgConn(), unnamed: true, memory: &memory{}}
	return c.startTrip(ctx)
}

// sqlHost is a transaction of database/sql: the statements of a trip are run one after the other.
type sqlHost struct{ tx *sql.Tx }

func (h sqlHost) exec(ctx context.Context, sql string) error {
	_, err := h.tx.ExecContext(ctx, sql)
	return err
}

func (h sqlHost) trip(ctx context.Context) *trip {
	return &trip{c: &conn{memory: &memory{}}, lent: &sqlTrip{ctx: ctx, tx: h.tx}}
}

// sqlTrip takes statements to a *sql.Tx. No two drivers agree on arrays or on the Go types of what is read, but all send
// texts and read bytea: parameters go as texts, rows come as what record_send makes of them, which is the binary form of
// each column.
type sqlTrip struct {
	ctx   context.Context
	tx    *sql.Tx
	calls []sqlCall
}

type sqlCall struct {
	statement *statement
	args      []any
	row       func(values [][]byte) error
}

func (t *sqlTrip) add(s *statement, params [][]byte, row func(values [][]byte) error) {
	args := make([]any, len(params))
	for i, typ := range s.paramTypes() {
		args[i] = textParam(typ, params[i])
	}
	t.calls = append(t.calls, sqlCall{statement: s, args: args, row: row})
}

func (t *sqlTrip) run() error {
	for _, call := range t.calls {
		if err := t.do(call); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqlTrip) do(call sqlCall) (err error) {
	if call.row == nil {
		_, err := t.tx.ExecContext(t.ctx, call.statement.sql, call.args...)
		return err
	}
	rows, err := t.tx.QueryContext(t.ctx, `SELECT record_send(q) FROM (`+call.statement.sql+`) q`, call.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var record []byte
		if err := rows.Scan(&record); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		values, err := recordValues(record)
		if err != nil {
			return err
		}
		if err := call.row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

var errRecord = errors.New("a record is not in the form record_send gives it")

// recordValues takes a record apart: the number of columns; then for each its type, its length, -1 for NULL, and its
// value.
func recordValues(b []byte) ([][]byte, error) {
	if len(b) < 4 {
		return nil, errRecord
	}
	values := make([][]byte, binary.BigEndian.Uint32(b))
	b = b[4:]
	for i := range values {
		if len(b) < 8 {
			return nil, errRecord
		}
		n := int(int32(binary.BigEndian.Uint32(b[4:])))
		b = b[8:]
		if n < 0 {
			continue
		}
		if len(b) < n {
			return nil, errRecord
		}
		values[i], b = b[:n:n], b[n:]
	}
	return values, nil
}
