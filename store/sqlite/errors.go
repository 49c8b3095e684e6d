package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"github.com/flowfabric/flowfabric/store"
)

// classify wraps an error of the driver in the sentinel that says what it means for the batch.
func classify(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("sqlite: %s: %w", doing, err)
	}
	switch driver.ErrCode(err).ToPrimary() {
	case driver.ResultInterrupt:
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("sqlite: %s: %w", doing, cause)
		}
		return fmt.Errorf("%w: sqlite: %s: %w", store.ErrTransient, doing, err)
	case driver.ResultBusy, driver.ResultLocked, driver.ResultIOErr, driver.ResultFull, driver.ResultNoMem,
		driver.ResultProtocol, driver.ResultCantOpen:
		return fmt.Errorf("%w: sqlite: %s: %w", store.ErrTransient, doing, err)
	}
	return fmt.Errorf("sqlite: %s: %w", doing, err)
}

// classifyCommit is classify for COMMIT. A commit that could not be written through to the disk is undone in this
// process, but its pages may be in the log already: a crash before the next commit overwrites them would bring it back.
func classifyCommit(ctx context.Context, err error) error {
	if driver.ErrCode(err).ToPrimary() == driver.ResultIOErr {
		return fmt.Errorf("%w: sqlite: commit: %w", store.ErrUnknownOutcome, err)
	}
	return classify(ctx, "commit", err)
}
