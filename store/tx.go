package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// Tx is a transaction: the operations of a [Store] on one connection, all of which take effect together or not at all.
// It sees its own writes. An operation that fails leaves the transaction as it was before that operation, and the
// function may go on. Goroutines may share a Tx; its operations run one after the other.
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
	var fromFn error
	err := s.engine.inTx(ctx, func(db storagedb.DBTX) error {
		tx := s.newTx(db)
		defer tx.db.end()
		if fromFn = fn(tx); fromFn != nil {
			return fromFn
		}
		return tx.db.failure()
	})
	if err != nil && fromFn == nil {
		return describe("transaction", err)
	}
	return err
}

func (s *Store) newTx(db storagedb.DBTX) *Tx {
	guarded := &txDB{db: db, breaks: s.engine.breaksTransaction}
	return &Tx{operations{session: &txSession{db: guarded}, dialect: s.engine, clock: s.clock}, guarded}
}

// DB is for queries of your own in the same transaction: sqlc's New takes it. It may not be used by two goroutines at
// once, nor while an operation of the Tx runs.
func (tx *Tx) DB() storagedb.DBTX { return tx.db }

// txSession runs everything on the transaction's connection, one after the other.
type txSession struct {
	db *txDB
}

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
		err := fn(db)
		if err == nil {
			_, err = db.Exec(ctx, "RELEASE SAVEPOINT operation")
			return err
		}
		ctx := context.WithoutCancel(ctx)
		if _, rollbackErr := db.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); rollbackErr != nil {
			return errors.Join(err, rollbackErr)
		}
		if _, releaseErr := db.Exec(ctx, "RELEASE SAVEPOINT operation"); releaseErr != nil {
			return errors.Join(err, releaseErr)
		}
		return err
	})
}

// txDB is the connection of a transaction for as long as there is one. What comes behind the end of the transaction,
// or behind an error that ended it early, is refused: on SQLite it would commit on its own.
type txDB struct {
	db     storagedb.DBTX
	breaks func(error) bool

	running sync.Mutex // held while an operation runs, so that the transaction does not end under it

	mu     sync.Mutex
	failed error // why nothing may run any more
}

func (t *txDB) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *txDB) note(err error) {
	if err == nil || !t.breaks(err) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = fmt.Errorf("the transaction ended early, with an error that was passed over: %w", err)
	}
}

func (t *txDB) end() {
	t.running.Lock()
	defer t.running.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = fmt.Errorf("%w: the transaction has ended", ErrClosed)
}

func (t *txDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.failure(); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := t.db.Exec(ctx, sql, args...)
	t.note(err)
	return tag, err
}

func (t *txDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.failure(); err != nil {
		return nil, err
	}
	rows, err := t.db.Query(ctx, sql, args...)
	if err != nil {
		t.note(err)
		return rows, err
	}
	return &watchedRows{Rows: rows, done: t.note}, nil
}

func (t *txDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.failure(); err != nil {
		return failedRow{err}
	}
	return watchedRow{t.db.QueryRow(ctx, sql, args...), t.note}
}
