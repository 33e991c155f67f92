package store

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
)

// ListGenerationsParams choose a page of generations. The zero value is the first page of all generations, newest
// first. All filters that are given must match.
type ListGenerationsParams struct {
	// Status is the status of the generations. If empty, any.
	Status Status
	// ModelName is their model. If empty, any.
	ModelName string
	// BatchID is their batch. If zero, any.
	BatchID uuid.UUID
	// Favorite restricts the list to favorites.
	Favorite bool
	// CreatedFrom is the time at or after which they were created. If zero, any.
	CreatedFrom time.Time
	// CreatedTo is the time before which they were created. If zero, any.
	CreatedTo time.Time

	// Metadata asks for top-level keys with values that are equal as JSON: 140 equals 140.0, true does not equal 1, and
	// arrays and objects are compared as wholes. If empty, any.
	Metadata map[string]any
	// MetadataRanges ask for top-level keys with numbers; all of them must match.
	MetadataRanges []MetadataRange
	// Search asks for words of the prompt, in the syntax of SearchPrompts. If empty, any. A search without a word to find
	// matches nothing.
	Search string

	// OldestFirst reverses the order, which is newest first.
	OldestFirst bool
	// Limit is the page size. If zero, 100.
	Limit int
	// Offset is the number of rows to skip, which costs as much as reading them; After does not.
	Offset int
	// After is GenerationPage.Next of the page before, in the same order. If empty, the list starts at the beginning.
	After Cursor
}

// MetadataRange asks for a number in metadata, from Min to Max.
type MetadataRange struct {
	Key string   // a top-level key
	Min *float64 // nil: no lower bound
	Max *float64 // nil: no upper bound
}

// Cursor marks a place in a list: the next page starts after the last row of the page before, whatever was created or
// deleted in between. It is opaque. The zero value is the beginning.
type Cursor string

// GenerationPage is a page of a list.
type GenerationPage struct {
	Generations []Generation `json:"generations"`
	Next        Cursor       `json:"next"` // for ListGenerationsParams.After; empty on the last page
}

// ListGenerations returns a page of generations, newest first or oldest first. The cost grows with the page size. With
// several filters, rows that match the most selective one but not the others cost too.
//
// It returns a *ValidationError for an unknown status, a negative limit or offset, a time outside the years 1 to 9999,
// metadata that no generation can have, a range with an end that is not finite, a search with invalid UTF-8, and a
// cursor that no list has returned.
func (o *operations) ListGenerations(ctx context.Context, params ListGenerationsParams) (GenerationPage, error) {
	page, err := o.listGenerations(ctx, params)
	return page, describe("list generations", err)
}

// Generations walks all generations that ListGenerations would list, and holds one page of Limit generations in memory.
// Generations that are created or deleted meanwhile are seen or not; no other one is left out or comes twice. The walk
// stops at the first error, which comes with an empty Generation.
func (o *operations) Generations(ctx context.Context, params ListGenerationsParams) iter.Seq2[Generation, error] {
	return func(yield func(Generation, error) bool) {
		params := params // each walk starts at the beginning
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
	query, err := params.query()
	if err != nil {
		return GenerationPage{}, err
	}
	var page listing.Page
	err = o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		page, err = query.List(ctx, q.Queries, q)
		return err
	})
	if err != nil {
		return GenerationPage{}, err
	}
	return GenerationPage{Generations: page.Generations, Next: Cursor(page.Next)}, nil
}

func (p ListGenerationsParams) query() (listing.Query, error) {
	limit, err := limitOrDefault(p.Limit, defaultListLimit)
	if err != nil {
		return listing.Query{}, err
	}
	if err := checkOffset(p.Offset); err != nil {
		return listing.Query{}, err
	}
	params := listing.Params{
		Status: p.Status, ModelName: p.ModelName, BatchID: p.BatchID, Favorite: p.Favorite,
		CreatedFrom: p.CreatedFrom, CreatedTo: p.CreatedTo, Metadata: p.Metadata, Search: p.Search,
		OldestFirst: p.OldestFirst, Limit: limit, Offset: int64(p.Offset), After: string(p.After),
	}
	for _, r := range p.MetadataRanges {
		params.MetadataRanges = append(params.MetadataRanges, listing.Range{Name: r.Key, Low: r.Min, High: r.Max})
	}
	return listing.NewQuery(params)
}
