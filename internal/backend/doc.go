// Package backend opens the store that a URL names, for binaries. It is the one package that links all stores.
//
//	sqlite:PATH                    a SQLite file, created if there is none
//	memory:                        in this process, forgotten with it; memory:?shards=8 spreads it over shards
//	postgres://user@host/database  a PostgreSQL database, also postgresql://; its schema must have been migrated
//
// Errors say what a person can do about them and never contain a password.
package backend
