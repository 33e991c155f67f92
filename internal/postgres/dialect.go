package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// dialect runs PostgreSQL's own statements on one connection.
type dialect struct {
	shared storagedb.Queries
	own    pgdb.Queries
}

func newDialect(db storagedb.DBTX) *dialect {
	return &dialect{shared: *storagedb.New(db), own: *pgdb.New(db)} // one allocation for both
}

// Queries returns the statements of one connection.
func (e *Engine) Queries(db storagedb.DBTX) engine.Queries {
	db = dbtx.Naming(db)
	d := newDialect(db)
	return engine.Queries{Queries: &d.shared, Dialect: d, DB: db}
}

func (d *dialect) CreateGenerations(
	ctx context.Context, creations []engine.Creation, now time.Time,
) ([]storagedb.Generation, error) {
	if len(creations) > engine.MaxCreatedTogether {
		return d.copyGenerations(ctx, creations, now)
	}
	return d.createWithin(ctx, creations, now, "")
}

// createWithin is CreateGenerations with a timeout of its own for the locks on prompts, as PostgreSQL writes it.
func (d *dialect) createWithin(
	ctx context.Context, creations []engine.Creation, now time.Time, lockTimeout string,
) ([]storagedb.Generation, error) {
	params := pgdb.CreateGenerationsParams{CreatedAt: now, LockTimeout: lockTimeout}
	for _, c := range creations {
		modelVersion := ""
		if c.ModelVersion != nil {
			modelVersion = *c.ModelVersion
		}
		params.Ids = append(params.Ids, c.ID)
		params.Prompts = append(params.Prompts, c.Prompt)
		params.ModelNames = append(params.ModelNames, c.ModelName)
		params.ModelVersions = append(params.ModelVersions, modelVersion)
		params.DurationsSeconds = append(params.DurationsSeconds, c.DurationSeconds)
		params.SampleRates = append(params.SampleRates, c.SampleRate)
		params.Channels = append(params.Channels, c.Channels)
		params.FilePaths = append(params.FilePaths, c.FilePath)
		params.Metadata = append(params.Metadata, c.Metadata)
		params.Priorities = append(params.Priorities, c.Priority)
		params.ScheduledAts = append(params.ScheduledAts, c.DueAt(now))
		params.MaxAttempts = append(params.MaxAttempts, c.MaxAttempts)
		params.BatchIds = append(params.BatchIds, c.BatchID)
	}
	inserted, err := d.own.CreateGenerations(ctx, params)
	if err != nil {
		return nil, err
	}
	stored := make(map[uuid.UUID]pgdb.CreateGenerationsRow, len(inserted))
	for _, row := range inserted {
		stored[row.ID] = row
	}
	created := make([]storagedb.Generation, len(creations))
	for i, c := range creations {
		created[i] = c.Row(now, stored[c.ID].PromptID)
		created[i].Metadata = stored[c.ID].Metadata
	}
	return created, nil
}

// copyGenerations is CreateGenerations by COPY, which the server reads faster than arrays. It takes two statements, so
// it needs a transaction.
func (d *dialect) copyGenerations(
	ctx context.Context, creations []engine.Creation, now time.Time,
) ([]storagedb.Generation, error) {
	used := pgdb.TrackPromptsParams{UsedAt: now}
	for _, c := range creations {
		used.Texts = append(used.Texts, c.Prompt)
	}
	tracked, err := d.own.TrackPrompts(ctx, used)
	if err != nil {
		return nil, err
	}
	prompts := make(map[string]int64, len(tracked))
	for _, prompt := range tracked {
		prompts[prompt.Text] = prompt.ID
	}
	return engine.CopyCreations(ctx, &d.shared, creations, prompts, now)
}

func (d *dialect) CompleteGeneration(
	ctx context.Context, c engine.Completion, now time.Time,
) (storagedb.Generation, error) {
	completed, err := d.own.CompleteGeneration(ctx, pgdb.CompleteGenerationParams{
		CompletedAt:           &now,
		GenerationTimeSeconds: &c.GenerationTimeSeconds,
		FileSizeBytes:         &c.FileSizeBytes,
		Metadata:              c.Metadata,
		ID:                    c.ID,
		Attempt:               c.Attempt,
	})
	return storagedb.Generation(completed), err
}

// CompleteGenerations locks the generations first, so that it waits for those that another transaction has locked.
func (d *dialect) CompleteGenerations(
	ctx context.Context, completions []engine.Completion, now time.Time,
) ([]storagedb.Generation, error) {
	ids := make([]uuid.UUID, len(completions))
	for i, c := range completions {
		ids[i] = c.ID
	}
	if err := d.own.LockGenerations(ctx, ids); err != nil {
		return nil, err
	}
	return d.completeUnlocked(ctx, completions, now)
}

func (d *dialect) MergeMetadata(
	ctx context.Context, id uuid.UUID, patch storagedb.Metadata,
) (storagedb.Generation, error) {
	updated, err := d.own.MergeMetadata(ctx, pgdb.MergeMetadataParams{Metadata: patch, ID: id})
	return storagedb.Generation(updated), err
}

func (d *dialect) ClaimGenerations(
	ctx context.Context, claim engine.Claim, now time.Time,
) ([]storagedb.Generation, error) {
	expires := claim.Expires(now)
	rows, err := d.own.ClaimGenerations(ctx, pgdb.ClaimGenerationsParams{
		Worker:         &claim.Worker,
		StartedAt:      &now,
		LeaseExpiresAt: &expires,
		Now:            now,
		ModelNames:     append([]string{}, claim.ModelNames...), // nil would be NULL
		RowLimit:       int64(claim.Limit),
	})
	claimed := generations(rows)
	slices.SortFunc(claimed, engine.InClaimOrder) // RETURNING promises no order
	return claimed, err
}

func (d *dialect) RescueGenerations(ctx context.Context, limit int64, now time.Time) ([]storagedb.Generation, error) {
	rescued, err := d.own.RescueGenerations(ctx, pgdb.RescueGenerationsParams{
		FailedAt: now, Error: engine.LeaseExpired, Now: &now, RowLimit: limit,
	})
	return generations(rescued), err
}

func (d *dialect) DailyUsage(ctx context.Context, from, to time.Time) ([]engine.DayUsage, error) {
	rows, err := d.own.DailyUsage(ctx, pgdb.DailyUsageParams{FromTime: from, ToTime: to})
	return engine.MapRows(rows, func(row pgdb.DailyUsageRow) engine.DayUsage { return engine.DayUsage(row) }), err
}

func (d *dialect) SearchPrompts(ctx context.Context, search engine.PromptSearch) ([]engine.PromptHit, error) {
	params := pgdb.SearchPromptsParams{UnusedToo: search.UnusedToo, Status: string(search.Status), RowLimit: search.Limit}
	params.Wanted, params.WantedPrefixes = listing.Arrays(search.Words.Wanted)
	params.Excluded, params.ExcludedPrefixes = listing.Arrays(search.Words.Excluded)
	rows, err := d.own.SearchPrompts(ctx, params)
	return engine.MapRows(rows, func(row pgdb.SearchPromptsRow) engine.PromptHit {
		return engine.PromptHit{Prompt: storagedb.Prompt(row.Prompt), Rank: row.Score}
	}), err
}

func (d *dialect) LastPromptID(ctx context.Context) (int64, error) { return d.own.LastPromptID(ctx) }

func (d *dialect) SkipPromptIDs(ctx context.Context, upTo int64) error {
	return d.own.SkipPromptIDs(ctx, upTo)
}

func generations(rows []pgdb.Generation) []storagedb.Generation {
	return engine.MapRows(rows, func(row pgdb.Generation) storagedb.Generation { return storagedb.Generation(row) })
}
