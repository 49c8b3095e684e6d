// Package ops turns commands into units: what to read, the rule of internal/lifecycle to apply, what to write. It is the
// only writer of state. It validates commands, so that every way into the engine has the same rules; it starts nothing
// and does no I/O.
package ops
