package peers

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
)

type bunPrompt struct {
	bun.BaseModel           `bun:"table:prompts"`
	ID                      int64 `bun:",pk,autoincrement"`
	Text                    string
	UsedCount               int64
	FirstUsedAt, LastUsedAt any
}

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

type bunCreator struct {
	*bun.DB
	at func(time.Time) any
}

func openBunSQLite(_ context.Context, url string) (Creator, error) {
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate", sqlitePath(url)))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return bunCreator{bun.NewDB(db, sqlitedialect.New()), func(t time.Time) any { return t.Format(sqliteLayout) }}, nil
}

func openBunPostgres(_ context.Context, url string) (Creator, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	connections := max(16, 4*runtime.NumCPU())
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return bunCreator{bun.NewDB(db, pgdialect.New()), func(t time.Time) any { return t }}, nil
}

func (b bunCreator) Create(ctx context.Context, job Job) error {
	return b.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		at := b.at(job.At)
		prompt := bunPrompt{Text: job.Prompt, UsedCount: 1, FirstUsedAt: at, LastUsedAt: at}
		if _, err := tx.NewInsert().Model(&prompt).On("CONFLICT (text) DO UPDATE").
			Set("used_count = bun_prompt.used_count + 1").Set("last_used_at = EXCLUDED.last_used_at").Returning("id").Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&bunGeneration{
			ID: job.ID, Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration, SampleRate: sampleRate, Channels: channels,
			FilePath: job.FilePath, Status: "pending", Metadata: job.Metadata, PromptID: prompt.ID, CreatedAt: at, ScheduledAt: at,
		}).Exec(ctx)
		return err
	})
}

func (b bunCreator) Close() error { return b.DB.Close() }
