package store

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

func (e *sqliteEngine) countWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, atMost int64) (int64, error) {
	queries := sqlitedb.New(db)
	entry, err := queries.MetadataEntry(ctx, value.String())
	if err != nil {
		return 0, err
	}
	return queries.CountPlacesWithValue(ctx, sqlitedb.CountPlacesWithValueParams{
		Name: entry.Name, Value: entry.Value, CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, AtMost: atMost,
	})
}

func (e *sqliteEngine) placesWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, n int64) ([]position, bool, error) {
	queries := sqlitedb.New(db)
	entry, err := queries.MetadataEntry(ctx, value.String())
	if err != nil {
		return nil, false, err
	}
	p := sqlitedb.NewestPlacesWithValueParams{
		Name: entry.Name, Value: entry.Value,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesWithValue(ctx, sqlitedb.OldestPlacesWithValueParams(p))
		return placesOf(rows, n, err)
	}
	rows, err := queries.NewestPlacesWithValue(ctx, p)
	return placesOf(rows, n, err)
}

func (e *sqliteEngine) countInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) (int64, error) {
	low, high := asked.ends()
	return sqlitedb.New(db).CountPlacesInRange(ctx, sqlitedb.CountPlacesInRangeParams{Name: asked.Name, Low: low, High: high, AtMost: atMost})
}

func (e *sqliteEngine) placesInRange(ctx context.Context, db storagedb.DBTX, l list, asked jsonRange, n int64) ([]position, bool, error) {
	low, high := asked.ends()
	queries, p := sqlitedb.New(db), sqlitedb.NewestPlacesInRangeParams{
		Name: asked.Name, Low: low, High: high,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesInRange(ctx, sqlitedb.OldestPlacesInRangeParams(p))
		return placesOf(rows, n, err)
	}
	rows, err := queries.NewestPlacesInRange(ctx, p)
	return placesOf(rows, n, err)
}

func (e *sqliteEngine) numbersInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) ([]float64, error) {
	low, high := asked.ends()
	return sqlitedb.New(db).NumbersInRange(ctx, sqlitedb.NumbersInRangeParams{Name: asked.Name, Low: low, High: high, RowLimit: atMost})
}

func (e *sqliteEngine) placesOfNumbers(ctx context.Context, db storagedb.DBTX, l list, key string, numbers []float64, each int64) ([]groupPosition, error) {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		switch texts[i] = strconv.FormatFloat(number, 'g', -1, 64); {
		case math.IsInf(number, 1):
			texts[i] = "9e999" // SQLite reads it as the infinity that JSON has no word for
		case math.IsInf(number, -1):
			texts[i] = "-9e999"
		}
	}
	queries, p := sqlitedb.New(db), sqlitedb.NewestPlacesOfNumbersParams{
		Numbers: "[" + strings.Join(texts, ",") + "]", Name: key,
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, PerNumber: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesOfNumbers(ctx, sqlitedb.OldestPlacesOfNumbersParams(p))
		return ofNumbers(rows), err
	}
	rows, err := queries.NewestPlacesOfNumbers(ctx, p)
	return ofNumbers(rows), err
}

func (e *sqliteEngine) findPrompts(ctx context.Context, db storagedb.DBTX, query searchQuery, atMost int64) ([]int64, error) {
	return sqlitedb.New(db).FindPrompts(ctx, sqlitedb.FindPromptsParams{Words: query.fts5(), RowLimit: atMost})
}

func (e *sqliteEngine) countOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, atMost int64) (int64, error) {
	ids, err := json.Marshal(prompts)
	if err != nil {
		return 0, err
	}
	return sqlitedb.New(db).CountPlacesOfPrompts(ctx, sqlitedb.CountPlacesOfPromptsParams{
		PromptIds: string(ids), CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, AtMost: atMost,
	})
}

func (e *sqliteEngine) placesOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, each int64) ([]groupPosition, error) {
	ids, err := json.Marshal(prompts)
	if err != nil {
		return nil, err
	}
	queries, p := sqlitedb.New(db), sqlitedb.NewestPlacesOfPromptsParams{
		PromptIds:       string(ids),
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, PerPrompt: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestPlacesOfPrompts(ctx, sqlitedb.OldestPlacesOfPromptsParams(p))
		return ofPrompts(rows), err
	}
	rows, err := queries.NewestPlacesOfPrompts(ctx, p)
	return ofPrompts(rows), err
}

func (e *sqliteEngine) listFound(ctx context.Context, db storagedb.DBTX, l list, ids []uuid.UUID, limit int64) ([]Generation, error) {
	found, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	words, prompts := "", ""
	if l.searches {
		words = l.query.fts5()
	}
	if l.prompts != nil {
		ids, err := json.Marshal(l.prompts)
		if err != nil {
			return nil, err
		}
		prompts = string(ids)
	}
	rows, err := sqlitedb.New(db).ListFound(ctx, sqlitedb.ListFoundParams{
		OldestFirst: l.OldestFirst, Ids: string(found),
		Status: string(l.Status), ModelName: l.ModelName, AnyBatch: l.BatchID == uuid.Nil, BatchID: &l.BatchID, Favorite: l.Favorite,
		Metadata: l.metadata.forSQLite(), PromptIds: prompts, Words: words, RowLimit: limit,
	})
	return generationsOf(rows), err
}
