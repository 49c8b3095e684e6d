// Package engine is the embedded engine: it runs over a store, in the caller's process, and implements
// [flowfabric.Service].
//
//	st, err := sqlite.Open(ctx, "app.db", nil)
//	eng, err := engine.Open(ctx, st, engine.Config{})
//	defer eng.Close(ctx)
//
// Any number of engines may share one PostgreSQL database; each carries on what the others left when they died. An engine
// runs a group commit, the claim path and the loop over due times; at rest it asks the store about once a second whether
// anything is due.
package engine
