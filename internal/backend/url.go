package backend

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrURL is wrapped by the errors of URLs that name no store.
var ErrURL = errors.New("not the URL of a store")

const forms = "want sqlite:PATH, memory:, memory:?shards=N or postgres://user@host/database"

// Kind is a sort of store.
type Kind string

// Kinds.
const (
	SQLite   Kind = "sqlite"
	Memory   Kind = "memory"
	Postgres Kind = "postgres"
)

// KindOf returns the sort of store a URL names, looking no further than its scheme. It fails with [ErrURL].
func KindOf(rawURL string) (Kind, error) {
	scheme, _, ok := strings.Cut(rawURL, ":")
	if !ok {
		return "", fmt.Errorf("%w: %q has no scheme; %s", ErrURL, rawURL, forms)
	}
	switch scheme {
	case "sqlite", "memory", "postgres":
		return Kind(scheme), nil
	case "postgresql":
		return Postgres, nil
	}
	return "", fmt.Errorf("%w: the scheme %q is unknown; %s", ErrURL, scheme, forms)
}

// Redact returns a URL without its password, for people to read.
func Redact(rawURL string) string {
	if kind, err := KindOf(rawURL); err != nil || kind != Postgres {
		return rawURL
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "postgres://…" // what cannot be parsed may have its password anywhere
	}
	q := u.Query()
	if q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// SQLitePath returns the path in a SQLite URL; it may be empty. It fails with [ErrURL].
func SQLitePath(rawURL string) (string, error) {
	path := strings.TrimPrefix(rawURL, "sqlite:")
	if strings.HasPrefix(path, "//") {
		return "", fmt.Errorf("%w: %q: the path of a file follows the colon, as in sqlite:data/app.db or sqlite:/var/lib/app.db", ErrURL, rawURL)
	}
	return path, nil
}

// memoryShards returns the number of shards in a memory URL.
func memoryShards(rawURL string) (int, error) {
	query, hasQuery := strings.CutPrefix(strings.TrimPrefix(rawURL, "memory:"), "?")
	values, err := url.ParseQuery(query)
	for key := range values {
		if key != "shards" {
			err = fmt.Errorf("the option %q is unknown", key)
		}
	}
	if err != nil || query != "" && !hasQuery {
		return 0, fmt.Errorf("%w: %q; want memory: or memory:?shards=N", ErrURL, rawURL)
	}
	if !values.Has("shards") {
		return 1, nil
	}
	n, err := strconv.Atoi(values.Get("shards"))
	if err != nil || n < 1 || n > math.MaxUint16+1 {
		return 0, fmt.Errorf("%w: %q: shards must be a number from 1 to 65536", ErrURL, rawURL)
	}
	return n, nil
}

// checkPostgres fails with [ErrURL] on a URL the driver does not understand.
func checkPostgres(rawURL string) error {
	if _, err := pgx.ParseConfig(rawURL); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrURL, Redact(rawURL), err)
	}
	return nil
}
