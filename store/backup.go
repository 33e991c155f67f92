package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Backup writes the database to a SQLite file: all that was committed before, and nothing that is half done. Writers go on
// meanwhile; the log grows by what they write, and shrinks when the backup is done. The file gets its name once SQLite's integrity
// check has passed and it has reached the disk; until then it is called <name>.<digits>.unfinished. An earlier backup of that
// name is replaced; any other file is a *ValidationError, and so is the database itself, and a name beside which a log stands
// that SQLite would take for the backup's. The file is readable by its owner alone.
//
// On PostgreSQL it is a [Transfer] into that file, for which writers must be stopped: a *TransferMismatchError says that they were
// not. pg_dump needs no stop.
func (s *Store) Backup(ctx context.Context, path string) error {
	return describe("back up", s.engine.backup(ctx, path))
}

// Restore replaces the database of url by a backup. ALL DATA THAT IS IN IT IS LOST. Stop those who use it first: what they write
// meanwhile is lost, too. On SQLite the file is replaced as a whole or, where an error comes back or the process is killed, not at
// all; it is created where there is none. Into PostgreSQL it is a [Transfer], which wants an empty database and a backup at this
// program's schema version.
//
// The backup may be of an older version of the schema: call [Migrate] then. It may also be a database of the Python service, such
// as the copy that Migrate keeps. Of a newer version it is ErrSchemaOutdated; a file that is no SQLite database, or fails SQLite's
// integrity check, is an error before anything changes; ErrBusy says that somebody kept the database from being replaced.
func Restore(ctx context.Context, path, url string) error {
	t, err := parseURL(url)
	if err != nil {
		return err
	}
	if t.memory != "" {
		return invalid("url", "is of a database in memory, which ends with the call")
	}
	if err := checkBackup(ctx, path, t); err != nil {
		return describe("restore", err)
	}
	if t.engine == "postgres" {
		from, err := sqliteFileURL(path)
		if err != nil {
			return describe("restore", err)
		}
		_, err = Transfer(ctx, from, url, TransferOptions{})
		return err
	}
	return describe("restore", restoreSQLite(ctx, path, t))
}

// checkBackup looks at a backup without changing it.
func checkBackup(ctx context.Context, path string, t target) error {
	if path == "" {
		return invalid("path", "is empty")
	}
	if t.path != "" {
		if same, err := sameFile(path, t.path); err != nil {
			return err
		} else if same {
			return invalid("path", "is the database itself")
		}
	}
	if err := checkDatabaseFile(ctx, path); err != nil {
		return err
	}
	if _, err := inspect(ctx, target{engine: "sqlite", path: path}, defaultBusyTimeout); err != nil && !errors.Is(err, ErrPythonDatabase) {
		return err
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), fileDSN(path, "query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	return checkIntegrity(ctx, conn)
}

// restoreSQLite copies all pages in one transaction on the database that is replaced. A new one gets the backup's page size, for
// which it must not have a log yet; whoever opens it next gives it one.
func restoreSQLite(ctx context.Context, path string, t target) (err error) {
	created, err := prepareSQLiteFile(t.path, true)
	if err != nil {
		return err
	}
	before, err := os.Stat(t.path)
	if err != nil {
		return err
	}
	settings, isNew := durableSettings, before.Size() == 0
	if isNew {
		settings = withoutLog(durableSettings)
	}
	if created {
		defer func() {
			if err != nil {
				removeCreated(t.path, before)
			}
		}()
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), t.sqliteDSN(settings...), defaultBusyTimeout)
	if err != nil {
		return damagedDestination(t, err)
	}
	defer conn.close()
	if !isNew {
		if err := checkPageSize(ctx, conn, path); err != nil {
			return damagedDestination(t, err)
		}
	}
	restore, err := conn.conn.(backuper).NewRestore(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	err = stepThrough(ctx, restore, func() error { return nil })
	if finished := restore.Finish(); err == nil {
		err = finished
	}
	return damagedDestination(t, err)
}

// removeCreated removes the file that a failed restore has created: only if the path still names that very file, and
// only while it is empty. Another process has begun to use it otherwise.
func removeCreated(path string, created fs.FileInfo) {
	if info, err := os.Lstat(path); err == nil && os.SameFile(info, created) && info.Size() == 0 {
		os.Remove(path)
	}
}

// damagedDestination tells of a database that SQLite cannot even replace; the backup has passed its check.
func damagedDestination(t target, err error) error {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && (lite.Code()&0xff == sqlite3.SQLITE_NOTADB || lite.Code()&0xff == sqlite3.SQLITE_CORRUPT) {
		return fmt.Errorf("%s is damaged, or no database: move it and the -wal and -shm beside it to another place, and restore again: %w", t.path, err)
	}
	return err
}

// checkPageSize refuses what SQLite would with an error about permissions: a database with a log keeps its page size.
func checkPageSize(ctx context.Context, conn *sqliteConn, path string) error {
	var is, want int
	if err := conn.QueryRow(ctx, "PRAGMA page_size").Scan(&is); err != nil {
		return err
	}
	backup, err := openSQLiteConn(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer backup.close()
	if err := backup.QueryRow(ctx, "PRAGMA page_size").Scan(&want); err != nil {
		return err
	}
	if is != want {
		return fmt.Errorf("the backup has pages of %d bytes and the database of %d: move the database, and the -wal and -shm beside it, to another place, and restore again", want, is)
	}
	return nil
}
