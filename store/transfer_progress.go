package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// How far a Transfer is stands in the destination, in a table of its own with a row for each table that is carried. Each
// batch changes it in its own transaction, so that it never says anything else than what is there. It is no part of the
// schema, and its SQL none of sqlc's: it is there while a Transfer is unfinished alone.
//
// It knows the source by what the source has, its number of rows and their hash, since URLs name one database in many ways,
// and may name another one tomorrow. It knows the destination by the number of rows that were copied.
//
// What locks what: each transaction of a Transfer begins with a lock on the one row of generation_queue, which is in every
// database, or on SQLite's file, and holds it until it ends, which is for a batch; so two Transfers neither write nor look at
// the same time. A later one takes over, by putting its own name in as run, and the earlier one finds that out with its next
// batch.
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
	insertProgress   = "INSERT INTO transfer_progress (table_name, run, source_rows, source_sha256, copied, last_key) VALUES ($1, $2, $3, $4, 0, '')"
	listProgress     = "SELECT table_name, source_rows, source_sha256, copied, last_key FROM transfer_progress"
	takeOverProgress = "UPDATE transfer_progress SET run = $1"
	countProgress    = "SELECT count(*) FROM transfer_progress WHERE run = $1"
	moveProgress     = "UPDATE transfer_progress SET copied = copied + $1, last_key = $2 WHERE table_name = $3"
	dropProgress     = "DROP TABLE transfer_progress"
)

// mark is how far a table has been copied.
type mark struct {
	source  TransferredTable
	copied  int64
	lastKey string // of the last row copied; "": none
}

// begin finds the marks of an interrupted Transfer and takes them over, or makes new ones in a destination without rows.
func (t *transfer) begin(ctx context.Context) (marks map[string]mark, err error) {
	err = t.to.engine.inTx(ctx, func(db storagedb.DBTX, _ func() txState) error {
		if err := storagedb.New(db).LockQueueRow(ctx); err != nil {
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
		there, err := rowCountsIn(ctx, db)
		if err != nil {
			return err
		}
		if isEmpty(there) { // a new one, or one that was emptied since
			if exists {
				if _, err := db.Exec(ctx, dropProgress); err != nil {
					return err
				}
			}
			marks, err = t.newMarks(ctx, db)
			return err
		}
		if err := t.checkMarks(marks, there); err != nil {
			return err
		}
		_, err = db.Exec(ctx, takeOverProgress, t.run)
		return err
	})
	return marks, err
}

func isEmpty(there map[string]int64) bool {
	return there["prompts"]+there["generations"]+there["generation_errors"] == 0
}

func (t *transfer) hasProgress(ctx context.Context, db storagedb.DBTX) (bool, error) {
	var one int64
	err := db.QueryRow(ctx, tableQuery(t.engine, progressTable)).Scan(&one)
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

func (t *transfer) newMarks(ctx context.Context, db storagedb.DBTX) (map[string]mark, error) {
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

// checkMarks sees to it that what is there is what a Transfer of this source has left, all of it and nothing else.
func (t *transfer) checkMarks(marks map[string]mark, there map[string]int64) error {
	for _, source := range t.source {
		switch m, found := marks[source.Name]; {
		case !found:
			return notEmpty("it has rows that no interrupted transfer has left there")
		case m.source != source:
			return notEmpty(fmt.Sprintf("it has what an interrupted transfer of another source has left there, or %s was changed in this one since", source.Name))
		case source.Name != "generation_queue" && m.copied != there[source.Name]:
			return notEmpty(fmt.Sprintf("an interrupted transfer has copied %d rows of %s, and now there are %d", m.copied, source.Name, there[source.Name]))
		}
	}
	return nil
}

// inTurn runs fn in a transaction of the destination, unless another Transfer has taken over.
func (t *transfer) inTurn(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return t.to.engine.inTx(ctx, func(db storagedb.DBTX, _ func() txState) error {
		if err := storagedb.New(db).LockQueueRow(ctx); err != nil {
			return err
		}
		exists, err := t.hasProgress(ctx, db)
		if err != nil {
			return err
		}
		if !exists { // the other one has ended already
			return errTakenOver
		}
		var held int
		if err := db.QueryRow(ctx, countProgress, t.run).Scan(&held); err != nil {
			return err
		}
		if held != len(carriedTables) {
			return errTakenOver
		}
		return fn(db)
	})
}

var errTakenOver = fmt.Errorf("%w: another transfer into the same destination was started, and goes on in place of this one", ErrBusy)

// move notes that a batch has been copied, in its transaction.
func (m *mark) move(ctx context.Context, db storagedb.DBTX, rows int64, lastKey string) error {
	_, err := db.Exec(ctx, moveProgress, rows, lastKey, m.source.Name)
	return err
}

// end: the destination is like any other database from here on.
func (t *transfer) end(ctx context.Context) error {
	return t.inTurn(ctx, func(db storagedb.DBTX) error {
		_, err := db.Exec(ctx, dropProgress)
		return err
	})
}
