package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowfabric/flowfabric/store"
)

// pool lends a fixed number of connections. One is opened when none that is open is free, and again after it broke.
type pool struct {
	size    int
	closing <-chan struct{}
	dial    func() (*conn, error)
	idle    chan *conn
	vacant  chan struct{} // one for each connection that is neither idle nor lent
}

func newPool(size int, closing <-chan struct{}, dial func() (*conn, error)) *pool {
	p := &pool{size: size, closing: closing, dial: dial, idle: make(chan *conn, size), vacant: make(chan struct{}, size)}
	for range size {
		p.vacant <- struct{}{}
	}
	return p
}

// seed makes c one of the pool's connections.
func (p *pool) seed(c *conn) {
	<-p.vacant
	p.idle <- c
}

// take waits for a connection. It fails with [store.ErrClosed] once the store is closing.
func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := p.refusal(ctx); err != nil { // select chooses at random among what is ready
		return nil, err
	}
	select {
	case c := <-p.idle:
		return c, nil
	default:
	}
	select {
	case c := <-p.idle:
		return c, nil
	case <-p.vacant:
		return p.open(ctx)
	case <-p.closing:
	case <-ctx.Done():
	}
	return nil, p.refusal(ctx)
}

// refusal is why nothing may be lent, nil if it may.
func (p *pool) refusal(ctx context.Context) error {
	select {
	case <-p.closing:
		return store.ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("sqlite: wait for a connection: %w", context.Cause(ctx))
	}
	return nil
}

func (p *pool) open(ctx context.Context) (*conn, error) {
	c, err := p.dial()
	if err != nil {
		p.vacant <- struct{}{}
		return nil, classify(ctx, "connect", err)
	}
	return c, nil
}

// put gives a connection back; one that is not usable is closed, and what it could not end is gone with it.
func (p *pool) put(c *conn, usable bool) {
	if usable {
		p.idle <- c
		return
	}
	_ = c.db.Close()
	p.vacant <- struct{}{}
}

// close waits for all connections and closes them. Nothing is lent any more: closing is closed.
func (p *pool) close() error {
	var errs []error
	for range p.size {
		select {
		case c := <-p.idle:
			errs = append(errs, c.db.Close())
		case <-p.vacant:
		}
	}
	return errors.Join(errs...)
}
