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

func (e *sqliteEngine) findByMetadata(ctx context.Context, db storagedb.DBTX, l list, value Metadata, limit int64) ([]uuid.UUID, error) {
	queries := sqlitedb.New(db)
	entry, err := queries.MetadataEntry(ctx, value.String())
	if err != nil {
		return nil, err
	}
	return queries.FindByMetadata(ctx, sqlitedb.FindByMetadataParams{
		Name: entry.Name, Value: entry.Value, CreatedFrom: l.after.createdAt, CreatedTo: l.before.createdAt, RowLimit: limit,
	})
}

func (e *sqliteEngine) findByNumber(ctx context.Context, db storagedb.DBTX, asked jsonRange, limit int64) ([]uuid.UUID, error) {
	low, high := asked.ends()
	return sqlitedb.New(db).FindByNumber(ctx, sqlitedb.FindByNumberParams{Name: asked.Name, Low: low, High: high, RowLimit: limit})
}

func (e *sqliteEngine) findPrompts(ctx context.Context, db storagedb.DBTX, query searchQuery, limit int64) ([]int64, error) {
	return sqlitedb.New(db).FindPrompts(ctx, sqlitedb.FindPromptsParams{Words: query.fts5(), RowLimit: limit})
}

// matchingSQLite are the parameters that the queries have in common.
func matchingSQLite(l list) sqlitedb.NewestMatchingParams {
	words := ""
	if l.searches {
		words = l.query.fts5()
	}
	return sqlitedb.NewestMatchingParams{
		BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id,
		Status: string(l.Status), ModelName: l.ModelName, AnyBatch: l.BatchID == uuid.Nil, BatchID: &l.BatchID, Favorite: l.Favorite,
		Metadata: l.metadata.forSQLite(), Words: words, RowOffset: l.offset, RowLimit: l.limit,
	}
}

func (e *sqliteEngine) listMatching(ctx context.Context, db storagedb.DBTX, l list) ([]Generation, error) {
	queries, params := sqlitedb.New(db), matchingSQLite(l)
	if l.OldestFirst {
		rows, err := queries.OldestMatching(ctx, sqlitedb.OldestMatchingParams(params))
		return generationsOf(rows), err
	}
	rows, err := queries.NewestMatching(ctx, params)
	return generationsOf(rows), err
}

func (e *sqliteEngine) listWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata) ([]Generation, error) {
	queries, p := sqlitedb.New(db), matchingSQLite(l)
	entry, err := queries.MetadataEntry(ctx, value.String())
	if err != nil {
		return nil, err
	}
	params := sqlitedb.NewestWithValueParams{
		Name: entry.Name, Value: entry.Value,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		Metadata: p.Metadata, Words: p.Words, RowOffset: p.RowOffset, RowLimit: p.RowLimit,
	}
	if l.OldestFirst {
		rows, err := queries.OldestWithValue(ctx, sqlitedb.OldestWithValueParams(params))
		return generationsOf(rows), err
	}
	rows, err := queries.NewestWithValue(ctx, params)
	return generationsOf(rows), err
}

func (e *sqliteEngine) listFound(ctx context.Context, db storagedb.DBTX, l list, ids []uuid.UUID) ([]Generation, error) {
	found, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	p := matchingSQLite(l)
	rows, err := sqlitedb.New(db).ListFound(ctx, sqlitedb.ListFoundParams{
		OldestFirst: l.OldestFirst, Ids: string(found),
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		Metadata: p.Metadata, Words: p.Words, RowOffset: p.RowOffset, RowLimit: p.RowLimit,
	})
	return generationsOf(rows), err
}

func (e *sqliteEngine) firstOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, each int64) ([]groupPosition, error) {
	ids, err := json.Marshal(prompts)
	if err != nil {
		return nil, err
	}
	queries, p := sqlitedb.New(db), matchingSQLite(l)
	params := sqlitedb.NewestOfPromptsParams{
		PromptIds:       string(ids),
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		Metadata: p.Metadata, PerPrompt: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestOfPrompts(ctx, sqlitedb.OldestOfPromptsParams(params))
		return promptPositions(rows), err
	}
	rows, err := queries.NewestOfPrompts(ctx, params)
	return promptPositions(rows), err
}

func (e *sqliteEngine) numbersBetween(ctx context.Context, db storagedb.DBTX, asked jsonRange, limit int64) ([]float64, error) {
	low, high := asked.ends()
	return sqlitedb.New(db).NumbersBetween(ctx, sqlitedb.NumbersBetweenParams{Name: asked.Name, Low: low, High: high, RowLimit: limit})
}

func (e *sqliteEngine) firstOfNumbers(ctx context.Context, db storagedb.DBTX, l list, key string, numbers []float64, each int64) ([]groupPosition, error) {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		switch texts[i] = strconv.FormatFloat(number, 'g', -1, 64); {
		case math.IsInf(number, 1):
			texts[i] = "9e999" // SQLite reads it as the infinity that JSON has no word for
		case math.IsInf(number, -1):
			texts[i] = "-9e999"
		}
	}
	queries, p := sqlitedb.New(db), matchingSQLite(l)
	params := sqlitedb.NewestOfNumbersParams{
		Numbers: "[" + strings.Join(texts, ",") + "]", Name: key,
		BeforeCreatedAt: p.BeforeCreatedAt, BeforeID: p.BeforeID, AfterCreatedAt: p.AfterCreatedAt, AfterID: p.AfterID,
		Status: p.Status, ModelName: p.ModelName, AnyBatch: p.AnyBatch, BatchID: p.BatchID, Favorite: p.Favorite,
		Metadata: p.Metadata, Words: p.Words, PerNumber: each,
	}
	if l.OldestFirst {
		rows, err := queries.OldestOfNumbers(ctx, sqlitedb.OldestOfNumbersParams(params))
		return numberPositions(rows), err
	}
	rows, err := queries.NewestOfNumbers(ctx, params)
	return numberPositions(rows), err
}
