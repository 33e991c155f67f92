package peers

import (
	"context"
	"runtime"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

type gormPrompt struct {
	ID                      int64 `gorm:"primaryKey"`
	Text                    string
	UsedCount               int64
	FirstUsedAt, LastUsedAt any `gorm:"type:text"`
}

func (gormPrompt) TableName() string { return "prompts" }

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

// gormCreator is GORM with the settings of https://gorm.io/docs/performance.html: prepared statements, and a transaction only
// where it is asked for.
type gormCreator struct {
	*gorm.DB
	at func(time.Time) any
}

func gormConfig() *gorm.Config {
	return &gorm.Config{PrepareStmt: true, SkipDefaultTransaction: true, Logger: logger.Discard}
}

func openGormSQLite(_ context.Context, url string) (Creator, error) {
	db, err := gorm.Open(sqlite.Open(mattnDSN(url)), gormConfig())
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return gormCreator{db, func(t time.Time) any { return t.Format(sqliteLayout) }}, nil
}

func openGormPostgres(_ context.Context, url string) (Creator, error) {
	db, err := gorm.Open(postgres.Open(url), gormConfig())
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(max(16, 4*runtime.NumCPU()))
	pool.SetMaxIdleConns(max(16, 4*runtime.NumCPU()))
	return gormCreator{db, func(t time.Time) any { return t }}, nil
}

func (g gormCreator) Create(ctx context.Context, job Job) error {
	return g.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		at := g.at(job.At)
		prompt := gormPrompt{Text: job.Prompt, UsedCount: 1, FirstUsedAt: at, LastUsedAt: at}
		if err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "text"}},
			DoUpdates: clause.Assignments(map[string]any{"used_count": gorm.Expr("prompts.used_count + 1"), "last_used_at": at}),
		}, clause.Returning{Columns: []clause.Column{{Name: "id"}}}).Create(&prompt).Error; err != nil {
			return err
		}
		return tx.Create(&gormGeneration{
			ID: job.ID, Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration, SampleRate: sampleRate, Channels: channels,
			FilePath: job.FilePath, Status: "pending", Metadata: job.Metadata, PromptID: prompt.ID, CreatedAt: at, ScheduledAt: at,
		}).Error
	})
}

func (g gormCreator) Close() error {
	pool, err := g.DB.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
