// Package postgres is the PostgreSQL engine: a pool, read replicas, LISTEN and NOTIFY, group commit by statements with
// arrays, and PostgreSQL's own SQL.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Engine is an open PostgreSQL database.
//
// Locks:
//   - Almost every operation is one statement, which commits by itself, so its row locks last for a round trip. A batch
//     of writes of several callers is such a statement, too.
//   - Statements that change generations of a batch skip locked ones, as claims, rescues and the schema's counters do.
//     So they wait for nobody while they hold locks. The skipped writes run alone.
//   - Statements that use prompts lock them in the order of their texts, and wait. An InTx that uses several prompts in
//     another order may be chosen as a deadlock's victim (ErrBusy). A batch waits for a moment. Then it leaves the
//     writes with locked prompts to a queue for each such prompt, which waits on a connection of its own.
//   - Prompts are locked before generations. CompleteGenerations locks in the order of the IDs; CancelBatch and
//     DeletePrompt lock in the order of an index. If two of these meet, PostgreSQL may choose one as a deadlock's
//     victim.
//   - InTx holds one connection, and its locks until it returns.
//
// A wait for a lock ends after lock_timeout, and a wait for a connection after BusyTimeout. Both have the same value.
type Engine struct {
	pool        *pgxpool.Pool
	replicas    []*replica
	turn        atomic.Uint32 // the replica whose turn it is
	closed      atomic.Bool
	waitTimeout time.Duration
	now         func() time.Time
	logger      *slog.Logger
	alarm       *engine.Alarm
	notifier    notifier
	queues      queues
	lockWaits   chan struct{} // holds one for each batch that waits for a locked prompt
	single      engine.Single
}

// replica is not asked for a while after it did not answer.
type replica struct {
	pool      *pgxpool.Pool
	downUntil atomic.Int64 // in Unix nanoseconds, of the machine's clock
}

const (
	replicaTimeout  = time.Second // how long to wait for a connection to a replica
	replicaCooldown = 30 * time.Second
	connectTimeout  = 10 * time.Second // the least time that the first call on a new pool has: to connect is not to wait
)

// defaultConns leaves room for two processes in the 20 connections that the service's production plan allows.
const defaultConns = 10

// New returns an engine. Its pools connect when they are first used.
func New(
	ctx context.Context, t dburl.Target, opts engine.Options, now func() time.Time, logger *slog.Logger,
) (*Engine, error) {
	e := &Engine{waitTimeout: opts.BusyTimeout, now: now, logger: logger}
	e.alarm = engine.NewAlarm(e.listen)
	e.notifier.send = e.sendNotification
	e.queues = e.newQueues()
	e.single = engine.Single{Write: e.Write, Now: now}
	var err error
	if e.pool, err = newPool(ctx, t.URL, opts); err != nil {
		return nil, err
	}
	e.lockWaits = make(chan struct{}, max(1, e.pool.Config().MaxConns/2))
	for _, url := range opts.ReplicaURLs {
		pool, err := newReplicaPool(ctx, url, opts)
		if err != nil {
			e.Close()
			return nil, err
		}
		e.replicas = append(e.replicas, &replica{pool: pool})
	}
	return e, nil
}

func newReplicaPool(ctx context.Context, url string, opts engine.Options) (*pgxpool.Pool, error) {
	if url == "" {
		return nil, dberr.Invalid("ReplicaURLs", "has an empty URL")
	}
	t, err := dburl.Parse(url)
	if err != nil {
		return nil, err
	}
	if t.Engine != "postgres" {
		return nil, dberr.Invalid("ReplicaURLs", "must all be postgres:// URLs")
	}
	return newPool(ctx, t.URL, opts)
}

// newPostgresPool makes a pool, which connects when it is first used.
func newPool(ctx context.Context, url string, opts engine.Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, dburl.ErrUnparsablePostgres
	}
	switch {
	case opts.MaxConns > 0:
		config.MaxConns = int32(opts.MaxConns)
	case !dburl.HasParameter(url, "pool_max_conns"):
		config.MaxConns = defaultConns
	}
	parameters := config.ConnConfig.RuntimeParams
	if parameters["application_name"] == "" {
		parameters["application_name"] = "dgx-music"
	}
	if parameters["lock_timeout"] == "" {
		parameters["lock_timeout"] = strconv.FormatInt(opts.BusyTimeout.Milliseconds(), 10) // at least 1: 0 waits for ever
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerTypes(conn.TypeMap())
		return nil
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// acquire refuses new calls from the moment Close begins: what is left to be sent by then must come to an end.
func (e *Engine) acquire(ctx context.Context, pool *pgxpool.Pool, waitTimeout time.Duration) (*pgxpool.Conn, error) {
	if e.closed.Load() {
		return nil, dberr.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(waitTimeout)
	conn, err := dbtx.WaitUntil(ctx, deadline, dbtx.ForConnection, func(ctx context.Context) (*pgxpool.Conn, error) {
		conn, err := pool.Acquire(ctx)
		return conn, Classify(err)
	})
	if err != nil && e.closed.Load() {
		return nil, fmt.Errorf("%w: %w", dberr.ErrClosed, err) // the pool has an error of its own for it
	}
	return conn, err
}

// on runs fn on a connection. If the server has closed that connection while it was idle, and nothing was sent, fn runs
// again on another one. At most as many connections as the pool holds can be stale.
func (e *Engine) on(
	ctx context.Context, pool *pgxpool.Pool, waitTimeout time.Duration, fn func(*pgxpool.Conn) error,
) error {
	for stale := int32(0); ; stale++ {
		conn, err := e.acquire(ctx, pool, waitTimeout)
		if err != nil {
			return err
		}
		err = e.releasing(conn, fn)
		if err == nil || !pgconn.SafeToRetry(err) || ctx.Err() != nil || stale > pool.Config().MaxConns {
			return err
		}
	}
}

// releasing returns the connection, also if fn panics.
func (e *Engine) releasing(conn *pgxpool.Conn, fn func(*pgxpool.Conn) error) error {
	defer conn.Release()
	return fn(conn)
}

// Read runs fn on a connection to the primary.
func (e *Engine) Read(ctx context.Context, fn func(engine.Queries) error) error {
	log := dbtx.NewLog(e.logger)
	defer log.Flush(ctx)
	return e.on(ctx, e.pool, e.waitTimeout, func(conn *pgxpool.Conn) error {
		return fn(e.Queries(log.Wrap(dbtx.Corrected(conn))))
	})
}

// ReadStale asks the replicas in turn, or the primary if a replica cannot answer.
func (e *Engine) ReadStale(ctx context.Context, fn func(engine.Queries) error) error {
	if len(e.replicas) > 0 {
		chosen := e.replicas[e.turn.Add(1)%uint32(len(e.replicas))]
		if chosen.downUntil.Load() < time.Now().UnixNano() {
			log := dbtx.NewLog(e.logger)
			defer log.Flush(ctx)
			err := e.on(ctx, chosen.pool, min(e.waitTimeout, replicaTimeout), func(conn *pgxpool.Conn) error {
				return fn(e.Queries(log.Wrap(dbtx.Corrected(conn))))
			})
			_, unreadable := errors.AsType[*storagedb.UnreadableError](err) // the primary has the same row
			if err == nil || unreadable || errors.Is(err, pgx.ErrNoRows) || ctx.Err() != nil {
				return err
			}
			chosen.downUntil.Store(time.Now().Add(replicaCooldown).UnixNano())
			dbtx.LogApart(e.logger, slog.LevelWarn, "replica passed over",
				slog.Duration("for", replicaCooldown), slog.String("error", dberr.Code(err)))
		}
	}
	return e.Read(ctx, fn)
}

// Write runs fn. A call of Queries that changes something is one statement on PostgreSQL, which commits by itself, so
// only several calls need a transaction.
func (e *Engine) Write(ctx context.Context, mode engine.Mode, fn func(engine.Queries) error) error {
	if mode != engine.Transaction {
		return e.Read(ctx, fn)
	}
	return e.InTx(ctx, func(db storagedb.DBTX, _ func() dbtx.State) error { return fn(e.Queries(db)) })
}

// InTx runs fn in a transaction on a connection to the primary.
func (e *Engine) InTx(ctx context.Context, fn func(db storagedb.DBTX, state func() dbtx.State) error) error {
	log := dbtx.NewLog(e.logger)
	defer log.Flush(ctx)
	begun := false // from then on fn has run, and must not run again
	var fromTx error
	err := e.on(ctx, e.pool, e.waitTimeout, func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return dbtx.MayHaveRun(err)
		}
		begun = true
		fromTx = runTx(ctx, tx, log, fn)
		return nil
	})
	if begun {
		return fromTx
	}
	return err
}

func runTx(
	ctx context.Context, tx pgx.Tx, log *dbtx.Log, fn func(db storagedb.DBTX, state func() dbtx.State) error,
) error {
	defer rollback(ctx, tx) // does nothing after a commit; runs also if fn panics
	state := func() dbtx.State {
		switch tx.Conn().PgConn().TxStatus() {
		case 'T':
			return dbtx.Open
		case 'E':
			return dbtx.Failed
		}
		return dbtx.Ended
	}
	if err := fn(log.Wrap(dbtx.Corrected(tx)), state); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return dbtx.MayHaveRun(tx.Commit(ctx))
}

// rollback gives the server time to answer, and a moment if the caller's context has ended. If the server does not
// answer, pgx closes the connection, which rolls back as well, so there is no error to report.
func rollback(ctx context.Context, tx pgx.Tx) {
	patience := 5 * time.Second
	if ctx.Err() != nil {
		patience = dbtx.LeaveAfter
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// Notify wakes the waiting callers of this process, and soon those of others.
func (e *Engine) Notify() {
	e.alarm.Ring()
	e.notifier.request()
}

// Notified returns a channel that the next notification closes.
func (e *Engine) Notified() <-chan struct{} { return e.alarm.Next() }

// DB runs each statement on a connection to the primary.
func (e *Engine) DB() storagedb.DBTX {
	return dbtx.Borrowed{Borrow: func(ctx context.Context) (storagedb.DBTX, func(), error) {
		conn, err := e.acquire(ctx, e.pool, e.waitTimeout)
		if err != nil {
			return nil, nil, err
		}
		return dbtx.Corrected(conn), conn.Release, nil
	}, Logger: e.logger}
}

// Ping asks the primary.
func (e *Engine) Ping(ctx context.Context) error {
	return e.Read(ctx, func(q engine.Queries) error {
		_, err := q.DB.Exec(ctx, "SELECT 1")
		return err
	})
}

// ServerNow asks the server for the time. The trip does not include the wait for a connection.
func (e *Engine) ServerNow(ctx context.Context) (server time.Time, trip time.Duration, err error) {
	err = e.on(ctx, e.pool, max(e.waitTimeout, connectTimeout), func(conn *pgxpool.Conn) error {
		asked := time.Now()
		err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&server)
		trip = time.Since(asked)
		return err
	})
	return server, trip, err
}

// URL returns the URL of the primary. It may hold a password.
func (e *Engine) URL() string { return e.pool.Config().ConnString() }

// Close waits for the running calls.
func (e *Engine) Close() {
	e.closed.Store(true) // first: each creation would give the notifier more to send
	e.queues.close()
	e.notifier.close() // it needs the pool
	e.alarm.Close()
	if e.pool != nil {
		e.pool.Close()
	}
	for _, replica := range e.replicas {
		replica.pool.Close()
	}
}
