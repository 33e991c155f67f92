package dbtx

import (
	"context"
	"errors"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// Naming returns a connection of pgx that returns a *storagedb.UnreadableError, which names the row, if a value cannot be
// read, such as the time infinity. pgx only names the column.
func Naming(db storagedb.DBTX) storagedb.DBTX { return namingRows{db} }

type namingRows struct{ storagedb.DBTX }

func (n namingRows) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := n.DBTX.Query(ctx, sql, args...)
	return namedRows{rows}, err
}

func (n namingRows) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return namedRow{n.DBTX.QueryRow(ctx, sql, args...)}
}

type namedRows struct{ pgx.Rows }

func (r namedRows) Scan(dest ...any) error { return named(r.Rows.Scan(dest...), dest) }

type namedRow struct{ pgx.Row }

func (r namedRow) Scan(dest ...any) error { return named(r.Row.Scan(dest...), dest) }

// named returns a *storagedb.UnreadableError for a value that cannot be read. The queries of the store read the key of
// a row first, so that it is in dest by then.
func named(err error, dest []any) error {
	unreadable, ok := errors.AsType[pgx.ScanArgError](err)
	if !ok {
		return err
	}
	key := ""
	if unreadable.ColumnIndex > 0 {
		switch id := dest[0].(type) {
		case *uuid.UUID:
			key = id.String()
			if attempt, ok := dest[1].(*int64); ok && unreadable.FieldName == "failed_at" { // of generation_errors
				key += "/" + strconv.FormatInt(*attempt, 10)
			}
		case *int64:
			key = strconv.FormatInt(*id, 10)
		}
	}
	return &storagedb.UnreadableError{Key: key, Column: unreadable.FieldName, Err: unreadable.Err}
}
