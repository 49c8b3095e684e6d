//go:build !linux

package bench

// inMemory reports whether a folder is on a file system that keeps its files in memory. Only Linux tells.
func inMemory(string) bool { return false }
