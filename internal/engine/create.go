package engine

import (
	"context"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// CopyCreations inserts generations by the engine's bulk path. prompts has the ID of each text. It returns the rows as
// it inserted them: to read them back would cost as much again.
func CopyCreations(
	ctx context.Context, queries *storagedb.Queries, creations []Creation, prompts map[string]int64, now time.Time,
) ([]storagedb.Generation, error) {
	created := make([]storagedb.Generation, len(creations))
	inserted := make([]storagedb.InsertGenerationsParams, len(creations))
	for i, creation := range creations {
		g := creation.Row(now, prompts[creation.Prompt])
		created[i] = g
		inserted[i] = storagedb.InsertGenerationsParams{
			ID: g.ID, Prompt: g.Prompt, ModelName: g.ModelName, ModelVersion: g.ModelVersion, DurationSeconds: g.DurationSeconds,
			SampleRate: g.SampleRate, Channels: g.Channels, FilePath: g.FilePath, Status: g.Status, CreatedAt: g.CreatedAt,
			Metadata: g.Metadata, PromptID: g.PromptID, Priority: g.Priority, ScheduledAt: g.ScheduledAt,
			MaxAttempts: g.MaxAttempts, BatchID: g.BatchID,
		}
	}
	if _, err := queries.InsertGenerations(ctx, inserted); err != nil {
		return nil, err
	}
	return created, nil
}
