package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/store"
)

// listener receives what notifiers of other processes send and passes it to all watchers.
type listener struct {
	st    *Store
	group *loop.Group
	mu    struct {
		sync.Mutex
		started  bool
		watchers map[chan store.Wake]struct{}
	}
}

// watchBuffer is how many wakes a watcher may be behind before it loses some.
const watchBuffer = 64

func (l *listener) start(st *Store) {
	l.st, l.group = st, loop.NewGroup(context.Background())
	l.mu.watchers = make(map[chan store.Wake]struct{})
}

func (l *listener) watch(ctx context.Context) <-chan store.Wake {
	c := make(chan store.Wake, watchBuffer)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.watchers[c] = struct{}{}
	if !l.mu.started {
		l.mu.started = true
		l.group.Go(l.run)
	}
	context.AfterFunc(ctx, func() { l.forget(c) })
	return c
}

// forget closes a watcher's channel, once.
func (l *listener) forget(c chan store.Wake) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.mu.watchers[c]; ok {
		delete(l.mu.watchers, c)
		close(c)
	}
}

func (l *listener) wake(w store.Wake) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.mu.watchers {
		select {
		case c <- w:
		default: // it has plenty to look after already
		}
	}
}

// run listens, again and again.
func (l *listener) run(ctx context.Context) {
	again := false
	loop.Every(ctx, clock.Real(), l.st.cfg.Log, "listen for wakes", nil, func(ctx context.Context) (time.Duration, error) {
		connected, err := l.listen(ctx, again)
		again = true
		if connected && err != nil && ctx.Err() == nil {
			l.st.cfg.Log.WarnContext(ctx, "the listening connection was lost; it will be opened again", "error", err)
			err = nil // no reason yet to wait before the next attempt
		}
		return 0, err
	})
}

// listen passes wakes on until the connection is lost. What was sent while there was none is made good by a wake for any
// lane.
func (l *listener) listen(ctx context.Context, again bool) (connected bool, err error) {
	c, err := l.st.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("acquire a connection: %w", err)
	}
	defer c.Release()
	defer stopListening(c.Conn())
	if err := l.begin(ctx, c.Conn()); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	l.st.notifier.to.begin()
	defer l.st.notifier.to.end()
	if again {
		l.wake(store.Wake{})
	}
	said := clock.Real().Now()
	for {
		n, err := nextNotification(ctx, c.Conn())
		if err == nil && n != nil {
			err = l.take(ctx, c.Conn(), n)
		}
		if now := clock.Real().Now(); err == nil && now.Sub(said) >= signOfLife {
			said = now
			err = l.say(ctx, c.Conn(), stillOn)
		}
		if err != nil {
			return true, err
		}
	}
}

// begin subscribes and greets the others.
func (l *listener) begin(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, "LISTEN "+presence); err != nil {
		return err
	}
	if err := l.say(ctx, c, hello); err != nil {
		return err
	}
	_, err := c.Exec(ctx, "LISTEN "+channel)
	return err
}

// take acts on a notification.
func (l *listener) take(ctx context.Context, c *pgx.Conn, n *pgconn.Notification) error {
	what, others := laneOf(n.Payload, l.st.notifier.tag)
	switch {
	case !others:
		return nil
	case n.Channel == channel:
		l.wake(store.Wake{Lane: what})
		return nil
	}
	answer, look := l.st.notifier.to.hear(string(what))
	if look {
		l.wake(store.Wake{})
	}
	if answer {
		return l.say(ctx, c, welcome)
	}
	return nil
}

// say tells the other listeners of this one.
func (l *listener) say(ctx context.Context, c *pgx.Conn, what string) error {
	_, err := c.Exec(ctx, "SELECT pg_notify($1, $2)", presence, l.st.notifier.tag+" "+what)
	return err
}

// nextNotification waits for one; nil when none has come for a while.
func nextNotification(ctx context.Context, c *pgx.Conn) (*pgconn.Notification, error) {
	waiting, cancel := context.WithTimeout(ctx, signOfLife)
	defer cancel()
	n, err := c.WaitForNotification(waiting)
	if err == nil {
		return n, nil
	}
	if ctx.Err() != nil || !errors.Is(waiting.Err(), context.DeadlineExceeded) || c.IsClosed() {
		return nil, err
	}
	return nil, nil // the wait was meant to end
}

// stopListening makes a connection fit to be given back, or breaks it so that the pool drops it.
func stopListening(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.IsClosed() {
		return
	}
	if _, err := c.Exec(ctx, "UNLISTEN *"); err != nil {
		_ = c.Close(ctx)
	}
}

// close ends the listener and all watchers.
func (l *listener) close() {
	l.group.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.mu.watchers {
		delete(l.mu.watchers, c)
		close(c)
	}
}
