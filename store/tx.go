package store

import (
	"context"
	"sync/atomic"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Tx is a transaction: the operations of a [Store] on one connection, all of which take effect together or not at all.
// It sees its own writes. Goroutines may share a Tx; its operations run one after the other.
//
// An operation that returns ErrNotFound, ErrConflict, ErrLeaseLost, ErrCancelRequested, a *ValidationError or a
// *TransitionError has changed nothing, and the function may go on. If the context of an operation ends, the
// transaction ends. Any other error, such as ErrBusy, may have ended it; InTx then returns that error even if the
// function does not.
type Tx struct {
	operations
	db *dbtx.Tx
}

// InTx runs fn in a transaction, and commits if fn returns nil. If fn returns an error, InTx rolls back and returns
// that error as it is. It also rolls back if ctx ends, and if fn panics; the panic goes on.
//
// On SQLite the transaction is the only writer from its start, so keep fn short and do slow work before. Inside fn use
// tx, never the Store: a call on the Store waits for the transaction, which waits for fn, and returns ErrBusy after
// Options.BusyTimeout. The same holds for an InTx inside fn. When InTx has returned, operations of its Tx return
// ErrClosed.
func (s *Store) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	if fn == nil {
		return describe("transaction", dberr.Invalid("fn", "is nil"))
	}
	var fromFn error
	var notify atomic.Bool
	err := s.engine.InTx(ctx, func(db storagedb.DBTX, state func() dbtx.State) error {
		guarded := dbtx.NewTx(db, state)
		defer guarded.Finish() // if fn returns an error or panics
		session := &txSession{tx: guarded, queries: s.engine.Queries(guarded), notify: &notify}
		session.Single = engine.Single{Write: session.Write, Now: s.clock.Now}
		if fromFn = fn(&Tx{operations{session: s.clock.ticking(session), clock: s.clock}, guarded}); fromFn != nil {
			return fromFn
		}
		return guarded.Finish()
	})
	if err == nil && notify.Load() {
		s.engine.Notify()
	}
	if err != nil && fromFn == nil {
		return describe("transaction", err)
	}
	return err
}

// DB is for queries of your own in the same transaction: sqlc's New takes it. Close each result and scan each row
// before the function returns, and leave BEGIN, COMMIT and ROLLBACK to InTx. Two goroutines must not use it at once,
// nor one while an operation of the Tx runs.
func (tx *Tx) DB() storagedb.DBTX { return tx.db }

// txSession runs all operations on the transaction's connection, one after the other.
type txSession struct {
	engine.Single
	tx      *dbtx.Tx
	queries engine.Queries
	notify  *atomic.Bool // whether to notify after the commit
}

func (s *txSession) Read(_ context.Context, fn func(engine.Queries) error) error {
	return s.tx.Run(func() error { return fn(s.queries) })
}

func (s *txSession) ReadStale(ctx context.Context, fn func(engine.Queries) error) error {
	return s.Read(ctx, fn)
}

func (s *txSession) Write(ctx context.Context, mode engine.Mode, fn func(engine.Queries) error) error {
	if mode == engine.Statement {
		return s.Read(ctx, fn)
	}
	return s.tx.Atomically(ctx, func() error { return fn(s.queries) })
}

func (s *txSession) Notify() { s.notify.Store(true) }

// Notified returns nil: to wait in a transaction would hold up those who could create something.
func (s *txSession) Notified() <-chan struct{} { return nil }
