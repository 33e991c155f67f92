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
		Short: "Back up the database to a SQLite file",
		Long: `Backup writes the whole database to a SQLite file. The file appears when it is
complete and checked. It replaces an earlier backup of that name, but no other file.

A SQLite database may be in use during the backup. A PostgreSQL database may not:
backup transfers it to the file and compares the two, so stop the service first.
pg_dump and pg_restore work without a stop.`,
		Example: `  dgxstore backup "/backup/generations-$(date -u +%F).db"
  pg_dump --format=custom --file=music.dump postgres://user@host/music   # see ~/.pgpass`,
		Args: oneArg("one file to write"),
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, args []string) error {
			path := args[0]
			spinner := a.startSpinner(fmt.Sprintf("backing up %s to %s", displayURL(a.chosenURL()), path))
			err := s.Backup(ctx, path)
			spinner.finish()
			if mismatch, ok := errors.AsType[*store.TransferMismatchError](err); ok {
				message := fmt.Sprintf("no backup was written: table %s changed meanwhile; stop the service, or use pg_dump",
					mismatch.Table)
				return &codedError{exitData, message}
			}
			if err != nil {
				return resumable(ctx, err, "no backup was written; run the same command again")
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
			a.printf("backed up to %s (%s)\n", safe(path), size(info.Size()))
			return nil
		}),
	}
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the database with a backup",
		Long: `Restore replaces the database with a backup. Stop the service first.

It replaces ALL DATA of a SQLite database, so it asks first. If it fails or is killed,
the old data is still there. A PostgreSQL database must be empty.

The backup may have an older schema version, or be a database of the Python service.
Run dgxstore migrate afterwards.`,
		Args: oneArg("one file to read"),
		RunE: a.run(func(ctx context.Context, args []string) error {
			path := args[0]
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return &codedError{exitNotFound, "there is no backup at " + path}
			} else if err != nil {
				return err
			}
			if err := a.confirmReplace(ctx, path); err != nil {
				return err
			}
			spinner := a.startSpinner(fmt.Sprintf("restoring %s from %s", displayURL(a.chosenURL()), path))
			err := store.Restore(ctx, path, a.database)
			spinner.finish()
			if err != nil {
				return resumable(ctx, forOperators(err), "run the same command again")
			}
			return a.printRestored(ctx)
		}),
	}
	a.addYesFlag(cmd)
	return cmd
}

// restored is the JSON of restore.
type restored struct {
	Database          string `json:"database"`
	PendingMigrations int    `json:"pending_migrations"`
	Generations       *int64 `json:"generations"` // null if migrations are pending, as is Prompts
	Prompts           *int64 `json:"prompts"`
}

func (a *app) printRestored(ctx context.Context) error {
	migrations, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	result := restored{Database: displayURL(a.chosenURL()), PendingMigrations: pending(migrations)}
	contents := fmt.Sprintf("%s pending: run dgxstore migrate",
		plural(int64(result.PendingMigrations), "migration is", "migrations are"))
	switch isPython, err := a.isPython(ctx); {
	case err != nil:
		return err
	case isPython:
		contents = "a database of the Python service: run dgxstore migrate to adopt it"
	case result.PendingMigrations == 0:
		stats, err := a.statsNow(ctx)
		if err != nil {
			return err
		}
		result.Generations, result.Prompts = &stats.TotalGenerations, &stats.TotalPrompts
		contents = plural(stats.TotalGenerations, "generation", "generations") + ", " +
			plural(stats.TotalPrompts, "prompt", "prompts")
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("restored %s: %s\n", safe(result.Database), contents)
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

// mayReplace reports whether a restore could destroy data. On PostgreSQL it cannot: the store refuses a database that
// is not empty. On SQLite it can if the file exists: a broken file and a file of another program count, too.
func mayReplace(url string) bool {
	if isPostgres(url) {
		return false
	}
	_, path, _ := strings.Cut(url, ":")
	if strings.HasPrefix(path, "//") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	if strings.ContainsAny(path, "%#?") { // the store may resolve these to another path
		return true
	}
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// confirmReplace asks before a restore destroys data. The question says what the database has, unless that is unknown:
// a database that cannot be opened may be the reason for the restore.
func (a *app) confirmReplace(ctx context.Context, path string) error {
	if !mayReplace(a.chosenURL()) {
		return nil
	}
	contents := ""
	switch s, err := a.open(ctx); {
	case err == nil:
		stats, err := s.Stats(ctx)
		s.Close()
		if err != nil {
			return err
		}
		contents = " and its " + plural(stats.TotalGenerations, "generation", "generations")
	case errors.Is(err, store.ErrPythonDatabase):
		contents = ", a database of the Python service,"
	}
	return a.confirm(ctx, fmt.Sprintf("Replace %s%s with the backup %s", displayURL(a.chosenURL()), contents, path))
}
