package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// postgresEngine is an open PostgreSQL database.
//
// What locks what: every operation of the store is one statement that changes something, which commits by itself, so
// row locks last for a round trip. Writes of one kind of several callers may be one such statement. Where it changes
// generations it passes over those that are locked, which are left to their own callers, as claims, rescues and the counters
// of the schema do; so it waits for nobody while it holds locks. Where it uses prompts it waits, with those locked that come
// earlier in the order of their text: an InTx that uses several prompts in another order may be broken up (ErrBusy). Prompts
// are locked before generations. CompleteGenerations locks in the order of the IDs, CancelBatch and DeletePrompt in the order
// of an index, and where two of these meet, PostgreSQL may break one of them up, too. InTx holds one connection, and its locks
// until it returns. A wait for a lock ends after lock_timeout, a wait for a connection after BusyTimeout; both are the same.
type postgresEngine struct {
	pool     *pgxpool.Pool
	replicas []*replica
	turn     atomic.Uint32 // whose turn it is among the replicas
	closed   atomic.Bool
	patience time.Duration
	logger   *slog.Logger
	alarm    *alarm
	notifier notifier

	coalescers [jointKinds]*coalescer
}

// replica is passed over for a while after it did not answer.
type replica struct {
	pool      *pgxpool.Pool
	downUntil atomic.Int64 // in Unix nanoseconds, of the machine's clock
}

const (
	replicaPatience = time.Second // how long a replica may take to give a connection
	replicaCooldown = 30 * time.Second
)

// defaultPostgresConns leaves room for two processes in the 20 connections that the service's production plan allows.
const defaultPostgresConns = 10

func newPostgresEngine(ctx context.Context, t target, opts Options) (*postgresEngine, error) {
	e := &postgresEngine{patience: opts.BusyTimeout, logger: opts.Logger}
	e.alarm = newAlarm(e.listen)
	e.notifier.send = e.notify
	e.coalescers = e.newCoalescers()
	var err error
	if e.pool, err = newPostgresPool(ctx, t.url, opts); err != nil {
		return nil, err
	}
	for _, url := range opts.ReplicaURLs {
		pool, err := newReplicaPool(ctx, url, opts)
		if err != nil {
			e.close()
			return nil, err
		}
		e.replicas = append(e.replicas, &replica{pool: pool})
	}
	return e, nil
}

func newReplicaPool(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	if url == "" {
		return nil, invalid("ReplicaURLs", "has an empty URL")
	}
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if t.engine != "postgres" {
		return nil, invalid("ReplicaURLs", "must all be postgres:// URLs")
	}
	return newPostgresPool(ctx, t.url, opts)
}

// newPostgresPool makes a pool, which connects when it is first used.
func newPostgresPool(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errUnparsablePostgresURL
	}
	switch {
	case opts.MaxConns > 0:
		config.MaxConns = int32(opts.MaxConns)
	case !hasParameter(url, "pool_max_conns"):
		config.MaxConns = defaultPostgresConns
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

func (e *postgresEngine) acquire(ctx context.Context, pool *pgxpool.Pool, patience time.Duration) (*pgxpool.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := waitUntil(ctx, time.Now().Add(patience), waitForConnection, pool.Acquire)
	if err != nil && e.closed.Load() {
		return nil, fmt.Errorf("%w: %w", ErrClosed, err) // the pool has a word of its own for it
	}
	return conn, err
}

// on runs fn on a connection. Where it turns out that the server has closed that one while it was idle, and that nothing
// was sent, fn runs again on another; there are as many stale ones as the pool holds at the most.
func (e *postgresEngine) on(ctx context.Context, pool *pgxpool.Pool, patience time.Duration, fn func(*pgxpool.Conn) error) error {
	for stale := int32(0); ; stale++ {
		conn, err := e.acquire(ctx, pool, patience)
		if err != nil {
			return err
		}
		err = e.releasing(conn, fn)
		if err == nil || !pgconn.SafeToRetry(err) || ctx.Err() != nil || stale > pool.Config().MaxConns {
			return err
		}
	}
}

// releasing gives the connection back, also when fn panics.
func (e *postgresEngine) releasing(conn *pgxpool.Conn, fn func(*pgxpool.Conn) error) error {
	defer conn.Release()
	return fn(conn)
}

func (e *postgresEngine) read(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.on(ctx, e.pool, e.patience, func(conn *pgxpool.Conn) error { return fn(logged(conn, e.logger)) })
}

// readStale asks the replicas in turn, and the primary where that one cannot answer.
func (e *postgresEngine) readStale(ctx context.Context, fn func(storagedb.DBTX) error) error {
	if len(e.replicas) > 0 {
		chosen := e.replicas[e.turn.Add(1)%uint32(len(e.replicas))]
		if chosen.downUntil.Load() < time.Now().UnixNano() {
			err := e.on(ctx, chosen.pool, min(e.patience, replicaPatience), func(conn *pgxpool.Conn) error { return fn(logged(conn, e.logger)) })
			if err == nil || errors.Is(err, pgx.ErrNoRows) || ctx.Err() != nil {
				return err
			}
			chosen.downUntil.Store(time.Now().Add(replicaCooldown).UnixNano())
			if e.logger != nil {
				e.logger.LogAttrs(ctx, slog.LevelWarn, "replica passed over", slog.Duration("for", replicaCooldown), slog.String("error", errorCode(err)))
			}
		}
	}
	return e.read(ctx, fn)
}

func (e *postgresEngine) write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.read(ctx, fn)
}

// writeAtomic needs no transaction around fn: on PostgreSQL, too, one statement in it changes anything.
func (e *postgresEngine) writeAtomic(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.read(ctx, fn)
}

func (e *postgresEngine) writeMany(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.read(ctx, fn)
}

func (e *postgresEngine) writeAll(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.inTx(ctx, func(db storagedb.DBTX, _ func() txState) error { return fn(db) })
}

func (e *postgresEngine) inTx(ctx context.Context, fn func(db storagedb.DBTX, state func() txState) error) error {
	begun := false // from then on fn has run, and may not run again
	var fromTx error
	err := e.on(ctx, e.pool, e.patience, func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		begun = true
		fromTx = e.runTx(ctx, tx, fn)
		return nil
	})
	if begun {
		return fromTx
	}
	return err
}

func (e *postgresEngine) runTx(ctx context.Context, tx pgx.Tx, fn func(db storagedb.DBTX, state func() txState) error) error {
	defer rollbackPostgres(ctx, tx) // does nothing after a commit; runs when fn panics, too
	state := func() txState {
		switch tx.Conn().PgConn().TxStatus() {
		case 'T':
			return txOpen
		case 'E':
			return txFailed
		}
		return txEnded
	}
	if err := fn(logged(tx, e.logger), state); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rollbackPostgres gives the server a moment to answer even when the caller's context has ended. Where it does not
// answer, pgx closes the connection, which rolls back as well; so there is no error to report.
func rollbackPostgres(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}

func (e *postgresEngine) announce() {
	e.alarm.ring()
	e.notifier.poke()
}

func (e *postgresEngine) announced() <-chan struct{} { return e.alarm.next() }

func (e *postgresEngine) db() storagedb.DBTX {
	return borrowedDB{func(ctx context.Context) (storagedb.DBTX, func(), error) {
		conn, err := e.acquire(ctx, e.pool, e.patience)
		if err != nil {
			return nil, nil, err
		}
		return logged(conn, e.logger), conn.Release, nil
	}}
}

func (e *postgresEngine) ping(ctx context.Context) error {
	return e.read(ctx, func(db storagedb.DBTX) error {
		_, err := db.Exec(ctx, "SELECT 1")
		return err
	})
}

// serverNow asks the server for the time, on a connection that is there already: the wait for one is no part of the
// trip. It is the first call on a new pool, and has the default patience at least, since to connect is not to wait.
func (e *postgresEngine) serverNow(ctx context.Context) (server time.Time, trip time.Duration, err error) {
	err = e.on(ctx, e.pool, max(e.patience, defaultBusyTimeout), func(conn *pgxpool.Conn) error {
		asked := time.Now()
		err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&server)
		trip = time.Since(asked)
		return err
	})
	return server, trip, err
}

// backup is a transfer, on connections of its own.
func (e *postgresEngine) backup(ctx context.Context, path string) error {
	path, err := checkBackupPath(ctx, path, nil)
	if err != nil {
		return err
	}
	return newBackup(ctx, path, unfinishedFor, func(file *os.File) error {
		to, err := sqliteFileURL(file.Name())
		if err != nil {
			return err
		}
		_, err = Transfer(ctx, e.pool.Config().ConnString(), to, TransferOptions{})
		return err
	})
}

func (e *postgresEngine) close() {
	e.notifier.close() // first: it needs the pool
	e.closed.Store(true)
	e.alarm.close()
	e.pool.Close()
	for _, replica := range e.replicas {
		replica.pool.Close()
	}
}

func (e *postgresEngine) createGenerations(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, now time.Time) ([]Generation, error) {
	if len(rows) > maxCreatedTogether {
		return copyGenerations(ctx, db, rows, now)
	}
	params := pgdb.CreateGenerationsParams{CreatedAt: now}
	for _, row := range rows {
		modelVersion := ""
		if row.ModelVersion != nil {
			modelVersion = *row.ModelVersion
		}
		params.Ids = append(params.Ids, row.ID)
		params.Prompts = append(params.Prompts, row.Prompt)
		params.ModelNames = append(params.ModelNames, row.ModelName)
		params.ModelVersions = append(params.ModelVersions, modelVersion)
		params.DurationsSeconds = append(params.DurationsSeconds, row.DurationSeconds)
		params.SampleRates = append(params.SampleRates, row.SampleRate)
		params.Channels = append(params.Channels, row.Channels)
		params.FilePaths = append(params.FilePaths, row.FilePath)
		params.Metadata = append(params.Metadata, row.Metadata)
		params.Priorities = append(params.Priorities, row.Priority)
		params.ScheduledAts = append(params.ScheduledAts, row.scheduledAt(now))
		params.MaxAttempts = append(params.MaxAttempts, row.MaxAttempts)
		params.BatchIds = append(params.BatchIds, row.BatchID)
	}
	inserted, err := pgdb.New(db).CreateGenerations(ctx, params)
	if err != nil {
		return nil, err
	}
	stored := make(map[uuid.UUID]pgdb.CreateGenerationsRow, len(inserted))
	for _, row := range inserted {
		stored[row.ID] = row
	}
	created := make([]Generation, len(rows))
	for i, row := range rows {
		created[i] = row.created(now, stored[row.ID].PromptID)
		created[i].Metadata = stored[row.ID].Metadata
	}
	return created, nil
}

// copyGenerations is createGenerations by COPY, which the server reads faster than arrays, in two statements.
func copyGenerations(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, now time.Time) ([]Generation, error) {
	used := pgdb.TrackPromptsParams{UsedAt: now}
	for _, row := range rows {
		used.Texts = append(used.Texts, row.Prompt)
	}
	tracked, err := pgdb.New(db).TrackPrompts(ctx, used)
	if err != nil {
		return nil, err
	}
	prompts := make(map[string]int64, len(tracked))
	for _, prompt := range tracked {
		prompts[prompt.Text] = prompt.ID
	}
	return copyCreated(ctx, db, rows, prompts, now)
}

func (e *postgresEngine) completeGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params CompleteGenerationParams, now time.Time) (Generation, error) {
	completed, err := pgdb.New(db).CompleteGeneration(ctx, pgdb.CompleteGenerationParams{
		CompletedAt:           &now,
		GenerationTimeSeconds: &params.GenerationTimeSeconds,
		FileSizeBytes:         &params.FileSizeBytes,
		Metadata:              params.Metadata,
		ID:                    id,
		Attempt:               params.Attempt,
	})
	return Generation(completed), err
}

func (e *postgresEngine) completeGenerations(ctx context.Context, db storagedb.DBTX, completions []Completion, now time.Time) ([]Generation, error) {
	ids := make([]uuid.UUID, len(completions))
	for i, c := range completions {
		ids[i] = c.ID
	}
	if err := pgdb.New(db).LockGenerations(ctx, ids); err != nil {
		return nil, err
	}
	return e.completeFree(ctx, db, completions, now)
}

// completeFree completes those that nobody else has locked.
func (e *postgresEngine) completeFree(ctx context.Context, db storagedb.DBTX, completions []Completion, now time.Time) ([]Generation, error) {
	params := pgdb.CompleteGenerationsParams{CompletedAt: now}
	for _, c := range completions {
		params.Ids = append(params.Ids, c.ID)
		params.GenerationTimesSeconds = append(params.GenerationTimesSeconds, c.GenerationTimeSeconds)
		params.FileSizesBytes = append(params.FileSizesBytes, c.FileSizeBytes)
		params.Metadata = append(params.Metadata, c.Metadata)
		params.Attempts = append(params.Attempts, c.Attempt)
	}
	completed, err := pgdb.New(db).CompleteGenerations(ctx, params)
	return generationsOf(completed), err
}

func (e *postgresEngine) mergeMetadata(ctx context.Context, db storagedb.DBTX, id uuid.UUID, patch Metadata) (Generation, error) {
	updated, err := pgdb.New(db).MergeMetadata(ctx, pgdb.MergeMetadataParams{Metadata: patch, ID: id})
	return Generation(updated), err
}

func (e *postgresEngine) claimGenerations(ctx context.Context, db storagedb.DBTX, params ClaimParams, now time.Time) ([]Generation, error) {
	expires := now.Add(params.Lease).Truncate(timePrecision)
	claimed, err := pgdb.New(db).ClaimGenerations(ctx, pgdb.ClaimGenerationsParams{
		Worker:         &params.Worker,
		StartedAt:      &now,
		LeaseExpiresAt: &expires,
		Now:            now,
		ModelNames:     append([]string{}, params.ModelNames...), // not nil, which would be NULL
		RowLimit:       int64(params.Limit),
	})
	// RETURNING promises no order.
	slices.SortFunc(claimed, func(a, b pgdb.Generation) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.ScheduledAt.Compare(b.ScheduledAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return generationsOf(claimed), err
}

func (e *postgresEngine) failGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params FailGenerationParams, now, retryAt time.Time) (Generation, error) {
	queries := pgdb.New(db)
	fail := pgdb.FailGenerationsParams{
		Ids: []uuid.UUID{id}, Attempts: []int64{params.Attempt}, Finals: []bool{params.final()}, RetryAts: []time.Time{retryAt},
		Errors: []string{params.ErrorMessage}, Now: now,
	}
	failed, err := queries.FailGenerations(ctx, fail)
	if err == nil && len(failed) == 0 { // it may be locked, and then its time comes
		if err = queries.LockGenerations(ctx, fail.Ids); err == nil {
			failed, err = queries.FailGenerations(ctx, fail)
		}
	}
	switch {
	case err != nil:
		return Generation{}, err
	case len(failed) == 0:
		return Generation{}, pgx.ErrNoRows
	}
	return Generation(failed[0]), nil
}

func (e *postgresEngine) rescueGenerations(ctx context.Context, db storagedb.DBTX, limit int, now time.Time) ([]Generation, error) {
	rescued, err := pgdb.New(db).RescueGenerations(ctx, pgdb.RescueGenerationsParams{
		FailedAt: now, Error: leaseExpired, Now: &now, RowLimit: int64(limit),
	})
	return generationsOf(rescued), err
}

func (e *postgresEngine) dailyUsage(ctx context.Context, db storagedb.DBTX, from, to time.Time) ([]DayUsage, error) {
	rows, err := pgdb.New(db).DailyUsage(ctx, pgdb.DailyUsageParams{FromTime: from, ToTime: to})
	days := make([]DayUsage, len(rows))
	for i, row := range rows {
		days[i] = DayUsage(row)
	}
	return days, err
}

func (e *postgresEngine) searchPrompts(ctx context.Context, db storagedb.DBTX, search promptSearch) ([]PromptHit, error) {
	params := pgdb.SearchPromptsParams{UnusedToo: search.unusedToo, Status: string(search.status), RowLimit: search.limit}
	params.Wanted, params.WantedPrefixes = asArrays(search.query.wanted)
	params.Excluded, params.ExcludedPrefixes = asArrays(search.query.excluded)
	rows, err := pgdb.New(db).SearchPrompts(ctx, params)
	hits := make([]PromptHit, len(rows))
	for i, row := range rows {
		hits[i] = PromptHit{Prompt: Prompt(row.Prompt), Rank: row.Score}
	}
	return hits, err
}
