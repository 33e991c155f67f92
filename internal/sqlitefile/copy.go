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

// pagesPerStep is the number of pages, 4 MiB, after which a copy checks the context and syncs the file. A single sync
// at the end would hold up the commits of other processes.
const pagesPerStep = 1024

// KeepCopy copies the database to path or, if another file has that name, to path-2, and so on. If one of these files
// is an equal copy already, it keeps that. The caller holds a lock, so that no other process writes or copies at the
// same time.
func KeepCopy(ctx context.Context, t dburl.Target, path string) error {
	conn, err := openToRead(ctx, sqliteconn.DSN(t, "query_only(ON)"))
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

// sameContent reports whether two files are equal. It reports false if b is not a regular file. No connection of this
// process may have one of them open.
func sameContent(a, b string) (bool, error) {
	if info, err := os.Stat(b); err != nil || !info.Mode().IsRegular() {
		if _, linkErr := os.Lstat(b); linkErr == nil {
			return false, nil // a directory, or a link to no file
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

// Copy copies the database as it is now to path, by SQLite's backup. It leaves conn in a transaction. It removes
// incomplete copies as [Create] does.
func Copy(ctx context.Context, conn *sqliteconn.Conn, path string, maxAge time.Duration) error {
	return Create(ctx, path, maxAge, func(file *os.File) error {
		if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
			return err
		}
		// The first statement that reads takes the snapshot. With a snapshot, SQLite's backup never starts over.
		if _, err := conn.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
			return err
		}
		return copyPages(ctx, conn, file)
	})
}

// copyPages copies all pages into the file. It needs no journal, because an incomplete copy is deleted.
func copyPages(ctx context.Context, conn *sqliteconn.Conn, file *os.File) error {
	dsn := sqliteconn.FileDSN(file.Name(), "journal_mode(OFF)", "synchronous(OFF)")
	backup, err := conn.Raw().(backuper).NewBackup(dsn)
	if err != nil {
		return err
	}
	err = stepThrough(ctx, backup, file.Sync)
	if finished := backup.Finish(); err == nil {
		err = finished
	}
	return err
}

// backuper is the part of modernc's connection that makes backups.
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
