// Package waitpoint is the rules of waiting (chapter 40): which signals satisfy a condition, what a waitpoint accepts, what
// is recorded when an execution is suspended, signalled and resumed, and what a token is. Like every rule package it is
// pure: no I/O, no clock. What waiting does to the execution itself says package lifecycle.
package waitpoint
