package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/storagedb"
)

// beginBatch takes the writer and SQLite's write lock, in turn with InTx. The batch that runs then is one transaction, or more
// where one of its writes spoils it.
func (e *sqliteEngine) beginBatch(ctx context.Context, deadline time.Time) (batchRunner, error) {
	tx, err := e.begin(ctx, deadline)
	if err != nil {
		return nil, err
	}
	return func(b *batch) {
		// What is queued while it runs comes along, so that all who wait share the commit.
		if e.runBatch(tx, b.writes, b.more, false) {
			return
		}
		// Once more, each behind a savepoint, so that what one has begun can be taken back alone.
		deadline := time.Now().Add(e.patience) // for all that is to be done again
		if e.runAgain(b.writes, deadline, true) {
			return
		}
		// The transaction itself has failed. As there is no telling by which of them, each is on its own.
		for i := range b.writes {
			e.runAgain(b.writes[i:i+1], deadline, false)
		}
	}, nil
}

// runAgain runs a batch in a transaction of its own.
func (e *sqliteEngine) runAgain(batch []*queuedWrite, deadline time.Time, guarded bool) (done bool) {
	tx, err := e.begin(context.Background(), deadline)
	if err != nil { // that is no single write's doing
		for _, w := range batch {
			if w.panic == nil {
				w.err = err
			}
		}
		return true
	}
	return e.runBatch(tx, batch, nil, guarded)
}

// runBatch runs the writes, and more where there are, and commits. Where it cannot, it rolls back, and there is more to be
// done unless it was a single write, whose own the error is then.
func (e *sqliteEngine) runBatch(tx *sqliteTx, batch []*queuedWrite, more func() []*queuedWrite, guarded bool) (done bool) {
	defer tx.end()
	db, all := detached{tx.db}, batch
	for len(batch) > 0 {
		rest := batch
		if !guarded {
			var err error
			if rest, err = e.createFirst(db, batch); err != nil || tx.state() == txEnded {
				return false // there is no telling whose fault it is
			}
		}
		for _, w := range rest {
			if !w.run(db, guarded) || tx.state() == txEnded {
				if len(all) == 1 && w.err == nil {
					w.err = errors.New("the transaction ended early")
				}
				return len(all) == 1
			}
		}
		batch = nil
		if more != nil {
			batch = more()
			all = append(slices.Clip(all), batch...)
		}
	}
	if err := tx.commit(); err != nil {
		for _, w := range all {
			if w.err == nil {
				w.err = err
			}
		}
		return len(all) == 1
	}
	for _, w := range all {
		w.done = true
	}
	return true
}

// createFirst does the creations of a batch together, where there are several, and returns the writes that are left.
func (e *sqliteEngine) createFirst(db storagedb.DBTX, batch []*queuedWrite) (rest []*queuedWrite, err error) {
	var creations []*queuedWrite
	for _, w := range batch {
		if w.joint == nil || w.joint.create == nil || w.ctx.Err() != nil {
			rest = append(rest, w)
		} else {
			creations = append(creations, w)
		}
	}
	if len(creations) < 2 {
		return batch, nil
	}
	return rest, createTogether(context.Background(), e, db, creations)
}

// run runs a write of a transaction, and tells whether that is none the worse for it.
func (w *queuedWrite) run(db storagedb.DBTX, guarded bool) bool {
	if w.panic != nil { // it has had its chance
		return true
	}
	if w.err = w.ctx.Err(); w.err != nil {
		return true
	}
	if guarded && w.atomic {
		w.callGuarded(db)
		return true
	}
	w.call(db)
	return w.err == nil || !w.atomic || changedNothing(w.err)
}

// callGuarded is call behind a savepoint.
func (w *queuedWrite) callGuarded(db storagedb.DBTX) {
	ctx := context.Background()
	if _, w.err = db.Exec(ctx, "SAVEPOINT operation"); w.err != nil {
		return
	}
	if w.call(db); w.err != nil {
		if _, err := db.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); err != nil {
			w.err = errors.Join(w.err, err)
		}
	}
	if _, err := db.Exec(ctx, "RELEASE SAVEPOINT operation"); err != nil {
		w.err = errors.Join(w.err, err)
	}
}

// changedNothing tells of an error that comes from what an operation has read, before it wrote anything.
func changedNothing(err error) bool {
	_, transition := errors.AsType[*TransitionError](err)
	return transition || errors.Is(err, pgx.ErrNoRows) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrCancelRequested)
}

// detached runs statements that the end of a context does not cut off: it would end the transaction of all. They touch one
// row each. modernc would also start a goroutine for each that could be cut off.
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

func (d detached) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return d.db.CopyFrom(context.WithoutCancel(ctx), table, columns, rows)
}
