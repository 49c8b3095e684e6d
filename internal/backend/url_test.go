package backend

import (
	"errors"
	"testing"
)

func TestKindOf(t *testing.T) {
	for url, want := range map[string]Kind{
		"sqlite:app.db": "sqlite", "sqlite:": "sqlite", "memory:": "memory", "memory:?shards=8": "memory",
		"postgres://localhost/app": "postgres", "postgresql://localhost/app": "postgres",
	} {
		if got, err := KindOf(url); got != want || err != nil {
			t.Errorf("KindOf(%q) = %q, %v; want %q", url, got, err, want)
		}
	}
}

func TestOpen_RefusesWhatNamesNoStore(t *testing.T) {
	for _, url := range []string{
		"", "app.db", "mysql://localhost/app", "sqlite:", "sqlite://app.db", "sqlite:///app.db",
		"memory:x", "memory:?shards=0", "memory:?shards=x", "memory:?shards=65537", "memory:?size=1",
		"postgres://localhost:port/app", "postgres://localhost/app?sslmode=maybe",
	} {
		if _, _, err := Open(t.Context(), url); !errors.Is(err, ErrURL) {
			t.Errorf("Open(%q) = %v; want %v", url, err, ErrURL)
		}
	}
}

func TestRedact(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:a:b@c":                          "sqlite:a:b@c",
		"postgres://ann@localhost/app":          "postgres://ann@localhost/app",
		"postgres://ann:secret@localhost/app":   "postgres://ann:xxxxx@localhost/app",
		"postgres://localhost/app?password=abc": "postgres://localhost/app?password=xxxxx",
		"postgres://ann:sec%ret@localhost/app":  "postgres://…",
	} {
		if got := Redact(url); got != want {
			t.Errorf("Redact(%q) = %q; want %q", url, got, want)
		}
	}
}
