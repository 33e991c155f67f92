package store

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
)

const (
	// unfinishedSuffix marks a copy that is not whole. One of a process that was killed stays until the next one.
	unfinishedSuffix = ".unfinished"
	// unfinishedFor is how old such a file is when it surely is of a process that was killed.
	unfinishedFor = 24 * time.Hour
)

// newBackup has write make a file under another name, has SQLite check it, and then gives it its name: what has that name is whole,
// and has reached the disk. Nothing else is left; of a process that was killed what is older than leftFor is removed.
func newBackup(ctx context.Context, path string, leftFor time.Duration, write func(file *os.File) error) (err error) {
	if err := removeUnfinished(path, leftFor); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinishedSuffix) // mode 0600
	if err != nil {
		return err
	}
	unfinished := file.Name()
	defer func() {
		// Not before SQLite has closed it: that would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
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
	// As a file without a log: a copy of one with a log says that there is one, and to look at it would make it.
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

// checkBackupPath returns the file that is to be written. It lets nothing be replaced but an earlier backup.
func checkBackupPath(ctx context.Context, path string, ownFiles []string) (string, error) {
	if path == "" {
		return "", invalid("path", "is empty")
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	for _, own := range ownFiles {
		same, err := sameFile(path, own)
		if err != nil {
			return "", err
		}
		if same {
			return "", invalid("path", "is the database itself, or a file that SQLite keeps beside it")
		}
	}
	if log, err := logOf(path); err != nil {
		return "", err
	} else if log != "" {
		return "", invalid("path", "has a log beside it, "+log+", which belongs to a database of this name that somebody uses, or that a process left which was killed: name another file, or see to that one")
	}
	switch err := checkDatabaseFile(ctx, path); {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	default:
		return path, err
	}
}

// sameFile tells whether two names are, or would be, those of one file.
func sameFile(a, b string) (bool, error) {
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

// logSuffixes are of the files that SQLite keeps beside a database.
var logSuffixes = []string{"-wal", "-shm", "-journal"}

// logOf finds what SQLite would read together with a file of this name.
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

// checkDatabaseFile has SQLite look whether the file is a database of the store, or of the Python service: whoever opened and
// closed it by other ways would drop the locks of a store that this process has open on it
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func checkDatabaseFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return invalid("path", "is no file")
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), fileDSN(path, "query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	var tables int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('generations', 'prompts')").Scan(&tables)
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_NOTADB {
		return invalid("path", "is a file that is no SQLite database")
	}
	if err == nil && tables != 2 {
		return invalid("path", "is a file that is no backup of this store: it has no tables generations and prompts")
	}
	return err
}

// checkCopy has SQLite check a copy that nobody else knows of.
func checkCopy(ctx context.Context, path string) error {
	conn, err := openSQLiteConn(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.close()
	return checkIntegrity(ctx, conn)
}

func checkIntegrity(ctx context.Context, conn *sqliteConn) error {
	var first string
	if err := conn.QueryRow(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return err
	}
	if first != "ok" {
		return fmt.Errorf("the integrity check of SQLite found: %s", first)
	}
	return nil
}

// fileDSN is modernc's form of a file's name.
func fileDSN(path string, settings ...string) string {
	return target{engine: "sqlite", path: path}.sqliteDSN(settings...)
}

// renameDurably also has the folder remember the name through a power cut, where the system lets it.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which syncs no folders
		return nil
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
