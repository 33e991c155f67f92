// Package store keeps the jobs of a music-generation service and the prompts that people use, in SQLite or PostgreSQL.
//
// # Open
//
// [Open] opens the database of a URL, and migrates its schema if asked to. Without a URL it opens $DATABASE_URL, or a
// SQLite file.
//
//	s, err := store.Open(ctx, store.Options{Migrate: true})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// # Create
//
// [Store.CreateGeneration] creates a job that waits for a worker, and counts a use of its prompt.
//
//	g, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
//		Prompt: "trap beat 140 BPM", ModelName: "musicgen-small",
//		DurationSeconds: 16, SampleRate: 32000, Channels: 2, FilePath: "outputs/1.wav",
//	})
//
// # Work
//
// [Store.Work] claims jobs, runs a handler on each, and stores the results. Any number of processes may work on one
// database.
//
//	err := s.Work(ctx, store.WorkOptions{}, func(
//		ctx context.Context, g store.Generation,
//	) (store.CompleteGenerationParams, error) {
//		size, err := generate(ctx, g)
//		return store.CompleteGenerationParams{FileSizeBytes: size}, err
//	})
//
// # Find
//
// ListGenerations lists by any mix of status, model, time, metadata and words; SearchPrompts and SearchGenerations
// search as people type; Stats counts.
//
//	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{
//		Status: store.StatusCompleted, Search: "lo-fi -piano",
//	})
//	hits, err := s.SearchPrompts(ctx, `"trap beat" synth*`, 20)
//	stats, err := s.Stats(ctx)
//
// # Look after
//
// [Store.Backup] copies the database while others write, [Store.Check] and [Store.Repair] find and mend damage,
// [Store.Prune] deletes old jobs, and [Transfer] moves everything to another database.
//
//	err := s.Backup(ctx, "/backup/generations.db")
//	report, err := s.Check(ctx, store.CheckParams{FilesRoot: "/srv/music"})
//	pruned, err := s.Prune(ctx, store.PruneParams{OlderThan: 90 * 24 * time.Hour})
//
// # Both engines, one behaviour
//
// SQLite and PostgreSQL behave alike, through the same methods. The methods stand on a *[Store], where each call is a
// transaction of its own, and on the *[Tx] of [Store.InTx]. Any number of goroutines may call them at once. They honour
// their context, return errors that [errors.Is] and [errors.As] match, and do not panic.
package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/internal/postgres"
	"github.com/dgx-music/storage/internal/sqlite"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/sqlitefile"
	"github.com/dgx-music/storage/storagedb"
)

// Options of [Open]. The zero value opens $DATABASE_URL or sqlite:data/generations.db.
type Options struct {
	// URL is the database: "sqlite:data/generations.db" is a relative path, "sqlite:///var/lib/generations.db" an absolute
	// one, "sqlite::memory:" a database that ends with the store. "postgres://user:password@host/database" takes every
	// parameter of pgx. If empty, $DATABASE_URL; if that is empty too, sqlite:data/generations.db.
	URL string

	// ReplicaURLs are PostgreSQL read replicas. Lists, searches, counts, statistics and usage are read from them in turn,
	// and may lag as far as the replicas do. Reads of one row by its key, the queue and transactions use the primary. A
	// replica that does not answer is not asked for 30 seconds.
	ReplicaURLs []string

	// Migrate applies pending migrations before Open returns, as [Migrate] does.
	Migrate bool

	// MaxConns is the size of the connection pool, at most 10,000. On PostgreSQL it is the number of connections to each
	// server, without the one that listens while this process waits for work; if zero, pool_max_conns of the URL, or 10.
	// On SQLite it is the number of readers beside the one writer; if zero, the number of processors, at least 4.
	MaxConns int

	// BusyTimeout is how long a call waits for the writer, a lock or a connection before it returns ErrBusy, at least a
	// millisecond. If zero, 10 seconds. On PostgreSQL the wait for a connection and the wait for a lock count separately.
	BusyTimeout time.Duration

	// Now is the store's clock, for tests. If nil, the machine's clock. On PostgreSQL that is set by the server's clock at
	// Open and every minute, so that workers on machines with different clocks agree about times. Calls ask Now in their
	// callers' goroutines, before they change anything or wait. So a panic of Now reaches one caller.
	Now func() time.Time

	// Logger gets each statement at debug level, with its query name and duration, and at warn level if it took 200 ms or
	// longer. It also gets background errors that no caller sees, at warn and error level. Query values are never logged.
	// If nil, nothing is logged.
	//
	// A call logs its statements at its end, in its caller's goroutine, when it holds no connection. Of the callers that
	// share a commit, one logs for all. So a panic of Logger reaches one caller, whose write has taken effect or failed as
	// it would have without. A panic is dropped where no caller could recover it: in Work and in the background.
	Logger *slog.Logger
}

const (
	defaultBusyTimeout = 10 * time.Second
	maxMaxConns        = 10000
	clockInterval      = time.Minute
)

// Store is an open database. Any number of goroutines may call its methods at once.
type Store struct {
	operations
	engine    engine.Engine
	closing   sync.Once
	logger    *slog.Logger
	stopClock context.CancelFunc
	running   sync.WaitGroup // the goroutine that follows the server's clock
}

// Open opens the database and checks that its schema is the one that this program was built for.
//
// It returns ErrSchemaOutdated if the database does not exist, or if its schema is older or newer than this program; the
// text has the remedy. It returns a *ValidationError for bad options, and ErrBusy if another process locks the database.
// With Options.Migrate any number of processes may open a database at once: one migrates, the others wait.
func Open(ctx context.Context, opts Options) (*Store, error) {
	return open(ctx, opts, false)
}

// open opens a database. If readOnly is set, it changes nothing in a SQLite file, not even the journal mode.
func open(ctx context.Context, opts Options, readOnly bool) (*Store, error) {
	if opts.BusyTimeout < 0 {
		return nil, describe("open", dberr.Invalid("BusyTimeout", "is negative"))
	}
	opts.BusyTimeout = min(max(cmp.Or(opts.BusyTimeout, defaultBusyTimeout), time.Millisecond), sqliteconn.MaxWaitTimeout)
	if opts.MaxConns < 0 || opts.MaxConns > maxMaxConns {
		return nil, describe("open", dberr.Invalid("MaxConns", fmt.Sprintf("is not between 0 and %d", maxMaxConns)))
	}
	t, err := dburl.Parse(opts.URL)
	if err != nil {
		return nil, describe("open", err)
	}
	s := &Store{logger: opts.Logger, stopClock: func() {}}
	clock := newClock(opts.Now)
	switch t.Engine {
	case "sqlite":
		err = s.openSQLite(ctx, t, opts, clock, readOnly)
	case "postgres":
		err = s.openPostgres(ctx, t, opts, clock)
	}
	if err != nil {
		if s.engine != nil {
			s.engine.Close()
		}
		return nil, describe("open", err)
	}
	s.operations = operations{session: clock.ticking(s.engine), clock: clock}
	return s, nil
}

func (s *Store) openSQLite(ctx context.Context, t dburl.Target, opts Options, clock *clock, readOnly bool) error {
	if len(opts.ReplicaURLs) > 0 {
		return dberr.Invalid("ReplicaURLs", "are for PostgreSQL only")
	}
	if t.Memory == "" {
		if _, err := sqlitefile.Prepare(t.Path, opts.Migrate); err != nil {
			return err
		}
	}
	options := engine.Options{MaxConns: opts.MaxConns, BusyTimeout: opts.BusyTimeout, ReadOnly: readOnly}
	lite, err := sqlite.New(ctx, t, options, clock.Now, opts.Logger)
	if err != nil {
		return err
	}
	s.engine = lite
	// The schema comes first: a file that is not the store's must stay as it is, and the writer brings it into WAL mode.
	if err := checkSchema(ctx, t, opts); err != nil || readOnly {
		return err
	}
	if err := lite.OpenWriter(ctx); err != nil {
		return fmt.Errorf("open %s: %w", t.Path, err)
	}
	return nil
}

func (s *Store) openPostgres(ctx context.Context, t dburl.Target, opts Options, clock *clock) error {
	options := engine.Options{MaxConns: opts.MaxConns, BusyTimeout: opts.BusyTimeout, ReplicaURLs: opts.ReplicaURLs}
	server, err := postgres.New(ctx, t, options, clock.Now, opts.Logger)
	if err != nil {
		return err
	}
	s.engine = server
	if err := checkSchema(ctx, t, opts); err != nil {
		return err
	}
	if opts.Now != nil {
		return nil
	}
	if err := clock.follow(ctx, server.ServerNow); err != nil {
		return fmt.Errorf("ask the server for the time: %w", err)
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopClock = stop
	s.running.Go(func() {
		for {
			select {
			case <-following.Done():
				return
			case <-time.After(clockInterval):
				// If the server does not answer, the last offset stays; the next call returns the error.
				_ = clock.follow(following, server.ServerNow)
			}
		}
	})
	return nil
}

// checkSchema migrates if asked to, and checks that the schema is the one that this program knows.
func checkSchema(ctx context.Context, t dburl.Target, opts Options) error {
	if opts.Migrate {
		if err := migrateOrAdopt(ctx, t, opts.BusyTimeout); err != nil {
			return err
		}
	}
	migrations, err := migrate.Inspect(ctx, t, opts.BusyTimeout)
	if err != nil {
		return err
	}
	return migrate.CheckFits(migrations)
}

// Close waits for running calls and closes the connections. From the moment it begins, new calls return ErrClosed;
// another Close does nothing. Inside InTx, or while a result of DB().Query is open, Close waits for ever.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stopClock()
		s.running.Wait()
		s.engine.Close()
	})
	return nil
}

// Ping returns an error if the database does not answer.
func (s *Store) Ping(ctx context.Context) error {
	return describe("ping", s.engine.Ping(ctx))
}

// DB is for queries of your own: sqlc's New takes it. Each statement runs and commits by itself, on a connection that
// it borrows until its result is closed or its row scanned; see [Tx.DB] for several statements together. Errors are the
// driver's own, except ErrBusy and ErrClosed if there is no connection. On SQLite all statements run on the one writer,
// since sqlc sends INSERT ... RETURNING through QueryRow. While a result is open, writers wait.
func (s *Store) DB() storagedb.DBTX { return s.engine.DB() }

// operations are the methods of both Store and Tx.
type operations struct {
	session engine.Session
	clock   *clock
}
