// Package migrate runs the migrations by dbmate's library, under a lock, so that many processes may start at the same
// time.
package migrate

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
	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// Migration is a version of the schema.
type Migration struct {
	Version string
	Name    string // empty if this program does not know the version
	Applied bool   // whether the database has it
}

// Apply applies all pending migrations.
func Apply(ctx context.Context, t dburl.Target) error {
	return underLock(ctx, t, (*dbmate.DB).Migrate)
}

// Rollback rolls back the latest migration. It returns dberr.ErrNotFound if none is applied.
func Rollback(ctx context.Context, t dburl.Target) error {
	return underLock(ctx, t, func(m *dbmate.DB) error {
		err := m.Rollback()
		if errors.Is(err, dbmate.ErrNoRollback) {
			return fmt.Errorf("%w: no migration is applied", dberr.ErrNotFound)
		}
		return err
	})
}

// Reset rolls back all migrations, and applies them again.
func Reset(ctx context.Context, t dburl.Target) error {
	return underLock(ctx, t, func(m *dbmate.DB) error {
		for {
			if err := m.Rollback(); errors.Is(err, dbmate.ErrNoRollback) {
				return m.Migrate()
			} else if err != nil {
				return err
			}
		}
	})
}

// Inspect lists a database's migrations without changing it. It returns an error if this program must not change the
// database.
func Inspect(ctx context.Context, t dburl.Target, waitTimeout time.Duration) ([]Migration, error) {
	return look(ctx, t, waitTimeout, (*Conn).Inspect)
}

// List lists the migrations of any database without changing it. If a SQLite file does not exist, none is applied, and
// List does not create it.
func List(ctx context.Context, t dburl.Target) ([]Migration, error) {
	if found, err := exists(t); err != nil {
		return nil, err
	} else if !found {
		return Known(t.Engine)
	}
	return look(ctx, t, sqliteconn.MaxWaitTimeout, (*Conn).Migrations)
}

func look(
	ctx context.Context, t dburl.Target, waitTimeout time.Duration, list func(*Conn) ([]Migration, error),
) ([]Migration, error) {
	conn, err := OpenReadOnly(ctx, t, waitTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	migrations, err := list(conn)
	if err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	return migrations, nil
}

// CheckExists returns dberr.ErrNotFound if a SQLite file does not exist.
func CheckExists(t dburl.Target) error {
	found, err := exists(t)
	if err == nil && !found {
		return fmt.Errorf("%w: there is no database at %s", dberr.ErrNotFound, t.Path)
	}
	return err
}

// exists reports whether there is a file to look into. Anything but a regular file is an error.
func exists(t dburl.Target) (bool, error) {
	if t.Path == "" {
		return true, nil
	}
	info, err := os.Stat(t.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a regular file", t.Path)
	}
	return true, nil // any other error is that of opening it
}

// OpenReadOnly opens a connection that changes nothing, not even the journal mode of a file.
func OpenReadOnly(ctx context.Context, t dburl.Target, waitTimeout time.Duration) (*Conn, error) {
	return openConn(ctx, t, waitTimeout, "query_only(ON)")
}

// Known lists the embedded migrations, oldest first.
func Known(engine string) ([]Migration, error) {
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

// CheckFits returns dberr.ErrSchemaOutdated, with both versions and the remedy, if a migration is pending.
func CheckFits(migrations []Migration) error {
	if IsBehind(migrations) {
		database, program := versions(migrations)
		return fmt.Errorf("%w: the database is behind, at version %s, and this program needs %s: "+
			"run make db-migrate, call store.Migrate, or open with Options.Migrate",
			dberr.ErrSchemaOutdated, database, program)
	}
	return nil
}

// checkNotAhead returns dberr.ErrSchemaOutdated if a newer program has migrated the database.
func checkNotAhead(migrations []Migration) error {
	if slices.ContainsFunc(migrations, func(m Migration) bool { return m.Name == "" }) {
		database, program := versions(migrations)
		return fmt.Errorf("%w: the database is ahead, at version %s, and this program knows %s: "+
			"upgrade the program to the newest release of github.com/dgx-music/storage",
			dberr.ErrSchemaOutdated, database, program)
	}
	return nil
}

// IsBehind reports whether a migration is pending.
func IsBehind(migrations []Migration) bool {
	return slices.ContainsFunc(migrations, func(m Migration) bool { return !m.Applied })
}

// versions returns the latest version that the database has and the latest that the program knows.
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

// TableQuery returns a query with one row if the table exists, else none. On PostgreSQL it looks in the schema that
// dbmate uses.
func TableQuery(engine, table string) string {
	if engine == "sqlite" {
		return "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '" + table + "'"
	}
	return "SELECT 1 FROM information_schema.tables " +
		"WHERE table_schema = current_schema() AND table_name = '" + table + "'"
}
