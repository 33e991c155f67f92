package postgres

import (
	"context"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (d *dialect) CountWithValue(
	ctx context.Context, q listing.Query, value storagedb.Metadata, atMost int64,
) (int64, error) {
	return d.own.CountPlacesWithValue(ctx, pgdb.CountPlacesWithValueParams{
		Entry: value, CreatedFrom: q.After.CreatedAt, CreatedTo: q.Before.CreatedAt, AtMost: atMost,
	})
}

func (d *dialect) KeysWithValue(
	ctx context.Context, q listing.Query, value storagedb.Metadata, n int64,
) ([]listing.Key, bool, error) {
	queries, p := d.own, pgdb.NewestPlacesWithValueParams{
		Entry: value, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesWithValue(ctx, pgdb.OldestPlacesWithValueParams(p))
		return listing.Keys(rows, n, err)
	}
	rows, err := queries.NewestPlacesWithValue(ctx, p)
	return listing.Keys(rows, n, err)
}

func (d *dialect) CountInRange(ctx context.Context, asked listing.Range, atMost int64) (int64, error) {
	low, high := asked.Ends()
	return d.own.CountPlacesInRange(ctx, pgdb.CountPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high, AtMost: atMost,
	})
}

func (d *dialect) KeysInRange(
	ctx context.Context, q listing.Query, asked listing.Range, n int64,
) ([]listing.Key, bool, error) {
	low, high := asked.Ends()
	queries, p := d.own, pgdb.NewestPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesInRange(ctx, pgdb.OldestPlacesInRangeParams(p))
		return listing.Keys(rows, n, err)
	}
	rows, err := queries.NewestPlacesInRange(ctx, p)
	return listing.Keys(rows, n, err)
}

func (d *dialect) NumbersInRange(ctx context.Context, asked listing.Range, atMost int64) ([]float64, error) {
	low, high := asked.Ends()
	return d.own.NumbersInRange(ctx, pgdb.NumbersInRangeParams{Name: asked.Name, Low: low, High: high, RowLimit: atMost})
}

func (d *dialect) KeysOfNumbers(
	ctx context.Context, q listing.Query, key string, numbers []float64, each int64,
) ([]listing.GroupedKey, error) {
	queries, p := d.own, pgdb.NewestPlacesOfNumbersParams{
		Numbers: numbers, Name: key, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, PerNumber: each,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesOfNumbers(ctx, pgdb.OldestPlacesOfNumbersParams(p))
		return listing.KeysByNumber(rows), err
	}
	rows, err := queries.NewestPlacesOfNumbers(ctx, p)
	return listing.KeysByNumber(rows), err
}

func (d *dialect) FindPrompts(ctx context.Context, words listing.Words, atMost int64) ([]int64, error) {
	params := pgdb.FindPromptsParams{RowLimit: atMost}
	params.Wanted, params.WantedPrefixes = listing.Arrays(words.Wanted)
	params.Excluded, params.ExcludedPrefixes = listing.Arrays(words.Excluded)
	return d.own.FindPrompts(ctx, params)
}

func (d *dialect) CountOfPrompts(ctx context.Context, q listing.Query, prompts []int64, atMost int64) (int64, error) {
	return d.own.CountPlacesOfPrompts(ctx, pgdb.CountPlacesOfPromptsParams{
		PromptIds: prompts, CreatedFrom: q.After.CreatedAt, CreatedTo: q.Before.CreatedAt, AtMost: atMost,
	})
}

func (d *dialect) KeysOfPrompts(
	ctx context.Context, q listing.Query, prompts []int64, each int64,
) ([]listing.GroupedKey, error) {
	queries, p := d.own, pgdb.NewestPlacesOfPromptsParams{
		PromptIds: prompts, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, PerPrompt: each,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesOfPrompts(ctx, pgdb.OldestPlacesOfPromptsParams(p))
		return listing.KeysByPrompt(rows), err
	}
	rows, err := queries.NewestPlacesOfPrompts(ctx, p)
	return listing.KeysByPrompt(rows), err
}

func (d *dialect) ListFound(
	ctx context.Context, q listing.Query, ids []uuid.UUID, limit int64,
) ([]storagedb.Generation, error) {
	p := pgdb.ListFoundParams{
		OldestFirst: q.OldestFirst, Ids: ids,
		Status: string(q.Status), ModelName: q.ModelName, AnyBatch: q.BatchID == uuid.Nil, BatchID: q.BatchID,
		Favorite: q.Favorite,
		AnyValue: len(q.Metadata.Values) == 0, Metadata: q.Metadata.Equal,
		AnyNumber: len(q.Metadata.Ranges) == 0, Ranges: q.Metadata.RangesJSON(),
		AnyPrompt: q.Prompts == nil, PromptIds: append([]int64{}, q.Prompts...), AnyWords: !q.Searches, RowLimit: limit,
	}
	p.Wanted, p.WantedPrefixes = listing.Arrays(q.Words.Wanted)
	p.Excluded, p.ExcludedPrefixes = listing.Arrays(q.Words.Excluded)
	rows, err := d.own.ListFound(ctx, p)
	return generations(rows), err
}
