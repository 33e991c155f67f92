// Package sqlitefile creates, copies, checks and replaces the file of a SQLite database.
package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// waitTimeout is how long to wait for another process that locks a file.
const waitTimeout = 10 * time.Second

const (
	// unfinishedSuffix is the suffix of an incomplete copy. If a process is killed, its copy stays until the next backup.
	unfinishedSuffix = ".unfinished"
	// Abandoned is the age from which an incomplete copy is taken for that of a process that was killed.
	Abandoned = 24 * time.Hour
)

// Create calls write to fill a file with another name, has SQLite check it, and renames it to path. A file of that name
// is therefore complete, and is on the disk. Create removes incomplete copies that are older than maxAge.
func Create(ctx context.Context, path string, maxAge time.Duration, write func(file *os.File) error) (err error) {
	if err := removeUnfinished(path, maxAge); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinishedSuffix) // mode 0600
	if err != nil {
		return err
	}
	unfinished := file.Name()
	defer func() {
		// SQLite must have closed the file before: else this would drop SQLite's locks
		// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
		file.Close()
		if err != nil {
			for _, suffix := range append([]string{""}, logSuffixes...) {
				os.Remove(unfinished + suffix)
			}
		}
	}()
	if err := write(file); err != nil {
		return err
	}
	// Mark the file as one without a WAL. The copy of a database in WAL mode is marked as such, and to read it would
	// create a WAL. https://www.sqlite.org/fileformat.html#file_format_version_numbers
	if _, err := file.WriteAt([]byte{1, 1}, 18); err != nil {
		return err
	}
	if err := checkCopy(ctx, unfinished); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil { // Windows renames no open file
		return err
	}
	return renameDurably(unfinished, path)
}

func removeUnfinished(path string, maxAge time.Duration) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		for _, suffix := range logSuffixes {
			name = strings.TrimSuffix(name, suffix)
		}
		if !strings.HasPrefix(name, filepath.Base(path)+".") || !strings.HasSuffix(name, unfinishedSuffix) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) >= maxAge {
			err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name()))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// CheckBackupPath returns the path of the file to write, with symbolic links resolved. It refuses a path of anything
// but an earlier backup.
func CheckBackupPath(ctx context.Context, path string, ownFiles []string) (string, error) {
	if path == "" {
		return "", dberr.Invalid("path", "is empty")
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	for _, own := range ownFiles {
		same, err := Same(path, own)
		if err != nil {
			return "", err
		}
		if same {
			return "", dberr.Invalid("path", "is the database itself, or its log")
		}
	}
	if log, err := logOf(path); err != nil {
		return "", err
	} else if log != "" {
		return "", dberr.Invalid("path", "is the name of a database with a log, "+log+
			": a process uses that database, or was killed while it did; name another file")
	}
	switch err := CheckDatabase(ctx, path); {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	default:
		return path, err
	}
}

// Same reports whether two names are those of one file. The file need not exist.
func Same(a, b string) (bool, error) {
	a, err := filepath.Abs(a)
	if err != nil {
		return false, err
	}
	b, err = filepath.Abs(b)
	if err != nil || a == b {
		return a == b, err
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	for _, err := range []error{errA, errB} {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			return false, err
		}
	}
	return os.SameFile(infoA, infoB), nil
}

// logSuffixes has the suffixes of the files that SQLite keeps beside a database.
var logSuffixes = []string{"-wal", "-shm", "-journal"}

// logOf returns the name of a file that SQLite would read together with the database at path, or "" if there is none.
func logOf(path string) (string, error) {
	for _, suffix := range logSuffixes {
		if _, err := os.Lstat(path + suffix); err == nil {
			return filepath.Base(path) + suffix, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// CheckDatabase returns an error if the file is not a database of the store or of the Python service. It reads the file
// through SQLite. If this process has a store open on the file, to open and close it otherwise would drop the store's
// locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func CheckDatabase(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return dberr.Invalid("path", "is not a regular file")
	}
	conn, err := openToRead(ctx, sqliteconn.FileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.Close()
	var tables int
	err = conn.QueryRow(ctx, `SELECT count(*) FROM sqlite_schema
		WHERE type = 'table' AND name IN ('generations', 'prompts')`).Scan(&tables)
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_NOTADB {
		return dberr.Invalid("path", "is not that of a SQLite database")
	}
	if err == nil && tables != 2 {
		return dberr.Invalid("path", "is not that of a backup: the database has no tables generations and prompts")
	}
	return err
}

// openToRead opens a connection with such a DSN, and waits for other processes.
func openToRead(ctx context.Context, dsn string) (*sqliteconn.Conn, error) {
	return sqliteconn.OpenWhenFree(ctx, time.Now().Add(waitTimeout), dsn, waitTimeout)
}

// checkCopy has SQLite check a copy that no other process uses.
func checkCopy(ctx context.Context, path string) error {
	conn, err := sqliteconn.Open(sqliteconn.FileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return checkIntegrity(ctx, conn)
}

// CheckFile returns the first problem that SQLite finds in a file. Other processes may use the file.
func CheckFile(ctx context.Context, path string) error {
	conn, err := openToRead(ctx, sqliteconn.FileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return checkIntegrity(ctx, conn)
}

// checkIntegrity returns the first problem that SQLite finds in a database.
func checkIntegrity(ctx context.Context, conn *sqliteconn.Conn) error {
	var first string
	if err := conn.QueryRow(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return err
	}
	if first != "ok" {
		return fmt.Errorf("%w: SQLite's integrity check found: %s", dberr.ErrCorrupt, first)
	}
	return nil
}

// renameDurably renames a file and syncs its directory, so that the name survives a power cut.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which cannot sync a directory
		return nil
	}
	directory, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}
