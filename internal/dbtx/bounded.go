package dbtx

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// Bounded returns db with each result cut off after the row that brings it to maxBytes. A query of many rows then takes
// bounded memory, however long its rows are.
func Bounded(db storagedb.DBTX, maxBytes int) storagedb.DBTX { return boundedDB{db, maxBytes} }

type boundedDB struct {
	storagedb.DBTX
	maxBytes int
}

func (b boundedDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := b.DBTX.Query(ctx, sql, args...)
	return &boundedRows{Rows: rows, maxBytes: b.maxBytes}, err
}

type boundedRows struct {
	pgx.Rows
	bytes, maxBytes int
}

func (r *boundedRows) Next() bool {
	if r.bytes >= r.maxBytes {
		r.Close()
		return false
	}
	return r.Rows.Next()
}

// Scan counts the bytes of the row's strings, and bytesOfRow for its other values.
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
		case *storagedb.Metadata:
			r.bytes += len(*d)
		}
	}
	return err
}

// bytesOfRow is about what the fixed-size values of a generation take.
const bytesOfRow = 512
