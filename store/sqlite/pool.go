package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowfabric/flowfabric/store"
)

// pool lends a fixed number of connections. One is opened when it is first needed, and again after it broke.
type pool struct {
	closing <-chan struct{}
	slots   chan *conn // nil: not open
	dial    func() (*conn, error)
}

func newPool(size int, closing <-chan struct{}, dial func() (*conn, error)) *pool {
	p := &pool{closing: closing, slots: make(chan *conn, size), dial: dial}
	for range size {
		p.slots <- nil
	}
	return p
}

// seeded returns the pool with c in one of its slots.
func (p *pool) seeded(c *conn) *pool {
	<-p.slots
	p.slots <- c
	return p
}

// take waits for a connection. It fails with [store.ErrClosed] once the store is closing.
func (p *pool) take(ctx context.Context) (*conn, error) {
	var c *conn
	select {
	case c = <-p.slots:
	case <-p.closing:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("sqlite: wait for a connection: %w", context.Cause(ctx))
	}
	err := p.refusal(ctx)
	if err == nil && c == nil {
		if c, err = p.dial(); err != nil {
			err = classify(ctx, "connect", err)
		}
	}
	if err != nil {
		p.slots <- c
		return nil, err
	}
	return c, nil
}

// refusal is why a connection that is free may not be lent: select chooses at random among what is ready.
func (p *pool) refusal(ctx context.Context) error {
	select {
	case <-p.closing:
		return store.ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("sqlite: begin: %w", context.Cause(ctx))
	}
	return nil
}

// put gives a connection back; one that is not usable is closed.
func (p *pool) put(c *conn, usable bool) {
	if !usable {
		_ = c.db.Close() // the transaction it could not end is gone with it
		c = nil
	}
	p.slots <- c
}

// close waits for all connections and closes them. It is called once, when nothing is lent any more.
func (p *pool) close() error {
	var errs []error
	for range cap(p.slots) {
		if c := <-p.slots; c != nil {
			errs = append(errs, c.db.Close())
		}
	}
	return errors.Join(errs...)
}
