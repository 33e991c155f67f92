package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dgx-music/storage/storagedb"
)

// maxPostgresBatches is how many batches of a kind may be on their way at once: while one commits, another is executed. More
// of them would be smaller ones.
const maxPostgresBatches = 3

// newCoalescer makes one statement of all writes of a kind that are queued, on a connection of the pool.
func (e *postgresEngine) newCoalescer(together func(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error) *coalescer {
	c := newCoalescer(maxPostgresBatches, e.patience, func(ctx context.Context, deadline time.Time) (batchRunner, error) {
		conn, err := e.acquire(ctx, e.pool, time.Until(deadline))
		if err != nil {
			return nil, err
		}
		return func(b *batch) { e.runBatch(conn, b.writes, together) }, nil
	})
	c.leaves = true
	return c
}

// errAlone tells a caller to run its write itself: it cannot be done together with the others.
var errAlone = errors.New("not together with others")

// runBatch runs the writes together. Those that this leaves, and all where the server refuses the statement, are left to their
// callers: then each waits for what its own write waits for. Where the outcome is not known, nothing is run again.
func (e *postgresEngine) runBatch(conn *pgxpool.Conn, batch []*queuedWrite, together func(context.Context, storagedb.DBTX, []*queuedWrite) error) {
	var wanted []*queuedWrite
	for _, w := range batch {
		if w.err = w.ctx.Err(); w.err == nil {
			wanted = append(wanted, w)
		}
	}
	err := e.releasing(conn, func(conn *pgxpool.Conn) error {
		db := logged(conn, e.logger)
		switch len(wanted) {
		case 0:
			return nil
		case 1:
			wanted[0].call(db)
			wanted[0].done = !pgconn.SafeToRetry(wanted[0].err) // or the connection was stale
			return nil
		}
		ctx, cancel := whileAnyLasts(wanted)
		defer cancel()
		return together(ctx, db, wanted)
	})
	for _, w := range wanted {
		switch {
		case w.done:
		case err == nil || changedNothingOnPostgres(err):
			w.err = errAlone
		case w.ctx.Err() != nil: // which may be why: the statement is cut off once all have ended
			w.err = w.ctx.Err()
		default:
			w.err = err
		}
		w.done = true
	}
}

// changedNothingOnPostgres tells of a statement that was not sent, or that the server has refused: any other error may have come
// behind its commit.
func changedNothingOnPostgres(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return pgconn.SafeToRetry(err) || ok && refused.SeverityUnlocalized == "ERROR"
}

// whileAnyLasts is a context that ends when those of all writes have.
func whileAnyLasts(batch []*queuedWrite) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(batch[0].ctx))
	var lasting atomic.Int64
	lasting.Store(int64(len(batch)))
	stops := make([]func() bool, len(batch))
	for i, w := range batch {
		if w.ctx.Done() == nil {
			continue
		}
		stops[i] = context.AfterFunc(w.ctx, func() {
			if lasting.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
		cancel()
	}
}

func (e *postgresEngine) createTogether(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
	err := createTogether(ctx, e, db, batch)
	for _, w := range batch {
		w.done = err == nil // the statement has committed
	}
	return err
}

func (e *postgresEngine) completeTogether(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
	completions, of := make([]Completion, 0, len(batch)), make(map[uuid.UUID]*queuedWrite, len(batch))
	for _, w := range batch {
		if of[w.joint.complete.ID] == nil { // of two on one generation the second is run alone
			of[w.joint.complete.ID] = w
			completions = append(completions, *w.joint.complete)
		}
	}
	completed, err := e.completeGenerations(ctx, db, completions, latest(batch))
	if err != nil {
		return err
	}
	for _, g := range completed {
		w := of[g.ID]
		w.joint.set(g)
		w.done = true
	}
	return nil
}

func (e *postgresEngine) writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error {
	of := e.completions
	if joint.create != nil {
		of = e.creates
	}
	if err := of.writeJoint(ctx, joint, alone); !errors.Is(err, errAlone) {
		return err
	}
	return e.read(ctx, alone)
}
