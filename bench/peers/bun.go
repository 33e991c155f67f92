package peers

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/dgx-music/storage/bench/peers/stamp"
)

type bunPrompt struct {
	bun.BaseModel           `bun:"table:prompts"`
	ID                      int64 `bun:",pk,autoincrement"`
	Text                    string
	UsedCount               int64
	FirstUsedAt, LastUsedAt any
}

// bunGeneration has the columns of a new generation that have no default.
type bunGeneration struct {
	bun.BaseModel              `bun:"table:generations"`
	ID                         string `bun:",pk"`
	Prompt, ModelName          string
	DurationSeconds            float64
	SampleRate, Channels       int64
	FilePath, Status, Metadata string
	PromptID                   int64
	CreatedAt, ScheduledAt     any
}

type bunClient[T any] struct {
	*bun.DB
	at func(time.Time) any
}

func openBunSQLite(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openPool("sqlite", moderncDSN(url), connections)
		if err != nil {
			return nil, err
		}
		at := func(t time.Time) any { return t.Format(stamp.Layout) }
		return bunClient[stamp.Time]{bun.NewDB(db, sqlitedialect.New()), at}, nil
	}
}

func openBunPostgres(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openPool("pgx", url, connections)
		if err != nil {
			return nil, err
		}
		return bunClient[time.Time]{bun.NewDB(db, pgdialect.New()), func(t time.Time) any { return t }}, nil
	}
}

func (b bunClient[T]) Create(ctx context.Context, job Job) error {
	return b.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		at := b.at(job.At)
		prompt := bunPrompt{Text: job.Prompt, UsedCount: 1, FirstUsedAt: at, LastUsedAt: at}
		_, err := tx.NewInsert().Model(&prompt).On("CONFLICT (text) DO UPDATE").
			Set("used_count = bun_prompt.used_count + 1").Set("last_used_at = EXCLUDED.last_used_at").
			Returning("id").Exec(ctx)
		if err != nil {
			return err
		}
		generation := b.generation(job, prompt.ID)
		_, err = tx.NewInsert().Model(&generation).Exec(ctx)
		return err
	})
}

func (b bunClient[T]) generation(job Job, prompt int64) bunGeneration {
	at := b.at(job.At)
	return bunGeneration{
		ID: job.ID, Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration, SampleRate: sampleRate,
		Channels: channels, FilePath: job.FilePath, Status: "pending", Metadata: job.Metadata, PromptID: prompt,
		CreatedAt: at, ScheduledAt: at,
	}
}

func (b bunClient[T]) CreateAll(ctx context.Context, jobs []Job) error {
	return b.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		at := b.at(jobs[len(jobs)-1].At)
		texts, counts := countPrompts(jobs)
		prompts := make([]bunPrompt, len(texts))
		for i := range prompts {
			prompts[i] = bunPrompt{Text: texts[i], UsedCount: counts[i], FirstUsedAt: at, LastUsedAt: at}
		}
		// Return the text, too, since the order of the returned rows is undefined.
		_, err := tx.NewInsert().Model(&prompts).On("CONFLICT (text) DO UPDATE").
			Set("used_count = bun_prompt.used_count + EXCLUDED.used_count").Set("last_used_at = EXCLUDED.last_used_at").
			Returning("id, text").Exec(ctx)
		if err != nil {
			return err
		}
		ids := make(map[string]int64, len(prompts))
		for _, prompt := range prompts {
			ids[prompt.Text] = prompt.ID
		}
		generations := make([]bunGeneration, len(jobs))
		for i, job := range jobs {
			generations[i] = b.generation(job, ids[job.Prompt])
		}
		for chunk := range slices.Chunk(generations, 1000) {
			if _, err := tx.NewInsert().Model(&chunk).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b bunClient[T]) Get(ctx context.Context, id uuid.UUID) (string, error) {
	var found record[T]
	err := b.NewSelect().Model(&found).Where("id = ?", id).Scan(ctx)
	return found.Prompt, err
}

func (b bunClient[T]) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	var list []record[T]
	err := b.NewSelect().Model(&list).Order("created_at DESC", "id DESC").Limit(int64(limit)).Scan(ctx)
	return newest(list, err)
}
