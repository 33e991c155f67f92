package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

// sqliteEngine is an open SQLite database: one connection that writes, and a pool that reads.
//
// What locks what: a transaction holds the writer connection from before BEGIN IMMEDIATE until after COMMIT, and SQLite's
// write lock in between; InTx and the batches of single writes wait for the connection in turn, first come first served,
// writers of other processes for the lock. Readers hold one connection of the pool for one statement; in WAL mode they neither wait for
// the writer nor hold it up; nor does the connection that watches for commits of other processes, where somebody waits for
// work. Nobody waits for a connection while it holds one, but for a checkpoint, which is alone in that: so nobody waits in a
// circle, except a caller who uses the store inside InTx: that
// one waits for its own end, at most BusyTimeout.
type sqliteEngine struct {
	dsn      string
	path     string // of the file; empty in memory
	patience time.Duration
	logger   *slog.Logger
	// A pool holds its idle connections; a nil among them is one that is still to be opened.
	writer  chan *sqliteConn
	readers chan *sqliteConn
	closed  chan struct{}
	memory  bool // the readers are the writer: a database in memory has one connection
	alarm   *alarm

	coalescer    *coalescer // of single writes
	checkpointer checkpointer
	backups      sync.RWMutex // held for reading by each that runs
	backingUp    sync.Mutex
	backupCount  int // under backingUp; commits do not bring the log back while there are any
}

func sqliteReaders(maxConns int) int {
	if maxConns > 0 {
		return maxConns
	}
	return max(4, runtime.GOMAXPROCS(0))
}

// newSQLiteEngine opens nothing yet, but for a database in memory, which is there for as long as it has a connection.
func newSQLiteEngine(ctx context.Context, t target, opts Options) (*sqliteEngine, error) {
	settings := durableSettings
	if opts.readOnly {
		settings = withoutLog(settings)
	}
	e := &sqliteEngine{
		dsn:      t.sqliteDSN(append([]string{"foreign_keys(ON)", "wal_autocheckpoint(" + strconv.Itoa(autoCheckpointPages) + ")"}, settings...)...),
		path:     t.path,
		patience: opts.BusyTimeout,
		logger:   opts.Logger,
		writer:   make(chan *sqliteConn, 1),
		closed:   make(chan struct{}),
		memory:   t.memory != "",
	}
	e.writer <- nil
	e.coalescer = newCoalescer(1, e.patience, e.beginBatch) // one writer, one batch at a time
	e.coalescer.afterwards = e.checkpoint
	if e.memory {
		e.alarm = newAlarm(nil) // there are no other processes
		e.readers = e.writer
		return e, e.openWriter(ctx)
	}
	e.alarm = newAlarm(e.watchOtherProcesses)
	readers := sqliteReaders(opts.MaxConns)
	e.readers = make(chan *sqliteConn, readers)
	for range readers {
		e.readers <- nil
	}
	return e, nil
}

// openWriter opens the writer before any reader: it brings a new file into WAL mode, which readers are not allowed to.
func (e *sqliteEngine) openWriter(ctx context.Context) error {
	conn, err := e.take(ctx, e.writer, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	e.writer <- conn
	return nil
}

// prepareSQLiteFile sees to it that the file is there, readable by its owner alone. SQLite gives its -wal and -shm files
// the same mode.
func prepareSQLiteFile(path string, create bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("store: open the database: %s is a folder; the URL must name a file in it", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: open the database: %w", err)
	case !create:
		return fmt.Errorf("store: %w: there is no database at %s%s: create it with store.Migrate, Options.Migrate or make db-migrate", ErrSchemaOutdated, path, relativeReading(path))
	}
	folder := filepath.Dir(path)
	if filepath.IsAbs(path) {
		if _, err := os.Stat(folder); err != nil {
			return fmt.Errorf("store: the folder of the database must exist%s: %w", relativeReading(path), err)
		}
	} else if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("store: create the database's folder: %w", err)
	}
	// Exclusively: a file that another connection of this process has opened by now must not be opened and closed here,
	// since that would drop the connection's POSIX locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: create the database: %w", err)
	}
	return file.Close()
}

// relativeReading names the other reading of an absolute path, which those who come from SQLAlchemy may have meant.
func relativeReading(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return fmt.Sprintf(" (an absolute path; SQLAlchemy reads sqlite://%s as a relative one, which is sqlite:%s here)", path, strings.TrimPrefix(path, "/"))
}

// durableSettings are those of a connection that writes.
var durableSettings = []string{
	"journal_mode(WAL)",
	"synchronous(FULL)",      // a commit that was acknowledged survives a power cut
	"recursive_triggers(ON)", // or REPLACE would delete past the triggers that count and index
	"cache_size(-32768)",     // in KiB; with the default of 2 MiB a bulk insert writes pages out before it commits
	"temp_store(MEMORY)",     // the pages a statement may have to take back; on disk they cost a bulk insert a third of its speed
}

// openPatience is busy_timeout while a connection is opened, short because modernc then heeds no context.
const openPatience = 20 * time.Millisecond

// sqliteDSN is modernc's form of the URL. The settings go in as _pragma, since a PRAGMA by Exec would reach one
// connection of a pool alone. modernc runs busy_timeout before the others, and sorts those: none may be given twice.
func (t target) sqliteDSN(settings ...string) string {
	query := url.Values{"mode": {"rw"}, "_pragma": append([]string{busyTimeout(openPatience)}, settings...)}
	if t.memory != "" {
		// A name of its own in SQLite's memory file system, so that a migration can open the same database.
		query.Set("vfs", "memdb")
		return "file:/" + t.memory + "?" + query.Encode()
	}
	path := filepath.ToSlash(t.path)
	if filepath.VolumeName(t.path) != "" {
		path = "///" + path
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

func busyTimeout(patience time.Duration) string {
	return "busy_timeout(" + strconv.FormatInt(patience.Milliseconds(), 10) + ")"
}

// sqliteReaderSettings makes a connection one that cannot write, whatever is run on it.
const sqliteReaderSettings = "&_pragma=query_only(ON)"

// take waits for a connection of a pool until the deadline, and opens it where that has not been done yet.
func (e *sqliteEngine) take(ctx context.Context, pool chan *sqliteConn, deadline time.Time) (*sqliteConn, error) {
	select {
	case <-e.closed:
		return nil, ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var conn *sqliteConn
	select {
	case conn = <-pool:
	default: // only now a wait costs its timer
		var err error
		if conn, err = waitUntil(ctx, deadline, waitForConnection, func(ctx context.Context) (*sqliteConn, error) {
			select {
			case conn := <-pool:
				return conn, nil
			case <-e.closed:
				return nil, ErrClosed
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}); err != nil {
			return nil, err
		}
	}
	if conn != nil {
		return conn, nil
	}
	dsn := e.dsn
	if pool != e.writer {
		dsn += sqliteReaderSettings
	}
	conn, err := openSQLiteWhenFree(ctx, deadline, dsn, e.patience)
	if err != nil {
		pool <- nil
		return nil, err
	}
	return conn, nil
}

// openSQLiteWhenFree opens a connection, again and again while another process has the file to itself: SQLite does not
// always wait for that, busy_timeout or not, where it changes the journal mode or recovers the log. It gives up at the
// deadline. From then on the connection waits for locks as long as patience and its calls' contexts allow.
func openSQLiteWhenFree(ctx context.Context, deadline time.Time, dsn string, patience time.Duration) (*sqliteConn, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		conn, err := openSQLiteConn(dsn)
		if err == nil {
			if _, err = conn.Exec(ctx, "PRAGMA "+busyTimeout(patience)); err == nil {
				return conn, nil
			}
			conn.close()
		}
		if !errors.Is(classify(err), ErrBusy) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("waited as long as BusyTimeout allows for another process to let go of the database: %w", classify(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (e *sqliteEngine) read(ctx context.Context, fn func(storagedb.DBTX) error) error {
	conn, err := e.take(ctx, e.readers, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer func() { e.readers <- conn }()
	return fn(logged(conn, e.logger))
}

func (e *sqliteEngine) readStale(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.read(ctx, fn)
}

func (e *sqliteEngine) write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.coalescer.write(ctx, false, fn)
}

func (e *sqliteEngine) writeAtomic(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.coalescer.write(ctx, true, fn)
}

func (e *sqliteEngine) writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error {
	return e.coalescer.writeJoint(ctx, joint, alone)
}

func (e *sqliteEngine) writeMany(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.inTx(ctx, func(db storagedb.DBTX, _ func() txState) error { return fn(db) })
}

func (e *sqliteEngine) writeAll(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return e.writeMany(ctx, fn)
}

func (e *sqliteEngine) inTx(ctx context.Context, fn func(db storagedb.DBTX, state func() txState) error) error {
	tx, err := e.begin(ctx, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer e.checkpoint()
	defer tx.end() // rolls back when fn panics, too
	if err := fn(tx.db, tx.state); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return tx.commit()
}

// sqliteTx is a transaction on the writer. It must be ended, which rolls back what was not committed.
type sqliteTx struct {
	engine    *sqliteEngine
	conn      *sqliteConn
	db        storagedb.DBTX
	began     int // conn.ended before the transaction
	committed bool
}

func (e *sqliteEngine) begin(ctx context.Context, deadline time.Time) (*sqliteTx, error) {
	conn, err := e.take(ctx, e.writer, deadline)
	if err != nil {
		return nil, err
	}
	tx := &sqliteTx{engine: e, conn: conn, db: logged(conn, e.logger)}
	// IMMEDIATE, because a transaction that first reads and then writes cannot wait for the lock: its snapshot is stale.
	// An error does not mean that it has not begun: modernc also returns the end of a context behind a success.
	if _, err := waitUntil(ctx, deadline, "the write of another process to end", func(ctx context.Context) (struct{}, error) {
		_, err := tx.db.Exec(ctx, "BEGIN IMMEDIATE")
		return struct{}{}, err
	}); err != nil {
		tx.end()
		return nil, err
	}
	tx.began = conn.ended
	return tx, nil
}

func (tx *sqliteTx) state() txState {
	if tx.conn.ended != tx.began {
		return txEnded
	}
	return txOpen
}

// commit is not to be cut off half way: whoever hears of an error must be able to trust that nothing was changed.
func (tx *sqliteTx) commit() error {
	_, err := tx.db.Exec(context.Background(), "COMMIT")
	tx.committed = err == nil
	tx.engine.checkpointer.noteWritten(tx.conn)
	return err
}

// end gives the writer back.
func (tx *sqliteTx) end() {
	if !tx.committed {
		tx.conn = tx.engine.rollback(tx.conn)
	}
	tx.engine.writer <- tx.conn
}

// rollback ends the transaction, if there is one, and returns the connection, or nil where it is not to be used again.
func (e *sqliteEngine) rollback(conn *sqliteConn) *sqliteConn {
	_, err := conn.Exec(context.Background(), "ROLLBACK")
	if err == nil || e.memory {
		return conn
	}
	// The generic code means that there is none: it never began, or SQLite has rolled back already.
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_ERROR {
		return conn
	}
	conn.close()
	return nil
}

func (e *sqliteEngine) announce()                  { e.alarm.ring() }
func (e *sqliteEngine) announced() <-chan struct{} { return e.alarm.next() }

func (e *sqliteEngine) db() storagedb.DBTX {
	// The writer for all: sqlc sends INSERT ... RETURNING through QueryRow.
	return borrowedDB{func(ctx context.Context) (storagedb.DBTX, func(), error) {
		conn, err := e.take(ctx, e.writer, time.Now().Add(e.patience))
		if err != nil {
			return nil, nil, err
		}
		// A BEGIN that somebody ran by hand ends here, or it would hold up every process.
		return logged(conn, e.logger), func() { e.writer <- e.rollback(conn) }, nil
	}}
}

func (e *sqliteEngine) ping(ctx context.Context) error {
	return e.read(ctx, func(db storagedb.DBTX) error {
		_, err := db.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1")
		return err
	})
}

// close waits for the calls that are running. The writer goes last: the last connection to be closed brings the log
// back into the file, and readers may not write.
func (e *sqliteEngine) close() {
	close(e.closed)
	e.backups.Lock() // they end soon
	defer e.backups.Unlock()
	e.alarm.close()
	e.checkpointer.close()
	pools := []chan *sqliteConn{e.readers, e.writer}
	if e.memory {
		pools = pools[1:]
	}
	for _, pool := range pools {
		for range cap(pool) {
			if conn := <-pool; conn != nil {
				conn.close()
			}
		}
	}
}

func (e *sqliteEngine) completeGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params CompleteGenerationParams, now time.Time) (Generation, error) {
	merged, err := e.mergedMetadata(ctx, db, id, params.Metadata)
	if err != nil {
		return Generation{}, err
	}
	completed, err := sqlitedb.New(db).CompleteGeneration(ctx, sqlitedb.CompleteGenerationParams{
		CompletedAt:           &now,
		GenerationTimeSeconds: &params.GenerationTimeSeconds,
		FileSizeBytes:         &params.FileSizeBytes,
		Metadata:              merged,
		ID:                    id,
		Attempt:               params.Attempt,
	})
	return Generation(completed), err
}

func (e *sqliteEngine) completeGenerations(ctx context.Context, db storagedb.DBTX, completions []Completion, now time.Time) ([]Generation, error) {
	var completed []Generation
	for _, c := range completions {
		switch g, err := e.completeGeneration(ctx, db, c.ID, c.CompleteGenerationParams, now); {
		case err == nil:
			completed = append(completed, g)
		case !errors.Is(err, pgx.ErrNoRows):
			return nil, err
		}
	}
	return completed, nil
}

func (e *sqliteEngine) mergeMetadata(ctx context.Context, db storagedb.DBTX, id uuid.UUID, patch Metadata) (Generation, error) {
	merged, err := e.mergedMetadata(ctx, db, id, patch)
	if err != nil {
		return Generation{}, err
	}
	updated, err := sqlitedb.New(db).SetMetadata(ctx, sqlitedb.SetMetadataParams{Metadata: merged, ID: id})
	return Generation(updated), err
}

// mergedMetadata reads what is there and merges patch over it. The caller writes it back in the same transaction, under
// the write lock, so nobody else's merge is lost.
func (e *sqliteEngine) mergedMetadata(ctx context.Context, db storagedb.DBTX, id uuid.UUID, patch Metadata) (Metadata, error) {
	stored, err := sqlitedb.New(db).GetMetadata(ctx, id)
	if err != nil {
		return nil, err
	}
	return stored.Merge(patch)
}

func (e *sqliteEngine) claimGenerations(ctx context.Context, db storagedb.DBTX, params ClaimParams, now time.Time) ([]Generation, error) {
	models, err := json.Marshal(append([]string{}, params.ModelNames...))
	if err != nil {
		return nil, err
	}
	if paused, err := storagedb.New(db).QueuePausedAt(ctx); err != nil || paused != nil {
		return []Generation{}, err
	}
	queries := sqlitedb.New(db)
	expires := now.Add(params.Lease).Truncate(timePrecision)
	claimed := []Generation{}
	for from := int64(math.MinInt64); len(claimed) < params.Limit; {
		priorities, err := queries.NextPendingPriority(ctx, from)
		if err != nil || len(priorities) == 0 {
			return claimed, err
		}
		due, err := queries.DueGenerations(ctx, sqlitedb.DueGenerationsParams{
			Priority: priorities[0], Now: now, ModelNames: string(models), RowLimit: int64(params.Limit - len(claimed)),
		})
		if err != nil {
			return nil, err
		}
		taken, err := claimDue(ctx, queries, due, params.Worker, now, expires)
		if err != nil {
			return nil, err
		}
		claimed = append(claimed, taken...)
		if priorities[0] == math.MaxInt64 {
			break
		}
		from = priorities[0] + 1
	}
	return claimed, nil
}

// claimDue claims what is due at one priority, and returns the rows as they are then.
func claimDue(ctx context.Context, queries *sqlitedb.Queries, due []sqlitedb.Generation, worker string, now, expires time.Time) ([]Generation, error) {
	if len(due) == 0 {
		return nil, nil
	}
	claimed, ids := generationsOf(due), make([]uuid.UUID, len(due))
	for i := range claimed {
		g := &claimed[i]
		g.Status, g.Worker, g.StartedAt, g.LeaseExpiresAt, g.ErrorMessage = StatusProcessing, new(worker), new(now), new(expires), nil
		g.Attempt++
		ids[i] = g.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return claimed, queries.ClaimDue(ctx, sqlitedb.ClaimDueParams{Worker: &worker, StartedAt: &now, LeaseExpiresAt: &expires, Ids: string(list)})
}

func (e *sqliteEngine) failGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params FailGenerationParams, now, retryAt time.Time) (Generation, error) {
	queries := sqlitedb.New(db)
	if err := queries.KeepGenerationError(ctx, sqlitedb.KeepGenerationErrorParams{
		Error: params.ErrorMessage, FailedAt: now, ID: id, Attempt: params.Attempt,
	}); err != nil {
		return Generation{}, err
	}
	failed, err := queries.FailGeneration(ctx, sqlitedb.FailGenerationParams{
		Final:        params.final(),
		RetryAt:      retryAt,
		Now:          &now,
		ErrorMessage: nullIfEmpty(params.ErrorMessage),
		ID:           id,
		Attempt:      params.Attempt,
	})
	return Generation(failed), err
}

func (e *sqliteEngine) rescueGenerations(ctx context.Context, db storagedb.DBTX, limit int, now time.Time) ([]Generation, error) {
	queries := sqlitedb.New(db)
	if err := queries.KeepExpiredLeases(ctx, sqlitedb.KeepExpiredLeasesParams{
		Error: leaseExpired, FailedAt: now, Now: &now, RowLimit: int64(limit),
	}); err != nil {
		return nil, err
	}
	rescued, err := queries.RescueGenerations(ctx, sqlitedb.RescueGenerationsParams{
		CompletedAt: &now, ErrorMessage: new(leaseExpired), Now: &now, RowLimit: int64(limit),
	})
	return generationsOf(rescued), err
}

func (e *sqliteEngine) dailyUsage(ctx context.Context, db storagedb.DBTX, from, to time.Time) ([]DayUsage, error) {
	rows, err := sqlitedb.New(db).DailyUsage(ctx, sqlitedb.DailyUsageParams{FromTime: from, ToTime: to})
	days := make([]DayUsage, len(rows))
	for i, row := range rows {
		days[i] = DayUsage(row)
	}
	return days, err
}

func (e *sqliteEngine) searchPrompts(ctx context.Context, db storagedb.DBTX, search promptSearch) ([]PromptHit, error) {
	rows, err := sqlitedb.New(db).SearchPrompts(ctx, sqlitedb.SearchPromptsParams{
		Query: search.query.fts5(), UnusedToo: search.unusedToo, Status: string(search.status), RowLimit: search.limit,
	})
	hits := make([]PromptHit, len(rows))
	for i, row := range rows {
		hits[i] = PromptHit{Prompt: Prompt(row.Prompt), Rank: row.Score}
	}
	return hits, err
}
