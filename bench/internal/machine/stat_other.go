//go:build !linux

package machine

// CPU returns what the machine's CPU has done. Only Linux tells.
func CPU() Usage { return Usage{} }
