package sqliteconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dgx-music/storage/storagedb"
)

// row is the result of QueryRow.
type row struct {
	rows *rows
	err  error
}

func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close() // it may set the statement's error: SQLite commits when the statement is reset
	return r.rows.Err()
}

// rows is a modernc result as pgx.Rows.
type rows struct {
	ctx       context.Context // modernc heeds it for the first row only
	rows      driver.Rows
	statement *statement
	values    []driver.Value
	err       error
	started   bool
	closed    bool
}

func (r *rows) Next() bool {
	if r.closed {
		return false
	}
	// modernc has read the first row already, and the statement has made its changes: the first row is always returned.
	if r.started {
		if r.err = r.ctx.Err(); r.err != nil {
			r.Close()
			return false
		}
	}
	r.started = true
	if err := r.rows.Next(r.values); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
		r.Close()
		return false
	}
	return true
}

func (r *rows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("store: scan of %d columns into %d destinations", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := scanValue(r.values[i], d); err != nil {
			return &storagedb.UnreadableError{Key: r.key(), Column: r.rows.Columns()[i], Err: err}
		}
	}
	return nil
}

// key returns the key of the present row if the query reads it first, as those of the store do.
func (r *rows) key() string {
	switch names := r.rows.Columns(); {
	case names[0] == "generation_id" && len(names) > 1 && names[1] == "attempt":
		return fmt.Sprintf("%v/%v", r.values[0], r.values[1])
	case names[0] == "id", names[0] == "generation_id":
		return fmt.Sprint(r.values[0])
	}
	return ""
}

func (r *rows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if err := r.rows.Close(); err != nil && r.err == nil {
		r.err = err
	}
	r.statement.release()
}

func (r *rows) Err() error                    { return r.err }
func (r *rows) CommandTag() pgconn.CommandTag { return pgconn.CommandTag{} }
func (r *rows) Conn() *pgx.Conn               { return nil }
func (r *rows) RawValues() [][]byte           { return nil }
func (r *rows) TypeMap() *pgtype.Map          { return nil }

func (r *rows) FieldDescriptions() []pgconn.FieldDescription {
	fields := make([]pgconn.FieldDescription, len(r.values))
	for i, name := range r.rows.Columns() {
		fields[i].Name = name
	}
	return fields
}

func (r *rows) Values() ([]any, error) {
	values := make([]any, len(r.values))
	for i, value := range r.values {
		values[i] = value
	}
	return values, nil
}
