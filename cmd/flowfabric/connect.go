package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// defaultServer is where a server listens unless it is told otherwise.
const defaultServer = "http://127.0.0.1:9090"

// closeTimeout bounds how long an engine of a command takes to stop.
const closeTimeout = 10 * time.Second

// target says where a command finds executions: at a server, or in a store that it opens itself.
type target struct {
	server, token, store string
}

const targetHelp = `The command talks to a server, --server or FF_SERVER, with the token in --token or FF_TOKEN; or it opens a
store itself, --store, beside whatever else uses that.`

func (t *target) flags(flags *pflag.FlagSet) {
	flags.StringVar(&t.server, "server", "", "`URL` of the server (default $FF_SERVER, or else "+defaultServer+")")
	flags.StringVar(&t.token, "token", "", "bearer `TOKEN` for the server (default $FF_TOKEN, which others cannot see)")
	flags.StringVar(&t.store, "store", "", "`URL` of a store to open instead: sqlite:PATH, postgres://user@host/database")
}

// connect returns the service a command works on, and what ends it.
func (t *target) connect(ctx context.Context) (flowfabric.Service, func() error, error) {
	switch {
	case t.store != "" && t.server != "":
		return nil, nil, usageError{errors.New("--server and --store are two places; name one")}
	case t.store != "":
		return openStore(ctx, t.store)
	}
	return dial(cmp.Or(t.server, os.Getenv("FF_SERVER"), defaultServer), cmp.Or(t.token, os.Getenv("FF_TOKEN")))
}

// dial returns a client of a server. It asks nothing yet.
func dial(url, token string) (flowfabric.Service, func() error, error) {
	c, err := client.New(url, client.Config{Token: token})
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--server: %w", err)}
	}
	return c, func() error { c.Close(); return nil }, nil
}

// openStore returns an engine over a store.
func openStore(ctx context.Context, url string) (flowfabric.Service, func() error, error) {
	st, closeStore, err := backend.Open(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return nil, nil, errors.Join(backend.Explain(url, err), closeStore())
	}
	return eng, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(eng.Close(ctx), closeStore())
	}, nil
}
