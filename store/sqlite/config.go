package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store"
)

// Synchronous is how far a commit is on its way to the disk when it is acknowledged.
type Synchronous string

// Levels of durability.
const (
	// Full: a commit survives the loss of power.
	Full Synchronous = "FULL"
	// Normal: a commit survives the end of the process, but the latest ones may be undone by a loss of power. The file
	// stays consistent.
	Normal Synchronous = "NORMAL"
)

// Config tunes a store. The zero value is ready for production.
type Config struct {
	// Clock is the storage clock. Default: the clock of the machine.
	Clock store.Clock
	// Synchronous is the durability of a commit. Default: Full.
	Synchronous Synchronous
	// Readers bounds the connections that serve View, 1 to 64. They are opened when needed. Default: 4.
	Readers int
	// Shared: the file may be an application's own database, so that it can submit and complete in its own transactions
	// ([SubmitTx]). Our tables, all named ff_…, are added beside its tables, and the file is switched to write-ahead logging.
	Shared bool
	// BusyTimeout bounds the wait for another process that is writing, 1 ms to 10 minutes; a batch that waits longer fails
	// with [store.ErrTransient]. Default: 5 s.
	BusyTimeout time.Duration
}

// withDefaults returns cfg with its zero fields filled in and checked.
func (cfg *Config) withDefaults() (Config, error) {
	var c Config
	if cfg != nil {
		c = *cfg
	}
	if c.Clock == nil {
		c.Clock = machineClock()
	}
	if c.Synchronous == "" {
		c.Synchronous = Full
	}
	if c.Readers == 0 {
		c.Readers = 4
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = 5 * time.Second
	}
	return c, c.validate()
}

func machineClock() store.Clock {
	wall := clock.Real()
	return func() flowfabric.Timestamp { return flowfabric.TimestampOf(wall.Now()) }
}

func (cfg *Config) validate() error {
	switch {
	case cfg.Synchronous != Full && cfg.Synchronous != Normal:
		return fmt.Errorf("sqlite: Config.Synchronous is %q; want %q or %q", cfg.Synchronous, Full, Normal)
	case cfg.Readers < 1 || cfg.Readers > 64:
		return fmt.Errorf("sqlite: Config.Readers is %d; want 1 to 64", cfg.Readers)
	case cfg.BusyTimeout < time.Millisecond || cfg.BusyTimeout > 10*time.Minute:
		return fmt.Errorf("sqlite: Config.BusyTimeout is %s; want 1ms to 10m", cfg.BusyTimeout)
	}
	return nil
}

// validatePath refuses what would open something else than a file of that name.
func validatePath(path string) error {
	switch {
	case path == "":
		return errors.New("sqlite: the path is empty; a store that keeps nothing is store/memory")
	case strings.HasPrefix(path, ":memory:"):
		return fmt.Errorf("sqlite: %q is not a file; use store/memory", path)
	case strings.HasPrefix(path, "file:"):
		return fmt.Errorf("sqlite: %q is a URI; want a plain path", path)
	}
	return nil
}
