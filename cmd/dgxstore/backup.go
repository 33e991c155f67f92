package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH",
		Short: "Write a consistent copy of the database to a file, while it is in use",
		Args:  cobra.ExactArgs(1),
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, args []string) error {
			path := args[0]
			waiting := a.wait(fmt.Sprintf("backing up %s to %s", shownURL(a.chosenURL()), path))
			err := s.Backup(ctx, path)
			waiting.finish()
			if err != nil {
				return resumable(ctx, err, "there is no backup; run the same command again")
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Path      string `json:"path"`
					SizeBytes int64  `json:"size_bytes"`
				}{path, info.Size()})
			}
			a.printf("backed up to %s, %s\n", safe(path), size(info.Size()))
			return nil
		}),
	}
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore PATH",
		Short: "Make the database of a backup; asks first where there is one",
		Args:  cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			path := args[0]
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no backup at %s: %w", path, store.ErrNotFound)
			} else if err != nil {
				return err
			}
			if err := a.askToReplace(ctx, path); err != nil {
				return err
			}
			waiting := a.wait(fmt.Sprintf("restoring %s from %s", shownURL(a.chosenURL()), path))
			err := store.Restore(ctx, path, a.database)
			waiting.finish()
			if err != nil {
				return resumable(ctx, err, "run the same command again")
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			stats, err := s.Stats(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Database    string `json:"database"`
					Generations int64  `json:"generations"`
					Prompts     int64  `json:"prompts"`
				}{shownURL(a.chosenURL()), stats.TotalGenerations, stats.TotalPrompts})
			}
			a.printf("restored %s: %s, %s\n", safe(shownURL(a.chosenURL())),
				plural(stats.TotalGenerations, "generation", "generations"), plural(stats.TotalPrompts, "prompt", "prompts"))
			return nil
		}),
	}
	a.addYes(cmd)
	return cmd
}

// askToReplace asks where the database is there already.
func (a *app) askToReplace(ctx context.Context, path string) error {
	migrations, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	if latest(migrations) == "" {
		return nil
	}
	holding := ""
	if s, err := a.open(ctx); err == nil { // one that cannot be opened may be what the backup is for
		defer s.Close()
		stats, err := s.Stats(ctx)
		if err != nil {
			return err
		}
		holding = " and its " + plural(stats.TotalGenerations, "generation", "generations")
	}
	return a.ask(ctx, fmt.Sprintf("Replace %s%s by the backup %s", shownURL(a.chosenURL()), holding, path))
}
