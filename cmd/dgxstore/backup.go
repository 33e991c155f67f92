package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH",
		Short: "Write a consistent copy of a SQLite database to a file, while it is in use",
		Long: `Backup writes a consistent copy of a SQLite database to a file, while the database is in use. An earlier backup of that name
is replaced. For PostgreSQL there are dgxstore transfer, into a SQLite file, and pg_dump.`,
		Args: cobra.ExactArgs(1),
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

// restored is the JSON of restore.
type restored struct {
	Database       string `json:"database"`
	Generations    *int64 `json:"generations"`     // null where the schema is behind, as is the following
	Prompts        *int64 `json:"prompts"`         //
	NeedsMigration bool   `json:"needs_migration"` // the backup is of an older version
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore PATH",
		Short: "Make the database that of a backup; asks first where a SQLite file is there already",
		Long: `Restore makes the database that of a backup. Stop those who use it first. All that a SQLite file has is replaced, so restore
asks where there is one; a PostgreSQL database must be empty.`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			path := args[0]
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no backup at %s: %w", path, store.ErrNotFound)
			} else if err != nil {
				return err
			}
			if mayReplace(a.chosenURL()) {
				if err := a.ask(ctx, fmt.Sprintf("Replace %s%s by the backup %s", shownURL(a.chosenURL()), a.holding(ctx), path)); err != nil {
					return err
				}
			}
			waiting := a.wait(fmt.Sprintf("restoring %s from %s", shownURL(a.chosenURL()), path))
			err := store.Restore(ctx, path, a.database)
			waiting.finish()
			if err != nil {
				return resumable(ctx, err, "run the same command again")
			}
			return a.printRestored(ctx)
		}),
	}
	a.addYes(cmd)
	return cmd
}

// mayReplace tells whether a restore may put an end to data. Into PostgreSQL the store restores only where there is none. A
// SQLite file must not be there for sure: one that is broken, or no store, is also somebody's.
func mayReplace(url string) bool {
	if isPostgres(url) {
		return false
	}
	_, path, _ := strings.Cut(url, ":")
	if strings.HasPrefix(path, "//") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	if strings.ContainsAny(path, "%#?") { // which the store may read otherwise
		return true
	}
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// holding tells what is in the database, where that can be known: one that cannot be opened may be what the backup is for.
func (a *app) holding(ctx context.Context) string {
	s, err := a.open(ctx)
	if err != nil {
		return ""
	}
	defer s.Close()
	stats, err := s.Stats(ctx)
	if err != nil {
		return ""
	}
	return " and its " + plural(stats.TotalGenerations, "generation", "generations")
}

func (a *app) printRestored(ctx context.Context) error {
	result := restored{Database: shownURL(a.chosenURL())}
	s, err := a.open(ctx)
	switch {
	case errors.Is(err, store.ErrSchemaOutdated):
		result.NeedsMigration = true
	case err != nil:
		return err
	default:
		defer s.Close()
		stats, err := s.Stats(ctx)
		if err != nil {
			return err
		}
		result.Generations, result.Prompts = &stats.TotalGenerations, &stats.TotalPrompts
	}
	if a.json {
		return a.printJSON(result)
	}
	if result.NeedsMigration {
		a.printf("restored %s; the backup is of an older version: run dgxstore migrate\n", safe(result.Database))
		return nil
	}
	a.printf("restored %s: %s, %s\n", safe(result.Database),
		plural(*result.Generations, "generation", "generations"), plural(*result.Prompts, "prompt", "prompts"))
	return nil
}
