// Package bench measures an engine over a store, the way its users meet it: through the public packages, with durable
// commits, on tables that were empty when it began. A run is one [Scenario]; [Run] makes a database for it, measures and
// removes it.
//
//	res, err := bench.Run(ctx, bench.Options{Store: "sqlite:", Scenario: bench.Throughput, Workers: 2000})
//
// Rates count executions whose commit was acknowledged, and the clock stops at the last acknowledgement. CPU is that of
// this process and, when the server runs on this machine, that of all processes of the server, whatever else it does: a
// figure per execution is worth reading on a server that does nothing else.
package bench
