package store

import (
	"context"
	"unicode/utf8"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// SearchParams are those of a search for generations by the words of their prompts.
type SearchParams struct {
	Query  string // what a user typed, in the syntax of SearchPrompts
	Status Status // if empty, any
	Limit  int    // the most hits; if zero, 20
}

// PromptHit is a prompt that a search found.
type PromptHit struct {
	Prompt  Prompt  `json:"prompt"`
	Rank    float64 `json:"rank"`    // higher is better; comparable only with the hits of the same search
	Snippet string  `json:"snippet"` // a part of the text, the matches in square brackets
}

// GenerationHit is a generation that a search found.
type GenerationHit struct {
	Generation Generation `json:"generation"`
	Rank       float64    `json:"rank"`    // higher is better; comparable only with the hits of the same search
	Snippet    string     `json:"snippet"` // a part of the prompt, the matches in square brackets
}

// SearchPrompts finds prompts by their words, the best first:
//
//   - All words must occur, in any order.
//   - Words in "double quotes" must follow each other, and so must words with another character than a space between
//     them, as in lo-fi.
//   - -word must not occur.
//   - synth* also finds synthwave.
//
// Case and the accents of Latin letters do not matter. All other characters only separate words, so nothing is a syntax
// error. A query without a word to find finds nothing. It ignores what follows 64 terms or 256 words.
//
// If limit is 0, it is 20. It returns a *ValidationError for a negative limit, and for a query with invalid UTF-8.
func (o *operations) SearchPrompts(ctx context.Context, query string, limit int) ([]PromptHit, error) {
	const doing = "search prompts"
	words, rowLimit, err := parseSearch(query, limit)
	if err != nil {
		return nil, describe(doing, err)
	}
	hits := []PromptHit{}
	if len(words.Wanted) == 0 {
		return hits, nil
	}
	var found []engine.PromptHit
	err = o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		found, err = q.SearchPrompts(ctx, engine.PromptSearch{Words: words, UnusedToo: true, Limit: rowLimit})
		return err
	})
	if err != nil {
		return nil, describe(doing, err)
	}
	for _, hit := range found {
		hits = append(hits, PromptHit{Prompt: hit.Prompt, Rank: hit.Rank, Snippet: words.Snippet(hit.Prompt.Text)})
	}
	return hits, nil
}

// SearchGenerations finds generations by the words of their prompts, as SearchPrompts does: those of the best prompt
// first, and of one prompt the newest first. It returns a *ValidationError as SearchPrompts does, and for an unknown
// status.
func (o *operations) SearchGenerations(ctx context.Context, params SearchParams) ([]GenerationHit, error) {
	hits, err := o.searchGenerations(ctx, params)
	return hits, describe("search generations", err)
}

func (o *operations) searchGenerations(ctx context.Context, params SearchParams) ([]GenerationHit, error) {
	if params.Status != "" {
		if err := dberr.CheckStatus(params.Status); err != nil {
			return nil, err
		}
	}
	words, limit, err := parseSearch(params.Query, params.Limit)
	if err != nil {
		return nil, err
	}
	hits := []GenerationHit{}
	if len(words.Wanted) == 0 {
		return hits, nil
	}
	err = o.session.ReadStale(ctx, func(q engine.Queries) error {
		hits = hits[:0]
		// Prompt by prompt, instead of sorting all their generations: half of all prompts may have a word.
		prompts, err := q.SearchPrompts(ctx, engine.PromptSearch{Words: words, Status: params.Status, Limit: limit})
		if err != nil {
			return err
		}
		for _, p := range prompts {
			newest, err := q.NewestOfPrompt(ctx, storagedb.NewestOfPromptParams{
				PromptID: p.Prompt.ID, Status: string(params.Status), RowLimit: limit - int64(len(hits)),
			})
			if err != nil {
				return err
			}
			for _, g := range newest {
				hits = append(hits, GenerationHit{Generation: g, Rank: p.Rank, Snippet: words.Snippet(g.Prompt)})
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

func parseSearch(query string, limit int) (listing.Words, int64, error) {
	if !utf8.ValidString(query) {
		return listing.Words{}, 0, dberr.Invalid("query", "is not valid UTF-8")
	}
	rowLimit, err := limitOrDefault(limit, defaultSearchLimit)
	if err != nil {
		return listing.Words{}, 0, err
	}
	return listing.ParseWords(query), rowLimit, nil
}
