package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// Tx is a transaction: the operations of a [Store] on one connection, all of which take effect together or not at all.
// It sees its own writes. Goroutines may share a Tx; its operations run one after the other.
//
// An operation that returns ErrNotFound, ErrConflict, ErrLeaseLost, ErrCancelRequested, a *ValidationError or a
// *TransitionError has changed nothing, and the function may go on. The end of a context in an operation ends the
// transaction, and any other error, such as ErrBusy, may have ended it; InTx then returns that error even if the
// function does not.
type Tx struct {
	operations
	db *txDB
}

// InTx runs fn in a transaction, and commits when fn returns nil. It rolls back when fn returns an error, which it then
// returns as it is, when ctx ends, and when fn panics; the panic goes on.
//
// On SQLite the transaction is the only writer from its first moment, so keep fn short: do the slow work before. Inside
// fn use tx, never the Store: a call on the Store waits for the transaction, which waits for fn. It ends after
// Options.BusyTimeout, as an ErrBusy. The same goes for an InTx inside fn. A Tx is of no use once InTx has returned;
// its operations then return ErrClosed.
func (s *Store) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	if fn == nil {
		return invalid("fn", "is nil")
	}
	var fromFn error
	var announced atomic.Bool
	err := s.engine.inTx(ctx, func(db storagedb.DBTX, state func() txState) error {
		guarded := &txDB{db: db, state: state}
		defer guarded.finish() // when fn returns an error or panics
		tx := &Tx{operations{session: &txSession{db: guarded, said: &announced}, dialect: s.engine, clock: s.clock}, guarded}
		if fromFn = fn(tx); fromFn != nil {
			return fromFn
		}
		return guarded.finish()
	})
	if err == nil && announced.Load() {
		s.engine.announce()
	}
	if err != nil && fromFn == nil {
		return describe("transaction", err)
	}
	return err
}

// DB is for queries of your own in the same transaction: sqlc's New takes it. Close each result and scan each row before
// the function returns, and leave BEGIN, COMMIT and ROLLBACK to InTx. It may not be used by two goroutines at once, nor
// while an operation of the Tx runs.
func (tx *Tx) DB() storagedb.DBTX { return tx.db }

// txSession runs everything on the transaction's connection, one after the other.
type txSession struct {
	db   *txDB
	said *atomic.Bool // whether there is something to announce once the transaction has committed
}

func (t *txSession) announce() { t.said.Store(true) }

func (t *txSession) announced() <-chan struct{} { return nil }

func (t *txSession) read(_ context.Context, fn func(storagedb.DBTX) error) error {
	t.db.running.Lock()
	defer t.db.running.Unlock()
	return fn(t.db)
}

func (t *txSession) readStale(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.read(ctx, fn)
}

func (t *txSession) write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.read(ctx, fn)
}

// writeAtomic puts a savepoint before fn, so that a conflict takes nothing else along: half of the operation on SQLite,
// the whole transaction on PostgreSQL.
func (t *txSession) writeAtomic(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.read(ctx, func(db storagedb.DBTX) error {
		if _, err := db.Exec(ctx, "SAVEPOINT operation"); err != nil {
			return err
		}
		// Not to be cut off from here on: whether the operation is part of the transaction must be certain.
		ctx := context.WithoutCancel(ctx)
		err := fn(db)
		if err == nil {
			if _, err = db.Exec(ctx, "RELEASE SAVEPOINT operation"); err == nil {
				return nil
			}
		}
		if t.db.usable() != nil { // there is nothing left to go back to
			return err
		}
		if _, rollbackErr := db.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); rollbackErr != nil {
			return errors.Join(err, rollbackErr)
		}
		if _, releaseErr := db.Exec(ctx, "RELEASE SAVEPOINT operation"); releaseErr != nil {
			return errors.Join(err, releaseErr)
		}
		t.db.forgive()
		return err
	})
}

func (t *txSession) writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error {
	if joint.atomic {
		return t.writeAtomic(ctx, alone)
	}
	return t.write(ctx, alone)
}

func (t *txSession) writeAll(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.writeAtomic(ctx, fn)
}

func (t *txSession) writeMany(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.writeAtomic(ctx, fn)
}

// txState is what the engine says of a transaction.
type txState int

const (
	txOpen   txState = iota
	txFailed         // PostgreSQL: an error has made it one that can only be rolled back
	txEnded          // there is none any more; what runs now would commit on its own
)

// txDB is the connection of a transaction for as long as there is one.
type txDB struct {
	db    storagedb.DBTX
	state func() txState

	running sync.Mutex // held while an operation runs, so that the transaction does not end under it

	mu     sync.Mutex
	closed error           // set once InTx has returned
	last   error           // the last error of a statement, or the one that ended the transaction
	cutOff bool            // by the end of a statement's context: whether that took effect is not known
	open   map[*int]func() // closes the results that are open
}

// usable tells whether a statement may run.
func (t *txDB) usable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return t.closed
	}
	if t.cutOff || t.state() == txEnded {
		return t.endedEarly()
	}
	return nil
}

// finish waits for the operation that runs, lets no other begin, and tells whether all is as it should be for a commit.
// A second time it does nothing.
func (t *txDB) finish() error {
	t.running.Lock()
	defer t.running.Unlock()
	left := t.closeResults()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return nil
	}
	t.closed = fmt.Errorf("%w: the transaction has ended", ErrClosed)
	if left > 0 {
		return errors.New("a result of tx.DB() was left open: close its rows, or scan its row")
	}
	if t.cutOff || t.state() != txOpen {
		return t.endedEarly()
	}
	return nil
}

func (t *txDB) endedEarly() error {
	if t.last == nil {
		return errors.New("the transaction was ended by a statement of its own: leave COMMIT and ROLLBACK to InTx")
	}
	return fmt.Errorf("the transaction ended early, with an error that was passed over: %w", t.last)
}

func (t *txDB) note(err error) {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cutOff {
		return
	}
	if t.last == nil || t.state() == txOpen {
		t.last = err
	}
	t.cutOff = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// opened registers a result and returns what is to be called when it is closed.
func (t *txDB) opened(closeResult func()) (closed func(error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[*int]func())
	}
	key := new(int)
	t.open[key] = closeResult
	return func(err error) {
		t.mu.Lock()
		delete(t.open, key)
		t.mu.Unlock()
		t.note(err)
	}
}

// closeResults closes what is open, since a connection cannot commit or be used again with it.
func (t *txDB) closeResults() (left int) {
	t.mu.Lock()
	results := slices.Collect(maps.Values(t.open))
	t.mu.Unlock()
	for _, closeResult := range results {
		closeResult()
	}
	return len(results)
}

// forgive forgets an error that was taken back with its savepoint.
func (t *txDB) forgive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = nil
}

func (t *txDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.usable(); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := t.db.Exec(ctx, sql, args...)
	t.note(err)
	return tag, err
}

func (t *txDB) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	copied, err := t.db.CopyFrom(ctx, table, columns, rows)
	t.note(err)
	return copied, err
}

func (t *txDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	rows, err := t.db.Query(ctx, sql, args...)
	if err != nil {
		t.note(err)
		return rows, err
	}
	watched := &watchedRows{Rows: rows}
	watched.done = t.opened(watched.Close)
	return watched, nil
}

func (t *txDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.usable(); err != nil {
		return failedRow{err}
	}
	row := t.db.QueryRow(ctx, sql, args...)
	return &watchedRow{row, t.opened(func() { _ = row.Scan() })} // a scan into nothing closes it
}
