package backend

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric/store/postgres"
)

// SQLSTATEs of a connection that was refused.
const (
	codeBadPassword  = "28P01"
	codeBadUser      = "28000"
	codeNoDatabase   = "3D000"
	codeTooMany      = "53300"
	codeStarting     = "57P03"
	codeNoPermission = "42501"
)

// Explain adds to an error of a PostgreSQL database which database it is about and what can be done.
func Explain(rawURL string, err error) error {
	if advice := postgresAdvice(rawURL, err); advice != "" {
		return fmt.Errorf("open %s: %w; %s", Redact(rawURL), err, advice)
	}
	return fmt.Errorf("open %s: %w", Redact(rawURL), err)
}

func postgresAdvice(rawURL string, err error) string {
	var pg *pgconn.PgError
	var dns *net.DNSError
	switch {
	case errors.Is(err, postgres.ErrSchemaTooOld):
		return fmt.Sprintf("run: flowfabric migrate --store %q", Redact(rawURL))
	case errors.Is(err, postgres.ErrSchemaTooNew):
		return "use the newer release of flowfabric that migrated it"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		return "is the server running, and are host and port right?"
	case errors.As(err, &dns):
		return "is the host name right?"
	case errors.As(err, &pg):
		return serverAdvice(pg.Code)
	}
	return ""
}

func serverAdvice(code string) string {
	switch code {
	case codeBadPassword, codeBadUser:
		return "are user and password right, and does pg_hba.conf let them in?"
	case codeNoDatabase:
		return "create the database first, with createdb for example"
	case codeTooMany:
		return "the server has no connection left: raise max_connections or stop another client"
	case codeStarting:
		return "the server is starting or stopping: try again in a moment"
	case codeNoPermission:
		return "the user needs the right to create tables in this database"
	}
	return ""
}

// explainSQLite adds to an error which file it is about and what can be done.
func explainSQLite(path string, err error) error {
	if dir := filepath.Dir(path); !isDir(dir) {
		return fmt.Errorf("open %s: %w; the folder %s does not exist", path, err, dir)
	}
	if isDir(path) {
		return fmt.Errorf("open %s: %w; it is a folder: name a file in it", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
