package flowfabric

import "time"

// Timestamp is an instant in unix milliseconds, as the storage clock tells it. The zero value means "unset".
type Timestamp int64

// TimestampOf converts t, dropping what is finer than a millisecond. The zero time gives the zero Timestamp.
func TimestampOf(t time.Time) Timestamp {
	if t.IsZero() {
		return 0
	}
	return Timestamp(t.UnixMilli())
}

// Time returns the instant as a UTC time; the zero Timestamp gives the zero time.
func (t Timestamp) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// IsZero reports whether the instant is unset.
func (t Timestamp) IsZero() bool { return t == 0 }

// Before reports whether t is earlier than u.
func (t Timestamp) Before(u Timestamp) bool { return t < u }

// Add returns the instant d later, dropping what is finer than a millisecond. The sum saturates at [MaxTimestamp]
// instead of overflowing.
func (t Timestamp) Add(d time.Duration) Timestamp {
	ms := Timestamp(d.Milliseconds())
	if ms > 0 && t > MaxTimestamp-ms {
		return MaxTimestamp
	}
	return t + ms
}

// Sub returns the span from u to t.
func (t Timestamp) Sub(u Timestamp) time.Duration { return time.Duration(t-u) * time.Millisecond }

// MaxTimestamp is the latest instant the engine accepts: the end of the year 9999.
const MaxTimestamp Timestamp = 253402300799999
