package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"modernc.org/sqlite"
)

const (
	// pagesPerStep is how much of a copy is made until its context is asked, and the disk: 4 MiB. If the disk got all of it
	// in the end, the commits of others would wait for that.
	pagesPerStep = 1024
)

// backup reads from one snapshot, on a connection of its own: writers go on, and only the log cannot begin anew meanwhile.
func (e *sqliteEngine) backup(ctx context.Context, path string) error {
	e.backups.RLock()
	defer e.backups.RUnlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-e.closed:
			stop(ErrClosed)
		case <-ctx.Done():
		}
	}()
	err := e.backupTo(ctx, path)
	if err != nil && errors.Is(context.Cause(ctx), ErrClosed) {
		return ErrClosed
	}
	return err
}

func (e *sqliteEngine) backupTo(ctx context.Context, path string) error {
	path, err := checkBackupPath(ctx, path, e.ownFiles())
	if err != nil {
		return err
	}
	if e.memory {
		return e.backupFrom(ctx, path, e.readers)
	}
	if err := e.beginBackup(ctx); err != nil {
		return err
	}
	defer e.endBackup()
	pool := make(chan *sqliteConn, 1)
	pool <- nil
	err = e.backupFrom(ctx, path, pool)
	if conn := <-pool; conn != nil {
		conn.close()
	}
	return err
}

// beginBackup keeps commits from bringing the log back, as they do once it is large: behind a backup that would be all that was
// written meanwhile, and everybody would wait for it.
func (e *sqliteEngine) beginBackup(ctx context.Context) error {
	e.backingUp.Lock()
	defer e.backingUp.Unlock()
	if e.backupCount == 0 {
		if err := e.setAutoCheckpoint(ctx, 0); err != nil {
			return err
		}
	}
	e.backupCount++
	return nil
}

func (e *sqliteEngine) endBackup() {
	e.backingUp.Lock()
	defer e.backingUp.Unlock()
	if e.backupCount--; e.backupCount == 0 {
		e.catchUp()
	}
}

// setAutoCheckpoint sets how large the log may be until a commit brings it back.
func (e *sqliteEngine) setAutoCheckpoint(ctx context.Context, pages int) error {
	writer, err := e.take(ctx, e.writer, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	var set int
	// Not to be cut off: whoever hears of an error must be able to trust that nothing was set.
	return writer.QueryRow(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", pages)).Scan(&set)
}

// catchUp brings back what was written during a backup, beside the writer, and lets commits do so again. Where the writer is
// not to be had, the checkpoints beside it go on alone. The backup is whole by now, so that an error of this is not its own.
func (e *sqliteEngine) catchUp() {
	c := &e.checkpointer
	c.running.Lock()
	defer c.running.Unlock()
	if c.closed {
		return
	}
	c.written.Store(0)
	e.logCheckpoint(errors.Join(e.runCheckpoint(c, catchUpRounds), e.setAutoCheckpoint(context.Background(), autoCheckpointPages)))
}

func (e *sqliteEngine) backupFrom(ctx context.Context, path string, pool chan *sqliteConn) error {
	conn, err := e.take(ctx, pool, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer func() { pool <- e.rollback(conn) }()
	return copySQLite(ctx, conn, path, unfinishedFor)
}

// keepCopy copies the database to path, or where that is taken by something else to path-2, and so on. A copy that a process has
// left which was killed serves. Nobody else makes one at the same time, and nobody writes.
func keepCopy(ctx context.Context, t target, path string) error {
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), t.sqliteDSN("query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close() // ends its transaction
	made := path + ".whole" + unfinishedSuffix
	if err := copySQLite(ctx, conn, made, 0); err != nil {
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

// sameContent compares files that no connection of this process has open. What is no file is not the same.
func sameContent(a, b string) (bool, error) {
	if info, err := os.Stat(b); err != nil || !info.Mode().IsRegular() {
		if _, there := os.Lstat(b); there == nil {
			return false, nil // a folder, or a link to nothing
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

// copySQLite copies the database as it is now, with SQLite's backup. It leaves conn in a transaction.
func copySQLite(ctx context.Context, conn *sqliteConn, path string, leftFor time.Duration) error {
	return newBackup(ctx, path, leftFor, func(file *os.File) error {
		if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
			return err
		}
		// The first statement that reads makes the snapshot, and as long as it lasts SQLite's backup does not begin again.
		if _, err := conn.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
			return err
		}
		return copyPages(ctx, conn, file)
	})
}

// copyPages needs no journal: what is cut off half way is thrown away.
func copyPages(ctx context.Context, conn *sqliteConn, file *os.File) error {
	backup, err := conn.conn.(backuper).NewBackup(fileDSN(file.Name(), "journal_mode(OFF)", "synchronous(OFF)"))
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

// stepThrough copies some pages, does what is to be done in between, and so on.
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
