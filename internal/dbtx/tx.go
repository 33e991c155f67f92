package dbtx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// State is the state of a transaction, as its engine sees it.
type State int

const (
	// Open is a transaction that can commit.
	Open State = iota
	// Failed is one that an error has ended on PostgreSQL: it can only be rolled back.
	Failed
	// Ended is one that is over. A statement that runs now would commit by itself.
	Ended
)

// Tx is the connection of a transaction. It refuses statements once the transaction has ended, so that none commits by
// itself, and it remembers the error that ended it.
//
// Locks: running is held while an operation runs, so that the transaction does not end under it; it is taken before mu.
// mu guards the fields below it and is never held while a statement runs.
type Tx struct {
	db    storagedb.DBTX
	state func() State

	running sync.Mutex

	mu     sync.Mutex
	closed error           // set when InTx has returned
	last   error           // the last error of a statement, or the one that ended the transaction
	cutOff bool            // the end of a context cut a statement off: whether it took effect is not known
	open   map[*int]func() // closes the open results
}

// NewTx wraps the connection of a transaction. state reports how the transaction stands.
func NewTx(db storagedb.DBTX, state func() State) *Tx { return &Tx{db: db, state: state} }

// Run runs one operation. Operations of goroutines that share the transaction run one after the other.
func (t *Tx) Run(operation func() error) error {
	t.running.Lock()
	defer t.running.Unlock()
	return operation()
}

// Atomically runs one operation after a savepoint, and rolls back to it if the operation fails. Without it, a conflict
// would leave half of the operation on SQLite, and end the whole transaction on PostgreSQL.
func (t *Tx) Atomically(ctx context.Context, operation func() error) error {
	return t.Run(func() error {
		if _, err := t.Exec(ctx, "SAVEPOINT operation"); err != nil {
			return err
		}
		// Not cut off from here on: whether the operation is part of the transaction must be certain.
		ctx := context.WithoutCancel(ctx)
		err := operation()
		if err == nil {
			if _, err = t.Exec(ctx, "RELEASE SAVEPOINT operation"); err == nil {
				return nil
			}
		}
		if t.usable() != nil { // there is no savepoint to roll back to
			return err
		}
		if _, rollbackErr := t.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); rollbackErr != nil {
			return errors.Join(err, rollbackErr)
		}
		if _, releaseErr := t.Exec(ctx, "RELEASE SAVEPOINT operation"); releaseErr != nil {
			return errors.Join(err, releaseErr)
		}
		t.forgive()
		return err
	})
}

// Savepoint runs fn after a savepoint of a transaction that only fails with its statements, as SQLite's does. It rolls
// back to the savepoint if fn fails.
func Savepoint(ctx context.Context, db storagedb.DBTX, fn func() error) error {
	if _, err := db.Exec(ctx, "SAVEPOINT operation"); err != nil {
		return err
	}
	err := fn()
	if err != nil {
		if _, rollbackErr := db.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); rollbackErr != nil {
			err = errors.Join(err, rollbackErr)
		}
	}
	if _, releaseErr := db.Exec(ctx, "RELEASE SAVEPOINT operation"); releaseErr != nil {
		err = errors.Join(err, releaseErr)
	}
	return err
}

// usable returns the reason why a statement may not run, or nil.
func (t *Tx) usable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return t.closed
	}
	if t.cutOff || t.state() == Ended {
		return t.endedEarly()
	}
	return nil
}

// Finish waits for a running operation and lets no other begin. It returns an error if the transaction must not commit.
// A second call does nothing.
func (t *Tx) Finish() error {
	t.running.Lock()
	defer t.running.Unlock()
	left := t.closeResults()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return nil
	}
	t.closed = fmt.Errorf("%w: the transaction has ended", dberr.ErrClosed)
	if left > 0 {
		return errors.New("a result of tx.DB() was left open: close its rows, or scan its row")
	}
	if t.cutOff || t.state() != Open {
		return t.endedEarly()
	}
	return nil
}

func (t *Tx) endedEarly() error {
	if t.last == nil {
		return errors.New("the transaction was ended by a statement of its own: leave COMMIT and ROLLBACK to InTx")
	}
	return fmt.Errorf("the transaction ended early, with an error that was passed over: %w", t.last)
}

func (t *Tx) note(err error) {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cutOff {
		return
	}
	if t.last == nil || t.state() == Open {
		t.last = err
	}
	t.cutOff = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// opened registers a result, and returns the function to call when the result is closed.
func (t *Tx) opened(closeResult func()) (closed func(error)) {
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

// closeResults closes the open results: with one of them a connection can neither commit nor run another statement.
func (t *Tx) closeResults() (left int) {
	t.mu.Lock()
	results := slices.Collect(maps.Values(t.open))
	t.mu.Unlock()
	for _, closeResult := range results {
		closeResult()
	}
	return len(results)
}

// forgive forgets an error whose changes were rolled back with their savepoint.
func (t *Tx) forgive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = nil
}

func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.usable(); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := t.db.Exec(ctx, sql, args...)
	t.note(err)
	return tag, err
}

func (t *Tx) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	copied, err := t.db.CopyFrom(ctx, table, columns, rows)
	t.note(err)
	return copied, err
}

func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
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

func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.usable(); err != nil {
		return failedRow{err}
	}
	row := t.db.QueryRow(ctx, sql, args...)
	return &watchedRow{row, t.opened(func() { _ = row.Scan() })} // a scan into nothing closes it
}
