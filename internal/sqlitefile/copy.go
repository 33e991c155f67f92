package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"modernc.org/sqlite"

	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// pagesPerStep is how many pages are copied until the context is checked and the file is synced: 4 MiB. If the disk got
// all of it at the end, the commits of others would wait for that.
const pagesPerStep = 1024

// KeepCopy copies the database to path or, if another file has that name, to path-2, and so on. If a process that was killed
// has left an equal copy, it serves. The caller holds a lock: no other process makes a copy at the same time, or writes.
func KeepCopy(ctx context.Context, t dburl.Target, path string) error {
	conn, err := sqliteconn.OpenWhenFree(ctx, time.Now().Add(waitTimeout), sqliteconn.DSN(t, "query_only(ON)"), waitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close() // ends its transaction
	made := path + ".whole" + unfinishedSuffix
	if err := Copy(ctx, conn, made, 0); err != nil {
		return err
	}
	for n := 1; ; n++ {
		name := path
		if n > 1 {
			name = fmt.Sprintf("%s-%d", path, n)
		}
		switch log, err := logOf(name); {
		case err != nil:
			return err
		case log != "": // SQLite would read it together with the copy
			continue
		}
		same, err := sameContent(made, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return renameDurably(made, name)
		case err != nil:
			return err
		case same:
			return os.Remove(made)
		}
	}
}

// sameContent compares two files that no connection of this process has open. Anything but a regular file differs.
func sameContent(a, b string) (bool, error) {
	if info, err := os.Stat(b); err != nil || !info.Mode().IsRegular() {
		if _, there := os.Lstat(b); there == nil {
			return false, nil // a directory, or a link to nothing
		}
		return false, err
	}
	fileA, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fileA.Close()
	fileB, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fileB.Close()
	blockA, blockB := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		nA, errA := io.ReadFull(fileA, blockA)
		nB, errB := io.ReadFull(fileB, blockB)
		switch {
		case string(blockA[:nA]) != string(blockB[:nB]):
			return false, nil
		case errA == nil && errB == nil:
		case atEnd(errA) && atEnd(errB):
			return true, nil
		default:
			return false, errors.Join(errA, errB)
		}
	}
}

func atEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Copy copies the database as it is now, by SQLite's backup. It leaves conn in a transaction.
func Copy(ctx context.Context, conn *sqliteconn.Conn, path string, leftFor time.Duration) error {
	return Create(ctx, path, leftFor, func(file *os.File) error {
		if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
			return err
		}
		// The first statement that reads takes the snapshot. While it lasts, SQLite's backup does not start over.
		if _, err := conn.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
			return err
		}
		return copyPages(ctx, conn, file)
	})
}

// copyPages needs no journal: a copy that is cut off is deleted.
func copyPages(ctx context.Context, conn *sqliteconn.Conn, file *os.File) error {
	backup, err := conn.Raw().(backuper).NewBackup(sqliteconn.FileDSN(file.Name(), "journal_mode(OFF)", "synchronous(OFF)"))
	if err != nil {
		return err
	}
	err = stepThrough(ctx, backup, file.Sync)
	if finished := backup.Finish(); err == nil {
		err = finished
	}
	return err
}

// backuper is modernc's connection.
type backuper interface {
	NewBackup(to string) (*sqlite.Backup, error)
	NewRestore(from string) (*sqlite.Backup, error)
}

// stepThrough copies pagesPerStep pages at a time, and calls between after each step.
func stepThrough(ctx context.Context, backup *sqlite.Backup, between func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := backup.Step(pagesPerStep)
		if err != nil || !more {
			return err
		}
		if err := between(); err != nil {
			return err
		}
	}
}
