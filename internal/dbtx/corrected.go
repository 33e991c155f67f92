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

// Corrected returns a connection of pgx whose errors do not say what they must not: that nothing was sent, if that may
// be wrong, and the values that were sent. If pgx cannot encode an argument, its error prints the argument: all prompts
// of a batch. Each error of pgx stays in the chain of the one that comes in its place.
func Corrected(db storagedb.DBTX) storagedb.DBTX { return correctedDB{db} }

type correctedDB struct{ storagedb.DBTX }

func (c correctedDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := c.DBTX.Exec(ctx, sql, args...)
	return tag, corrected(err)
}

func (c correctedDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := c.DBTX.Query(ctx, sql, args...)
	return correctedRows{rows}, corrected(err)
}

func (c correctedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return correctedRow{c.DBTX.QueryRow(ctx, sql, args...)}
}

// CopyFrom tells the server why it cannot go on, and the server returns that text as a cancelled query.
func (c correctedDB) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	copied, err := c.DBTX.CopyFrom(ctx, table, columns, rows)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "57014" {
		return copied, quietError{"the copy was given up (SQLSTATE 57014)", err}
	}
	return copied, corrected(err)
}

type correctedRows struct{ pgx.Rows }

func (r correctedRows) Err() error             { return corrected(r.Rows.Err()) }
func (r correctedRows) Scan(dest ...any) error { return corrected(r.Rows.Scan(dest...)) }

type correctedRow struct{ pgx.Row }

func (r correctedRow) Scan(dest ...any) error { return corrected(r.Row.Scan(dest...)) }

func corrected(err error) error { return MayHaveRun(quiet(err)) }

// MayHaveRun returns err without its claim that nothing was sent, if that may be wrong. If an answer of the simple
// protocol is cut off before its first byte, pgx 5.12 returns ErrConnClosed, which claims it: MultiResultReader closes
// the connection, and then finds it closed. In every mode COMMIT and Exec without arguments use that protocol.
func MayHaveRun(err error) error {
	if errors.Is(err, pgconn.ErrConnClosed) && pgconn.SafeToRetry(err) {
		return uncertainError{err}
	}
	return err
}

type uncertainError struct{ error }

func (e uncertainError) Error() string {
	return "the connection was lost before the answer came, so the outcome is not known: " + e.error.Error()
}
func (e uncertainError) Unwrap() error     { return e.error }
func (e uncertainError) SafeToRetry() bool { return false }

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
	return quietError{"pgx cannot send an argument or read an answer: unwrap the error to see why; it may quote values",
		err}
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
