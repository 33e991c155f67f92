package peers

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/bench/peers/stamp"
)

const (
	trackSQLite = `INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES (?1, ?3, ?2, ?2)
		ON CONFLICT (text) DO UPDATE SET used_count = used_count + excluded.used_count,
			last_used_at = excluded.last_used_at RETURNING id`
	insertInto = `INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path,
		status, created_at, metadata, prompt_id, scheduled_at) VALUES `
	insertSQLite = insertInto + `(?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10, ?8)`
)

// handSQLite is database/sql with prepared statements.
type handSQLite struct {
	*sql.DB
	track, insert, get, list *sql.Stmt
}

func sqlitePath(url string) string { return strings.TrimPrefix(url, "sqlite://") }

// The DSNs have all of the store's settings, not only those for durability. With a small page cache, and with the
// statement journal on disk, a transaction of many rows would take twice as long.

func moderncDSN(url string) string {
	return fmt.Sprintf("file:%s?_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)&_pragma=temp_store(MEMORY)&_txlock=immediate",
		sqlitePath(url))
}

func mattnDSN(url string) string {
	return fmt.Sprintf("file:%s?_busy_timeout=60000&_foreign_keys=on&_journal_mode=WAL&_synchronous=FULL"+
		"&_cache_size=-32768&_txlock=immediate", sqlitePath(url))
}

// mattnDriver is mattn with temp_store, which its DSN cannot set.
const mattnDriver = "sqlite3 with temp_store"

func init() {
	sql.Register(mattnDriver, &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		_, err := conn.Exec("PRAGMA temp_store = MEMORY", nil)
		return err
	}})
}

func openModernc(connections int) func(context.Context, string) (Client, error) {
	return func(ctx context.Context, url string) (Client, error) {
		return openHandSQLite(ctx, "sqlite", moderncDSN(url), connections)
	}
}

func openMattn(connections int) func(context.Context, string) (Client, error) {
	return func(ctx context.Context, url string) (Client, error) {
		return openHandSQLite(ctx, mattnDriver, mattnDSN(url), connections)
	}
}

// openPool opens a pool that keeps its connections open.
func openPool(driver, dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func openMultiRow(open func(context.Context, string) (Client, error)) func(context.Context, string) (Client, error) {
	return func(ctx context.Context, url string) (Client, error) {
		client, err := open(ctx, url)
		if err != nil {
			return nil, err
		}
		return multiRow{client.(*handSQLite)}, nil
	}
}

func openHandSQLite(ctx context.Context, driver, dsn string, connections int) (Client, error) {
	db, err := openPool(driver, dsn, connections)
	if err != nil {
		return nil, err
	}
	h := &handSQLite{DB: db}
	for text, statement := range map[string]**sql.Stmt{
		trackSQLite: &h.track, insertSQLite: &h.insert, getByID: &h.get, listNewest: &h.list,
	} {
		if *statement, err = db.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *handSQLite) Create(ctx context.Context, job Job) error {
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var prompt int64
	track := tx.StmtContext(ctx, h.track)
	if err := track.QueryRowContext(ctx, job.Prompt, job.At.Format(stamp.Layout), 1).Scan(&prompt); err != nil {
		return err
	}
	if err := insertGeneration(ctx, tx.StmtContext(ctx, h.insert), job, prompt); err != nil {
		return err
	}
	return tx.Commit()
}

func insertGeneration(ctx context.Context, insert *sql.Stmt, job Job, prompt int64) error {
	_, err := insert.ExecContext(ctx, job.ID, job.Prompt, modelName, duration, sampleRate, channels, job.FilePath,
		job.At.Format(stamp.Layout), job.Metadata, prompt)
	return err
}

func (h *handSQLite) CreateAll(ctx context.Context, jobs []Job) error {
	return h.createAll(ctx, jobs, func(tx *sql.Tx, ids map[string]int64) error {
		return h.insertEach(ctx, tx, jobs, ids)
	})
}

func (h *handSQLite) insertEach(ctx context.Context, tx *sql.Tx, jobs []Job, promptIDs map[string]int64) error {
	insert := tx.StmtContext(ctx, h.insert)
	for _, job := range jobs {
		if err := insertGeneration(ctx, insert, job, promptIDs[job.Prompt]); err != nil {
			return err
		}
	}
	return nil
}

// createAll begins a transaction, counts each prompt once with all its uses, and calls insert for the generations.
func (h *handSQLite) createAll(
	ctx context.Context, jobs []Job, insert func(tx *sql.Tx, promptIDs map[string]int64) error,
) error {
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	track, at := tx.StmtContext(ctx, h.track), jobs[len(jobs)-1].At.Format(stamp.Layout)
	texts, counts := countPrompts(jobs)
	ids := make(map[string]int64, len(texts))
	for i, text := range texts {
		var id int64
		if err := track.QueryRowContext(ctx, text, at, counts[i]).Scan(&id); err != nil {
			return err
		}
		ids[text] = id
	}
	if err := insert(tx, ids); err != nil {
		return err
	}
	return tx.Commit()
}

// multiRow inserts rowsPerStatement generations with one statement.
type multiRow struct{ *handSQLite }

const rowsPerStatement = 100

func (m multiRow) CreateAll(ctx context.Context, jobs []Job) error {
	return m.createAll(ctx, jobs, func(tx *sql.Tx, ids map[string]int64) error {
		const row = "(?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)"
		many, err := tx.PrepareContext(ctx, insertInto+row+strings.Repeat(", "+row, rowsPerStatement-1))
		if err != nil {
			return err
		}
		defer many.Close()
		for ; len(jobs) >= rowsPerStatement; jobs = jobs[rowsPerStatement:] {
			var args []any
			for _, job := range jobs[:rowsPerStatement] {
				at := job.At.Format(stamp.Layout)
				args = append(args, job.ID, job.Prompt, modelName, duration, sampleRate, channels, job.FilePath, at,
					job.Metadata, ids[job.Prompt], at)
			}
			if _, err := many.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
		return m.insertEach(ctx, tx, jobs, ids)
	})
}

func (h *handSQLite) Get(ctx context.Context, id uuid.UUID) (string, error) {
	var g record[stamp.Time]
	err := g.scan(h.get.QueryRowContext(ctx, id.String()))
	return g.Prompt, err
}

func (h *handSQLite) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	rows, err := h.list.QueryContext(ctx, limit)
	if err != nil {
		return uuid.UUID{}, 0, err
	}
	defer rows.Close()
	list := make([]record[stamp.Time], limit)
	n := 0
	for ; rows.Next(); n++ {
		if err := list[n].scan(rows); err != nil {
			return uuid.UUID{}, 0, err
		}
	}
	return newest(list[:n], rows.Err())
}
