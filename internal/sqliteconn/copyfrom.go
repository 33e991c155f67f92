package sqliteconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CopyFrom inserts the rows of a source, as pgx's CopyFrom does by COPY. It inserts all rows or none, by statements of
// up to 64 rows each.
//
// It is faster than one statement for each row. SQLite keeps a copy of each page that a statement with triggers
// changes, to be able to roll back the statement. With 64 rows in a statement, a generation costs half.
func (c *Conn) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource,
) (int64, error) {
	if len(columns) == 0 {
		return 0, errors.New("store: copy into no columns")
	}
	rows := newCopying(table, columns, source)
	if err := rows.read(); err != nil {
		return 0, err
	}
	if rows.fitOneStatement() {
		return rows.insert(ctx, c)
	}
	if _, err := c.Exec(ctx, "SAVEPOINT copy_from"); err != nil {
		return 0, err
	}
	ending, finished := context.WithoutCancel(ctx), false // the savepoint must not stay open
	defer func() {
		if !finished { // the source panicked or ended the goroutine
			_, _ = c.Exec(ending, "ROLLBACK TO SAVEPOINT copy_from")
			_, _ = c.Exec(ending, "RELEASE SAVEPOINT copy_from")
		}
	}()
	copied, err := rows.insertAll(ctx, c)
	finished = true
	if err != nil {
		if _, undone := c.Exec(ending, "ROLLBACK TO SAVEPOINT copy_from"); undone != nil {
			return 0, errors.Join(err, undone) // SQLite has rolled back the whole transaction
		}
	}
	if _, released := c.Exec(ending, "RELEASE SAVEPOINT copy_from"); err == nil {
		err = released
	}
	if err != nil {
		return 0, err
	}
	return copied, nil
}

const (
	maxRowsPerInsert = 64
	maxVariables     = 32766 // of a statement, https://www.sqlite.org/limits.html
)

// copying is the state of one CopyFrom.
type copying struct {
	source  pgx.CopyFromSource
	prefix  string // of an INSERT, up to its VALUES
	width   int    // the number of columns
	maxRows int    // the most rows of a statement, a power of two
	values  []any  // the values to insert next
	ended   bool   // whether the source has no more rows
}

func newCopying(table pgx.Identifier, columns []string, source pgx.CopyFromSource) *copying {
	maxRows := maxRowsPerInsert
	for maxRows > 1 && maxRows*len(columns) > maxVariables {
		maxRows /= 2
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = pgx.Identifier{column}.Sanitize() // SQLite quotes names in the same way
	}
	return &copying{
		source: source, width: len(columns), maxRows: maxRows,
		prefix: "INSERT INTO " + table.Sanitize() + " (" + strings.Join(names, ", ") + ") VALUES ",
	}
}

// read reads the next rows of the source, at most as many as a statement may have.
func (r *copying) read() error {
	r.values = r.values[:0]
	for range r.maxRows {
		if !r.source.Next() {
			r.ended = true
			return r.source.Err()
		}
		row, err := r.source.Values()
		if err != nil {
			return err
		}
		if len(row) != r.width {
			return fmt.Errorf("store: copy of %d values into %d columns", len(row), r.width)
		}
		r.values = append(r.values, row...)
	}
	return nil
}

func (r *copying) fitOneStatement() bool {
	rows := len(r.values) / r.width
	return r.ended && rows&(rows-1) == 0
}

// insertAll inserts the rows that were read, and then all other rows of the source.
func (r *copying) insertAll(ctx context.Context, c *Conn) (copied int64, err error) {
	for {
		inserted, err := r.insert(ctx, c)
		if err != nil {
			return 0, err
		}
		copied += inserted
		if r.ended {
			return copied, nil
		}
		if err := r.read(); err != nil {
			return 0, err
		}
	}
}

// insert inserts the rows that were read, by statements of 64, 32, 16 ... rows, so that there are few different
// statements to prepare.
func (r *copying) insert(ctx context.Context, c *Conn) (inserted int64, err error) {
	values := r.values
	for rows := r.maxRows; len(values) > 0; rows /= 2 {
		n := rows * r.width
		for ; len(values) >= n; values = values[n:] {
			tag, err := c.Exec(ctx, r.statement(rows), values[:n]...)
			if err != nil {
				return 0, err
			}
			inserted += tag.RowsAffected()
		}
	}
	return inserted, nil
}

func (r *copying) statement(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", r.width), ", ") + "), "
	return r.prefix + strings.TrimSuffix(strings.Repeat(row, rows), ", ")
}
