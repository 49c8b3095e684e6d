// Package config reads the configuration of the server from its environment (chapter 70, section 8). It is for binaries:
// libraries are configured by their callers. It reads what it is given and the files that names, and nothing else.
package config
