package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"
)

// Bounds of what one demonstration takes on, so that it ends within seconds in any folder.
const (
	maxFiles      = 20_000
	maxFileBytes  = 32 << 20
	maxTotalBytes = 1 << 30
)

// Errors about the folder.
var (
	ErrFolder  = errors.New("not a folder that can be read")
	ErrNoFiles = errors.New("no regular file below the folder")
)

// file is one file to count. Path is relative to the folder of the run.
type file struct {
	Path    string
	Size    int64
	ModTime time.Time
}

// scanned is what was found, and what of it was left out, by reason.
type scanned struct {
	files   []file
	bytes   int64
	skipped map[string]int
}

// scan finds the files below dir. Folders named .git are left out.
func scan(dir string) (*scanned, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	s := &scanned{skipped: make(map[string]int)}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			s.skipped["unreadable"]++
			return nil //nolint:nilerr // what cannot be read is left out, and the report says so
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return s.add(dir, path, d)
	})
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", dir, err)
	}
	if len(s.files) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoFiles, dir)
	}
	return s, nil
}

func (s *scanned) add(dir, path string, d fs.DirEntry) error {
	info, err := d.Info()
	rel, relErr := filepath.Rel(dir, path)
	switch {
	case err != nil || relErr != nil || !readable(path):
		s.skipped["unreadable"]++
	case !utf8.ValidString(rel):
		s.skipped["with a name that is not UTF-8"]++
	case info.Size() > maxFileBytes:
		s.skipped[fmt.Sprintf("over %d MiB", maxFileBytes>>20)]++
	case len(s.files) == maxFiles || s.bytes+info.Size() > maxTotalBytes:
		s.skipped[fmt.Sprintf("beyond the first %d files or %d MiB", maxFiles, maxTotalBytes>>20)]++
	default:
		s.files = append(s.files, file{Path: rel, Size: info.Size(), ModTime: info.ModTime()})
		s.bytes += info.Size()
	}
	return nil
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// changed reports whether a file is no longer what the scan found.
func (f file) changed(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, f.Path))
	return err != nil || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime)
}
