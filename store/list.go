package store

import (
	"context"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// ListGenerationsParams chooses a page. The zero value is the first page of everything. The filters may be combined.
type ListGenerationsParams struct {
	Status      Status    // "": any
	ModelName   string    // "": any
	BatchID     uuid.UUID // zero: any
	Favorite    bool      // favorites alone
	CreatedFrom time.Time // created then or later; zero: whenever
	CreatedTo   time.Time // created before; zero: whenever

	// Metadata asks for top-level keys with values that are equal as JSON: 140 equals 140.0, true does not equal 1, arrays and
	// objects are equal as wholes. nil and the empty map: any.
	Metadata       map[string]any
	MetadataRanges []MetadataRange // asks for top-level keys with numbers, all of them
	Search         string          // words of the prompt, typed as for SearchPrompts; of no words at all: none; "": any

	OldestFirst bool   // instead of newest first
	Limit       int    // rows per page; 0: 100
	Offset      int    // rows to skip, which costs as much as reading them; After does not
	After       Cursor // GenerationPage.Next of the page before, in the same order; "": from the start
}

// GenerationPage is a page of a list.
type GenerationPage struct {
	Generations []Generation `json:"generations"`
	Next        Cursor       `json:"next"` // for ListGenerationsParams.After; "": this is the last page
}

// ListGenerations returns a page of generations, newest first or oldest first. A page costs by its own length, and where
// filters are combined by how many generations pass one of them for each that passes all.
//
// It returns a *ValidationError for an unknown status, a negative limit or offset, a time outside the years 1 to 9999,
// metadata that no generation can have, a range whose end is not finite, a search of invalid UTF-8, and a cursor that no
// list gave out.
func (o *operations) ListGenerations(ctx context.Context, params ListGenerationsParams) (GenerationPage, error) {
	page, err := o.listGenerations(ctx, params)
	return page, describe("list generations", err)
}

// Generations walks all generations that ListGenerations would list, page by page, so that it holds one page of Limit
// generations in memory. What is created or deleted meanwhile is seen or not, by where the walk is; nothing else is left
// out or comes twice. It stops at the first error, which comes with an empty Generation.
func (o *operations) Generations(ctx context.Context, params ListGenerationsParams) iter.Seq2[Generation, error] {
	return func(yield func(Generation, error) bool) {
		params := params // each walk begins anew
		for {
			page, err := o.ListGenerations(ctx, params)
			if err != nil {
				yield(Generation{}, err)
				return
			}
			for _, g := range page.Generations {
				if !yield(g, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			params.After, params.Offset = page.Next, 0
		}
	}
}

func (o *operations) listGenerations(ctx context.Context, params ListGenerationsParams) (GenerationPage, error) {
	l, err := params.checked()
	if err != nil {
		return GenerationPage{}, err
	}
	var page GenerationPage
	err = o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		switch {
		case l.searches || !l.metadata.isEmpty():
			page, err = o.find(ctx, db, l)
		case params.OldestFirst:
			page, err = l.page(l.oldest(ctx, storagedb.New(db)))
		default:
			page, err = l.page(l.newest(ctx, storagedb.New(db)))
		}
		return err
	})
	if err != nil {
		return GenerationPage{}, err
	}
	return page, nil
}

// page has a cursor where it is full. It may be the last one then, and the one behind it empty: to know, one row more would
// have to be read.
func (l list) page(generations []Generation, err error) (GenerationPage, error) {
	page := GenerationPage{Generations: generations}
	if err == nil && int64(len(generations)) == l.limit {
		page.Next = positionOf(generations[l.limit-1]).cursor()
	}
	return page, err
}

// list is a page as the queries want it: the rows strictly between two places in the order of creation.
type list struct {
	ListGenerationsParams
	after, before position
	limit, offset int64
	metadata      metadataFilter
	searches      bool
	query         searchQuery
	prompts       []int64 // those that have the words, where that is known
}

func (p ListGenerationsParams) checked() (l list, err error) {
	if p.Status != "" {
		if err := checkStatus(p.Status); err != nil {
			return l, err
		}
	}
	if err := checkText("model_name", p.ModelName, MaxModelNameBytes); err != nil {
		return l, err
	}
	l = list{ListGenerationsParams: p, after: beginningOfTime, before: endOfTime, offset: int64(p.Offset)}
	if l.limit, err = limitOrDefault(p.Limit, defaultListLimit); err != nil {
		return l, err
	}
	if err := checkOffset(p.Offset); err != nil {
		return l, err
	}
	if !p.CreatedFrom.IsZero() {
		if err := checkYear("created_from", p.CreatedFrom); err != nil {
			return l, err
		}
		l.after = position{createdAt: roundedUp(p.CreatedFrom)} // no generation has the zero ID
	}
	if !p.CreatedTo.IsZero() {
		if err := checkYear("created_to", p.CreatedTo); err != nil {
			return l, err
		}
		l.before = position{createdAt: roundedUp(p.CreatedTo)}
	}
	if l.metadata, err = newMetadataFilter(p.Metadata, p.MetadataRanges); err != nil {
		return l, err
	}
	if !utf8.ValidString(p.Search) {
		return l, invalid("search", "is not valid UTF-8")
	}
	l.searches, l.query = p.Search != "", parseSearch(p.Search)
	if p.After == "" {
		return l, nil
	}
	seen, err := p.After.position()
	if err != nil {
		return l, err
	}
	if p.OldestFirst && l.after.isBefore(seen) {
		l.after = seen
	}
	if !p.OldestFirst && seen.isBefore(l.before) {
		l.before = seen
	}
	return l, nil
}

// roundedUp is the first time with the precision of the store that is not before t, or the last one there is.
func roundedUp(t time.Time) time.Time {
	rounded := t.Add(timePrecision - 1).UTC().Truncate(timePrecision)
	if rounded.After(endOfTime.createdAt) {
		return endOfTime.createdAt
	}
	return rounded
}

// newest chooses the query by the filter that leaves the fewest rows: a batch is small, favorites are few.
func (l list) newest(ctx context.Context, queries *storagedb.Queries) ([]Generation, error) {
	before, from := l.before, l.after.createdAt
	switch {
	case l.BatchID != uuid.Nil:
		return queries.ListGenerationsByBatch(ctx, storagedb.ListGenerationsByBatchParams{
			BatchID: &l.BatchID, Status: string(l.Status), ModelName: l.ModelName, Favorite: l.Favorite,
			BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Favorite:
		return queries.ListFavorites(ctx, storagedb.ListFavoritesParams{
			Status: string(l.Status), ModelName: l.ModelName,
			BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Status != "" && l.ModelName != "":
		return queries.ListGenerationsByStatusAndModel(ctx, storagedb.ListGenerationsByStatusAndModelParams{
			Status: l.Status, ModelName: l.ModelName,
			BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Status != "":
		return queries.ListGenerationsByStatus(ctx, storagedb.ListGenerationsByStatusParams{
			Status:          l.Status,
			BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.ModelName != "":
		return queries.ListGenerationsByModel(ctx, storagedb.ListGenerationsByModelParams{
			ModelName:       l.ModelName,
			BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
		})
	case before == endOfTime && from.Equal(beginningOfTime.createdAt) && l.offset == 0:
		return queries.NewestPage(ctx, l.limit)
	}
	return queries.ListGenerations(ctx, storagedb.ListGenerationsParams{
		BeforeCreatedAt: before.createdAt, BeforeID: before.id, CreatedFrom: from, RowLimit: l.limit, RowOffset: l.offset,
	})
}

// oldest is newest, the other way round.
func (l list) oldest(ctx context.Context, queries *storagedb.Queries) ([]Generation, error) {
	after, to := l.after, l.before.createdAt
	switch {
	case l.BatchID != uuid.Nil:
		return queries.ListOldestGenerationsByBatch(ctx, storagedb.ListOldestGenerationsByBatchParams{
			BatchID: &l.BatchID, Status: string(l.Status), ModelName: l.ModelName, Favorite: l.Favorite,
			AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Favorite:
		return queries.ListOldestFavorites(ctx, storagedb.ListOldestFavoritesParams{
			Status: string(l.Status), ModelName: l.ModelName,
			AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Status != "" && l.ModelName != "":
		return queries.ListOldestGenerationsByStatusAndModel(ctx, storagedb.ListOldestGenerationsByStatusAndModelParams{
			Status: l.Status, ModelName: l.ModelName,
			AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.Status != "":
		return queries.ListOldestGenerationsByStatus(ctx, storagedb.ListOldestGenerationsByStatusParams{
			Status:         l.Status,
			AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
		})
	case l.ModelName != "":
		return queries.ListOldestGenerationsByModel(ctx, storagedb.ListOldestGenerationsByModelParams{
			ModelName:      l.ModelName,
			AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
		})
	}
	return queries.ListOldestGenerations(ctx, storagedb.ListOldestGenerationsParams{
		AfterCreatedAt: after.createdAt, AfterID: after.id, CreatedTo: to, RowLimit: l.limit, RowOffset: l.offset,
	})
}
