// Package bench measures an engine over a store, the way its users meet it: through the public packages, with durable
// commits, on tables that were empty when it began. A run is one [Scenario]; [Run] makes a database for it, measures and
// removes it.
//
//	res, err := bench.Run(ctx, bench.Options{Store: "sqlite:", Scenario: bench.Throughput, Workers: 2000})
//
// With [Options.Program] the store is served by a process of its own and everything goes through a client: what a remote worker
// or a program in another language would see, less the network. [Remote] compares the two.
//
// Rates count executions whose commit was acknowledged, and the clock stops at the last acknowledgement. CPU is that of
// this process, of the one that serves the store and, when the database runs on this machine, that of all its processes,
// whatever else it does: a figure per execution is worth reading on a database that does nothing else.
package bench
