package store

import (
	"math/rand/v2"
	"sync"

	"github.com/flowfabric/flowfabric/store/record"
)

// Bounds of what is believed.
const (
	maxBelieved = 10_000
	// maxDoubt bounds how often a record is read before it is believed again. It is read once after a belief that was wrong,
	// and twice as often after each that follows: where several processes write, a commit that fails costs more than a read.
	maxDoubt = 64
)

// Beliefs are records of keyed families, as the units of a process leave them: whoever is next decides on them without
// reading them, and need not wait until they are committed. So batches that change one counter overlap: while the store
// writes one, the next is decided. Nothing depends on a belief being true. A batch that was decided on one writes or guards
// it by its version, versions of these families never repeat ([record.Family.Believed]), and so the commit of a batch whose
// beliefs did not come true, because another process wrote the record or the batch before it failed, fails with
// [ErrConflict] and runs again on what is read.
//
// A Beliefs belongs to one store. It is safe for concurrent use.
type Beliefs struct {
	// turn is held by the batch that is decided, from before it reads anything until the next may believe what it writes.
	turn sync.Mutex
	// last is closed when the batch that was decided last, and all before it, have ended; nil before the first. Who holds the turn
	// may use it.
	last chan struct{}

	mu    sync.Mutex
	pages map[record.Key]*page
}

// page is what is believed of a record.
type page struct {
	rec    record.Keyed
	unread int // how often it is to be read before it is believed
	doubt  int // what unread becomes when a belief is wrong
}

// NewBeliefs returns beliefs about nothing.
func NewBeliefs() *Beliefs { return &Beliefs{pages: make(map[record.Key]*page)} }

// beliefsOf are those of the units, nil for none.
func beliefsOf(units []*Unit) *Beliefs {
	for _, u := range units {
		if u.Beliefs != nil {
			return u.Beliefs
		}
	}
	return nil
}

func (b *Beliefs) lookup(key record.Key) (record.Keyed, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[key]
	if p == nil || p.unread > 0 {
		return nil, false
	}
	return p.rec, true
}

// expect takes over what a batch has read and will have written.
func (b *Beliefs) expect(k *keyedRecords) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, ent := range k.known {
		if !key.Family().Believed() {
			continue
		}
		p := b.pages[key]
		switch {
		case ent.current == nil:
			delete(b.pages, key)
			continue
		case p == nil:
			if len(b.pages) >= maxBelieved {
				clear(b.pages) // those in use are back soon
			}
			p = &page{doubt: 1}
			b.pages[key] = p
		case !ent.assumed && p.unread > 0:
			p.unread--
		}
		p.rec = ent.current
	}
}

// settle learns what became of a batch that was expected to be written.
func (b *Beliefs) settle(k *keyedRecords, written bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, ent := range k.known {
		p := b.pages[key]
		switch {
		case p == nil || written && !ent.assumed:
		case written:
			p.doubt = 1
		default:
			p.unread = p.doubt
			p.doubt = min(2*p.doubt, maxDoubt)
		}
	}
}

// nextVersion is the version of a record that is written over stored, or as a new one.
func nextVersion(family record.Family, stored record.Keyed) int64 {
	switch {
	case family.Believed():
		return 1 + rand.Int64N(1<<62)
	case stored == nil:
		return 1
	default:
		return *stored.VersionField() + 1
	}
}
