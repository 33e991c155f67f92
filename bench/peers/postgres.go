package peers

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// createPostgres creates a generation in one statement, in autocommit mode.
const createPostgres = `WITH used AS (
	INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ($1, 1, $2, $2)
	ON CONFLICT (text) DO UPDATE SET used_count = prompts.used_count + 1,
		last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
	RETURNING id
)
INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status,
	created_at, metadata, prompt_id, scheduled_at)
SELECT $3, $1, $4, $5, $6, $7, $8, 'pending', $2, $9, used.id, $2 FROM used`

// trackPostgres counts many prompts. It sorts them, so that two callers with the same prompts cannot deadlock.
const trackPostgres = `INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
SELECT text, used, $3, $3 FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])) AS given (text, used) ORDER BY text
ON CONFLICT (text) DO UPDATE SET used_count = prompts.used_count + excluded.used_count,
	last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
RETURNING id, text`

// handPgx is a pgx pool. It prepares each statement once per connection.
type handPgx struct{ *pgxpool.Pool }

func openPgx(connections int) func(context.Context, string) (Client, error) {
	return func(ctx context.Context, url string) (Client, error) {
		config, err := pgxpool.ParseConfig(url)
		if err != nil {
			return nil, err
		}
		config.MaxConns = int32(connections)
		pool, err := pgxpool.NewWithConfig(ctx, config)
		return handPgx{pool}, err
	}
}

func (h handPgx) Create(ctx context.Context, job Job) error {
	_, err := h.Exec(ctx, createPostgres, job.Prompt, job.At, job.ID, modelName, duration, sampleRate, channels,
		job.FilePath, job.Metadata)
	return err
}

func (h handPgx) CreateAll(ctx context.Context, jobs []Job) error {
	return pgx.BeginFunc(ctx, h.Pool, func(tx pgx.Tx) error {
		texts, counts := countPrompts(jobs)
		rows, err := tx.Query(ctx, trackPostgres, texts, counts, jobs[len(jobs)-1].At)
		if err != nil {
			return err
		}
		ids := make(map[string]int64, len(texts))
		var id int64
		var text string
		if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
			ids[text] = id
			return nil
		}); err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"generations"},
			[]string{"id", "prompt", "model_name", "duration_seconds", "sample_rate", "channels", "file_path", "status",
				"created_at", "metadata", "prompt_id", "scheduled_at"},
			pgx.CopyFromSlice(len(jobs), func(i int) ([]any, error) {
				job := &jobs[i]
				id, err := uuid.Parse(job.ID)
				return []any{id, job.Prompt, modelName, duration, sampleRate, channels, job.FilePath, "pending",
					job.At, job.Metadata, ids[job.Prompt], job.At}, err
			}))
		return err
	})
}

func (h handPgx) Get(ctx context.Context, id uuid.UUID) (string, error) {
	var g record[time.Time]
	err := g.scan(h.QueryRow(ctx, getByID, id))
	return g.Prompt, err
}

func (h handPgx) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	rows, err := h.Query(ctx, listNewest, limit)
	if err != nil {
		return uuid.UUID{}, 0, err
	}
	defer rows.Close()
	list := make([]record[time.Time], limit)
	n := 0
	for ; rows.Next(); n++ {
		if err := list[n].scan(rows); err != nil {
			return uuid.UUID{}, 0, err
		}
	}
	return newest(list[:n], rows.Err())
}

func (h handPgx) Close() error {
	h.Pool.Close()
	return nil
}
