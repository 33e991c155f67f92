package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// borrowedDB runs each statement on a connection that it borrows for as long as the result is open. It is what
// (*Store).DB gives to a user's own queries.
type borrowedDB struct {
	borrow func(ctx context.Context) (db storagedb.DBTX, giveBack func(), err error)
}

func (b borrowedDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	db, giveBack, err := b.borrow(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer giveBack()
	return db.Exec(ctx, sql, args...)
}

func (b borrowedDB) Query(ctx context.Context, sql string, args ...any) (rows pgx.Rows, err error) {
	db, giveBack, err := b.borrow(ctx)
	if err != nil {
		return nil, err
	}
	lent := false
	defer func() { // also when an argument panics
		if !lent {
			giveBack()
		}
	}()
	if rows, err = db.Query(ctx, sql, args...); err != nil {
		return rows, err
	}
	lent = true
	return &watchedRows{Rows: rows, done: func(error) { giveBack() }}, nil
}

func (b borrowedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	db, giveBack, err := b.borrow(ctx)
	if err != nil {
		return failedRow{err}
	}
	lent := false
	defer func() { // also when an argument panics
		if !lent {
			giveBack()
		}
	}()
	row := db.QueryRow(ctx, sql, args...)
	lent = true
	return &watchedRow{row, func(error) { giveBack() }}
}

func (b borrowedDB) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	db, giveBack, err := b.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer giveBack()
	return db.CopyFrom(ctx, table, columns, rows)
}

// watchedRows calls done once, when the result is closed or has no more rows.
type watchedRows struct {
	pgx.Rows
	done func(error)
}

func (r *watchedRows) Next() bool {
	more := r.Rows.Next()
	if !more {
		r.Close()
	}
	return more
}

func (r *watchedRows) Close() {
	r.Rows.Close()
	if done := r.done; done != nil {
		r.done = nil
		done(r.Err())
	}
}

// watchedRow calls done when the row has been scanned, also when a destination panics.
type watchedRow struct {
	row  pgx.Row
	done func(error) // nil once that has happened
}

func (r *watchedRow) Scan(dest ...any) (err error) {
	if r.done == nil {
		return errors.New("store: the row has been scanned already")
	}
	done := r.done
	r.done = nil
	defer func() { done(err) }()
	return r.row.Scan(dest...)
}

// failedRow is the row of a query that never ran.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// waitForConnection names the usual mistakes behind such a wait.
const waitForConnection = "a connection: inside InTx use the tx, not the store, and close each result of DB().Query"

// waitUntil bounds a wait: it runs get with a context that ends at the deadline, and tells that end, an ErrBusy, from
// the end of the caller's own context.
func waitUntil[T any](ctx context.Context, deadline time.Time, what string, get func(context.Context) (T, error)) (T, error) {
	waiting, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	got, err := get(waiting)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	if err := classify(err); errors.Is(err, ErrBusy) {
		return got, fmt.Errorf("while waiting for %s: %w", what, err)
	}
	if waiting.Err() != nil {
		return got, fmt.Errorf("%w: waited as long as BusyTimeout allows for %s", ErrBusy, what)
	}
	return got, err
}
