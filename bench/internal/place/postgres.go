package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flowfabric/flowfabric/internal/backend"
)

// postgresDatabase is a database of its own on a server, so that tables are empty and counts are the run's.
type postgresDatabase struct {
	serverURL string
	name      string
	ownURL    string
	server    postgresCPU
	hidden    error // why the CPU of the server cannot be read
}

func createPostgres(ctx context.Context, rawURL string) (*postgresDatabase, error) {
	name := "ff_bench_" + strings.ToLower(rand.Text()[:16])
	ownURL, err := withDatabaseName(rawURL, name)
	if err != nil {
		return nil, err
	}
	d := &postgresDatabase{serverURL: rawURL, name: name, ownURL: ownURL}
	err = withConn(ctx, rawURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := d.findServer(ctx); err != nil {
		return nil, errors.Join(err, d.drop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// findServer finds the processes of the server, if they are this machine's.
func (d *postgresDatabase) findServer(ctx context.Context) error {
	return withConn(ctx, d.ownURL, func(c *pgx.Conn) error {
		var pid int
		if err := c.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		d.server, d.hidden = findPostmaster(pid, d.name)
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

func (d *postgresDatabase) url() string { return d.ownURL }

func (d *postgresDatabase) migrate(ctx context.Context) error {
	_, _, err := backend.Migrate(ctx, d.ownURL)
	return err
}

// settings are those that decide what a figure is worth.
var settings = []string{
	"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "shared_buffers", "max_wal_size",
	"checkpoint_timeout", "autovacuum", "max_connections",
}

func (d *postgresDatabase) describe(ctx context.Context, res *Result) error {
	res.Settings = make(map[string]string)
	return withConn(ctx, d.ownURL, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY($1)`,
			append([]string{"server_version"}, settings...))
		if err != nil {
			return err
		}
		var name, value string
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
			res.Settings[name] = value
			return nil
		})
		if err != nil {
			return err
		}
		res.ServerVersion = res.Settings["server_version"]
		delete(res.Settings, "server_version")
		res.Durable = res.Settings["fsync"] == "on" && res.Settings["synchronous_commit"] != "off"
		if d.hidden != nil {
			res.note("db_cpu_s is not measured: " + d.hidden.Error())
		}
		return nil
	})
}

func (d *postgresDatabase) cpu() time.Duration { return d.server.used() }

// statements asks pg_stat_statements, which counts every statement of every client, or else the statistics of the
// database, which count transactions and lag by up to a second.
func (d *postgresDatabase) statements(ctx context.Context) (n int64, counter string, err error) {
	err = withConn(ctx, d.ownURL, func(c *pgx.Conn) error {
		n, err = countStatements(ctx, c)
		counter = "pg_stat_statements"
		if err == nil {
			return nil
		}
		counter = "transactions of pg_stat_database, because pg_stat_statements is not to be had"
		return c.QueryRow(ctx, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`).Scan(&n)
	})
	return n, counter, err
}

func countStatements(ctx context.Context, c *pgx.Conn) (n int64, err error) {
	if _, err := c.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return 0, err
	}
	err = c.QueryRow(ctx, `SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND query NOT LIKE '%pg_stat_statements%'`).Scan(&n)
	return n, err
}

func (d *postgresDatabase) drop(ctx context.Context) error {
	err := withConn(ctx, d.serverURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{d.name}.Sanitize()+" WITH (FORCE)")
		return err
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("the database %s is still there", d.name))
	}
	return nil
}
