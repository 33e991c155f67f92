package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// What a shell completes must be there at once: it is taken from the newest generations, and from none where the database
// does not answer in time.
const (
	completionTimeout = 2 * time.Second
	completionLimit   = 100
)

func (a *app) completeStatuses(cmd *cobra.Command) {
	// An error is that the command has no such flag, here and below.
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statusNames(), cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) completeModels(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("model", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, g := range a.newest(cmd.Context(), "") {
			if name := safe(g.ModelName); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func (a *app) completeBatches(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("batch", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for _, g := range a.newest(cmd.Context(), "") {
			if g.BatchID != nil && !slices.Contains(ids, g.BatchID.String()) {
				ids = append(ids, g.BatchID.String())
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	})
}

// completeIDs completes the arguments by the newest generations of the status, "" any, with their prompts as explanations.
func (a *app) completeIDs(cmd *cobra.Command, status store.Status) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for _, g := range a.newest(cmd.Context(), status) {
			if id := g.ID.String(); !slices.Contains(given, id) {
				ids = append(ids, cobra.CompletionWithDesc(id, safe(g.Prompt)))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// newest are none where something is wrong: there is nobody to tell.
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
