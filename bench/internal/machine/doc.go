// Package machine reads what programs use of this machine: the CPU time of this process, of a server beside it and of
// all programs together.
package machine
