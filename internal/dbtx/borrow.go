package dbtx

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// Borrowed runs each statement on a connection of its own. Borrow takes the connection, and release returns it when the
// result is closed. After that the statement is logged. (*Store).DB returns one for a user's own queries.
type Borrowed struct {
	Borrow func(ctx context.Context) (db storagedb.DBTX, release func(), err error)
	Logger *slog.Logger // may be nil
}

func (b Borrowed) borrow(ctx context.Context) (storagedb.DBTX, func(), error) {
	db, release, err := b.Borrow(ctx)
	log := NewLog(b.Logger)
	if err != nil || log == nil {
		return db, release, err
	}
	return log.Wrap(db), func() {
		release()
		log.Flush(ctx)
	}, nil
}

func (b Borrowed) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	db, release, err := b.borrow(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer release()
	return db.Exec(ctx, sql, args...)
}

func (b Borrowed) Query(ctx context.Context, sql string, args ...any) (rows pgx.Rows, err error) {
	db, release, err := b.borrow(ctx)
	if err != nil {
		return nil, err
	}
	lent := false
	defer func() { // also if an argument panics
		if !lent {
			release()
		}
	}()
	if rows, err = db.Query(ctx, sql, args...); err != nil {
		return rows, err
	}
	lent = true
	return &watchedRows{Rows: rows, done: func(error) { release() }}, nil
}

func (b Borrowed) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	db, release, err := b.borrow(ctx)
	if err != nil {
		return failedRow{err}
	}
	lent := false
	defer func() { // also if an argument panics
		if !lent {
			release()
		}
	}()
	row := db.QueryRow(ctx, sql, args...)
	lent = true
	return &watchedRow{row, func(error) { release() }}
}

func (b Borrowed) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	db, release, err := b.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	return db.CopyFrom(ctx, table, columns, rows)
}

// watchedRows calls done once: when the result is closed, or when it has no more rows.
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

// watchedRow calls done when the row has been scanned, also if a destination panics.
type watchedRow struct {
	row  pgx.Row
	done func(error) // nil after the scan
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
