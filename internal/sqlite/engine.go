// Package sqlite is the SQLite engine: one connection that writes and a pool that reads, group commit, checkpoints
// beside the writer, and SQLite's own SQL.
package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/commit"
	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/storagedb"
)

// Engine is an open SQLite database: one connection that writes, and a pool that reads.
//
// Locks:
//   - A transaction holds the writer connection from before BEGIN IMMEDIATE until after COMMIT, and SQLite's write lock
//     in between. InTx and the batches wait for the connection, first come first served; other processes wait for the
//     lock.
//   - A reader holds one connection of the pool for one call. In WAL mode readers and the writer do not wait for each
//     other. The connection that watches for commits of other processes is a reader, too.
//   - Nothing waits for a connection while it holds one, except a checkpoint, of which one runs at a time. So there is
//     no circle, unless a caller uses the store inside InTx: that call waits for its own end, at most BusyTimeout.
type Engine struct {
	engine.Single // each write of one row is a Write, except a creation

	dsn         string
	path        string // of the file; empty in memory
	waitTimeout time.Duration
	now         func() time.Time
	logger      *slog.Logger
	// A pool holds its idle connections. A nil in it stands for a connection that has not been opened yet.
	writer  chan *sqliteconn.Conn
	readers chan *sqliteconn.Conn
	closed  chan struct{}
	memory  bool // the readers are the writer: a database in memory has one connection
	alarm   *engine.Alarm

	queue        *commit.Queue[write, storagedb.Generation] // of the writes that touch few rows
	checkpointer checkpointer
	backups      sync.RWMutex // read-locked by each running backup
	backingUp    sync.Mutex
	backupCount  int // guarded by backingUp; while it is not 0, commits run no checkpoints
}

func readersFor(maxConns int) int {
	if maxConns > 0 {
		return maxConns
	}
	return max(4, runtime.GOMAXPROCS(0))
}

// New returns an engine. It opens a connection only for a database in memory, which exists while it has one; call
// OpenWriter when the schema is in order.
func New(
	ctx context.Context, t dburl.Target, opts engine.Options, now func() time.Time, logger *slog.Logger,
) (*Engine, error) {
	if errRegister != nil {
		return nil, errRegister
	}
	settings := sqliteconn.DurableSettings
	if opts.ReadOnly {
		settings = sqliteconn.WithoutLog(settings)
	}
	autoCheckpoint := "wal_autocheckpoint(" + strconv.Itoa(autoCheckpointPages) + ")"
	e := &Engine{
		dsn:         sqliteconn.DSN(t, append([]string{"foreign_keys(ON)", autoCheckpoint}, settings...)...),
		path:        t.Path,
		waitTimeout: opts.BusyTimeout,
		now:         now,
		logger:      logger,
		writer:      make(chan *sqliteconn.Conn, 1),
		closed:      make(chan struct{}),
		memory:      t.Memory != "",
	}
	e.writer <- nil
	e.Single = engine.Single{Write: e.Write, Now: now}
	oneBatch := commit.Options{Batches: 1, Logger: logger, Afterwards: e.checkpoint} // because there is one writer
	e.queue = commit.New(e.waitTimeout, oneBatch, e.beginBatch)
	if e.memory {
		e.alarm = engine.NewAlarm(nil) // there are no other processes
		e.readers = e.writer
		return e, e.OpenWriter(ctx)
	}
	e.alarm = engine.NewAlarm(e.watchOtherProcesses)
	readers := readersFor(opts.MaxConns)
	e.readers = make(chan *sqliteconn.Conn, readers)
	for range readers {
		e.readers <- nil
	}
	return e, nil
}

// OpenWriter opens the writer connection. It must come before any reader: the writer brings a new file into WAL mode,
// which a reader may not.
func (e *Engine) OpenWriter(ctx context.Context) error {
	conn, err := e.take(ctx, e.writer, time.Now().Add(e.waitTimeout))
	if err != nil {
		return err
	}
	e.writer <- conn
	return nil
}

// take waits for a connection of a pool until the deadline, and opens it if that has not been done yet.
func (e *Engine) take(ctx context.Context, pool chan *sqliteconn.Conn, deadline time.Time) (*sqliteconn.Conn, error) {
	select {
	case <-e.closed:
		return nil, dberr.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var conn *sqliteconn.Conn
	select {
	case conn = <-pool:
	default: // a wait costs a timer, so it comes second
		var err error
		if conn, err = dbtx.WaitUntil(ctx, deadline, dbtx.ForConnection, func(ctx context.Context) (*sqliteconn.Conn, error) {
			select {
			case conn := <-pool:
				return conn, nil
			case <-e.closed:
				return nil, dberr.ErrClosed
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}); err != nil {
			return nil, err
		}
	}
	if conn != nil {
		return conn, nil
	}
	dsn := e.dsn
	if pool != e.writer {
		dsn += sqliteconn.ReaderSettings
	}
	conn, err := sqliteconn.OpenWhenFree(ctx, deadline, dsn, e.waitTimeout)
	if err != nil {
		pool <- nil
		return nil, err
	}
	return conn, nil
}

// Read runs fn on a connection of the pool.
func (e *Engine) Read(ctx context.Context, fn func(engine.Queries) error) error {
	log := dbtx.NewLog(e.logger)
	defer log.Flush(ctx)
	conn, err := e.take(ctx, e.readers, time.Now().Add(e.waitTimeout))
	if err != nil {
		return err
	}
	defer func() { e.readers <- conn }()
	return fn(e.Queries(log.Wrap(conn)))
}

// ReadStale is Read: there is no replica.
func (e *Engine) ReadStale(ctx context.Context, fn func(engine.Queries) error) error {
	return e.Read(ctx, fn)
}

// Write runs fn in a batch with the writes of other callers if it changes few rows, and else in a transaction of its
// own.
func (e *Engine) Write(ctx context.Context, mode engine.Mode, fn func(engine.Queries) error) error {
	switch mode {
	case engine.Statement, engine.Operation:
		_, err := e.queue.Do(ctx, write{run: fn, atomic: mode == engine.Operation})
		return err
	default:
		return e.InTx(ctx, func(db storagedb.DBTX, _ func() dbtx.State) error { return fn(e.Queries(db)) })
	}
}

// InTx runs fn in a transaction on the writer.
func (e *Engine) InTx(ctx context.Context, fn func(db storagedb.DBTX, state func() dbtx.State) error) error {
	log := dbtx.NewLog(e.logger)
	defer log.Flush(ctx)
	tx, err := e.begin(ctx, time.Now().Add(e.waitTimeout), log)
	if err != nil {
		return err
	}
	end := tx.end
	defer func() { end() }() // rolls back when fn panics, too
	if err := fn(tx.db, tx.state); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	end = func() {}
	return dbtx.WaitOrLeave(ctx, func() error {
		defer e.checkpoint()
		defer tx.end()
		return tx.commit()
	})
}

// writerTx is a transaction on the writer. Its end rolls back what was not committed.
type writerTx struct {
	engine    *Engine
	conn      *sqliteconn.Conn
	db        storagedb.DBTX
	began     int // conn.Ended before the transaction
	committed bool
}

func (e *Engine) begin(ctx context.Context, deadline time.Time, log *dbtx.Log) (*writerTx, error) {
	conn, err := e.take(ctx, e.writer, deadline)
	if err != nil {
		return nil, err
	}
	tx := &writerTx{engine: e, conn: conn, db: log.Wrap(conn)}
	// IMMEDIATE, because a transaction that first reads and then writes cannot wait for the lock: its snapshot is stale.
	// An error does not mean that it has not begun: modernc returns the end of a context after a success, too.
	begin := func(ctx context.Context) (struct{}, error) {
		_, err := tx.db.Exec(ctx, "BEGIN IMMEDIATE")
		return struct{}{}, sqliteconn.Classify(err)
	}
	if _, err := dbtx.WaitUntil(ctx, deadline, "the write of another process to end", begin); err != nil {
		tx.end()
		return nil, err
	}
	tx.began = conn.Ended()
	return tx, nil
}

func (tx *writerTx) state() dbtx.State {
	if tx.conn.Ended() != tx.began {
		return dbtx.Ended
	}
	return dbtx.Open
}

// commit is not cut off by a context: after an error the caller must be sure that nothing was changed.
func (tx *writerTx) commit() error {
	_, err := tx.db.Exec(context.Background(), "COMMIT")
	tx.committed = err == nil
	tx.engine.checkpointer.noteWritten(tx.conn)
	return err
}

// end returns the writer.
func (tx *writerTx) end() {
	if !tx.committed {
		tx.conn = tx.engine.rollback(tx.conn)
	}
	tx.engine.writer <- tx.conn
}

// rollback ends the transaction, if there is one. It returns the connection, or nil if that must not be used again.
func (e *Engine) rollback(conn *sqliteconn.Conn) *sqliteconn.Conn {
	_, err := conn.Exec(context.Background(), "ROLLBACK")
	if err == nil || e.memory {
		return conn
	}
	// The generic code means that there is no transaction: it never began, or SQLite has rolled it back itself.
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_ERROR {
		return conn
	}
	conn.Close()
	return nil
}

// Notify wakes the waiting callers of this process. Other processes watch the file.
func (e *Engine) Notify() { e.alarm.Ring() }

// Notified returns a channel that the next notification closes.
func (e *Engine) Notified() <-chan struct{} { return e.alarm.Next() }

// DB runs each statement on the writer: sqlc sends INSERT ... RETURNING through QueryRow.
func (e *Engine) DB() storagedb.DBTX {
	return dbtx.Borrowed{Borrow: func(ctx context.Context) (storagedb.DBTX, func(), error) {
		conn, err := e.take(ctx, e.writer, time.Now().Add(e.waitTimeout))
		if err != nil {
			return nil, nil, err
		}
		// A transaction that a user began by hand ends here, or it would hold up every process.
		return conn, func() { e.writer <- e.rollback(conn) }, nil
	}, Logger: e.logger}
}

// Ping reads from the file.
func (e *Engine) Ping(ctx context.Context) error {
	return e.Read(ctx, func(q engine.Queries) error {
		_, err := q.DB.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1")
		return err
	})
}

// Close waits for the running calls. It closes the writer last: the last connection brings the log back into the file,
// and a reader may not write.
func (e *Engine) Close() {
	close(e.closed)
	e.backups.Lock() // they end soon
	defer e.backups.Unlock()
	e.queue.Close()
	e.alarm.Close()
	e.checkpointer.close()
	pools := []chan *sqliteconn.Conn{e.readers, e.writer}
	if e.memory {
		pools = pools[1:]
	}
	for _, pool := range pools {
		for range cap(pool) {
			if conn := <-pool; conn != nil {
				conn.Close()
			}
		}
	}
}
