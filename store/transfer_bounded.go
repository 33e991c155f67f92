package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// boundedDB ends each result behind the row with which it has maxBatchBytes, so that a query of many rows takes bounded memory
// however long they are.
type boundedDB struct{ storagedb.DBTX }

func (b boundedDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := b.DBTX.Query(ctx, sql, args...)
	return &boundedRows{Rows: rows}, err
}

type boundedRows struct {
	pgx.Rows
	bytes int
}

func (r *boundedRows) Next() bool {
	if r.bytes >= maxBatchBytes {
		r.Close()
		return false
	}
	return r.Rows.Next()
}

// Scan counts what a row's strings have, and for the rest as much as a row of generations takes.
func (r *boundedRows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	r.bytes += bytesOfRow
	for _, d := range dest {
		switch d := d.(type) {
		case *string:
			r.bytes += len(*d)
		case **string:
			if *d != nil {
				r.bytes += len(**d)
			}
		case *Metadata:
			r.bytes += len(*d)
		}
	}
	return err
}

const bytesOfRow = 512
