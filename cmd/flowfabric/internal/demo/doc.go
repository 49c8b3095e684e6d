// Package demo is the demonstration behind the command flowfabric demo: real work on an embedded SQLite store, done by
// several worker processes, with failures on the way and one of the processes killed in the middle.
//
// Every regular file below a folder becomes one execution, which counts its words and lines and hashes it. [Run] submits
// them, starts the processes, kills one, and in the end checks in the store that each file was completed exactly once.
// [Work] is the main function of a worker process. The two talk through the child's standard streams: it reports what it
// does on its output, line by line, and stops when its input is closed.
package demo
