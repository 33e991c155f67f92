package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) searchCommand() *cobra.Command {
	var chosen filters
	var generations bool
	var limit int
	cmd := &cobra.Command{
		Use:   "search WORDS...",
		Short: "Search prompts, or their generations",
		Long: `Search finds prompts by their words, best matches first. With --generations it finds
the generations of these prompts.

  trap beat      both words, in any order
  "trap beat"    this phrase
  -piano         not this word
  synth*         words that begin with synth

If the query begins with a minus, put -- before it.`,
		Example: `  dgxstore search lo-fi piano
  dgxstore search --generations --status completed '"trap beat"' -- -piano`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("give at least one word to search for")
			}
			return nil
		},
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, args []string) error {
			query := strings.Join(args, " ")
			if chosen.status != "" && !generations {
				return usageError("--status needs --generations")
			}
			if limit == 0 {
				return usageError("--limit must be at least 1")
			}
			if !generations {
				return a.searchPrompts(ctx, s, query, limit)
			}
			params, err := chosen.params()
			if err != nil {
				return err
			}
			return a.searchGenerations(ctx, s, store.SearchParams{Query: query, Status: params.Status, Limit: limit})
		}),
	}
	a.addStatusFilter(cmd, &chosen)
	cmd.Flags().BoolVar(&generations, "generations", false, "search generations instead of prompts")
	cmd.Flags().IntVar(&limit, "limit", 20, "show at most `N`")
	return cmd
}

func (a *app) searchPrompts(ctx context.Context, s *store.Store, query string, limit int) error {
	hits, err := s.SearchPrompts(ctx, query, limit)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Prompts []store.PromptHit `json:"prompts"`
		}{hits})
	}
	if len(hits) == 0 {
		a.printf("no matches\n")
		return nil
	}
	g := newGrid(column{title: "ID", right: true}, column{title: "USED", right: true},
		column{title: "LAST USED", right: true}, column{title: "TEXT", paint: paintMatches})
	for _, hit := range hits {
		g.add(fmt.Sprint(hit.Prompt.ID), humanize.Comma(hit.Prompt.UsedCount), ago(hit.Prompt.LastUsedAt), hit.Snippet)
	}
	a.printGrid(g, "")
	return nil
}

func (a *app) searchGenerations(ctx context.Context, s *store.Store, params store.SearchParams) error {
	hits, err := s.SearchGenerations(ctx, params)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Generations []store.GenerationHit `json:"generations"`
		}{hits})
	}
	if len(hits) == 0 {
		a.printf("no matches\n")
		return nil
	}
	g := newGrid(column{title: "ID"}, column{title: "STATUS", paint: paintStatus}, column{title: "AGE", right: true},
		column{title: "PROMPT", paint: paintMatches})
	for _, hit := range hits {
		g.add(hit.Generation.ID.String(), statusCell(hit.Generation), age(hit.Generation.CreatedAt), hit.Snippet)
	}
	a.printGrid(g, "")
	return nil
}

// paintMatches colours the matches of a snippet. The store puts each match in square brackets.
func paintMatches(snippet string) string {
	var b strings.Builder
	for {
		before, rest, opened := strings.Cut(snippet, "[")
		match, after, closed := strings.Cut(rest, "]")
		if !opened || !closed {
			b.WriteString(snippet)
			return b.String()
		}
		b.WriteString(before + good.Sprint("["+match+"]"))
		snippet = after
	}
}
