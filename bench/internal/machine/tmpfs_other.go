//go:build !linux

package machine

// InMemory reports whether a folder is on a file system that keeps its files in memory. Only Linux tells.
func InMemory(string) bool { return false }
