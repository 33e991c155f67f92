package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/sqlitefile"
)

// Backup copies the database to a file. It reads one snapshot on a connection of its own, so writers go on. Only the
// log cannot start again meanwhile.
func (e *Engine) Backup(ctx context.Context, path string) error {
	e.backups.RLock()
	defer e.backups.RUnlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-e.closed:
			stop(dberr.ErrClosed)
		case <-ctx.Done():
		}
	}()
	err := e.backupTo(ctx, path)
	if err != nil && errors.Is(context.Cause(ctx), dberr.ErrClosed) {
		return dberr.ErrClosed
	}
	return err
}

func (e *Engine) backupTo(ctx context.Context, path string) error {
	path, err := sqlitefile.CheckBackupPath(ctx, path, e.OwnFiles())
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
	pool := make(chan *sqliteconn.Conn, 1)
	pool <- nil
	err = e.backupFrom(ctx, path, pool)
	if conn := <-pool; conn != nil {
		conn.Close()
	}
	return err
}

// beginBackup keeps SQLite from running checkpoints inside commits. After a backup such a checkpoint would bring back
// all that was written meanwhile, and every writer would wait for it.
func (e *Engine) beginBackup(ctx context.Context) error {
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

func (e *Engine) endBackup() {
	e.backingUp.Lock()
	defer e.backingUp.Unlock()
	if e.backupCount--; e.backupCount == 0 {
		e.catchUp()
	}
}

// setAutoCheckpoint sets the size of the log from which a commit runs a checkpoint; 0 is never.
func (e *Engine) setAutoCheckpoint(ctx context.Context, pages int) error {
	writer, err := e.take(ctx, e.writer, time.Now().Add(e.waitTimeout))
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	var set int
	// Not cut off by a context: after an error the caller must be sure that nothing was set.
	return writer.QueryRow(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", pages)).Scan(&set)
}

// catchUp brings back what was written during a backup, beside the writer, and lets commits run checkpoints again. The
// backup is whole by now, so an error goes to the log.
func (e *Engine) catchUp() {
	c := &e.checkpointer
	c.running.Lock()
	defer c.running.Unlock()
	if c.closed {
		return
	}
	c.written.Store(0)
	e.logCheckpoint(errors.Join(
		e.runCheckpoint(c, catchUpRounds), e.setAutoCheckpoint(context.Background(), autoCheckpointPages)))
}

func (e *Engine) backupFrom(ctx context.Context, path string, pool chan *sqliteconn.Conn) error {
	conn, err := e.take(ctx, pool, time.Now().Add(e.waitTimeout))
	if err != nil {
		return err
	}
	defer func() { pool <- e.rollback(conn) }()
	return sqlitefile.Copy(ctx, conn, path, sqlitefile.Abandoned)
}
