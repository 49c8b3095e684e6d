package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolerParam is a parameter of a URL: pooler=true stands for Config.Pooler.
const PoolerParam = "pooler"

// ParseURL returns the pool configuration of a URL that may have the parameter [PoolerParam], which no server knows, and
// its value. Behind a pooler, the pool's connections keep no statements.
func ParseURL(url string) (pc *pgxpool.Config, pooler bool, err error) {
	pc, err = pgxpool.ParseConfig(url)
	if err != nil {
		return nil, false, fmt.Errorf("postgres: parse the url: %w", err)
	}
	if value, ok := pc.ConnConfig.RuntimeParams[PoolerParam]; ok {
		delete(pc.ConnConfig.RuntimeParams, PoolerParam)
		if pooler, err = strconv.ParseBool(value); err != nil {
			return nil, false, fmt.Errorf("postgres: parse the url: %s is %q; want true or false", PoolerParam, value)
		}
	}
	if pooler {
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return pc, pooler, nil
}

// connect opens a pool for a store and checks the schema. It sets cfg.Pooler if it finds that it must be.
func connect(ctx context.Context, url string, cfg *Config) (*pgxpool.Pool, error) {
	pc, pooler, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	cfg.Pooler = cfg.Pooler || pooler
	pc.MaxConns = int32(cfg.MaxConns)
	setDefault(pc.ConnConfig.RuntimeParams, "application_name", "flowfabric")
	plain := pc.Copy()
	plain.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	if cfg.Pooler {
		return openPool(ctx, plain)
	}
	tune(pc.ConnConfig.RuntimeParams)
	pool, err := openPool(ctx, pc)
	if refusesSettings(err) {
		cfg.Pooler = true
		return openPool(ctx, plain)
	}
	return pool, err
}

func openPool(ctx context.Context, pc *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("postgres: open a pool: %w", err)
	}
	if err := checkSchema(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// refusesSettings reports whether err is how PgBouncer answers to settings at the start of a connection.
func refusesSettings(err error) bool {
	const protocolViolation = "08P01"
	var pg *pgconn.PgError
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting) && errors.As(err, &pg) && pg.Code == protocolViolation
}

// tune adds to the parameters of a connection what the url does not set.
func tune(params map[string]string) {
	setDefault(params, "default_transaction_isolation", "read committed")
	for _, s := range poolerSettings {
		setDefault(params, s.name, s.value)
	}
}

func setDefault(params map[string]string, name, value string) {
	if _, ok := params[name]; !ok {
		params[name] = value
	}
}
