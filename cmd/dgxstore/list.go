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
		Short: "List generations, newest first; all filters may be combined",
		Example: `  dgxstore list --status failed --since 24h
  dgxstore list --prompt "trap beat" --metadata genre=trap --metadata-range bpm=135..145
  dgxstore list --json --limit 1000 | jq -r '.generations[].file_path'`,
		Args: cobra.NoArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			params, err := chosen.params()
			if err != nil {
				return err
			}
			params.OldestFirst, params.Limit, params.After = oldestFirst, limit, store.Cursor(after)
			if limit == 0 {
				return usageError("invalid --limit: it is at least 1")
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
	cmd.Flags().BoolVar(&oldestFirst, "oldest-first", false, "instead of newest first")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N`")
	cmd.Flags().StringVar(&after, "after", "", "go on behind the page that ended with this `cursor`")
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
		g.add(generation.ID.String(), statusCell(generation), age(generation.CreatedAt), utc(generation.CreatedAt), generation.ModelName, generation.Prompt)
	}
	a.printGrid(g, "")
	if page.Next != "" {
		a.printf("\nfor more: --after %s\n", page.Next)
	}
	return nil
}

// statusCell says of what is being worked on how far that is, and whether it is to stop.
func statusCell(g store.Generation) string {
	switch {
	case g.IsProcessing() && g.CancelRequestedAt != nil:
		return string(g.Status) + " (stopping)"
	case g.IsProcessing():
		return fmt.Sprintf("%s %.0f%%", g.Status, g.ProgressFraction*100)
	}
	return string(g.Status)
}
