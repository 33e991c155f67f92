package sqlite

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

func (d *dialect) CountWithValue(
	ctx context.Context, q listing.Query, value storagedb.Metadata, atMost int64,
) (int64, error) {
	entry, err := d.own.MetadataEntry(ctx, value.String())
	if err != nil {
		return 0, err
	}
	return d.own.CountPlacesWithValue(ctx, sqlitedb.CountPlacesWithValueParams{
		Name: entry.Name, Value: entry.Value, CreatedFrom: q.After.CreatedAt, CreatedTo: q.Before.CreatedAt, AtMost: atMost,
	})
}

func (d *dialect) KeysWithValue(
	ctx context.Context, q listing.Query, value storagedb.Metadata, n int64,
) ([]listing.Key, bool, error) {
	entry, err := d.own.MetadataEntry(ctx, value.String())
	if err != nil {
		return nil, false, err
	}
	p := sqlitedb.NewestPlacesWithValueParams{
		Name: entry.Name, Value: entry.Value, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
	}
	if q.OldestFirst {
		rows, err := d.own.OldestPlacesWithValue(ctx, sqlitedb.OldestPlacesWithValueParams(p))
		return listing.Keys(rows, n, err)
	}
	rows, err := d.own.NewestPlacesWithValue(ctx, p)
	return listing.Keys(rows, n, err)
}

func (d *dialect) CountInRange(ctx context.Context, asked listing.Range, atMost int64) (int64, error) {
	low, high := asked.Ends()
	return d.own.CountPlacesInRange(ctx, sqlitedb.CountPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high, AtMost: atMost,
	})
}

func (d *dialect) KeysInRange(
	ctx context.Context, q listing.Query, asked listing.Range, n int64,
) ([]listing.Key, bool, error) {
	low, high := asked.Ends()
	queries, p := d.own, sqlitedb.NewestPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high, BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesInRange(ctx, sqlitedb.OldestPlacesInRangeParams(p))
		return listing.Keys(rows, n, err)
	}
	rows, err := queries.NewestPlacesInRange(ctx, p)
	return listing.Keys(rows, n, err)
}

func (d *dialect) NumbersInRange(ctx context.Context, asked listing.Range, atMost int64) ([]float64, error) {
	low, high := asked.Ends()
	return d.own.NumbersInRange(ctx, sqlitedb.NumbersInRangeParams{
		Name: asked.Name, Low: low, High: high, RowLimit: atMost,
	})
}

func (d *dialect) KeysOfNumbers(
	ctx context.Context, q listing.Query, key string, numbers []float64, each int64,
) ([]listing.GroupedKey, error) {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		switch texts[i] = strconv.FormatFloat(number, 'g', -1, 64); {
		case math.IsInf(number, 1):
			texts[i] = "9e999" // SQLite reads it as infinity, which JSON cannot write
		case math.IsInf(number, -1):
			texts[i] = "-9e999"
		}
	}
	queries, p := d.own, sqlitedb.NewestPlacesOfNumbersParams{
		Numbers: "[" + strings.Join(texts, ",") + "]", Name: key,
		BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, PerNumber: each,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesOfNumbers(ctx, sqlitedb.OldestPlacesOfNumbersParams(p))
		return listing.KeysByNumber(rows), err
	}
	rows, err := queries.NewestPlacesOfNumbers(ctx, p)
	return listing.KeysByNumber(rows), err
}

func (d *dialect) FindPrompts(ctx context.Context, words listing.Words, atMost int64) ([]int64, error) {
	return d.own.FindPrompts(ctx, sqlitedb.FindPromptsParams{Words: words.FTS5(), RowLimit: atMost})
}

func (d *dialect) CountOfPrompts(ctx context.Context, q listing.Query, prompts []int64, atMost int64) (int64, error) {
	ids, err := json.Marshal(prompts)
	if err != nil {
		return 0, err
	}
	return d.own.CountPlacesOfPrompts(ctx, sqlitedb.CountPlacesOfPromptsParams{
		PromptIds: string(ids), CreatedFrom: q.After.CreatedAt, CreatedTo: q.Before.CreatedAt, AtMost: atMost,
	})
}

func (d *dialect) KeysOfPrompts(
	ctx context.Context, q listing.Query, prompts []int64, each int64,
) ([]listing.GroupedKey, error) {
	ids, err := json.Marshal(prompts)
	if err != nil {
		return nil, err
	}
	queries, p := d.own, sqlitedb.NewestPlacesOfPromptsParams{
		PromptIds: string(ids), BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, PerPrompt: each,
	}
	if q.OldestFirst {
		rows, err := queries.OldestPlacesOfPrompts(ctx, sqlitedb.OldestPlacesOfPromptsParams(p))
		return listing.KeysByPrompt(rows), err
	}
	rows, err := queries.NewestPlacesOfPrompts(ctx, p)
	return listing.KeysByPrompt(rows), err
}

func (d *dialect) ListFound(
	ctx context.Context, q listing.Query, ids []uuid.UUID, limit int64,
) ([]storagedb.Generation, error) {
	found, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	words, prompts := "", ""
	if q.Searches {
		words = q.Words.FTS5()
	}
	if q.Prompts != nil {
		ids, err := json.Marshal(q.Prompts)
		if err != nil {
			return nil, err
		}
		prompts = string(ids)
	}
	rows, err := d.own.ListFound(ctx, sqlitedb.ListFoundParams{
		OldestFirst: q.OldestFirst, Ids: string(found),
		Status: string(q.Status), ModelName: q.ModelName, AnyBatch: q.BatchID == uuid.Nil, BatchID: &q.BatchID,
		Favorite: q.Favorite, Metadata: q.Metadata.MatcherText(), PromptIds: prompts, Words: words, RowLimit: limit,
	})
	return generations(rows), err
}
