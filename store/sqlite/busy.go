package sqlite

import (
	"context"
	"fmt"
	"time"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// retryBusy calls attempt until another connection's lock no longer stands in its way, for at most timeout. SQLite has a
// wait of its own, but one that does not end with ctx.
func retryBusy(ctx context.Context, timeout time.Duration, attempt func() error) error {
	// Whoever asks at the right instant gets the lock. With pauses of up to 20 ms a process lost it for 0.7 s to one that
	// wrote without end; so they wait 0.2 s at most, and share evenly.
	const shortest, longest = time.Millisecond, 4 * time.Millisecond
	err := attempt()
	if !isBusy(err) {
		return err
	}
	wall := clock.Real()
	giveUp := wall.NewTimer(timeout)
	defer giveUp.Stop()
	for pause := shortest; isBusy(err); pause = min(2*pause, longest) {
		again := wall.NewTimer(pause)
		select {
		case <-ctx.Done():
			again.Stop()
			return context.Cause(ctx)
		case <-giveUp.C:
			again.Stop()
			return fmt.Errorf("another process wrote for more than %s: %w", timeout, err)
		case <-again.C:
		}
		err = attempt()
	}
	return err
}

func isBusy(err error) bool {
	if err == nil {
		return false
	}
	code := driver.ErrCode(err).ToPrimary()
	return code == driver.ResultBusy || code == driver.ResultLocked
}
