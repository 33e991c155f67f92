package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
)

const (
	// checkpointPages is how many pages a process may write to the log until it brings that back into the database file: 32 MiB.
	// Pages that are written again and again, as the ends of indexes are, are brought back once.
	checkpointPages = 8000
	// autoCheckpointPages is how large the log may be until SQLite itself brings it back, inside a commit. That is for what is
	// written by other ways: a user's own statements, and many processes that each write less.
	autoCheckpointPages = 2 * checkpointPages
	// smallCheckpoint is how many pages, 2 MiB, may be left for the moment in which the writer is held.
	smallCheckpoint = 512
	// catchUpRounds ends the trying where others write as fast as this brings back.
	catchUpRounds = 5
	// checkpointPatience is how long a caller whose own commit is done may wait for the writer.
	checkpointPatience = 100 * time.Millisecond
)

// checkpointer brings the log back into the database file. SQLite would do so inside a commit, for which all that are to be
// committed next would wait; here the caller whose commit made it due does, after the writer has gone to the next.
//
// What locks what: running is held by the one who does it, on a connection of its own, beside which others write. What they
// write meanwhile is brought back while the writer is held, too, which is a few pages; or the log would never be empty, and so
// never begin anew (https://www.sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
type checkpointer struct {
	written atomic.Int64 // pages since the last time
	running sync.Mutex
	conn    *sqliteConn // under running; nil until it is needed
	closed  bool        // under running
}

// noteWritten counts what a transaction has written. The connection is held.
func (c *checkpointer) noteWritten(conn *sqliteConn) {
	if pages, _, err := conn.conn.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true); err == nil {
		c.written.Add(int64(pages))
	}
}

// checkpoint is for callers that have committed, and hold nothing. What they have committed is durable already, so that an error
// of this is not theirs: it goes to the log, and the next try is due as the first was.
func (e *sqliteEngine) checkpoint() {
	c := &e.checkpointer
	if e.memory || c.written.Load() < checkpointPages || !c.running.TryLock() {
		return
	}
	defer c.running.Unlock()
	if c.closed {
		return
	}
	c.written.Store(0)
	e.logCheckpoint(e.runCheckpoint(c, 1))
}

func (e *sqliteEngine) logCheckpoint(err error) {
	if err != nil && e.logger != nil && !errors.Is(err, ErrClosed) {
		e.logger.LogAttrs(context.Background(), slog.LevelWarn, "checkpoint failed, and the log grows until one succeeds", slog.String("error", errorCode(err)))
	}
}

func (e *sqliteEngine) runCheckpoint(c *checkpointer, rounds int) error {
	ctx := context.Background()
	if c.conn == nil {
		conn, err := openSQLiteWhenFree(ctx, time.Now().Add(checkpointPatience), e.dsn, e.patience)
		if err != nil {
			return err
		}
		c.conn = conn
	}
	// What was written during one round is brought back by the next, until that is little: for the last of it all writers wait.
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
	writer, err := e.take(ctx, e.writer, time.Now().Add(checkpointPatience))
	if errors.Is(err, ErrBusy) {
		return nil // somebody has much to write, and the log is brought back behind that
	}
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	_, err = c.passive(ctx)
	return err
}

// passive brings back what is in the log when it begins, and waits for nobody. It returns how many pages of the log are back.
func (c *checkpointer) passive(ctx context.Context) (done int64, err error) {
	var busy, log int64
	err = c.conn.QueryRow(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &done)
	return done, err
}

// close waits for a checkpoint that runs, and lets none begin any more.
func (c *checkpointer) close() {
	c.running.Lock()
	defer c.running.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}
