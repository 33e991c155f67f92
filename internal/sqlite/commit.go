package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/commit"
	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// write is an operation in the queue: a creation, or a function that writes.
type write struct {
	creation *engine.Creation
	run      func(engine.Queries) error // if creation is nil
	atomic   bool                       // run may leave something behind if it fails
}

type (
	queuedWrite = commit.Write[write, storagedb.Generation]
	writeBatch  = commit.Batch[write, storagedb.Generation]
)

// CreateGeneration queues the creation as a value, so that a batch inserts many rows by one statement.
func (e *Engine) CreateGeneration(ctx context.Context, creation engine.Creation) (storagedb.Generation, error) {
	return e.queue.Do(ctx, write{creation: &creation, atomic: true})
}

// beginBatch takes the writer and SQLite's write lock, in turn with InTx. The batch runs in one transaction, or in
// several if one of its writes fails.
func (e *Engine) beginBatch(
	ctx context.Context, deadline time.Time, log *dbtx.Log,
) (commit.Run[write, storagedb.Generation], error) {
	tx, err := e.begin(ctx, deadline, log)
	if err != nil {
		return nil, err
	}
	return func(b *writeBatch) {
		// Writes that are queued while it runs join it, so that all who wait share the commit.
		if e.runBatch(tx, b.Writes, b.More, false) {
			return
		}
		// Again with each write after a savepoint, so that a failed write is rolled back alone.
		deadline := time.Now().Add(e.waitTimeout) // for all that follows
		if e.runAgain(b.Writes, deadline, log, true) {
			return
		}
		// The transaction itself has failed. Nothing tells which write was the cause, so each runs alone.
		for i := range b.Writes {
			e.runAgain(b.Writes[i:i+1], deadline, log, false)
		}
	}, nil
}

// runAgain runs a batch in a transaction of its own.
func (e *Engine) runAgain(batch []*queuedWrite, deadline time.Time, log *dbtx.Log, guarded bool) (done bool) {
	tx, err := e.begin(context.Background(), deadline, log)
	if err != nil { // not the fault of any write
		for _, w := range batch {
			if !w.Panicked() {
				w.Err = err
			}
		}
		return true
	}
	return e.runBatch(tx, batch, nil, guarded)
}

// runBatch runs the writes, and those that more returns, and commits. On failure it rolls back and reports false,
// unless the batch was a single write, which keeps the error.
func (e *Engine) runBatch(tx *writerTx, batch []*queuedWrite, more func() []*queuedWrite, guarded bool) (done bool) {
	defer tx.end()
	q, all := e.Queries(dbtx.Detached(tx.db)), batch
	for len(batch) > 0 {
		rest := batch
		if !guarded {
			var err error
			if rest, err = e.createTogether(q, batch); err != nil || tx.state() == dbtx.Ended {
				return false // nothing tells which creation was the cause
			}
		}
		for _, w := range rest {
			if !e.run(q, w, guarded) || tx.state() == dbtx.Ended {
				if len(all) == 1 && w.Err == nil {
					w.Err = errors.New("the transaction ended early")
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
			if w.Err == nil {
				w.Err = err
			}
		}
		return len(all) == 1
	}
	for _, w := range all {
		w.Done = true
	}
	return true
}

// createTogether makes the creations of a batch by statements of many rows, if there are several, and returns the other
// writes.
func (e *Engine) createTogether(q engine.Queries, batch []*queuedWrite) (rest []*queuedWrite, err error) {
	var together []*queuedWrite
	var creations []engine.Creation
	for _, w := range batch {
		if w.Op.creation == nil || w.Ctx.Err() != nil {
			rest = append(rest, w)
		} else {
			together, creations = append(together, w), append(creations, *w.Op.creation)
		}
	}
	if len(together) < 2 {
		return batch, nil
	}
	created, err := q.CreateGenerations(context.Background(), creations, e.now())
	if err != nil {
		return nil, err
	}
	for i, w := range together {
		w.Result = created[i]
	}
	return rest, nil
}

// run runs a write, and reports whether the transaction can go on.
func (e *Engine) run(q engine.Queries, w *queuedWrite, guarded bool) bool {
	if w.Panicked() { // it has had its chance
		return true
	}
	if err := w.Ctx.Err(); err != nil {
		w.Err = dberr.NothingChanged(err)
		return true
	}
	if guarded && w.Op.atomic {
		w.Err = dbtx.Savepoint(context.Background(), q.DB, func() error {
			e.call(q, w)
			return w.Err
		})
		return true
	}
	e.call(q, w)
	return w.Err == nil || !w.Op.atomic || changedNothing(w.Err)
}

func (e *Engine) call(q engine.Queries, w *queuedWrite) {
	w.Call(func() error {
		if w.Op.creation == nil {
			return w.Op.run(q)
		}
		created, err := q.CreateGenerations(w.Ctx, []engine.Creation{*w.Op.creation}, e.now())
		if err == nil {
			w.Result = created[0]
		}
		return err
	})
}

// changedNothing reports whether an operation found, before it wrote, that there was nothing to change.
func changedNothing(err error) bool {
	return errors.Is(err, pgx.ErrNoRows) || errors.Is(err, dberr.ErrNotFound)
}
