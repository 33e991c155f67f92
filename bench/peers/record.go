package peers

import (
	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// record is a row with all columns of store.Generation. The raw drivers, GORM and bun read it. T is the type of times:
// time.Time on PostgreSQL, stamp.Time on SQLite.
type record[T any] struct {
	bun.BaseModel `bun:"table:generations,alias:g" gorm:"-"`

	ID                    uuid.UUID `bun:",pk" gorm:"primaryKey"`
	Prompt                string
	ModelName             string
	ModelVersion          *string
	DurationSeconds       float64
	SampleRate            int64
	Channels              int64
	FilePath              string
	FileSizeBytes         *int64
	Status                string
	CreatedAt             T
	CompletedAt           *T
	GenerationTimeSeconds *float64
	ErrorMessage          *string
	Metadata              string
	PromptID              int64
	Priority              int64
	ScheduledAt           T
	StartedAt             *T
	Attempt               int64
	MaxAttempts           int64
	Worker                *string
	LeaseExpiresAt        *T
	BatchID               *uuid.UUID
	ProgressStep          string
	ProgressFraction      float64
	CancelRequestedAt     *T
	Favorite              bool
}

func (record[T]) TableName() string { return "generations" }

// The queries of the raw drivers.
const (
	columns = `id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path,
		file_size_bytes, status, created_at, completed_at, generation_time_seconds, error_message, metadata, prompt_id,
		priority, scheduled_at, started_at, attempt, max_attempts, worker, lease_expires_at, batch_id, progress_step,
		progress_fraction, cancel_requested_at, favorite`
	getByID    = `SELECT ` + columns + ` FROM generations WHERE id = $1`
	listNewest = `SELECT ` + columns + ` FROM generations ORDER BY created_at DESC, id DESC LIMIT $1`
)

func (g *record[T]) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&g.ID, &g.Prompt, &g.ModelName, &g.ModelVersion, &g.DurationSeconds, &g.SampleRate, &g.Channels,
		&g.FilePath, &g.FileSizeBytes, &g.Status, &g.CreatedAt, &g.CompletedAt, &g.GenerationTimeSeconds,
		&g.ErrorMessage, &g.Metadata, &g.PromptID, &g.Priority, &g.ScheduledAt, &g.StartedAt, &g.Attempt,
		&g.MaxAttempts, &g.Worker, &g.LeaseExpiresAt, &g.BatchID, &g.ProgressStep, &g.ProgressFraction,
		&g.CancelRequestedAt, &g.Favorite)
}

// newest returns the results of Client.List.
func newest[T any](list []record[T], err error) (uuid.UUID, int, error) {
	if err != nil || len(list) == 0 {
		return uuid.UUID{}, 0, err
	}
	return list[0].ID, len(list), nil
}
