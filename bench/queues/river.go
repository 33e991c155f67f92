package queues

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/dgx-music/storage/bench/peers"
)

type riverJob struct{ payload }

func (riverJob) Kind() string { return "generate" }

type riverWorker struct{ river.WorkerDefaults[riverJob] }

func (riverWorker) Work(context.Context, *river.Job[riverJob]) error { return nil }

// riverQueue is River with one client that inserts, and one that works.
type riverQueue[Tx any] struct {
	driver    riverdriver.Driver[Tx]
	inserting *river.Client[Tx]
	working   *river.Client[Tx]
	close     func() error
}

func openRiverPostgres(ctx context.Context, url string) (Queue, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(connections())
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return openRiver(ctx, riverpgxv5.New(pool), func() error { pool.Close(); return nil })
}

// openRiverSQLite uses one connection, and the driver that https://riverqueue.com/docs/sqlite recommends.
func openRiverSQLite(ctx context.Context, url string) (Queue, error) {
	db, err := modernc.open(url, 1)
	if err != nil {
		return nil, err
	}
	return openRiver(ctx, riversqlite.New(db), db.Close)
}

func openRiver[Tx any](ctx context.Context, driver riverdriver.Driver[Tx], close func() error) (Queue, error) {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: riverLog})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	inserting, err := river.NewClient(driver, &river.Config{Logger: riverLog})
	return &riverQueue[Tx]{driver: driver, inserting: inserting, close: close}, err
}

var riverLog = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

func (r *riverQueue[Tx]) Enqueue(ctx context.Context, job peers.Job) error {
	_, err := r.inserting.Insert(ctx, riverJob{payloadOf(job)}, nil)
	return err
}

// WorkOff uses the settings of River's own benchmark, "river bench" (cmd/river/riverbench/river_bench.go in its
// repository). It counts the same events. They arrive after a batch of completions is committed.
func (r *riverQueue[Tx]) WorkOff(ctx context.Context, n int) (err error) {
	registered := river.NewWorkers()
	river.AddWorker(registered, riverWorker{})
	r.working, err = river.NewClient(r.driver, &river.Config{
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond, Logger: riverLog,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2000}}, Workers: registered,
	})
	if err != nil {
		return err
	}
	events, unsubscribe := r.working.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: 75_000,
		Kinds:    []river.EventKind{river.EventKindJobCancelled, river.EventKindJobCompleted, river.EventKindJobFailed},
	})
	defer unsubscribe()
	if err := r.working.Start(ctx); err != nil {
		return err
	}
	for range n {
		select {
		case event := <-events:
			if event.Kind != river.EventKindJobCompleted {
				return fmt.Errorf("job %d: %s", event.Job.ID, event.Kind)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *riverQueue[Tx]) Close() error {
	if r.working != nil {
		if err := r.working.Stop(context.Background()); err != nil {
			return err
		}
	}
	return r.close()
}
