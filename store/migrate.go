package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"

	"github.com/dgx-music/storage/db"
)

// Migration is a schema version.
type Migration struct {
	Version string `json:"version"` // digits that sort by age
	Name    string `json:"name"`    // what it is about; empty for one that the database has and this program does not know
	Applied bool   `json:"applied"`
}

// Migrate applies all pending migrations, with dbmate's library and the files that are embedded in this package. The
// url is read as Options.URL is. A SQLite file that does not exist is created, readable by its owner alone; a
// PostgreSQL database must exist.
//
// Any number of processes may call it at once: one migrates under a lock, the others wait until ctx ends. On SQLite all
// pending migrations take effect together or not at all; on PostgreSQL each does. The schema_migrations table is the
// one that the dbmate CLI keeps.
//
// A SQLite file that the Python service made, by Alembic or by its init_db(), is adopted: brought to this program's schema with
// all that it holds, behind a copy as <name>.before-v2 beside it, which is checked and never overwritten. Nobody else may have it
// open. Where it holds what the store cannot, it is left as it is, and the error is an *AdoptionError that names the rows.
func Migrate(ctx context.Context, url string) error {
	t, err := parseURL(url)
	if err != nil {
		return err
	}
	if t.engine == "sqlite" && t.memory == "" {
		if _, err := prepareSQLiteFile(t.path, true); err != nil {
			return err
		}
	}
	return migrateTarget(ctx, t, maxBusyTimeout)
}

// migrateTarget waits for a file that another process has to itself as long as patience, for its migration until ctx ends.
func migrateTarget(ctx context.Context, t target, patience time.Duration) error {
	migrations, err := inspect(ctx, t, patience)
	if errors.Is(err, ErrPythonDatabase) {
		return adopt(ctx, t, patience)
	}
	if err != nil {
		return err
	}
	if !isBehind(migrations) { // the usual case, without a lock
		return nil
	}
	return underMigrationLock(ctx, t, func(m *dbmate.DB) error { return m.Migrate() })
}

// bringSchemaInOrder migrates where that is asked for, and checks that the schema is the one this program knows.
func bringSchemaInOrder(ctx context.Context, t target, opts Options) error {
	if opts.Migrate {
		if err := migrateTarget(ctx, t, opts.BusyTimeout); err != nil {
			return err
		}
	}
	migrations, err := inspect(ctx, t, opts.BusyTimeout)
	if err != nil {
		return err
	}
	return checkFits(migrations)
}

// inspect looks at a database without changing it, and refuses one that this program must leave alone.
func inspect(ctx context.Context, t target, patience time.Duration) ([]Migration, error) {
	conn, err := openToLook(ctx, t, patience)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	migrations, err := conn.inspect()
	return migrations, describe("read the schema version", err)
}

// openToLook opens a connection which changes nothing, the journal mode of a file included.
func openToLook(ctx context.Context, t target, patience time.Duration) (*migrationConn, error) {
	return openMigrationConn(ctx, t, patience, "query_only(ON)")
}

// Rollback takes back the latest migration, with whatever only it could hold. It returns ErrNotFound where none is
// applied, and ErrSchemaOutdated where the latest one is of a newer program.
func Rollback(ctx context.Context, url string) error {
	t, err := parseURL(url)
	if err != nil {
		return err
	}
	if t.path != "" {
		if _, err := os.Stat(t.path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: roll back: %w: there is no database at %s", ErrNotFound, t.path)
		}
	}
	if _, err := inspect(ctx, t, maxBusyTimeout); err != nil {
		return err
	}
	return underMigrationLock(ctx, t, func(m *dbmate.DB) error {
		if err := m.Rollback(); errors.Is(err, dbmate.ErrNoRollback) {
			return fmt.Errorf("%w: no migration is applied", ErrNotFound)
		} else if err != nil {
			return err
		}
		return nil
	})
}

// Reset takes back all migrations and applies them again: every table is dropped and made anew. ALL DATA IS LOST.
// Tables that are not this package's stay. It creates what does not exist, as Migrate does.
func Reset(ctx context.Context, url string) error {
	t, err := parseURL(url)
	if err != nil {
		return err
	}
	if t.engine == "sqlite" && t.memory == "" {
		if _, err := prepareSQLiteFile(t.path, true); err != nil {
			return err
		}
	}
	if _, err := inspect(ctx, t, maxBusyTimeout); err != nil {
		return err
	}
	return underMigrationLock(ctx, t, func(m *dbmate.DB) error {
		for {
			if err := m.Rollback(); errors.Is(err, dbmate.ErrNoRollback) {
				break
			} else if err != nil {
				return err
			}
		}
		return m.Migrate()
	})
}

// MigrationStatus lists the migrations that this program knows and those that the database has, oldest first. A SQLite
// file that does not exist has none, and is not created.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if t.path != "" {
		if _, err := os.Stat(t.path); errors.Is(err, fs.ErrNotExist) {
			return knownMigrations(t.engine)
		}
	}
	conn, err := openToLook(ctx, t, maxBusyTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	migrations, err := conn.migrations()
	return migrations, describe("read the schema version", err)
}

// knownMigrations are those embedded, oldest first.
func knownMigrations(engine string) ([]Migration, error) {
	files, err := db.Migrations(engine)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var known []Migration
	for _, entry := range entries {
		version, name, _ := strings.Cut(strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())), "_")
		known = append(known, Migration{Version: version, Name: name})
	}
	return known, nil
}

func withApplied(known []Migration, applied map[string]bool) []Migration {
	all := slices.Clone(known)
	for i := range all {
		all[i].Applied = applied[all[i].Version]
	}
	for version := range applied {
		if !slices.ContainsFunc(known, func(m Migration) bool { return m.Version == version }) {
			all = append(all, Migration{Version: version, Applied: true})
		}
	}
	slices.SortFunc(all, func(a, b Migration) int { return strings.Compare(a.Version, b.Version) })
	return all
}

// checkFits returns ErrSchemaOutdated, with both versions and the remedy, where the database's schema is behind.
func checkFits(migrations []Migration) error {
	if isBehind(migrations) {
		database, program := versions(migrations)
		return fmt.Errorf("store: %w: the database is behind, at version %s, and this program needs %s: run make db-migrate, call store.Migrate, or open with Options.Migrate", ErrSchemaOutdated, database, program)
	}
	return nil
}

// checkNotAhead keeps an old program from touching what a newer one has made.
func checkNotAhead(migrations []Migration) error {
	if slices.ContainsFunc(migrations, func(m Migration) bool { return m.Name == "" }) {
		database, program := versions(migrations)
		return fmt.Errorf("%w: the database is ahead, at version %s, and this program knows %s: upgrade the program to the newest release of github.com/dgx-music/storage", ErrSchemaOutdated, database, program)
	}
	return nil
}

func isBehind(migrations []Migration) bool {
	return slices.ContainsFunc(migrations, func(m Migration) bool { return !m.Applied })
}

// versions are the latest that the database has and the latest that the program knows.
func versions(migrations []Migration) (database, program string) {
	database = "none"
	for _, m := range migrations {
		if m.Applied {
			database = m.Version
		}
		if m.Name != "" {
			program = m.Version
		}
	}
	return database, program
}

// tableQuery finds a table where dbmate looks for its own.
func tableQuery(engine, table string) string {
	if engine == "sqlite" {
		return "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '" + table + "'"
	}
	return "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = '" + table + "'"
}
