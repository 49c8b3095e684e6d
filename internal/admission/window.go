package admission

import (
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// steps is how many instants a window tells apart. A quota with a rate above it counts what begins within a step of the
// window as of the end of that step, so that it keeps the rate, and is late by a step at most.
const steps = 256

// begun drops the entries that are over: one exactly a window old is (chapter 60, section 7.2).
func begun(q *record.Quota, entries []record.WindowEntry, now ff.Timestamp) []record.WindowEntry {
	if q.Rate == 0 {
		return nil
	}
	from := now.Add(-window(q)) // the last instant that is over
	if q.WindowKind == ff.FixedWindow {
		from = windowStart(q, now) - 1
	}
	for len(entries) > 0 && entries[0].At <= from {
		entries = entries[1:]
	}
	return entries
}

func window(q *record.Quota) time.Duration { return time.Duration(q.WindowMS) * time.Millisecond }

func windowStart(q *record.Quota, now ff.Timestamp) ff.Timestamp {
	return now - now%ff.Timestamp(q.WindowMS)
}

func total(entries []record.WindowEntry) (n int64) {
	for _, e := range entries {
		n += e.N
	}
	return n
}

// enter adds what begins now.
func enter(q *record.Quota, entries []record.WindowEntry, now ff.Timestamp) []record.WindowEntry {
	at := now
	switch step := ff.Timestamp((q.WindowMS + steps - 1) / steps); {
	case q.WindowKind == ff.FixedWindow:
		at = windowStart(q, now)
	case q.Rate > steps && now%step != 0:
		at = now - now%step + step
	}
	last := len(entries) - 1
	if last >= 0 && entries[last].At >= at { // clocks of processes differ a little: the later one counts
		entries[last].N++
		return entries
	}
	return append(entries, record.WindowEntry{At: at, N: 1})
}

// freeAt is when the window next takes one more; 0 if it does now. entries are those of [begun].
func freeAt(q *record.Quota, entries []record.WindowEntry, now ff.Timestamp) ff.Timestamp {
	if q.Rate == 0 {
		return 0
	}
	over := total(entries) - q.Rate + 1
	if over <= 0 {
		return 0
	}
	for _, e := range entries {
		if over -= e.N; over <= 0 {
			if q.WindowKind == ff.FixedWindow {
				return windowStart(q, now).Add(window(q))
			}
			return e.At.Add(window(q))
		}
	}
	return now.Add(window(q))
}

// InWindow tells how many were begun within the window that ends now, and when one more may be; 0 for now.
func InWindow(q *record.Quota, u *record.QuotaUse, now ff.Timestamp) (int64, ff.Timestamp) {
	if q.Rate == 0 {
		return 0, 0
	}
	entries := begun(q, u.Window, now)
	return total(entries), freeAt(q, entries, now)
}
