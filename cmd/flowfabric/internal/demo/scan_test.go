package demo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes files, folders included, and returns the folder they are in.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScan_FindsRegularFilesOutsideGit(t *testing.T) {
	dir := write(t, map[string]string{"a.txt": "1", "b/c.txt": "22", ".git/config": "3", "b/.git/x": "4", "empty": ""})
	if err := os.Symlink(filepath.Join(dir, "a.txt"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s, err := scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.files {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff([]string{"a.txt", "b/c.txt", "empty"}, got); diff != "" || s.bytes != 3 {
		t.Errorf("%d bytes, want 3; %s", s.bytes, diff)
	}
}

func TestScan_RefusesFoldersWithNothingToDo(t *testing.T) {
	if _, err := scan(t.TempDir()); !errors.Is(err, ErrNoFiles) {
		t.Errorf("scan of an empty folder = %v; want %v", err, ErrNoFiles)
	}
	dir := write(t, map[string]string{"a": ""})
	for _, name := range []string{"a", "b"} {
		if _, err := scan(filepath.Join(dir, name)); !errors.Is(err, ErrFolder) {
			t.Errorf("scan of %s = %v; want %v", name, err, ErrFolder)
		}
	}
}

func TestScan_LeavesOutLargeFiles(t *testing.T) {
	dir := write(t, map[string]string{"small": "1", "large": ""})
	if err := os.Truncate(filepath.Join(dir, "large"), maxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	s, err := scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"over 32 MiB": 1}, s.skipped); diff != "" || len(s.files) != 1 {
		t.Errorf("%d files; %s", len(s.files), diff)
	}
}

func TestChanged(t *testing.T) {
	dir := write(t, map[string]string{"a": "1", "b": "2", "c": "3"})
	s, err := scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("22"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true} {
		if got := s.files[i].changed(dir); got != want {
			t.Errorf("%s changed = %v", s.files[i].Path, got)
		}
	}
}
