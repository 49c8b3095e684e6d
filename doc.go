// Package flowfabric is the vocabulary of the FlowFabric durable execution engine: identifiers and partitions, the
// execution state vector, policies, the commands a [Service] accepts and the results it gives, and the coded [Error].
// It runs nothing.
//
// What runs lives beside it. Package engine is the embedded engine over a store (store/sqlite, store/postgres,
// store/memory); package worker runs typed handlers against any [Service]:
//
//	st, err := sqlite.Open(ctx, "app.db", nil)
//	eng, err := engine.Open(ctx, st, engine.Config{})
//	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"mail"}})
//	worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, in Mail) (Receipt, error) { … })
//	err = w.Run(ctx)
//
// # Model
//
// An execution is one piece of durable work. It is submitted into a lane, claimed by a worker under a lease, and ends
// once: success, failed, cancelled, expired or skipped. A lease is fenced: every acquisition raises the epoch, and a
// write that presents an older fence is refused. All instants are [Timestamp], milliseconds of the storage clock.
//
// Until version 1.0 exported names may change with a minor version; CHANGELOG.md says how.
package flowfabric
