package place

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/bench/internal/machine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
)

// postgres is a database of its own on a server, so that tables are empty and counts are the run's.
type postgres struct {
	serverURL string
	name      string
	ownURL    string
	server    machine.Server
	hidden    error // why the CPU of the server cannot be read
}

func createPostgres(ctx context.Context, rawURL string, keep bool, c clock.Clock) (*postgres, error) {
	now := c.Now()
	name := databaseName(now, keep)
	ownURL, err := withDatabaseName(rawURL, name)
	if err != nil {
		return nil, err
	}
	p := &postgres{serverURL: rawURL, name: name, ownURL: ownURL}
	err = withConn(ctx, rawURL, func(c *pgx.Conn) error {
		if err := dropLeftOver(ctx, c, now); err != nil {
			return err
		}
		// Interrupted here it would be made all the same, with nobody to drop it.
		_, err := c.Exec(context.WithoutCancel(ctx), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := p.findServer(ctx); err != nil {
		return nil, errors.Join(err, p.Drop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// Names of databases: what a run makes for itself, and what it leaves because it was told to.
const (
	ownPrefix  = "ff_bench_"
	keptPrefix = "ff_kept_"
	nameTime   = "20060102150405"
)

func databaseName(now time.Time, keep bool) string {
	prefix := ownPrefix
	if keep {
		prefix = keptPrefix
	}
	return prefix + now.UTC().Format(nameTime) + "_" + strings.ToLower(rand.Text()[:8])
}

// leftOverAge is how old a database nobody is connected to must be to be taken for one that its run could not drop: a run
// is without connections for moments.
const leftOverAge = 10 * time.Minute

// isLeftOver reports whether a database has the name of one that a run made for itself, and is old enough.
func isLeftOver(name string, now time.Time) bool {
	rest, ok := strings.CutPrefix(name, ownPrefix)
	if !ok {
		return false
	}
	stamp, _, _ := strings.Cut(rest, "_")
	made, err := time.Parse(nameTime, stamp)
	return err == nil && now.Sub(made) > leftOverAge
}

// dropLeftOver drops databases of runs that were killed. One that somebody connects to meanwhile, or that is somebody
// else's, stays.
func dropLeftOver(ctx context.Context, c *pgx.Conn, now time.Time) error {
	rows, err := c.Query(ctx, `SELECT datname FROM pg_database d WHERE starts_with(datname, $1)
		AND pg_has_role(datdba, 'USAGE') AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)`, ownPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if isLeftOver(name, now) {
			_, _ = c.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()) // the next run tries again
		}
	}
	return nil
}

// findServer finds the processes of the server, if they are this machine's.
func (p *postgres) findServer(ctx context.Context) error {
	return withConn(ctx, p.ownURL, func(c *pgx.Conn) error {
		var pid int
		if err := c.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		p.server, p.hidden = machine.FindServer(pid, p.name, true)
		return nil
	})
}

// withDatabaseName returns a URL with its database replaced.
func withDatabaseName(rawURL, name string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("%w: it cannot be parsed", backend.ErrURL) // the error would show the password
	}
	u.Path = "/" + name
	q := u.Query()
	for _, key := range []string{"dbname", "database"} {
		q.Del(key)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func withConn(ctx context.Context, rawURL string, fn func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, rawURL)
	if err != nil {
		return backend.Explain(rawURL, err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if err := fn(c); err != nil {
		return backend.Explain(rawURL, err)
	}
	return nil
}

func (p *postgres) URL() string { return p.ownURL }

func (p *postgres) Migrate(ctx context.Context) error {
	_, _, err := backend.Migrate(ctx, p.ownURL)
	return err
}

func (p *postgres) CPU() time.Duration { return p.server.CPU() }

func (p *postgres) Drop(ctx context.Context) error {
	err := withConn(ctx, p.serverURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{p.name}.Sanitize()+" WITH (FORCE)")
		return err
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("the database %s is still there", p.name))
	}
	return nil
}
