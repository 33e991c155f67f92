//go:build unix

package maintain

import (
	"io/fs"
	"os"
	"syscall"
)

// identify returns the identity of a file. It does not open the file: closing a SQLite database would end the locks
// that this process holds on it.
func identify(info fs.FileInfo, _ func() (*os.File, error)) (fileID, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, fs.ErrInvalid
	}
	return fileID{uint64(stat.Dev), uint64(stat.Ino)}, nil
}
