package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

const (
	// checkpointPages is how many pages, 32 MiB, a process writes to the log before it runs a WAL checkpoint. Pages that
	// are written again and again, as the ends of indexes are, are brought back once.
	checkpointPages = 8000
	// autoCheckpointPages is the size of the log from which SQLite itself runs a checkpoint, inside a commit. It is for
	// what is not counted here: a user's own statements, and many processes that each write less.
	autoCheckpointPages = 2 * checkpointPages
	// smallCheckpoint is how many pages, 2 MiB, may be left for the checkpoint that holds the writer.
	smallCheckpoint = 512
	// catchUpRounds ends the rounds if others write as fast as they bring back.
	catchUpRounds = 5
	// checkpointTimeout is how long a caller whose own commit is done may wait for the writer.
	checkpointTimeout = 100 * time.Millisecond
)

// checkpointer runs WAL checkpoints. SQLite would run one inside a commit, and all following commits would wait for it.
// Here a goroutine runs it, which the commit that made it due starts, and Close waits for it.
//
// Locks: running is held during a checkpoint, which has a connection of its own, so that others write meanwhile. The
// last few pages are brought back while the writer is held. Otherwise the log would never be empty, and so never start
// again (https://www.sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
type checkpointer struct {
	written atomic.Int64 // pages since the last checkpoint
	running sync.Mutex
	conn    *sqliteconn.Conn // under running; nil until it is needed
	closed  bool             // under running
}

// noteWritten counts what a transaction has written. The connection is held.
func (c *checkpointer) noteWritten(conn *sqliteconn.Conn) {
	if pages, _, err := conn.Raw().(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true); err == nil {
		c.written.Add(int64(pages))
	}
}

// checkpoint is for callers that have committed. Their changes are durable already, so an error here is not theirs: it
// goes to the log, and the next checkpoint is due as usual.
func (e *Engine) checkpoint() {
	c := &e.checkpointer
	if e.memory || c.written.Load() < checkpointPages || !c.running.TryLock() {
		return
	}
	go func() { // so that the caller does not wait for it
		defer c.running.Unlock()
		if !c.closed {
			c.written.Store(0)
			e.logCheckpoint(e.runCheckpoint(c, 1))
		}
	}()
}

func (e *Engine) logCheckpoint(err error) {
	if err != nil && !errors.Is(err, dberr.ErrClosed) {
		dbtx.LogApart(e.logger, slog.LevelWarn, "checkpoint failed, and the log grows until one succeeds",
			slog.String("error", dberr.Code(err)))
	}
}

func (e *Engine) runCheckpoint(c *checkpointer, rounds int) error {
	ctx := context.Background()
	if c.conn == nil {
		conn, err := sqliteconn.OpenWhenFree(ctx, time.Now().Add(checkpointTimeout), e.dsn, e.waitTimeout)
		if err != nil {
			return err
		}
		c.conn = conn
	}
	// Each round brings back what was written during the one before, until little is left: writers wait for the last one.
	for before := int64(0); rounds > 0; rounds-- {
		done, err := c.passive(ctx)
		if err != nil {
			return err
		}
		if done-before < smallCheckpoint {
			break
		}
		before = done
	}
	writer, err := e.take(ctx, e.writer, time.Now().Add(checkpointTimeout))
	if errors.Is(err, dberr.ErrBusy) {
		return nil // a long write is running; a checkpoint follows it
	}
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	_, err = c.passive(ctx)
	return err
}

// passive brings back what the log holds when it begins, without waiting. It returns how many pages of the log are
// back.
func (c *checkpointer) passive(ctx context.Context) (done int64, err error) {
	var busy, log int64
	err = c.conn.QueryRow(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &done)
	return done, err
}

// close waits for a running checkpoint, and lets no other begin.
func (c *checkpointer) close() {
	c.running.Lock()
	defer c.running.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
