package postgres

import (
	"cmp"
	"slices"

	"github.com/flowfabric/flowfabric/store/record"
)

// turns are the contended records a transaction has locked by reading them. Transactions that wait for each other would
// be a deadlock, which the server takes a second to see. So a transaction waits only for records that stand behind all it
// holds, in one order for all; for another it does not wait, but starts again and locks first all it has ever asked for.
type turns struct {
	asked     map[record.Key]struct{} // by this try and those before
	held      map[record.Key]struct{} // by this try
	last      record.Key              // the one of them that stands behind the others; nil without any
	impatient bool                    // this try has asked for one out of turn
}

// restart begins another try.
func (w *turns) restart() { w.held, w.last, w.impatient = nil, nil, false }

// compareTurns is the order in which contended records are locked: by family as they are written, then by key.
func compareTurns(x, y record.Key) int {
	return cmp.Or(cmp.Compare(familyIndex[x.Family()], familyIndex[y.Family()]), record.CompareKeys(x, y))
}

var familyIndex = func() map[record.Family]int {
	index := make(map[record.Family]int, len(families))
	for i, f := range families {
		index[f.name] = i
	}
	return index
}()

// first returns what to lock before anything else: what earlier tries have asked for.
func (w *turns) first() []record.Key {
	if w == nil || w.last != nil {
		return nil
	}
	keys := make([]record.Key, 0, len(w.asked))
	for key := range w.asked {
		keys = append(keys, key)
	}
	return keys
}

// split sorts keys of one family into those whose turn is still to come, which may be waited for, and those it has passed.
func (w *turns) split(keys []record.Key) (coming, passed []record.Key) {
	slices.SortFunc(keys, compareTurns)
	if w == nil {
		return keys, nil
	}
	for _, key := range keys {
		_, held := w.held[key]
		if held || w.last == nil || compareTurns(key, w.last) > 0 {
			coming = append(coming, key)
		} else {
			passed = append(passed, key)
		}
	}
	w.impatient = w.impatient || len(passed) > 0
	for _, key := range keys {
		w.hold(key)
	}
	return coming, passed
}

// hold notes that a record is locked, or about to be.
func (w *turns) hold(key record.Key) {
	if w == nil {
		return
	}
	if w.asked == nil {
		w.asked = make(map[record.Key]struct{})
	}
	if w.held == nil {
		w.held = make(map[record.Key]struct{})
	}
	w.asked[key], w.held[key] = struct{}{}, struct{}{}
	if w.last == nil || compareTurns(key, w.last) > 0 {
		w.last = key
	}
}

// refused reports whether a load failed because another transaction has a record that was asked for out of turn.
func (w *turns) refused(err error) bool {
	return w.impatient && codeOf(err) == codeLockTimeout
}
