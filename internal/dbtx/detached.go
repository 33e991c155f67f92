package dbtx

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// Detached returns db with statements that the end of a context does not cut off. In a batch, cutting off one caller's
// statement would end the transaction of all callers. Detached statements change one row each, so they are short.
// modernc would also start a goroutine for each statement that could be cut off.
func Detached(db storagedb.DBTX) storagedb.DBTX { return detached{db} }

type detached struct{ db storagedb.DBTX }

func (d detached) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return d.db.Exec(context.WithoutCancel(ctx), sql, args...)
}

func (d detached) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return d.db.Query(context.WithoutCancel(ctx), sql, args...)
}

func (d detached) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return d.db.QueryRow(context.WithoutCancel(ctx), sql, args...)
}

func (d detached) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	return d.db.CopyFrom(context.WithoutCancel(ctx), table, columns, rows)
}
