package store

import (
	"context"
	"errors"
	"os"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/internal/postgres"
	"github.com/dgx-music/storage/internal/sqlite"
	"github.com/dgx-music/storage/internal/sqlitefile"
)

// Backup writes the database to a SQLite file: all that was committed before, and nothing unfinished. Writers go on
// meanwhile. The log grows by what they write, and shrinks when the backup is done. Until SQLite's integrity check has
// passed and the file has reached the disk, it is called <name>.<digits>.unfinished. The file is readable by its owner
// only.
//
// Backup replaces an earlier backup of that name. It returns ErrCorrupt if the check of the copy fails, and keeps the
// earlier backup. It returns a *ValidationError if the name is that of any other file, of the database itself, or of a
// file with a log beside it, which SQLite would take for the backup's.
//
// On PostgreSQL it is a [Transfer] into that file, for which writers must be stopped: if they were not, it returns a
// *TransferMismatchError. pg_dump needs no stop.
func (s *Store) Backup(ctx context.Context, path string) error {
	switch e := s.engine.(type) {
	case *sqlite.Engine:
		return describe("back up", e.Backup(ctx, path))
	case *postgres.Engine:
		return describe("back up", transferToFile(ctx, e.URL(), path))
	}
	return describe("back up", errors.ErrUnsupported)
}

// transferToFile transfers a PostgreSQL database into a SQLite file, on connections of its own.
func transferToFile(ctx context.Context, fromURL, path string) error {
	path, err := sqlitefile.CheckBackupPath(ctx, path, nil)
	if err != nil {
		return err
	}
	return sqlitefile.Create(ctx, path, sqlitefile.Abandoned, func(file *os.File) error {
		to, err := dburl.OfFile(file.Name())
		if err != nil {
			return err
		}
		_, err = Transfer(ctx, fromURL, to, TransferOptions{})
		return err
	})
}

// Restore replaces the database of url by a backup. ALL DATA IN IT IS LOST. Stop its users first: what they write
// meanwhile is lost, too. On SQLite it replaces the file as a whole; if it returns an error or the process is killed,
// the file is unchanged. It creates the file if there is none. Into PostgreSQL it is a [Transfer], which needs an empty
// database and a backup at this program's schema version.
//
// The backup may be of an older schema version: call [Migrate] then. It may also be a database of the Python service,
// such as the copy that Migrate keeps. Before anything changes, Restore returns ErrSchemaOutdated for a newer version,
// ErrCorrupt if SQLite's integrity check fails, and an error for a file that is not a SQLite database. It returns
// ErrBusy if another process keeps the database from being replaced.
func Restore(ctx context.Context, path, url string) error {
	t, err := dburl.Parse(url)
	if err != nil {
		return describe("restore", err)
	}
	if t.Memory != "" {
		return describe("restore", dberr.Invalid("url", "is of a database in memory, which ends with the call"))
	}
	if err := checkBackup(ctx, path, t); err != nil {
		return describe("restore", err)
	}
	if t.Engine == "postgres" {
		from, err := dburl.OfFile(path)
		if err != nil {
			return describe("restore", err)
		}
		_, err = Transfer(ctx, from, url, TransferOptions{})
		return err
	}
	return describe("restore", sqlitefile.Restore(ctx, path, t))
}

// checkBackup checks a backup without changing it.
func checkBackup(ctx context.Context, path string, t dburl.Target) error {
	if path == "" {
		return dberr.Invalid("path", "is empty")
	}
	if t.Path != "" {
		if same, err := sqlitefile.Same(path, t.Path); err != nil {
			return err
		} else if same {
			return dberr.Invalid("path", "is the database itself")
		}
	}
	if err := sqlitefile.CheckDatabase(ctx, path); err != nil {
		return err
	}
	_, err := migrate.Inspect(ctx, dburl.Target{Engine: "sqlite", Path: path}, defaultBusyTimeout)
	if err != nil && !errors.Is(err, ErrPythonDatabase) {
		return err
	}
	return sqlitefile.CheckFile(ctx, path)
}
