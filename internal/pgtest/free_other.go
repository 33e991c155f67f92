//go:build !linux

package pgtest

// freeBytes knows of no file system in memory.
func freeBytes(string) uint64 { return 0 }
