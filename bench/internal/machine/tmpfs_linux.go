package machine

import "syscall"

// InMemory reports whether a folder is on a file system that keeps its files in memory, where a sync costs nothing.
func InMemory(folder string) bool {
	const tmpfs = 0x01021994
	var fs syscall.Statfs_t
	return syscall.Statfs(folder, &fs) == nil && int64(fs.Type) == tmpfs
}
