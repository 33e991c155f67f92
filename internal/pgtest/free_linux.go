package pgtest

import "syscall"

// freeBytes returns the room of a writable file system, or 0 if it is not there.
func freeBytes(folder string) uint64 {
	const writable = 2 // W_OK
	var room syscall.Statfs_t
	if syscall.Access(folder, writable) != nil || syscall.Statfs(folder, &room) != nil {
		return 0
	}
	return room.Bavail * uint64(room.Bsize)
}
