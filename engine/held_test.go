package engine

import (
	"testing"
	"time"

	"github.com/google/uuid"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

const heldAt ff.Timestamp = 1_700_000_000_000

func leased(n uint32, at ff.Timestamp, payload int) *record.Execution {
	return &record.Execution{
		ID:    ff.ExecutionIDFrom(1, uuid.UUID{byte(n >> 16), byte(n >> 8), byte(n)}),
		State: ff.StateVector{Ownership: ff.Leased}, Payload: make([]byte, payload), LastMutationAt: at, LeaseExpiresAt: at.Add(time.Second),
	}
}

func wantHeld(t *testing.T, h *held, records, most int) {
	t.Helper()
	if len(h.mu.records) != records || h.mu.bytes > most || records == 0 && h.mu.bytes != 0 {
		t.Errorf("%d records of %d bytes are held, want %d records, at most %d bytes", len(h.mu.records), h.mu.bytes, records, most)
	}
}

func TestHeld_KeepsTheLatestRecordWhileItIsLeased(t *testing.T) {
	h := newHeld()
	first, second := leased(1, heldAt, 10), leased(1, heldAt+1, 20)
	h.note(first)
	h.note(second)
	if e, ok := h.lookup(first.ID); !ok || e != second {
		t.Errorf("it holds %v, %t", e, ok)
	}
	ended := leased(1, heldAt+2, 0)
	ended.State.Ownership = ff.Unowned
	h.note(ended)
	wantHeld(t, h, 0, 0)
	h.note(second)
	h.forget(second.ID)
	h.forget(second.ID)
	wantHeld(t, h, 0, 0)
}

func TestHeld_IsBoundedByCount(t *testing.T) {
	h := newHeld()
	for n := range uint32(maxHeld + 10) {
		h.note(leased(n, heldAt, 0))
	}
	wantHeld(t, h, maxHeld, maxHeldBytes)
}

func TestHeld_IsBoundedByBytes(t *testing.T) {
	h := newHeld()
	for n := range uint32(100) {
		h.note(leased(n, heldAt, 1<<20))
	}
	wantHeld(t, h, 63, maxHeldBytes) // each takes a little more than its MiB
	h.note(leased(200, heldAt, 0))
	wantHeld(t, h, 64, maxHeldBytes)
}

// TestHeld_ForgetsLeasesThatRanOutLongAgo: another process may have taken them on, and does not tell.
func TestHeld_ForgetsLeasesThatRanOutLongAgo(t *testing.T) {
	h := newHeld()
	for n := range uint32(10) {
		h.note(leased(n, heldAt, 0))
	}
	h.note(leased(20, heldAt.Add(time.Second+heldFor), 0))
	wantHeld(t, h, 11, maxHeldBytes)
	h.note(leased(21, heldAt.Add(2*(time.Second+heldFor)), 0))
	wantHeld(t, h, 2, maxHeldBytes)
}
