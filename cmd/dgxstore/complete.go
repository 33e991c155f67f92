package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// Shell completion must be fast. It reads only the newest generations, and offers nothing if the database does not
// answer in time.
const (
	completionTimeout = 2 * time.Second
	completionLimit   = 100
)

func (a *app) completeStatuses(cmd *cobra.Command) {
	// Here and below, it fails only if the command has no such flag.
	_ = cmd.RegisterFlagCompletionFunc("status",
		cobra.FixedCompletions(statusNames(), cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) completeModels(cmd *cobra.Command) {
	complete := func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, g := range a.newest(cmd.Context(), "") {
			if name := safe(g.ModelName); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	_ = cmd.RegisterFlagCompletionFunc("model", complete)
}

func (a *app) completeBatches(cmd *cobra.Command) {
	complete := func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for _, g := range a.newest(cmd.Context(), "") {
			if g.BatchID != nil && !slices.Contains(ids, g.BatchID.String()) {
				ids = append(ids, g.BatchID.String())
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	_ = cmd.RegisterFlagCompletionFunc("batch", complete)
}

// completeIDs completes arguments with the IDs of the newest generations, and shows their prompts as descriptions. An
// empty status means any.
func (a *app) completeIDs(cmd *cobra.Command, status store.Status) {
	cmd.ValidArgsFunction = func(
		cmd *cobra.Command, given []string, _ string,
	) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for _, g := range a.newest(cmd.Context(), status) {
			if id := g.ID.String(); !slices.Contains(given, id) {
				ids = append(ids, cobra.CompletionWithDesc(id, safe(g.Prompt)))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// newest returns the newest generations of the status. It returns none on any error, since completion cannot report
// one.
func (a *app) newest(ctx context.Context, status store.Status) []store.Generation {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	s, err := store.Open(ctx, store.Options{URL: a.database, BusyTimeout: completionTimeout})
	if err != nil {
		return nil
	}
	defer s.Close()
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{Status: status, Limit: completionLimit})
	if err != nil {
		return nil
	}
	return page.Generations
}
