package postgres

import (
	"fmt"
	"log/slog"

	"github.com/flowfabric/flowfabric/store"
)

// Config tunes a store. The zero value is ready for production.
type Config struct {
	// Clock is the storage clock. Default: the server's, so that all nodes agree.
	Clock store.Clock
	// Lanes is how many batches commit at once, 1 to 16. Default: 2.
	Lanes int
	// MaxConns bounds the connections of a store made by Open, Lanes+2 to 1,000: one for each lane, one that listens, the
	// others for views. Default: Lanes+4. FromPool uses what the pool has.
	MaxConns int
	// NoListen: Watch fails with [store.ErrNoWatch] and needs no connection. Other processes are noticed by polling alone.
	NoListen bool
	// Pooler: the connections go to a pooler in transaction mode, such as PgBouncer. Nothing is kept in sessions then, and
	// wake-ups are out of reach: Watch fails with [store.ErrNoWatch] and the engine polls. Statements are planned anew each
	// time, which costs the server a multiple of their execution.
	Pooler bool
	// Log is told when the listening connection was lost. Default: nobody.
	Log *slog.Logger
}

// withDefaults returns cfg with its zero fields filled in and checked.
func (cfg *Config) withDefaults() (Config, error) {
	var c Config
	if cfg != nil {
		c = *cfg
	}
	if c.Lanes == 0 {
		c.Lanes = 2
	}
	if c.MaxConns == 0 {
		c.MaxConns = c.Lanes + 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func (cfg *Config) validate() error {
	switch {
	case cfg.Lanes < 1 || cfg.Lanes > 16:
		return fmt.Errorf("postgres: Config.Lanes is %d; want 1 to 16", cfg.Lanes)
	case cfg.MaxConns < cfg.Lanes+2 || cfg.MaxConns > 1000:
		return fmt.Errorf("postgres: Config.MaxConns is %d; want %d to 1000", cfg.MaxConns, cfg.Lanes+2)
	}
	return nil
}
