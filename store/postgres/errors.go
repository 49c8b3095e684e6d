package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric/store"
)

// ErrSchemaTooNew is returned by [Migrate] for a database that a newer version of this package has migrated.
var ErrSchemaTooNew = errors.New("postgres: the schema is newer than this program")

// ErrSchemaTooOld is returned by [Open] for a database on which [Migrate] has still to be run.
var ErrSchemaTooOld = errors.New("postgres: the schema is older than this program: it must be migrated")

// reach is how far a commit had come when an error was met.
type reach bool

const (
	notSent    reach = false // the server has not been asked to commit
	commitSent reach = true  // it may have been
)

// SQLSTATEs that are told apart.
const (
	codeGuard          = "FF409" // ff_guard
	codeUnique         = "23505"
	codeSerialization  = "40001"
	codeDeadlock       = "40P01"
	codeLockTimeout    = "55P03"
	codeNoStatement    = "26000"
	codeStalePlan      = "0A000" // "cached plan must not change result type"
	codeReadOnly       = "25006" // a failover is under way
	codeIdleTimeout    = "25P03"
	classConnection    = "08"
	classResources     = "53"
	classOperator      = "57" // shutdown, start-up, cancelled
	codeQueryCancelled = "57014"
)

// classify wraps err into the sentinel that says what the caller may do.
func classify(op string, err error, sent reach) error {
	if err == nil {
		return nil
	}
	sentinel := sentinelOf(err, sent)
	if sentinel == nil {
		return fmt.Errorf("postgres: %s: %w", op, err)
	}
	return fmt.Errorf("postgres: %s: %w: %w", op, sentinel, err)
}

func sentinelOf(err error, sent reach) error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Severity != "FATAL" && pg.Severity != "PANIC":
		return statementSentinel(pg.Code)
	case bool(sent) && !pgconn.SafeToRetry(err):
		return store.ErrUnknownOutcome
	case pg != nil:
		return statementSentinel(pg.Code)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.Is(err, errOutOfStep):
		return nil
	default:
		return store.ErrTransient // the connection
	}
}

// statementSentinel is for errors that have rolled the transaction back, nil for one that is the data's own.
func statementSentinel(code string) error {
	switch code {
	case codeGuard, codeUnique, codeSerialization, codeDeadlock, codeNoStatement, codeStalePlan:
		return store.ErrConflict
	case codeLockTimeout, codeReadOnly, codeIdleTimeout:
		return store.ErrTransient
	case codeQueryCancelled:
		return nil
	}
	for _, class := range []string{classConnection, classResources, classOperator} {
		if strings.HasPrefix(code, class) {
			return store.ErrTransient
		}
	}
	return nil
}

// codeOf is the SQLSTATE of an error of the server, empty for others.
func codeOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// mustPrepareAgain reports whether err says that prepared statements are gone or outdated.
func mustPrepareAgain(err error) bool {
	code := codeOf(err)
	return code == codeNoStatement || code == codeStalePlan
}
