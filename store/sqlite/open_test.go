package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/store"
)

func TestOpen_RefusesWhatIsNoUsableConfiguration(t *testing.T) {
	for _, tc := range []struct {
		path string
		cfg  Config
		want string
	}{
		{"", Config{}, "sqlite: the path is empty; a store that keeps nothing is store/memory"},
		{":memory:", Config{}, `sqlite: ":memory:" is not a file; use store/memory`},
		{"file:a.db?mode=memory", Config{}, `sqlite: "file:a.db?mode=memory" is a URI; want a plain path`},
		{"a.db", Config{Synchronous: "OFF"}, `sqlite: Config.Synchronous is "OFF"; want "FULL" or "NORMAL"`},
		{"a.db", Config{Readers: 65}, "sqlite: Config.Readers is 65; want 1 to 64"},
		{"a.db", Config{Readers: -1}, "sqlite: Config.Readers is -1; want 1 to 64"},
		{"a.db", Config{BusyTimeout: time.Microsecond}, "sqlite: Config.BusyTimeout is 1µs; want 1ms to 10m"},
	} {
		_, err := Open(t.Context(), tc.path, &tc.cfg)
		if err == nil || err.Error() != tc.want {
			t.Errorf("Open(%q, %+v) = %v; want %s", tc.path, tc.cfg, err, tc.want)
		}
	}
}

func TestOpen_MigratesOnce(t *testing.T) {
	path := newPath(t)
	id := newID()
	s := open(t, path, nil)
	apply(t, s, submit(id))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if stored(t, open(t, path, nil), id) == nil {
		t.Error("the execution is gone after the file was opened again")
	}
}

func TestOpen_ManyAtOnceMigrateANewFileTogether(t *testing.T) {
	path := newPath(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Apply(t.Context(), []*store.Unit{submit(newID())}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d, err := open(t, path, nil).Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Executions) != 8 {
		t.Errorf("%d executions; want 8", len(d.Executions))
	}
}

func TestOpen_RefusesANewerFile(t *testing.T) {
	path := newPath(t)
	if err := open(t, path, nil).Close(); err != nil {
		t.Fatal(err)
	}
	script(t, path, "UPDATE ff_schema SET version = 99")
	_, err := Open(t.Context(), path, nil)
	if want := "the file has schema version 99; this release knows versions up to 11"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Open = %v; want %s", err, want)
	}
}

func TestOpen_LeavesAnotherApplicationsDatabaseAlone(t *testing.T) {
	path := newPath(t)
	script(t, path, "CREATE TABLE orders (id INTEGER)")
	before := read(t, path)
	_, err := Open(t.Context(), path, nil)
	if want := "the file is a database of another application"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Open = %v; want %s", err, want)
	}
	if diff := cmp.Diff(before, read(t, path)); diff != "" {
		t.Error("the file was changed")
	}
}

func TestOpen_SharesAnotherApplicationsDatabaseIfAsked(t *testing.T) {
	path := newPath(t)
	script(t, path, "CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (5)")
	s := open(t, path, &Config{Shared: true})
	id := newID()
	apply(t, s, submit(id))
	if got := ask(t, path, "SELECT id FROM orders"); got != "5" {
		t.Errorf("its row is %s; want 5", got)
	}
	if stored(t, open(t, path, nil), id) == nil { // it is ours, too, by now
		t.Error("the execution is gone after the file was opened again")
	}
}

func TestOpen_RefusesWhatIsNoDatabase(t *testing.T) {
	path := newPath(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("This is a letter. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, nil); err == nil {
		t.Error("Open took a letter for a database")
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "missing", "test.db"), nil); err == nil {
		t.Error("Open found a directory that does not exist")
	}
}

func TestReadSteps_WantsNumbersWithoutGaps(t *testing.T) {
	step := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	got, err := readSteps(fstest.MapFS{"migrations/0002_b.sql": step("B"), "migrations/0001_a.sql": step("A")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A", "B"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := readSteps(fstest.MapFS{"migrations/0002_b.sql": step("B")}); err == nil {
		t.Error("a gap was accepted")
	}
}

func TestClose_EndsWhatComesAfter(t *testing.T) {
	s := open(t, newPath(t), nil)
	wakes, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, more := <-wakes; more {
		t.Error("a wake after Close")
	}
	if err := s.Apply(t.Context(), []*store.Unit{submit(newID())}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Apply = %v; want ErrClosed", err)
	}
	if _, err := s.View(t.Context(), store.Reads{NextDue: true}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View = %v; want ErrClosed", err)
	}
	if _, err := s.Dump(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Dump = %v; want ErrClosed", err)
	}
	if _, err := s.Watch(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Watch = %v; want ErrClosed", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
