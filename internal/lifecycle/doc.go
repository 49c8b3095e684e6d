// Package lifecycle holds the rules of executions, attempts and leases (chapter 10, and chapter 30 for operator
// control). Its functions are pure: a record, a command and the storage time go in; a changed copy with its events comes
// out, or one coded error. They read no clock, do no I/O and never change their arguments, so they may run again.
//
// The state machine is data, in table.go; docs/state-machine.md is printed from it. No other package assigns a state
// field, a public state, a place in the ready index or a due time.
package lifecycle

//go:generate go test -run=^TestStateMachineDoc$ . -update
