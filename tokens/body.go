package tokens

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// body passes a response's body on and reports what it used, once: when the response has ended, at an error of the body,
// or at Close, whichever comes first. Close may be called while a Read is under way, and waits for a report that is.
type body struct {
	io.ReadCloser
	report func(Usage) error

	mu    sync.Mutex
	meter meter // nil once there is nothing more to look at
	err   error // of the report
}

// Read reads from the body. The error of a report comes in place of io.EOF, and beside any other error.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if ended := b.meter != nil && b.meter.write(p[:n]); ended || err != nil {
		b.settle()
	}
	if errors.Is(err, io.EOF) && b.err != nil {
		return n, b.err
	}
	if err != nil {
		return n, both(err, b.err)
	}
	return n, nil
}

// Close closes the body and returns the error of the report too, whether or not a Read has.
func (b *body) Close() error {
	err := b.ReadCloser.Close() // outside the lock: it is what ends a Read that waits
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return both(err, b.err)
}

// settle reports what was used, unless it has. The caller holds the lock.
func (b *body) settle() {
	if b.meter == nil {
		return
	}
	used, found := b.meter.sum()
	b.meter = nil // first, so that a Report that panics is not called again
	if !found {
		return
	}
	if err := b.report(used); err != nil {
		b.err = fmt.Errorf("report the tokens of a response: %w", err)
	}
}

// both joins two errors, and leaves one that is alone as it is: callers compare what a body returns.
func both(err, other error) error {
	if err == nil {
		return other
	}
	if other == nil {
		return err
	}
	return errors.Join(err, other)
}
