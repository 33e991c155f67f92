package dbtx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// Quiet returns a connection of pgx whose errors quote no values. If pgx cannot encode an argument, its error prints the
// argument: all prompts of a batch. The errors of values that it or the server cannot read quote them, too. Each error
// stays in the chain of the one that Quiet returns in its place.
func Quiet(db storagedb.DBTX) storagedb.DBTX { return quietDB{db} }

// quietError has another text than err.
type quietError struct {
	text string
	err  error
}

func (e quietError) Error() string { return e.text }
func (e quietError) Unwrap() error { return e.err }

// quiet replaces the text of an error that may quote a value.
func quiet(err error) error {
	if err == nil || saysNoValue(err) {
		return err
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Data exceptions quote the value. So does a syntax error without a position, as in the words of a search.
		if strings.HasPrefix(refused.Code, "22") || refused.Code == "42601" && refused.Position == 0 {
			return quietError{"the server refuses a value (SQLSTATE " + refused.Code + ")", err}
		}
		return err
	}
	if scan, ok := errors.AsType[pgx.ScanArgError](err); ok {
		return quietError{fmt.Sprintf("column %s has a value that cannot be read", scan.FieldName), err}
	}
	// pgx has no type for an argument that it cannot encode.
	return quietError{"pgx cannot send an argument or read an answer: unwrap the error to see why, it may quote values", err}
}

// saysNoValue reports whether an error is about a connection, a context or a result, and not about what was sent.
func saysNoValue(err error) bool {
	for _, known := range []error{
		pgx.ErrNoRows, pgx.ErrTooManyRows, pgx.ErrTxClosed, context.Canceled, context.DeadlineExceeded, io.EOF,
		io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[interface { // the errors of pgconn, and of a Tx
		error
		SafeToRetry() bool
	}](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

type quietDB struct{ storagedb.DBTX }

func (q quietDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := q.DBTX.Exec(ctx, sql, args...)
	return tag, quiet(err)
}

func (q quietDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := q.DBTX.Query(ctx, sql, args...)
	return quietRows{rows}, quiet(err)
}

func (q quietDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return quietRow{q.DBTX.QueryRow(ctx, sql, args...)}
}

// CopyFrom tells the server why it cannot go on, and the server returns that text as a cancelled query.
func (q quietDB) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	copied, err := q.DBTX.CopyFrom(ctx, table, columns, rows)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "57014" {
		return copied, quietError{"the copy was given up (SQLSTATE 57014)", err}
	}
	return copied, quiet(err)
}

type quietRows struct{ pgx.Rows }

func (r quietRows) Err() error             { return quiet(r.Rows.Err()) }
func (r quietRows) Scan(dest ...any) error { return quiet(r.Rows.Scan(dest...)) }

type quietRow struct{ pgx.Row }

func (r quietRow) Scan(dest ...any) error { return quiet(r.Row.Scan(dest...)) }
