package store

import (
	"context"
	"unicode/utf8"

	"github.com/dgx-music/storage/storagedb"
)

// SearchParams is a search for generations by the words of their prompts.
type SearchParams struct {
	Query  string // what a user typed: words, "quoted phrases", -excluded, prefix*; never a syntax error
	Status Status // "": any
	Limit  int    // hits; 0: 20
}

// PromptHit is a prompt that a search found.
type PromptHit struct {
	Prompt  Prompt  `json:"prompt"`
	Rank    float64 `json:"rank"`    // higher is better; to compare the hits of one search with
	Snippet string  `json:"snippet"` // of the text, the matches in square brackets
}

// GenerationHit is a generation that a search found.
type GenerationHit struct {
	Generation Generation `json:"generation"`
	Rank       float64    `json:"rank"`    // higher is better; to compare the hits of one search with
	Snippet    string     `json:"snippet"` // of the prompt, the matches in square brackets
}

// promptSearch is what an engine is asked for: the best prompts that match, and unless unusedToo is set, those alone that
// have a generation, of the status where one is given.
type promptSearch struct {
	query     searchQuery
	unusedToo bool
	status    Status
	limit     int64
}

// SearchPrompts finds prompts by their words, the best first. All words must be there, in any order; those in "double quotes"
// must follow each other, and so must those with something else than a space between them, as in lo-fi; -word must not be
// there; synth* finds synthwave, too. Case and the accents of Latin letters do not matter. Whatever else is typed only stands
// between words. Without any word to find nothing is found. What is typed behind 64 terms or 256 words is ignored.
//
// A limit of 0 is 20. It returns a *ValidationError for a negative limit and for a query of invalid UTF-8.
func (o *operations) SearchPrompts(ctx context.Context, query string, limit int) ([]PromptHit, error) {
	const doing = "search prompts"
	q, rowLimit, err := checkSearch(query, limit)
	if err != nil {
		return nil, describe(doing, err)
	}
	hits := []PromptHit{}
	if len(q.wanted) == 0 {
		return hits, nil
	}
	err = o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		hits, err = o.dialect.searchPrompts(ctx, db, promptSearch{query: q, unusedToo: true, limit: rowLimit})
		return err
	})
	if err != nil {
		return nil, describe(doing, err)
	}
	for i := range hits {
		hits[i].Snippet = q.snippet(hits[i].Prompt.Text)
	}
	return hits, nil
}

// SearchGenerations finds generations by the words of their prompts, as SearchPrompts finds these: those of the best prompt
// first, and of one prompt the newest. It returns a *ValidationError as SearchPrompts does, and for an unknown status.
func (o *operations) SearchGenerations(ctx context.Context, params SearchParams) ([]GenerationHit, error) {
	hits, err := o.searchGenerations(ctx, params)
	return hits, describe("search generations", err)
}

func (o *operations) searchGenerations(ctx context.Context, params SearchParams) ([]GenerationHit, error) {
	if params.Status != "" {
		if err := checkStatus(params.Status); err != nil {
			return nil, err
		}
	}
	q, limit, err := checkSearch(params.Query, params.Limit)
	if err != nil {
		return nil, err
	}
	hits := []GenerationHit{}
	if len(q.wanted) == 0 {
		return hits, nil
	}
	err = o.session.readStale(ctx, func(db storagedb.DBTX) error {
		hits = hits[:0]
		// Prompt by prompt, and not all their generations at once to be sorted: a word may be in the prompts of half of
		// all history.
		prompts, err := o.dialect.searchPrompts(ctx, db, promptSearch{query: q, status: params.Status, limit: limit})
		if err != nil {
			return err
		}
		for _, p := range prompts {
			newest, err := storagedb.New(db).NewestOfPrompt(ctx, storagedb.NewestOfPromptParams{
				PromptID: p.Prompt.ID, Status: string(params.Status), RowLimit: limit - int64(len(hits)),
			})
			if err != nil {
				return err
			}
			for _, g := range newest {
				hits = append(hits, GenerationHit{Generation: g, Rank: p.Rank, Snippet: q.snippet(g.Prompt)})
			}
			if int64(len(hits)) == limit {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hits, nil
}

func checkSearch(query string, limit int) (searchQuery, int64, error) {
	if !utf8.ValidString(query) {
		return searchQuery{}, 0, invalid("query", "is not valid UTF-8")
	}
	rowLimit, err := limitOrDefault(limit, defaultSearchLimit)
	if err != nil {
		return searchQuery{}, 0, err
	}
	return parseSearch(query), rowLimit, nil
}
