// Package listing turns the filters of a list into queries: keyset positions, the choice of an index, the syntax of a
// search, snippets.
package listing

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// Params choose a page of generations. Package store documents them.
type Params struct {
	Status         storagedb.Status
	ModelName      string
	BatchID        uuid.UUID
	Favorite       bool
	CreatedFrom    time.Time
	CreatedTo      time.Time
	Metadata       map[string]any
	MetadataRanges []Range
	Search         string
	OldestFirst    bool
	Limit          int64 // at least 1
	Offset         int64 // at least 0
	After          string
}

// Page is a page of a list. Next is the cursor of the following page, or "" if this is the last one.
type Page struct {
	Generations []storagedb.Generation
	Next        string
}

// Query is a page as the queries want it: the rows strictly between two keys in the order of creation.
type Query struct {
	Status        storagedb.Status
	ModelName     string
	BatchID       uuid.UUID
	Favorite      bool
	OldestFirst   bool
	After, Before Key
	Metadata      MetadataFilter
	Searches      bool    // whether the prompts must have the words
	Words         Words   // of the search
	Prompts       []int64 // the prompts that have the words; nil if they were not looked up
	limit, offset int64
}

// NewQuery checks the parameters. It returns a *storagedb.ValidationError for bad ones.
func NewQuery(p Params) (q Query, err error) {
	if p.Status != "" {
		if err := dberr.CheckStatus(p.Status); err != nil {
			return q, err
		}
	}
	if err := dberr.CheckText("model_name", p.ModelName, dberr.MaxModelNameBytes); err != nil {
		return q, err
	}
	q = Query{
		Status: p.Status, ModelName: p.ModelName, BatchID: p.BatchID, Favorite: p.Favorite, OldestFirst: p.OldestFirst,
		After: beforeAll, Before: afterAll, limit: p.Limit, offset: p.Offset,
	}
	if !p.CreatedFrom.IsZero() {
		if err := dberr.CheckYear("created_from", p.CreatedFrom); err != nil {
			return q, err
		}
		q.After = Key{CreatedAt: RoundedUp(p.CreatedFrom)} // no generation has the zero ID
	}
	if !p.CreatedTo.IsZero() {
		if err := dberr.CheckYear("created_to", p.CreatedTo); err != nil {
			return q, err
		}
		q.Before = Key{CreatedAt: RoundedUp(p.CreatedTo)}
	}
	if q.Metadata, err = newMetadataFilter(p.Metadata, p.MetadataRanges); err != nil {
		return q, err
	}
	if !utf8.ValidString(p.Search) {
		return q, dberr.Invalid("search", "is not valid UTF-8")
	}
	q.Searches, q.Words = p.Search != "", ParseWords(p.Search)
	if p.After == "" {
		return q, nil
	}
	seen, err := parseCursor(p.After)
	if err != nil {
		return q, err
	}
	if p.OldestFirst && q.After.isBefore(seen) {
		q.After = seen
	}
	if !p.OldestFirst && seen.isBefore(q.Before) {
		q.Before = seen
	}
	return q, nil
}

// RoundedUp returns the first time in the store's precision that is not before t, or the last one that the store holds.
func RoundedUp(t time.Time) time.Time {
	rounded := t.Add(storagedb.TimePrecision - 1).UTC().Truncate(storagedb.TimePrecision)
	if rounded.After(afterAll.CreatedAt) {
		return afterAll.CreatedAt
	}
	return rounded
}

// List reads the page.
func (q Query) List(ctx context.Context, queries *storagedb.Queries, finder Finder) (Page, error) {
	switch {
	case q.Searches || !q.Metadata.IsEmpty():
		return find(ctx, queries, finder, q)
	case q.OldestFirst:
		return q.page(q.oldest(ctx, queries))
	default:
		return q.page(q.newest(ctx, queries))
	}
}

// page gives a full page a cursor. It may still be the last one, and the page after it empty: to know, one row more
// would have to be read.
func (q Query) page(generations []storagedb.Generation, err error) (Page, error) {
	page := Page{Generations: generations}
	if err == nil && int64(len(generations)) == q.limit {
		page.Next = keyOf(generations[q.limit-1]).Cursor()
	}
	return page, err
}

// newest chooses the query by the filter that leaves the fewest rows: a batch is small, favorites are few.
func (q Query) newest(ctx context.Context, queries *storagedb.Queries) ([]storagedb.Generation, error) {
	before, from := q.Before, q.After.CreatedAt
	switch {
	case q.BatchID != uuid.Nil:
		return queries.ListGenerationsByBatch(ctx, storagedb.ListGenerationsByBatchParams{
			BatchID: &q.BatchID, Status: string(q.Status), ModelName: q.ModelName, Favorite: q.Favorite,
			BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Favorite:
		return queries.ListFavorites(ctx, storagedb.ListFavoritesParams{
			Status: string(q.Status), ModelName: q.ModelName,
			BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Status != "" && q.ModelName != "":
		return queries.ListGenerationsByStatusAndModel(ctx, storagedb.ListGenerationsByStatusAndModelParams{
			Status: q.Status, ModelName: q.ModelName,
			BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Status != "":
		return queries.ListGenerationsByStatus(ctx, storagedb.ListGenerationsByStatusParams{
			Status:          q.Status,
			BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.ModelName != "":
		return queries.ListGenerationsByModel(ctx, storagedb.ListGenerationsByModelParams{
			ModelName:       q.ModelName,
			BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
		})
	case before == afterAll && from.Equal(beforeAll.CreatedAt) && q.offset == 0:
		return queries.NewestPage(ctx, q.limit)
	}
	return queries.ListGenerations(ctx, storagedb.ListGenerationsParams{
		BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, CreatedFrom: from, RowLimit: q.limit, RowOffset: q.offset,
	})
}

// oldest is newest in the other order.
func (q Query) oldest(ctx context.Context, queries *storagedb.Queries) ([]storagedb.Generation, error) {
	after, to := q.After, q.Before.CreatedAt
	switch {
	case q.BatchID != uuid.Nil:
		return queries.ListOldestGenerationsByBatch(ctx, storagedb.ListOldestGenerationsByBatchParams{
			BatchID: &q.BatchID, Status: string(q.Status), ModelName: q.ModelName, Favorite: q.Favorite,
			AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Favorite:
		return queries.ListOldestFavorites(ctx, storagedb.ListOldestFavoritesParams{
			Status: string(q.Status), ModelName: q.ModelName,
			AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Status != "" && q.ModelName != "":
		return queries.ListOldestGenerationsByStatusAndModel(ctx, storagedb.ListOldestGenerationsByStatusAndModelParams{
			Status: q.Status, ModelName: q.ModelName,
			AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.Status != "":
		return queries.ListOldestGenerationsByStatus(ctx, storagedb.ListOldestGenerationsByStatusParams{
			Status:         q.Status,
			AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
		})
	case q.ModelName != "":
		return queries.ListOldestGenerationsByModel(ctx, storagedb.ListOldestGenerationsByModelParams{
			ModelName:      q.ModelName,
			AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
		})
	}
	return queries.ListOldestGenerations(ctx, storagedb.ListOldestGenerationsParams{
		AfterCreatedAt: after.CreatedAt, AfterID: after.ID, CreatedTo: to, RowLimit: q.limit, RowOffset: q.offset,
	})
}
