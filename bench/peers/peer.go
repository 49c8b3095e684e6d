package main

import (
	"context"
	"errors"
	"time"
)

// errUnsupported is what a peer answers that has no call of the kind; its cell says so.
var errUnsupported = errors.New("unsupported")

// peer is a job queue under measurement, on a database of its own.
type peer interface {
	// Submit makes one no-op job durable, as far as the peer promises it.
	Submit(ctx context.Context) error
	// SubmitMany makes n of them durable in one call.
	SubmitMany(ctx context.Context, n int) error
	// Start runs jobs in as many slots and calls job in each. stop lets those that run end and returns when what they did
	// is written. It is called at most once.
	Start(ctx context.Context, slots int, job func()) (stop func(), err error)
	// CPU is the time the database's processes have used so far; 0 for a database in this process.
	CPU() time.Duration
	Close()
}

// entrant opens a peer.
type entrant struct {
	name  string
	store string // what it keeps its jobs in, and how durably
	needs string // the environment variable that names its server; empty for none
	open  func(ctx context.Context) (peer, error)
}

// entrants are in the order of the table: each of the first ones stands above those it is compared with.
var entrants = []entrant{
	{"FlowFabric", "PostgreSQL", postgresURL, openOurs},
	{"River 0.51", "PostgreSQL", postgresURL, openRiver},
	{"DBOS Go 1.8", "PostgreSQL", postgresURL, openDBOS},
	{"FlowFabric", "SQLite, synchronous=FULL", "", openOurs},
	{"goqite 0.4", "SQLite, synchronous=FULL", "", openGoqite},
	{"backlite 0.6", "SQLite, synchronous=FULL", "", openBacklite},
	{"asynq 0.26", "Redis, append-only file, fsync each second", redisURL, openAsynq},
}

// Servers are named by the environment.
const (
	postgresURL = "FF_PG_TEST_URL"
	redisURL    = "FF_REDIS_TEST_URL"
)
