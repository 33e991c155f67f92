package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/commit"
	"github.com/dgx-music/storage/internal/dbtx"
)

// A batch waits so long for a prompt that another transaction has locked: more than another batch takes to commit. Its
// parts have waited already.
const (
	batchLockTimeout = "50ms"
	partLockTimeout  = "5ms"
)

// promptStatement is a batchStatement that locks prompts, and waits for each as long as lockTimeout says, or as the
// connection does if it is empty.
type promptStatement[T, R any] func(
	d *dialect, ctx context.Context, batch []*commit.Write[T, R], now time.Time, lockTimeout string,
) error

// newPromptQueue returns a group commit of writes that lock prompts. Queues of locked prompts wait on at most half of
// the connections, so that the other writes have some.
func newPromptQueue[T, R any](
	e *Engine, promptOf func(T) string, statement promptStatement[T, R],
) *commit.Keyed[T, R] {
	shared := newQueue(e, func(
		d *dialect, ctx context.Context, batch []*commit.Write[T, R], now time.Time,
	) error {
		err := statement(d, ctx, batch, now, batchLockTimeout)
		if !isLockTimeout(err) {
			return err
		}
		return commit.LeaveLocked(batch, promptOf, func(part []*commit.Write[T, R]) error {
			return statement(d, ctx, part, now, partLockTimeout)
		}, isLockTimeout)
	})
	return commit.NewKeyed(shared, promptOf, func(unlocked func()) *commit.Queue[T, R] {
		return newLockQueue(e, func(
			d *dialect, ctx context.Context, batch []*commit.Write[T, R], now time.Time,
		) error {
			err := statement(d, ctx, batch, now, "")
			if !isLockTimeout(err) {
				unlocked()
				return err
			}
			for _, w := range batch {
				w.Err = err
			}
			return nil
		})
	})
}

// newLockQueue returns the queue of a locked prompt.
func newLockQueue[T, R any](e *Engine, statement batchStatement[T, R]) *commit.Queue[T, R] {
	begin := func(ctx context.Context, deadline time.Time, _ *dbtx.Log) (commit.Run[T, R], error) {
		waiting, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		select {
		case e.lockWaits <- struct{}{}:
		case <-waiting.Done():
			return nil, dbtx.TimedOut("the locks of other transactions on many prompts")
		}
		conn, err := e.acquire(ctx, e.pool, time.Until(deadline))
		if err != nil {
			<-e.lockWaits
			return nil, err
		}
		return func(b *commit.Batch[T, R]) {
			defer func() { <-e.lockWaits }()
			runBatch(e, conn, b, statement)
		}, nil
	}
	return commit.New(e.waitTimeout, commit.Options{Batches: 1, Logger: e.logger}, begin)
}

// isLockTimeout reports whether the server has given up waiting for a lock.
func isLockTimeout(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == "55P03"
}
