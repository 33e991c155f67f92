package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// Restore copies all pages of the backup into the database of t, in one transaction. A new database gets the backup's page
// size, for which it must not have a log yet; the next process that opens it for writing gives it one.
func Restore(ctx context.Context, path string, t dburl.Target) (err error) {
	created, err := Prepare(t.Path, true)
	if err != nil {
		return err
	}
	before, err := os.Stat(t.Path)
	if err != nil {
		return err
	}
	settings, isNew := sqliteconn.DurableSettings, before.Size() == 0
	if isNew {
		settings = sqliteconn.WithoutLog(sqliteconn.DurableSettings)
	}
	if created {
		defer func() {
			if err != nil {
				removeCreated(t.Path, before)
			}
		}()
	}
	conn, err := sqliteconn.OpenWhenFree(ctx, time.Now().Add(waitTimeout), sqliteconn.DSN(t, settings...), waitTimeout)
	if err != nil {
		return damagedDestination(t, err)
	}
	defer conn.Close()
	if !isNew {
		if err := checkPageSize(ctx, conn, path); err != nil {
			return damagedDestination(t, err)
		}
	}
	restore, err := conn.Raw().(backuper).NewRestore(sqliteconn.FileDSN(path, "query_only(ON)"))
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

// damagedDestination explains the error of a database that SQLite cannot even replace. The backup has passed its check.
func damagedDestination(t dburl.Target, err error) error {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && (lite.Code()&0xff == sqlite3.SQLITE_NOTADB || lite.Code()&0xff == sqlite3.SQLITE_CORRUPT) {
		return fmt.Errorf("%s is damaged, or no database: move it and the -wal and -shm beside it to another place, and restore again: %w", t.Path, err)
	}
	return err
}

// checkPageSize refuses another page size: a database with a log keeps its own, and SQLite's error is about permissions.
func checkPageSize(ctx context.Context, conn *sqliteconn.Conn, path string) error {
	var is, want int
	if err := conn.QueryRow(ctx, "PRAGMA page_size").Scan(&is); err != nil {
		return err
	}
	backup, err := sqliteconn.Open(sqliteconn.FileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer backup.Close()
	if err := backup.QueryRow(ctx, "PRAGMA page_size").Scan(&want); err != nil {
		return err
	}
	if is != want {
		return fmt.Errorf("the backup has pages of %d bytes and the database of %d: move the database, and the -wal and -shm beside it, to another place, and restore again", want, is)
	}
	return nil
}
