// Package simulation runs flows over a store in memory, on a clock of its own, with all that can happen to them: members
// that fail, are lost, cancelled and replayed, edges that come late, cancels of whole flows, and an engine that dies
// between any two commits, or after a commit whose reply nobody saw. After every step that may have changed something the whole store is audited, and in
// the end every flow must come to its end. It consists of tests alone.
//
// A failure names its seed. To run that world again:
//
//	go test ./internal/simulation -run Simulation -seed 1234
//
// The tests take -steps, the least number of steps in all.
package simulation
