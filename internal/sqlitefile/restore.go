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

// Restore copies all pages of the backup at path into the database of t, in one transaction. A new database gets the
// page size of the backup. That needs a database without a WAL. The next process that opens it for writing brings it
// into WAL mode.
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
	deadline := time.Now().Add(waitTimeout)
	conn, err := sqliteconn.OpenWhenFree(ctx, deadline, sqliteconn.DSN(t, settings...), waitTimeout)
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

// removeCreated removes the file that a failed restore has created, if the path still names that file and it is empty.
// If not, another process has begun to use it.
func removeCreated(path string, created fs.FileInfo) {
	if info, err := os.Lstat(path); err == nil && os.SameFile(info, created) && info.Size() == 0 {
		os.Remove(path)
	}
}

// damagedDestination explains the error of a destination that is too damaged for SQLite to replace it. It cannot be the
// backup, which has passed its check.
func damagedDestination(t dburl.Target, err error) error {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if ok && (lite.Code()&0xff == sqlite3.SQLITE_NOTADB || lite.Code()&0xff == sqlite3.SQLITE_CORRUPT) {
		return fmt.Errorf("%s is damaged, or not a database: move it away, with its -wal and -shm, and restore again: %w",
			t.Path, err)
	}
	return err
}

// checkPageSize refuses a backup with another page size. A database in WAL mode keeps its own, and SQLite's error would
// only speak of permissions.
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
		return fmt.Errorf("the backup has pages of %d bytes and the database of %d: "+
			"move the database away, with its -wal and -shm, and restore again", want, is)
	}
	return nil
}
