package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

func TestTwoStores_NeverClaimTheSameExecution(t *testing.T) {
	path := newPath(t)
	first, second := open(t, path, nil), open(t, path, nil)
	const total = 200
	for range total {
		apply(t, first, submit(newID()))
	}
	var wg sync.WaitGroup
	got := make([][]*record.Execution, 2)
	for i, s := range []*Store{first, second} {
		wg.Go(func() {
			for {
				u := claim(3)
				if err := s.Apply(t.Context(), []*store.Unit{u}); err != nil {
					t.Error(err)
					return
				}
				if len(u.Wrote) == 0 {
					return
				}
				got[i] = append(got[i], u.Wrote...)
			}
		})
	}
	wg.Wait()
	seen := map[ff.ExecutionID]bool{}
	for _, e := range slices.Concat(got...) {
		if seen[e.ID] {
			t.Errorf("%s was claimed twice", e.ID)
		}
		seen[e.ID] = true
	}
	if len(seen) != total {
		t.Errorf("%d executions claimed; want %d", len(seen), total)
	}
}

func TestTwoStores_SeeEachOthersWrites(t *testing.T) {
	path := newPath(t)
	first, second := open(t, path, nil), open(t, path, nil)
	id := newID()
	raise := put(id, func(e *record.Execution) *record.Execution {
		n := *e
		n.Priority++
		return &n
	})
	apply(t, first, submit(id))
	apply(t, second, raise)
	apply(t, first, raise)
	apply(t, second, raise)
	e := stored(t, first, id)
	if e.Priority != 3 || e.Version != 4 {
		t.Errorf("priority %d, version %d; want 3 and 4", e.Priority, e.Version)
	}
}

func TestWatch_TellsOfOthersAndNotOfItself(t *testing.T) {
	path := newPath(t)
	first, second := open(t, path, nil), open(t, path, nil)
	ctx, cancel := context.WithCancel(t.Context())
	wakes, err := first.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := version(t, first)
	apply(t, first, submit(newID()))
	if after := version(t, first); after != before {
		t.Errorf("the store's own commit changed the version from %d to %d", before, after)
	}
	apply(t, second, submit(newID()))
	if wake := <-wakes; wake != (store.Wake{}) {
		t.Errorf("wake %v; want one for any lane", wake)
	}
	cancel()
	for range wakes {
	}
}

func version(t *testing.T, s *Store) int64 {
	t.Helper()
	v, err := s.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestApply_GivesUpOnAWriterThatStays(t *testing.T) {
	path := newPath(t)
	holder, s := open(t, path, nil), open(t, path, &Config{BusyTimeout: 30 * time.Millisecond})
	held, err := holder.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := newID()
	if err := s.Apply(t.Context(), []*store.Unit{submit(id)}); !errors.Is(err, store.ErrTransient) {
		t.Errorf("Apply = %v; want ErrTransient", err)
	}
	held.Close()
	apply(t, s, submit(id))
}

func TestApply_WaitingForAnotherWriterEndsWithItsContext(t *testing.T) {
	path := newPath(t)
	holder, s := open(t, path, nil), open(t, path, &Config{BusyTimeout: time.Minute})
	held, err := holder.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Apply(ctx, []*store.Unit{submit(newID())}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply = %v; want the context's error", err)
	}
}

// A crash is a copy of the files, taken in the middle of a transaction.
func TestCrash_KeepsWhatWasCommittedAndNothingElse(t *testing.T) {
	path := newPath(t)
	s := open(t, path, nil)
	kept, lost := newID(), newID()
	apply(t, s, submit(kept))
	u := put(lost, func(*record.Execution) *record.Execution { return ready(lost) })
	crashed := ""
	err := store.Execute(t.Context(), []*store.Unit{u}, func(ctx context.Context) (store.Session, error) {
		sn, err := s.begin(ctx)
		return &beforeCommit{sn, func() { crashed = copyFiles(t, path) }}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	after := open(t, crashed, nil)
	if stored(t, after, kept) == nil {
		t.Error("a committed execution is gone")
	}
	if stored(t, after, lost) != nil {
		t.Error("an execution that was not committed is there")
	}
	apply(t, after, claim(10), submit(lost))
}

// beforeCommit is a session that is interrupted when everything but COMMIT was done.
type beforeCommit struct {
	store.Session
	crash func()
}

func (b *beforeCommit) Commit(ctx context.Context, ch *store.Changes) error {
	sn := b.Session.(*session)
	if err := sn.conn.writes.apply(ch); err != nil {
		return err
	}
	b.crash()
	return sn.conn.commit.run()
}

// copyFiles copies a database with its log and returns the copy's path.
func copyFiles(t *testing.T, path string) string {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(dst+suffix, read(t, path+suffix), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}
