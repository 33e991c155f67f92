// Package sqlitefile makes, copies, verifies and replaces the file of a SQLite database.
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
	// unfinishedSuffix marks a copy that is not whole. A process that was killed leaves one until the next backup.
	unfinishedSuffix = ".unfinished"
	// Abandoned is the age from which an unfinished copy belongs to a process that was killed.
	Abandoned = 24 * time.Hour
)

// Create has write fill a file under another name, has SQLite check it, and then renames it to path. A file of that name is
// therefore whole, and has reached the disk. Create removes unfinished copies that are older than leftFor.
func Create(ctx context.Context, path string, leftFor time.Duration, write func(file *os.File) error) (err error) {
	if err := removeUnfinished(path, leftFor); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinishedSuffix) // mode 0600
	if err != nil {
		return err
	}
	unfinished := file.Name()
	defer func() {
		// Not before SQLite has closed it: this would drop SQLite's locks
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
	// As a file without a log: the copy of a database in WAL mode says that it has one, and to read it would create one.
	// https://www.sqlite.org/fileformat.html#file_format_version_numbers
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

func removeUnfinished(path string, leftFor time.Duration) error {
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
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) >= leftFor {
			if err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// CheckBackupPath returns the file to write. It refuses to replace anything but an earlier backup.
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
			return "", dberr.Invalid("path", "is the database itself, or a file that SQLite keeps beside it")
		}
	}
	if log, err := logOf(path); err != nil {
		return "", err
	} else if log != "" {
		return "", dberr.Invalid("path", "has a log beside it, "+log+", which belongs to a database of this name that somebody uses, or that a process left which was killed: name another file, or see to that one")
	}
	switch err := CheckDatabase(ctx, path); {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	default:
		return path, err
	}
}

// Same reports whether two names are, or would be, those of one file.
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

// logSuffixes are those of the files that SQLite keeps beside a database.
var logSuffixes = []string{"-wal", "-shm", "-journal"}

// logOf returns the name of a file that SQLite would read together with the database of this name, or "".
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

// CheckDatabase returns an error if the file is not a database of the store or of the Python service. It reads the file by
// SQLite. To open and close it by other means would drop the locks of a store that this process has open on it
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func CheckDatabase(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return dberr.Invalid("path", "is not a regular file")
	}
	conn, err := sqliteconn.OpenWhenFree(ctx, time.Now().Add(waitTimeout), sqliteconn.FileDSN(path, "query_only(ON)"), waitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	var tables int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('generations', 'prompts')").Scan(&tables)
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_NOTADB {
		return dberr.Invalid("path", "is a file that is no SQLite database")
	}
	if err == nil && tables != 2 {
		return dberr.Invalid("path", "is a file that is no backup of this store: it has no tables generations and prompts")
	}
	return err
}

// checkCopy has SQLite check a copy that no other process knows of.
func checkCopy(ctx context.Context, path string) error {
	conn, err := sqliteconn.Open(sqliteconn.FileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return checkIntegrity(ctx, conn)
}

// CheckFile returns the first problem that SQLite finds in a file that other processes may use.
func CheckFile(ctx context.Context, path string) error {
	conn, err := sqliteconn.OpenWhenFree(ctx, time.Now().Add(waitTimeout), sqliteconn.FileDSN(path, "query_only(ON)"), waitTimeout)
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
		return fmt.Errorf("the integrity check of SQLite found: %s", first)
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
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
