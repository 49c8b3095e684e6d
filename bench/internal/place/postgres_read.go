package place

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// settings are those that decide what a figure is worth.
var settings = []string{
	"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "shared_buffers", "max_wal_size",
	"checkpoint_timeout", "autovacuum", "max_connections",
}

func (p *postgres) Describe(ctx context.Context) (Description, error) {
	d := Description{Settings: make(map[string]string)}
	err := withConn(ctx, p.ownURL, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY($1)`,
			append([]string{"server_version"}, settings...))
		if err != nil {
			return err
		}
		var name, value string
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
			d.Settings[name] = value
			return nil
		})
		return err
	})
	d.ServerVersion = d.Settings["server_version"]
	delete(d.Settings, "server_version")
	d.Durable = d.Settings["fsync"] == "on" && d.Settings["synchronous_commit"] != "off"
	if p.hidden != nil {
		d.Notes = append(d.Notes, "db_cpu_s is not measured: "+p.hidden.Error())
	}
	return d, err
}

// Settle runs a checkpoint, if the role may: the pages an earlier run dirtied are otherwise written during the next one.
func (p *postgres) Settle(ctx context.Context) error {
	return withConn(ctx, p.ownURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `CHECKPOINT`)
		if isDenied(err) {
			return nil
		}
		return err
	})
}

func isDenied(err error) bool {
	const insufficientPrivilege = "42501"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == insufficientPrivilege
}

func (p *postgres) Probe(ctx context.Context, c clock.Clock) (probe Probe, err error) {
	err = withConn(ctx, p.ownURL, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, `CREATE TABLE raw (id bigserial PRIMARY KEY, payload bytea)`); err != nil {
			return err
		}
		probe.RoundTrip, err = probeMedian(c, func() error {
			_, err := conn.Exec(ctx, `SELECT 1`)
			return err
		})
		if err != nil {
			return err
		}
		probe.CommitsPerS, err = probeRate(ctx, c, func() error {
			_, err := conn.Exec(ctx, `INSERT INTO raw (payload) VALUES ($1)`, rawPayload)
			return err
		})
		if err != nil || p.hidden != nil {
			return err
		}
		probe.Sync = dataSync(ctx, conn, c)
		return nil
	})
	return probe, err
}

// dataSync is probeSync in the folder of the server's data; 0 if this role or this process may not go there.
func dataSync(ctx context.Context, conn *pgx.Conn, c clock.Clock) time.Duration {
	var folder string
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&folder); err != nil {
		return 0
	}
	took, err := probeSync(folder, c)
	if err != nil {
		return 0
	}
	return took
}

// Statements asks pg_stat_statements, which counts every statement of every client, or else the statistics of the
// database, which count transactions and lag by up to a second.
func (p *postgres) Statements(ctx context.Context) (n int64, counter string, err error) {
	err = withConn(ctx, p.ownURL, func(c *pgx.Conn) error {
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

func (p *postgres) Sizes(ctx context.Context) (map[string]int64, error) {
	sizes := make(map[string]int64)
	err := withConn(ctx, p.ownURL, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT relname, pg_total_relation_size(oid) FROM pg_class
			WHERE relkind = 'r' AND starts_with(relname, 'ff_')`)
		if err != nil {
			return err
		}
		var name string
		var bytes int64
		_, err = pgx.ForEachRow(rows, []any{&name, &bytes}, func() error {
			sizes[name] = bytes
			return nil
		})
		return err
	})
	return sizes, err
}
