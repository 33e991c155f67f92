package peers

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/mattn/go-sqlite3"
	_ "modernc.org/sqlite"
)

const (
	trackSQLite = `INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES (?1, 1, ?2, ?2)
		ON CONFLICT (text) DO UPDATE SET used_count = used_count + 1, last_used_at = excluded.last_used_at RETURNING id`
	insertSQLite = `INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, metadata, prompt_id, scheduled_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10, ?8)`
)

// handSQLite is database/sql with prepared statements.
type handSQLite struct {
	*sql.DB
	track, insert *sql.Stmt
}

func openModernc(connections int) func(context.Context, string) (Creator, error) {
	return func(ctx context.Context, url string) (Creator, error) {
		return openHandSQLite(ctx, "sqlite", fmt.Sprintf("file:%s?_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate", sqlitePath(url)), connections)
	}
}

func openMattn(ctx context.Context, url string) (Creator, error) {
	return openHandSQLite(ctx, "sqlite3", mattnDSN(url), 1)
}

func mattnDSN(url string) string {
	return fmt.Sprintf("file:%s?_busy_timeout=60000&_foreign_keys=on&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate", sqlitePath(url))
}

func openHandSQLite(ctx context.Context, driver, dsn string, connections int) (Creator, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	h := &handSQLite{DB: db}
	if h.track, err = db.PrepareContext(ctx, trackSQLite); err != nil {
		return nil, err
	}
	h.insert, err = db.PrepareContext(ctx, insertSQLite)
	return h, err
}

func (h *handSQLite) Create(ctx context.Context, job Job) error {
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	at := job.At.Format(sqliteLayout)
	var prompt int64
	if err := tx.StmtContext(ctx, h.track).QueryRowContext(ctx, job.Prompt, at).Scan(&prompt); err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, h.insert).ExecContext(ctx, job.ID, job.Prompt, modelName, duration, sampleRate, channels, job.FilePath, at, job.Metadata, prompt); err != nil {
		return err
	}
	return tx.Commit()
}

// CreatePostgres is the creation in one statement, which commits by itself; pgbench runs it, too.
const CreatePostgres = `WITH used AS (
	INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ($1, 1, $2, $2)
	ON CONFLICT (text) DO UPDATE SET used_count = prompts.used_count + 1, last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
	RETURNING id
)
INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, metadata, prompt_id, scheduled_at)
SELECT $3, $1, $4, $5, $6, $7, $8, 'pending', $2, $9, used.id, $2 FROM used`

// handPgx is a pool of pgx, which prepares each statement once per connection.
type handPgx struct{ *pgxpool.Pool }

func openPgx(ctx context.Context, url string) (Creator, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(max(16, 4*runtime.NumCPU()))
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return handPgx{pool}, err
}

func (h handPgx) Create(ctx context.Context, job Job) error {
	_, err := h.Exec(ctx, CreatePostgres, job.Prompt, job.At, job.ID, modelName, duration, sampleRate, channels, job.FilePath, job.Metadata)
	return err
}

func (h handPgx) Close() error {
	h.Pool.Close()
	return nil
}
