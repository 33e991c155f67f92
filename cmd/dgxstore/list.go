package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) listCommand() *cobra.Command {
	var chosen filters
	var oldestFirst bool
	var limit int
	var after string
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List generations, newest first",
		Long: `List shows generations, newest first. A generation is listed if it passes all filters
that are given.`,
		Example: `  dgxstore list --status failed --since 24h
  dgxstore list --prompt "trap beat" --metadata genre=trap --metadata-range bpm=135..145
  dgxstore list --json --limit 1000 | jq -r '.generations[].file_path'`,
		Args: noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			params, err := chosen.params()
			if err != nil {
				return err
			}
			params.OldestFirst, params.Limit, params.After = oldestFirst, limit, store.Cursor(after)
			if limit == 0 {
				return usageError("--limit must be at least 1")
			}
			page, err := s.ListGenerations(ctx, params)
			if err != nil {
				return err
			}
			if a.json {
				if page.Generations == nil {
					page.Generations = []store.Generation{}
				}
				return a.printJSON(page)
			}
			return a.printPage(page)
		}),
	}
	a.addStatusFilter(cmd, &chosen)
	a.addFilters(cmd, &chosen)
	cmd.Flags().BoolVar(&oldestFirst, "oldest-first", false, "list the oldest first")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most `N`")
	cmd.Flags().StringVar(&after, "after", "", "continue after the page that printed this `cursor`")
	return cmd
}

func (a *app) printPage(page store.GenerationPage) error {
	if len(page.Generations) == 0 {
		a.printf("no generations\n")
		return nil
	}
	g := newGrid(column{title: "ID"}, column{title: "STATUS", paint: paintStatus}, column{title: "AGE", right: true},
		column{title: "CREATED", optional: true}, column{title: "MODEL", optional: true}, column{title: "PROMPT"})
	for _, generation := range page.Generations {
		g.add(generation.ID.String(), statusCell(generation), age(generation.CreatedAt), utc(generation.CreatedAt),
			generation.ModelName, generation.Prompt)
	}
	a.printGrid(g, "")
	if page.Next != "" {
		a.printf("\nnext page: --after %s\n", page.Next)
	}
	return nil
}

// statusCell returns the status. For a processing generation it adds the progress, or that the worker was asked to
// stop.
func statusCell(g store.Generation) string {
	switch {
	case g.IsProcessing() && g.CancelRequestedAt != nil:
		return string(g.Status) + " (stopping)"
	case g.IsProcessing():
		return fmt.Sprintf("%s %.0f%%", g.Status, g.ProgressFraction*100)
	}
	return string(g.Status)
}
