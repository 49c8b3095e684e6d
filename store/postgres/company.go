package postgres

import (
	"sync"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
)

// presence is the channel on which listeners tell of themselves, so that a process which is alone sends no wakes: each
// costs a transaction, and next to small commits they add up.
const presence = "ff_here"

// Messages on the channel.
const (
	hello   = "hello" // a listener begins
	welcome = "welcome"
	stillOn = "still" // now and then
)

const (
	// signOfLife is the pause between two messages that say nothing but that a listener is there.
	signOfLife = 30 * time.Second
	// forgetIn is how long after it was last heard a process counts as gone.
	forgetIn = 100 * time.Second
	// answerIn is how long a listener that begins waits to be welcomed before it takes itself to be alone.
	answerIn = time.Second
)

// company knows whether other processes listen.
type company struct {
	local clock.Clock
	mu    sync.Mutex
	deaf  bool      // no listener of our own is up: others may say what they like
	heard time.Time // when another one was last heard
}

// listens reports whether another process may be listening.
func (c *company) listens() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaf || c.local.Now().Sub(c.heard) < forgetIn
}

// begin says that our own listener is up and has greeted the others.
func (c *company) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = false
	c.heard = c.local.Now().Add(answerIn - forgetIn)
}

// end says that our own listener is down.
func (c *company) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

// hear takes in a message of another process. A newcomer is to be answered: what was committed before this process knew
// of it went untold, so it has to look for itself, and does when it is welcomed.
func (c *company) hear(what string) (answer, look bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = c.local.Now()
	return what == hello, what == welcome
}
