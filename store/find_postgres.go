package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (e *postgresEngine) findByMetadata(ctx context.Context, db storagedb.DBTX, l list, value Metadata, limit int64) ([]uuid.UUID, error) {
	return pgdb.New(db).FindByMetadata(ctx, pgdb.FindByMetadataParams{
		Entry: value, CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, RowLimit: limit,
	})
}

func (e *postgresEngine) findByNumber(ctx context.Context, db storagedb.DBTX, asked jsonRange, limit int64) ([]uuid.UUID, error) {
	low, high := asked.ends()
	return pgdb.New(db).FindByNumber(ctx, pgdb.FindByNumberParams{Name: asked.Name, Low: low, High: high, RowLimit: limit})
}

func (e *postgresEngine) findPrompts(ctx context.Context, db storagedb.DBTX, query searchQuery, limit int64) ([]int64, error) {
	params := pgdb.FindPromptsParams{RowLimit: limit}
	params.Wanted, params.WantedPrefixes = asArrays(query.wanted)
	params.Excluded, params.ExcludedPrefixes = asArrays(query.excluded)
	return pgdb.New(db).FindPrompts(ctx, params)
}

// matchingPostgres are the parameters that the queries have in common.
func matchingPostgres(l list) pgdb.NewestMatchingParams {
	p := pgdb.NewestMatchingParams{
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id,
		Status: string(l.Status), ModelName: l.ModelName, AnyBatch: l.BatchID == uuid.Nil, BatchID: l.BatchID, Favorite: l.Favorite,
		AnyValue: len(l.metadata.values) == 0, Metadata: l.metadata.equal,
		AnyNumber: len(l.metadata.ranges) == 0, Ranges: l.metadata.rangesJSON(),
		AnyWords: !l.searches, RowOffset: l.offset, RowLimit: l.limit,
	}
	p.Wanted, p.WantedPrefixes = asArrays(l.query.wanted)
	p.Excluded, p.ExcludedPrefixes = asArrays(l.query.excluded)
	return p
}

func (e *postgresEngine) listMatching(ctx context.Context, db storagedb.DBTX, l list) ([]Generation, error) {
	queries, params := pgdb.New(db), matchingPostgres(l)
	if l.OldestFirst {
		rows, err := queries.OldestMatching(ctx, pgdb.OldestMatchingParams(params))
		return generationsOf(rows), err
	}
	rows, err := queries.NewestMatching(ctx, params)
	return generationsOf(rows), err
}

func (e *postgresEngine) listWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata) ([]Generation, error) {
	queries, p := pgdb.New(db), matchingPostgres(l)
	params := pgdb.NewestWithValueParams{
		Entry:           value,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		AnyValue: p.AnyValue, Metadata: p.Metadata, AnyNumber: p.AnyNumber, Ranges: p.Ranges, AnyWords: p.AnyWords,
		RowOffset: p.RowOffset, RowLimit: p.RowLimit,
		Wanted: p.Wanted, WantedPrefixes: p.WantedPrefixes, Excluded: p.Excluded, ExcludedPrefixes: p.ExcludedPrefixes,
	}
	if l.OldestFirst {
		rows, err := queries.OldestWithValue(ctx, pgdb.OldestWithValueParams(params))
		return generationsOf(rows), err
	}
	rows, err := queries.NewestWithValue(ctx, params)
	return generationsOf(rows), err
}

func (e *postgresEngine) listFound(ctx context.Context, db storagedb.DBTX, l list, ids []uuid.UUID) ([]Generation, error) {
	p := matchingPostgres(l)
	rows, err := pgdb.New(db).ListFound(ctx, pgdb.ListFoundParams{
		OldestFirst: l.OldestFirst, Ids: ids,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		AnyValue: p.AnyValue, Metadata: p.Metadata, AnyNumber: p.AnyNumber, Ranges: p.Ranges, AnyWords: p.AnyWords,
		RowOffset: p.RowOffset, RowLimit: p.RowLimit,
		Wanted: p.Wanted, WantedPrefixes: p.WantedPrefixes, Excluded: p.Excluded, ExcludedPrefixes: p.ExcludedPrefixes,
	})
	return generationsOf(rows), err
}

func (e *postgresEngine) firstOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, each int64) ([]groupPosition, error) {
	queries, p := pgdb.New(db), matchingPostgres(l)
	params := pgdb.NewestOfPromptsParams{
		PromptIds:       prompts,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		AnyValue: p.AnyValue, Metadata: p.Metadata, AnyNumber: p.AnyNumber, Ranges: p.Ranges, PerPrompt: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestOfPrompts(ctx, pgdb.OldestOfPromptsParams(params))
		return promptPositions(rows), err
	}
	rows, err := queries.NewestOfPrompts(ctx, params)
	return promptPositions(rows), err
}

func (e *postgresEngine) numbersBetween(ctx context.Context, db storagedb.DBTX, asked jsonRange, limit int64) ([]float64, error) {
	low, high := asked.ends()
	return pgdb.New(db).NumbersBetween(ctx, pgdb.NumbersBetweenParams{Name: asked.Name, Low: low, High: high, RowLimit: limit})
}

func (e *postgresEngine) firstOfNumbers(ctx context.Context, db storagedb.DBTX, l list, key string, numbers []float64, each int64) ([]groupPosition, error) {
	queries, p := pgdb.New(db), matchingPostgres(l)
	params := pgdb.NewestOfNumbersParams{
		Numbers: numbers, Name: key,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		AnyValue: p.AnyValue, Metadata: p.Metadata, AnyNumber: p.AnyNumber, Ranges: p.Ranges, AnyWords: p.AnyWords, PerNumber: each,
		Wanted: p.Wanted, WantedPrefixes: p.WantedPrefixes, Excluded: p.Excluded, ExcludedPrefixes: p.ExcludedPrefixes,
	}
	if l.OldestFirst {
		rows, err := queries.OldestOfNumbers(ctx, pgdb.OldestOfNumbersParams(params))
		return numberPositions(rows), err
	}
	rows, err := queries.NewestOfNumbers(ctx, params)
	return numberPositions(rows), err
}
