package peers

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/dgx-music/storage/bench/peers/stamp"
)

type gormPrompt struct {
	ID                      int64 `gorm:"primaryKey"`
	Text                    string
	UsedCount               int64
	FirstUsedAt, LastUsedAt any `gorm:"type:text"`
}

func (gormPrompt) TableName() string { return "prompts" }

// gormGeneration has the columns of a new generation that have no default.
type gormGeneration struct {
	ID                         string `gorm:"primaryKey"`
	Prompt, ModelName          string
	DurationSeconds            float64
	SampleRate, Channels       int64
	FilePath, Status, Metadata string
	PromptID                   int64
	CreatedAt, ScheduledAt     any `gorm:"type:text;autoCreateTime:false"`
}

func (gormGeneration) TableName() string { return "generations" }

// gormClient is GORM with the settings of https://gorm.io/docs/performance.html: prepared statements, and no
// transaction unless the caller begins one.
type gormClient[T any] struct {
	*gorm.DB
	at func(time.Time) any
}

func openGormSQLite(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openGorm(sqlite.New(sqlite.Config{DriverName: mattnDriver, DSN: mattnDSN(url)}), connections)
		return gormClient[stamp.Time]{db, func(t time.Time) any { return t.Format(stamp.Layout) }}, err
	}
}

func openGormPostgres(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openGorm(postgres.Open(url), connections)
		return gormClient[time.Time]{db, func(t time.Time) any { return t }}, err
	}
}

func openGorm(dialector gorm.Dialector, connections int) (*gorm.DB, error) {
	config := &gorm.Config{PrepareStmt: true, SkipDefaultTransaction: true, Logger: logger.Discard}
	db, err := gorm.Open(dialector, config)
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return db, nil
}

func (g gormClient[T]) Create(ctx context.Context, job Job) error {
	return g.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		at := g.at(job.At)
		prompt := gormPrompt{Text: job.Prompt, UsedCount: 1, FirstUsedAt: at, LastUsedAt: at}
		updates := map[string]any{"used_count": gorm.Expr("prompts.used_count + 1"), "last_used_at": at}
		if err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "text"}},
			DoUpdates: clause.Assignments(updates),
		}, clause.Returning{Columns: []clause.Column{{Name: "id"}}}).Create(&prompt).Error; err != nil {
			return err
		}
		generation := g.generation(job, prompt.ID)
		return tx.Create(&generation).Error
	})
}

func (g gormClient[T]) generation(job Job, prompt int64) gormGeneration {
	at := g.at(job.At)
	return gormGeneration{
		ID: job.ID, Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration, SampleRate: sampleRate,
		Channels: channels, FilePath: job.FilePath, Status: "pending", Metadata: job.Metadata, PromptID: prompt,
		CreatedAt: at, ScheduledAt: at,
	}
}

func (g gormClient[T]) CreateAll(ctx context.Context, jobs []Job) error {
	return g.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		at := g.at(jobs[len(jobs)-1].At)
		texts, counts := countPrompts(jobs)
		prompts := make([]gormPrompt, len(texts))
		for i := range prompts {
			prompts[i] = gormPrompt{Text: texts[i], UsedCount: counts[i], FirstUsedAt: at, LastUsedAt: at}
		}
		// Return the text, too, since the order of the returned rows is undefined.
		updates := map[string]any{"used_count": gorm.Expr("prompts.used_count + excluded.used_count"), "last_used_at": at}
		if err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "text"}},
			DoUpdates: clause.Assignments(updates),
		}, clause.Returning{Columns: []clause.Column{{Name: "id"}, {Name: "text"}}}).Create(&prompts).Error; err != nil {
			return err
		}
		ids := make(map[string]int64, len(prompts))
		for _, prompt := range prompts {
			ids[prompt.Text] = prompt.ID
		}
		generations := make([]gormGeneration, len(jobs))
		for i, job := range jobs {
			generations[i] = g.generation(job, ids[job.Prompt])
		}
		return tx.CreateInBatches(generations, 1000).Error
	})
}

func (g gormClient[T]) Get(ctx context.Context, id uuid.UUID) (string, error) {
	var found record[T]
	err := g.WithContext(ctx).Take(&found, "id = ?", id).Error
	return found.Prompt, err
}

func (g gormClient[T]) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	var list []record[T]
	err := g.WithContext(ctx).Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return newest(list, err)
}

func (g gormClient[T]) Close() error {
	pool, err := g.DB.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
