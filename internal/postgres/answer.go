package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// mayHaveRun returns err without its claim that nothing was sent, if that may be wrong. pgx 5.12 reports an answer of
// the simple protocol that was cut off before its first byte as ErrConnClosed, which claims it: MultiResultReader closes
// the connection, and then finds it closed. In every mode COMMIT and Exec without arguments use that protocol.
func mayHaveRun(err error) error {
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

// uncertainDB is a connection whose errors are those of mayHaveRun.
type uncertainDB struct{ storagedb.DBTX }

func (u uncertainDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := u.DBTX.Exec(ctx, sql, args...)
	return tag, mayHaveRun(err)
}

func (u uncertainDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := u.DBTX.Query(ctx, sql, args...)
	return uncertainRows{rows}, mayHaveRun(err)
}

func (u uncertainDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return uncertainRow{u.DBTX.QueryRow(ctx, sql, args...)}
}

func (u uncertainDB) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	copied, err := u.DBTX.CopyFrom(ctx, table, columns, rows)
	return copied, mayHaveRun(err)
}

type uncertainRows struct{ pgx.Rows }

func (r uncertainRows) Err() error { return mayHaveRun(r.Rows.Err()) }

type uncertainRow struct{ pgx.Row }

func (r uncertainRow) Scan(dest ...any) error { return mayHaveRun(r.Row.Scan(dest...)) }
