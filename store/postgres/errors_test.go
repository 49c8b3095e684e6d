package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric/store"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	pg := func(severity, code string) error { return &pgconn.PgError{Severity: severity, Code: code} }
	for _, tc := range []struct {
		name string
		err  error
		sent reach
		want error // nil: no sentinel
	}{
		{"guard", pg("ERROR", "FF409"), commitSent, store.ErrConflict},
		{"row that ought to be new", pg("ERROR", "23505"), commitSent, store.ErrConflict},
		{"serialization", pg("ERROR", "40001"), notSent, store.ErrConflict},
		{"deadlock", pg("ERROR", "40P01"), commitSent, store.ErrConflict},
		{"prepared statement gone", pg("ERROR", "26000"), notSent, store.ErrConflict},
		{"lock timeout", pg("ERROR", "55P03"), commitSent, store.ErrTransient},
		{"standby", pg("ERROR", "25006"), notSent, store.ErrTransient},
		{"too many connections", pg("FATAL", "53300"), notSent, store.ErrTransient},
		{"starting up", pg("FATAL", "57P03"), notSent, store.ErrTransient},
		{"shutdown", pg("FATAL", "57P01"), notSent, store.ErrTransient},
		{"shutdown at commit", pg("FATAL", "57P01"), commitSent, store.ErrUnknownOutcome},
		{"connection lost", io.ErrUnexpectedEOF, notSent, store.ErrTransient},
		{"connection lost at commit", io.ErrUnexpectedEOF, commitSent, store.ErrUnknownOutcome},
		{"gave up", context.Canceled, notSent, nil},
		{"gave up at commit", context.Canceled, commitSent, store.ErrUnknownOutcome},
		{"number out of range", pg("ERROR", "22003"), commitSent, nil},
		{"wrong password", pg("FATAL", "28P01"), notSent, nil},
	} {
		err := classify("try", fmt.Errorf("wrapped: %w", tc.err), tc.sent)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: the cause is lost in %v", tc.name, err)
		}
		for _, sentinel := range []error{store.ErrConflict, store.ErrTransient, store.ErrUnknownOutcome} {
			if got, want := errors.Is(err, sentinel), errors.Is(sentinel, tc.want); got != want {
				t.Errorf("%s: is %q = %t, want %t", tc.name, sentinel, got, want)
			}
		}
	}
}
