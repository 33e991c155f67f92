package store

import (
	"context"
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

// runBatch runs the writes together, and one by one those that this leaves, or all where it fails.
func (e *postgresEngine) runBatch(conn *pgxpool.Conn, batch []*queuedWrite, together func(context.Context, storagedb.DBTX, []*queuedWrite) error) {
	var wanted []*queuedWrite
	for _, w := range batch {
		if w.err = w.ctx.Err(); w.err == nil {
			wanted = append(wanted, w)
		}
	}
	// A connection that turns out to be stale fails either way; then each gets another, which e.read sees to.
	_ = e.releasing(conn, func(conn *pgxpool.Conn) error {
		db := logged(conn, e.logger)
		if len(wanted) == 1 {
			w := wanted[0]
			w.call(db)
			w.done = !pgconn.SafeToRetry(w.err)
			return nil
		}
		if len(wanted) == 0 {
			return nil
		}
		ctx, cancel := whileAnyLasts(wanted)
		defer cancel()
		return together(ctx, db, wanted)
	})
	for _, w := range wanted {
		if !w.done {
			w.err = e.read(w.ctx, func(db storagedb.DBTX) error {
				w.call(db)
				return w.err
			})
		}
	}
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

// latest is the time of the write that was asked for last.
func latest(batch []*queuedWrite) time.Time {
	now := batch[0].joint.now
	for _, w := range batch[1:] {
		if w.joint.now.After(now) {
			now = w.joint.now
		}
	}
	return now
}

func (e *postgresEngine) createTogether(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
	rows := make([]CreateGenerationParams, len(batch))
	for i, w := range batch {
		rows[i] = *w.joint.create
	}
	created, err := e.createGenerations(ctx, db, rows, latest(batch))
	if err != nil {
		return err
	}
	for i, w := range batch {
		w.joint.set(created[i])
		w.done = true
	}
	return nil
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
	if joint.create != nil {
		return e.creates.writeJoint(ctx, joint, alone)
	}
	return e.completions.writeJoint(ctx, joint, alone)
}
