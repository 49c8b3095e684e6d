package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/flowfabric/flowfabric/store"
)

// errLost is what a caller sees of a commit whose reply was lost, and of one that never happened.
var errLost = errors.New("the connection is gone")

// disk is a store on a bad line: some commits do not happen, and of some that do the reply is lost.
type disk struct {
	store.Store
	rng     *rand.Rand
	healthy bool
	faults  int
	// lastApplied: the last commit happened, whatever was said of it.
	lastApplied bool
	// changed: a commit may have changed something since this was last reset. A unit that is refused changes nothing.
	changed bool
}

// Apply implements [store.Store].
func (d *disk) Apply(ctx context.Context, units []*store.Unit) error {
	fate := d.rng.IntN(12)
	if d.lastApplied = d.healthy || fate != 0; !d.lastApplied {
		d.faults++
		return errLost
	}
	err := d.Store.Apply(ctx, units)
	d.changed = d.changed || err != nil || slices.ContainsFunc(units, func(u *store.Unit) bool { return u.Err == nil })
	if err != nil || d.healthy || fate != 1 {
		return err
	}
	d.faults++
	return errLost
}
