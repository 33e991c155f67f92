// Package store keeps the jobs of a music-generation service and the prompts that people use, in SQLite or PostgreSQL.
//
//	s, err := store.Open(ctx, store.Options{Migrate: true})
//	defer s.Close()
//	g, err := s.CreateGeneration(ctx, store.CreateGenerationParams{Prompt: "trap beat 140 BPM", …})
//
// Jobs are worked on by [Store.Work], or step by step from ClaimGenerations on: see there for the rules of the queue.
//
// Both engines behave alike, through the same methods. The methods stand on a *Store, where each call is a transaction
// of its own, and on the *Tx of [Store.InTx]. All of them may be called by many goroutines at once, honour their
// context, and return errors that [errors.Is] and [errors.As] tell apart; none panics.
package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// The rows and the types of their columns, as package storagedb has them.
type (
	// Generation is a music-generation job. Its JSON has the keys of the Python to_dict.
	Generation = storagedb.Generation
	// Prompt is a text that people asked for, and how often. Its JSON has the keys of the Python to_dict.
	Prompt = storagedb.Prompt
	// Status is where a generation stands.
	Status = storagedb.Status
	// Metadata is a JSON object; the zero value is the empty one.
	Metadata = storagedb.Metadata
	// MusicMetadata is the documented metadata, typed; see [NewMetadata] and [DecodeMetadata].
	MusicMetadata = storagedb.MusicMetadata
)

// The five statuses.
const (
	StatusPending    = storagedb.StatusPending
	StatusProcessing = storagedb.StatusProcessing
	StatusCompleted  = storagedb.StatusCompleted
	StatusFailed     = storagedb.StatusFailed
	StatusCancelled  = storagedb.StatusCancelled
)

// NewMetadata makes metadata of a map, a struct or a [MusicMetadata]; nil makes the empty object. It returns a
// *ValidationError where v is no JSON object, or one that an engine could not hold.
func NewMetadata(v any) (Metadata, error) { return storagedb.NewMetadata(v) }

// DecodeMetadata decodes m into a new T, such as a [MusicMetadata], as encoding/json does.
func DecodeMetadata[T any](m Metadata) (T, error) { return storagedb.DecodeMetadata[T](m) }

// Options of [Open]. The zero value opens $DATABASE_URL or sqlite:data/generations.db.
type Options struct {
	// URL of the database: "sqlite:data/generations.db" is a relative path, "sqlite:///var/lib/generations.db" an
	// absolute one, "sqlite::memory:" a throwaway; "postgres://user:password@host/database" takes every parameter of
	// pgx. Empty means $DATABASE_URL, and where that is empty too, sqlite:data/generations.db.
	URL string

	// ReplicaURLs are PostgreSQL read replicas. Lists, searches, counts, statistics and usage then come from them in turn,
	// and may lag behind by as much as the replicas do; whatever gets one row by its key, the queue and
	// transactions stay with the primary. A replica that does not answer is passed over.
	ReplicaURLs []string

	// Migrate applies pending migrations before Open returns, as [Migrate] does.
	Migrate bool

	// MaxConns is the size of the connection pool, at most 10,000. On PostgreSQL it counts the connections to one server,
	// but for the one that listens where this process waits for work; default 10, or pool_max_conns of the URL. On
	// SQLite it counts the readers beside the one writer; default the number of processors, at least 4.
	MaxConns int

	// BusyTimeout is how long a call may wait for the writer, for a lock or for a connection before it returns ErrBusy;
	// default 10 seconds, at least a millisecond. On PostgreSQL the wait for a connection and that for a lock count apart.
	BusyTimeout time.Duration

	// Now is the store's clock, for tests. Default: the machine's clock, on PostgreSQL set by the server's at Open and
	// every minute, so that workers whose clocks disagree agree about times.
	Now func() time.Time

	// Logger gets each statement at debug level with its query name and duration, and at warn level where it took
	// 200 ms or longer; and at warn and error level what goes wrong in [Store.Work] and behind wake-ups, of which no
	// caller hears; never values. nil logs nothing.
	Logger *slog.Logger

	// The source of a Transfer: nothing of a SQLite file is changed, not even its journal mode.
	readOnly bool
}

const (
	defaultBusyTimeout = 10 * time.Second
	maxBusyTimeout     = math.MaxInt32 * time.Millisecond // what the engines hold: 24 days
	maxMaxConns        = 10000
	clockInterval      = time.Minute
)

// Store is an open database. All its methods may be called by many goroutines at once.
type Store struct {
	operations
	engine    engine
	closing   sync.Once
	logger    *slog.Logger
	stopClock context.CancelFunc
	running   sync.WaitGroup // the goroutine that follows the server's clock
}

// Open opens the database and checks that its schema is the one that this program was built for.
//
// It returns ErrSchemaOutdated where the database is behind, with the command that mends it, or ahead, or not there at
// all; a *ValidationError for options that make no sense; ErrBusy where another process kept the database to itself.
// With Options.Migrate any number of processes may start at once: one migrates, the others wait.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.BusyTimeout < 0 {
		return nil, invalid("BusyTimeout", "is negative")
	}
	opts.BusyTimeout = min(max(cmp.Or(opts.BusyTimeout, defaultBusyTimeout), time.Millisecond), maxBusyTimeout)
	if opts.MaxConns < 0 || opts.MaxConns > maxMaxConns {
		return nil, invalid("MaxConns", fmt.Sprintf("is not between 0 and %d", maxMaxConns))
	}
	t, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{logger: opts.Logger, stopClock: func() {}}
	clock := &clock{now: opts.Now}
	if clock.now == nil {
		clock.now = time.Now
	}
	switch t.engine {
	case "sqlite":
		err = s.openSQLite(ctx, t, opts)
	case "postgres":
		err = s.openPostgres(ctx, t, opts, clock)
	}
	if err != nil {
		if s.engine != nil {
			s.engine.close()
		}
		return nil, err
	}
	s.operations = operations{session: s.engine, dialect: s.engine, clock: clock}
	return s, nil
}

func (s *Store) openSQLite(ctx context.Context, t target, opts Options) error {
	if len(opts.ReplicaURLs) > 0 {
		return invalid("ReplicaURLs", "are for PostgreSQL alone")
	}
	if t.memory == "" {
		if _, err := prepareSQLiteFile(t.path, opts.Migrate); err != nil {
			return err
		}
	}
	engine, err := newSQLiteEngine(ctx, t, opts)
	if err != nil {
		return err
	}
	s.engine = engine
	// The schema first: a file that is not for us must stay as it is, and the writer brings it into WAL mode.
	if err := bringSchemaInOrder(ctx, t, opts); err != nil {
		return err
	}
	if opts.readOnly {
		return nil
	}
	return describe("open "+t.path, engine.openWriter(ctx))
}

func (s *Store) openPostgres(ctx context.Context, t target, opts Options, clock *clock) error {
	engine, err := newPostgresEngine(ctx, t, opts)
	if err != nil {
		return err
	}
	s.engine = engine
	if err := bringSchemaInOrder(ctx, t, opts); err != nil {
		return err
	}
	if opts.Now != nil {
		return nil
	}
	if err := clock.follow(ctx, engine.serverNow); err != nil {
		return describe("ask the server for the time", err)
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopClock = stop
	s.running.Go(func() {
		for {
			select {
			case <-following.Done():
				return
			case <-time.After(clockInterval):
				// A server that does not answer keeps the last offset; the next call will say what is wrong.
				_ = clock.follow(following, engine.serverNow)
			}
		}
	})
	return nil
}

// Close waits for the calls that are running, and closes the connections. Calls that come later return ErrClosed, but
// for Close itself, which does nothing a second time. It would wait for ever inside InTx, and for a result of DB().Query
// that nobody closes.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stopClock()
		s.running.Wait()
		s.engine.close()
	})
	return nil
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return describe("ping", s.engine.ping(ctx))
}

// DB is for queries of your own: sqlc's New takes it. Each statement runs and commits by itself, on a connection that is
// borrowed until its result is closed or scanned, so do either; see [Tx.DB] for several together. Their errors are the
// driver's own, but for ErrBusy and ErrClosed where no connection was to be had. On SQLite all run on the one writer,
// since sqlc sends INSERT ... RETURNING through QueryRow; while a result is open, writers wait.
func (s *Store) DB() storagedb.DBTX { return s.engine.db() }

// operations are the methods of Store and Tx alike.
type operations struct {
	session session
	dialect dialect
	clock   *clock
}
