package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (e *postgresEngine) countWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, atMost int64) (int64, error) {
	return pgdb.New(db).CountPlacesWithValue(ctx, pgdb.CountPlacesWithValueParams{
		Entry: value, CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, AtMost: atMost,
	})
}

func (e *postgresEngine) placesWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, n int64) ([]position, bool, error) {
	queries, p := pgdb.New(db), pgdb.NewestPlacesWithValueParams{
		Entry:           value,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesWithValue(ctx, pgdb.OldestPlacesWithValueParams(p))
		return placesOf(rows, n, err)
	}
	rows, err := queries.NewestPlacesWithValue(ctx, p)
	return placesOf(rows, n, err)
}

func (e *postgresEngine) countInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) (int64, error) {
	low, high := asked.ends()
	return pgdb.New(db).CountPlacesInRange(ctx, pgdb.CountPlacesInRangeParams{Name: asked.Name, Low: low, High: high, AtMost: atMost})
}

func (e *postgresEngine) placesInRange(ctx context.Context, db storagedb.DBTX, l list, asked jsonRange, n int64) ([]position, bool, error) {
	low, high := asked.ends()
	queries, p := pgdb.New(db), pgdb.NewestPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesInRange(ctx, pgdb.OldestPlacesInRangeParams(p))
		return placesOf(rows, n, err)
	}
	rows, err := queries.NewestPlacesInRange(ctx, p)
	return placesOf(rows, n, err)
}

func (e *postgresEngine) numbersInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) ([]float64, error) {
	low, high := asked.ends()
	return pgdb.New(db).NumbersInRange(ctx, pgdb.NumbersInRangeParams{Name: asked.Name, Low: low, High: high, RowLimit: atMost})
}

func (e *postgresEngine) placesOfNumbers(ctx context.Context, db storagedb.DBTX, l list, key string, numbers []float64, each int64) ([]groupPosition, error) {
	queries, p := pgdb.New(db), pgdb.NewestPlacesOfNumbersParams{
		Numbers: numbers, Name: key,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, PerNumber: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesOfNumbers(ctx, pgdb.OldestPlacesOfNumbersParams(p))
		return ofNumbers(rows), err
	}
	rows, err := queries.NewestPlacesOfNumbers(ctx, p)
	return ofNumbers(rows), err
}

func (e *postgresEngine) findPrompts(ctx context.Context, db storagedb.DBTX, query searchQuery, atMost int64) ([]int64, error) {
	params := pgdb.FindPromptsParams{RowLimit: atMost}
	params.Wanted, params.WantedPrefixes = asArrays(query.wanted)
	params.Excluded, params.ExcludedPrefixes = asArrays(query.excluded)
	return pgdb.New(db).FindPrompts(ctx, params)
}

func (e *postgresEngine) countOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, atMost int64) (int64, error) {
	return pgdb.New(db).CountPlacesOfPrompts(ctx, pgdb.CountPlacesOfPromptsParams{
		PromptIds: prompts, CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, AtMost: atMost,
	})
}

func (e *postgresEngine) placesOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, each int64) ([]groupPosition, error) {
	queries, p := pgdb.New(db), pgdb.NewestPlacesOfPromptsParams{
		PromptIds:       prompts,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, PerPrompt: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesOfPrompts(ctx, pgdb.OldestPlacesOfPromptsParams(p))
		return ofPrompts(rows), err
	}
	rows, err := queries.NewestPlacesOfPrompts(ctx, p)
	return ofPrompts(rows), err
}

func (e *postgresEngine) listFound(ctx context.Context, db storagedb.DBTX, l list, ids []uuid.UUID, limit int64) ([]Generation, error) {
	p := pgdb.ListFoundParams{
		OldestFirst: l.OldestFirst, Ids: ids,
		Status: string(l.Status), ModelName: l.ModelName, AnyBatch: l.BatchID == uuid.Nil, BatchID: l.BatchID, Favorite: l.Favorite,
		AnyValue: len(l.metadata.values) == 0, Metadata: l.metadata.equal,
		AnyNumber: len(l.metadata.ranges) == 0, Ranges: l.metadata.rangesJSON(),
		AnyPrompt: l.prompts == nil, PromptIds: append([]int64{}, l.prompts...), AnyWords: !l.searches, RowLimit: limit,
	}
	p.Wanted, p.WantedPrefixes = asArrays(l.query.wanted)
	p.Excluded, p.ExcludedPrefixes = asArrays(l.query.excluded)
	rows, err := pgdb.New(db).ListFound(ctx, p)
	return generationsOf(rows), err
}
