package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/storagedb"
)

// The destination keeps the progress of a transfer in a table, with a row for each table that is copied. Each batch
// changes its row in the transaction that writes the batch, so the progress always agrees with the rows. The table
// exists only while a transfer is unfinished. So it is not part of the schema, and sqlc does not know its SQL.
//
// The progress identifies the source by the number of its rows and their hash, and the destination by the number of
// rows copied. A URL would not do: it is one of many names of a database, and may name another one tomorrow.
//
// Locks:
//   - Each transaction of a transfer first locks the one row of generation_queue, on SQLite the file, until it ends.
//     That is for the time of a batch.
//   - So no two transfers read or write the progress at the same time.
//   - A later transfer takes over by writing its own ID as run. The earlier one notices this with its next batch.
const (
	progressTable = "transfer_progress"

	createProgress = `CREATE TABLE transfer_progress (
	table_name TEXT NOT NULL,
	run TEXT NOT NULL,
	source_rows BIGINT NOT NULL,
	source_sha256 TEXT NOT NULL,
	copied BIGINT NOT NULL,
	last_key TEXT NOT NULL,
	CONSTRAINT transfer_progress_pkey PRIMARY KEY (table_name)
)`
	insertProgress = "INSERT INTO transfer_progress (table_name, run, source_rows, source_sha256, copied, last_key) " +
		"VALUES ($1, $2, $3, $4, 0, '')"
	listProgress     = "SELECT table_name, source_rows, source_sha256, copied, last_key FROM transfer_progress"
	takeOverProgress = "UPDATE transfer_progress SET run = $1"
	countProgress    = "SELECT count(*) FROM transfer_progress WHERE run = $1"
	moveProgress     = "UPDATE transfer_progress SET copied = copied + $1, last_key = $2 WHERE table_name = $3"
	dropProgress     = "DROP TABLE transfer_progress"
)

// mark is the progress of one table.
type mark struct {
	source  Table
	copied  int64
	lastKey string // the key of the last row copied, or ""
}

// begin takes over the marks of an interrupted transfer, or makes new ones if the destination has no rows.
func (t *Transfer) begin(ctx context.Context) (marks map[string]mark, err error) {
	err = t.to.Write(ctx, engine.Transaction, func(q engine.Queries) error {
		db := q.DB
		if err := q.LockQueueRow(ctx); err != nil {
			return err
		}
		exists, err := t.hasProgress(ctx, db)
		if err != nil {
			return err
		}
		if marks = nil; exists {
			if marks, err = readMarks(ctx, db); err != nil {
				return err
			}
		}
		present, err := rowCountsIn(ctx, q)
		if err != nil {
			return err
		}
		if isEmpty(present) { // a new database, or one that was emptied after an interrupted transfer
			if exists {
				if _, err := db.Exec(ctx, dropProgress); err != nil {
					return err
				}
			}
			marks, err = t.newMarks(ctx, db)
			return err
		}
		if err := t.checkMarks(marks, present); err != nil {
			return err
		}
		_, err = db.Exec(ctx, takeOverProgress, t.run)
		return err
	})
	return marks, err
}

func isEmpty(rows map[string]int64) bool {
	return rows["prompts"]+rows["generations"]+rows["generation_errors"] == 0
}

func (t *Transfer) hasProgress(ctx context.Context, db storagedb.DBTX) (bool, error) {
	var one int64
	err := db.QueryRow(ctx, migrate.TableQuery(t.toEngine, progressTable)).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func readMarks(ctx context.Context, db storagedb.DBTX) (map[string]mark, error) {
	rows, err := db.Query(ctx, listProgress)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	marks := make(map[string]mark)
	for rows.Next() {
		var m mark
		if err := rows.Scan(&m.source.Name, &m.source.Rows, &m.source.SHA256, &m.copied, &m.lastKey); err != nil {
			return nil, err
		}
		marks[m.source.Name] = m
	}
	return marks, rows.Err()
}

func (t *Transfer) newMarks(ctx context.Context, db storagedb.DBTX) (map[string]mark, error) {
	if _, err := db.Exec(ctx, createProgress); err != nil {
		return nil, err
	}
	marks := make(map[string]mark)
	for _, source := range t.source {
		if _, err := db.Exec(ctx, insertProgress, source.Name, t.run, source.Rows, source.SHA256); err != nil {
			return nil, err
		}
		marks[source.Name] = mark{source: source}
	}
	return marks, nil
}

// checkMarks refuses a destination unless it has exactly the rows that an interrupted transfer of this source has
// copied.
func (t *Transfer) checkMarks(marks map[string]mark, present map[string]int64) error {
	for _, source := range t.source {
		switch m, found := marks[source.Name]; {
		case !found:
			return notEmpty("it has rows that are not of an interrupted transfer")
		case m.source != source:
			return notEmpty(fmt.Sprintf("it has rows of an interrupted transfer from another source, "+
				"or %s of this source was changed since", source.Name))
		case source.Name != "generation_queue" && m.copied != present[source.Name]:
			return notEmpty(fmt.Sprintf("an interrupted transfer has copied %d rows of %s, and now there are %d",
				m.copied, source.Name, present[source.Name]))
		}
	}
	return nil
}

// inTurn runs fn in a transaction of the destination, unless another transfer has taken over.
func (t *Transfer) inTurn(ctx context.Context, fn func(engine.Queries) error) error {
	return t.to.Write(ctx, engine.Transaction, func(q engine.Queries) error {
		db := q.DB
		if err := q.LockQueueRow(ctx); err != nil {
			return err
		}
		exists, err := t.hasProgress(ctx, db)
		if err != nil {
			return err
		}
		if !exists { // another transfer has taken over, and has ended
			return errTakenOver
		}
		var held int
		if err := db.QueryRow(ctx, countProgress, t.run).Scan(&held); err != nil {
			return err
		}
		if held != len(carriedTables) {
			return errTakenOver
		}
		return fn(q)
	})
}

var errTakenOver = fmt.Errorf("%w: another transfer into the same destination has taken over", dberr.ErrBusy)

// move records that a batch has been copied, in the transaction of the batch.
func (m *mark) move(ctx context.Context, db storagedb.DBTX, rows int64, lastKey string) error {
	_, err := db.Exec(ctx, moveProgress, rows, lastKey, m.source.Name)
	return err
}

// end drops the marks. Afterwards the destination is like any other database.
func (t *Transfer) end(ctx context.Context) error {
	return t.inTurn(ctx, func(q engine.Queries) error {
		_, err := q.DB.Exec(ctx, dropProgress)
		return err
	})
}
