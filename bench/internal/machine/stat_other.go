//go:build !linux

package machine

// CPU returns what the machine's CPU has done. Only Linux tells.
func CPU() Usage { return Usage{} }

// ResidentBytes returns how much memory this process has in use. Only Linux tells; it is 0 elsewhere.
func ResidentBytes() int64 { return 0 }
