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
		Use:   "backup FILE",
		Short: "Write a copy of the database to a SQLite file",
		Long: `Backup writes all of the database to a SQLite file, which has its name once it is whole and checked. An earlier backup of
that name is replaced; any other file is left alone.

A SQLite database may be in use meanwhile. Nothing may write to a PostgreSQL database, which is transferred into the file and
compared: stop the service first, or use pg_dump instead, which needs no stop and is restored with pg_restore.`,
		Example: `  dgxstore backup "/backup/generations-$(date -u +%F).db"
  pg_dump --format=custom --file=music.dump "$DATABASE_URL"`,
		Args: oneArg("one file to write"),
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, args []string) error {
			path := args[0]
			waiting := a.wait(fmt.Sprintf("backing up %s to %s", shownURL(a.chosenURL()), path))
			err := s.Backup(ctx, path)
			waiting.finish()
			if mismatch, ok := errors.AsType[*store.TransferMismatchError](err); ok {
				return &codedError{exitData, mismatch.Table + " was written to meanwhile, and there is no new backup: stop the writers, or use pg_dump"}
			}
			if err != nil {
				return resumable(ctx, err, "there is no new backup; run the same command again")
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
		Use:   "restore FILE",
		Short: "Make the database what a backup holds; asks first where there is one",
		Long: `Restore makes the database what a backup holds. Stop the service first. ALL DATA that a SQLite database has is replaced, so
that it asks; where it fails or is killed, the old data is still there. A PostgreSQL database must be empty.

The backup may be of an older version of the schema, or a database of the Python service: call dgxstore migrate afterwards.`,
		Args: oneArg("one file to read"),
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
				return resumable(ctx, forOperators(err), "run the same command again")
			}
			return a.printRestored(ctx)
		}),
	}
	a.addYes(cmd)
	return cmd
}

// restored is the JSON of restore.
type restored struct {
	Database          string `json:"database"`
	PendingMigrations int    `json:"pending_migrations"` // of an older backup; the counts are null then
	Generations       *int64 `json:"generations"`
	Prompts           *int64 `json:"prompts"`
}

func (a *app) printRestored(ctx context.Context) error {
	migrations, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	result := restored{Database: shownURL(a.chosenURL()), PendingMigrations: pending(migrations)}
	holding := fmt.Sprintf("%s pending: run dgxstore migrate", plural(int64(result.PendingMigrations), "migration is", "migrations are"))
	switch isPython, err := a.isPython(ctx); {
	case err != nil:
		return err
	case isPython:
		holding = "as the Python service made it; to adopt it, run dgxstore migrate"
	case result.PendingMigrations == 0:
		stats, err := a.statsNow(ctx)
		if err != nil {
			return err
		}
		result.Generations, result.Prompts = &stats.TotalGenerations, &stats.TotalPrompts
		holding = plural(stats.TotalGenerations, "generation", "generations") + ", " + plural(stats.TotalPrompts, "prompt", "prompts")
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("restored %s: %s\n", safe(result.Database), holding)
	return nil
}

func (a *app) statsNow(ctx context.Context) (store.Stats, error) {
	s, err := a.open(ctx)
	if err != nil {
		return store.Stats{}, err
	}
	defer s.Close()
	return s.Stats(ctx)
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

// askToReplace also says what is in the database, where that can be known: one that cannot be opened may be what the backup is for.
func (a *app) askToReplace(ctx context.Context, path string) error {
	if !mayReplace(a.chosenURL()) {
		return nil
	}
	holding := ""
	switch s, err := a.open(ctx); {
	case err == nil:
		stats, err := s.Stats(ctx)
		s.Close()
		if err != nil {
			return err
		}
		holding = " and its " + plural(stats.TotalGenerations, "generation", "generations")
	case errors.Is(err, store.ErrPythonDatabase):
		holding = ", a database of the Python service,"
	}
	return a.ask(ctx, fmt.Sprintf("Replace %s%s by the backup %s", shownURL(a.chosenURL()), holding, path))
}
