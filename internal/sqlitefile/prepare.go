package sqlitefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// Prepare creates the file if it does not exist and create is set. It reports whether it has created the file. Only the
// owner may read and write the file. SQLite creates the -wal and -shm files with the same mode.
func Prepare(path string, create bool) (created bool, err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return false, fmt.Errorf("%s is a directory; the URL must name a file in it", path)
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a regular file", path)
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := sqliteconn.MissingTarget(path); err != nil {
		return false, err
	}
	if !create {
		return false, fmt.Errorf("%w: there is no database at %s%s: "+
			"create it with store.Migrate, Options.Migrate or make db-migrate",
			dberr.ErrSchemaOutdated, path, relativeReading(path))
	}
	directory := filepath.Dir(path)
	if filepath.IsAbs(path) {
		if _, err := os.Stat(directory); err != nil {
			return false, fmt.Errorf("the directory of the database must exist%s: %w", relativeReading(path), err)
		}
	} else if err := os.MkdirAll(directory, 0o755); err != nil {
		return false, fmt.Errorf("create the database's directory: %w", err)
	}
	// O_EXCL, because another connection of this process may have created the file by now. To open and close it here would
	// drop that connection's POSIX locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create the database: %w", err)
	}
	return true, file.Close()
}

// relativeReading returns a hint at the relative path that a user of SQLAlchemy may have meant by an absolute one.
func relativeReading(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return fmt.Sprintf(" (an absolute path; SQLAlchemy reads sqlite://%s as a relative one, which is sqlite:%s here)",
		path, strings.TrimPrefix(path, "/"))
}
