package store

import (
	"context"
	"errors"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/internal/pythondb"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/sqlitefile"
)

// Migration is a schema version.
type Migration struct {
	Version string `json:"version"` // digits that sort by age
	Name    string `json:"name"`    // its subject; empty if the database has it and this program does not know it
	Applied bool   `json:"applied"`
}

// Migrate applies all pending migrations, with dbmate's library and the files that are embedded in this package. It
// reads the url as Options.URL. It creates a SQLite file that does not exist, readable by its owner only; a PostgreSQL
// database must exist.
//
// Any number of processes may call it at once: one migrates under a lock, the others wait until ctx ends. All pending
// migrations take effect together or not at all; else the error is ErrDependentObjects if they would drop what others
// have added. The versions are kept in the table that the dbmate CLI uses, schema_migrations.
//
// Migrate adopts a SQLite file that the Python service made, by Alembic or by its init_db(): it brings the file to this
// program's schema with all its rows. It first keeps a checked copy beside it, <name>.before-v2, and never overwrites
// one. No other process may have the file open. If the file holds something that the store cannot, Migrate leaves the
// file as it is, and returns an *AdoptionError that names the rows.
func Migrate(ctx context.Context, url string) error {
	t, err := parseToCreate(url)
	if err != nil {
		return describe("migrate", err)
	}
	return describe("migrate", migrateOrAdopt(ctx, t, sqliteconn.MaxWaitTimeout))
}

// parseToCreate parses the URL of a database, and creates a SQLite file that does not exist.
func parseToCreate(url string) (dburl.Target, error) {
	t, err := dburl.Parse(url)
	if err == nil && t.Path != "" {
		_, err = sqlitefile.Prepare(t.Path, true)
	}
	return t, err
}

// migrateOrAdopt applies pending migrations, or adopts a database of the Python service. It waits for waitTimeout while
// another process locks the file, and until ctx ends while another process migrates.
func migrateOrAdopt(ctx context.Context, t dburl.Target, waitTimeout time.Duration) error {
	migrations, err := migrate.Inspect(ctx, t, waitTimeout)
	if errors.Is(err, dberr.ErrPythonDatabase) {
		return pythondb.Adopt(ctx, t, waitTimeout)
	}
	if err != nil || !migrate.IsBehind(migrations) { // usually there is nothing to do, and no lock to take
		return err
	}
	return migrate.Apply(ctx, t)
}

// Rollback rolls back the latest migration, and drops whatever only that schema version could hold. It returns
// ErrNotFound if none is applied, ErrSchemaOutdated if the latest one is of a newer program, and ErrDependentObjects if
// it would drop what others have added to the store's tables.
func Rollback(ctx context.Context, url string) error {
	t, err := dburl.Parse(url)
	if err != nil {
		return describe("roll back", err)
	}
	if err := migrate.CheckExists(t); err != nil {
		return describe("roll back", err)
	}
	if _, err := migrate.Inspect(ctx, t, sqliteconn.MaxWaitTimeout); err != nil {
		return describe("roll back", err)
	}
	return describe("roll back", migrate.Rollback(ctx, t))
}

// Reset rolls back all migrations and applies them again: it drops every table of the store and makes it anew. ALL DATA
// IS LOST. Tables of others stay, and it returns ErrDependentObjects as [Rollback] does. It takes effect as a whole or
// not at all. It creates what does not exist, as [Migrate] does.
func Reset(ctx context.Context, url string) error {
	t, err := parseToCreate(url)
	if err != nil {
		return describe("reset", err)
	}
	if _, err := migrate.Inspect(ctx, t, sqliteconn.MaxWaitTimeout); err != nil {
		return describe("reset", err)
	}
	return describe("reset", migrate.Reset(ctx, t))
}

// MigrationStatus lists the migrations that this program knows and those that the database has, oldest first. A SQLite
// file that does not exist has none, and is not created.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	t, err := dburl.Parse(url)
	if err != nil {
		return nil, describe("list migrations", err)
	}
	listed, err := migrate.List(ctx, t)
	if err != nil {
		return nil, describe("list migrations", err)
	}
	migrations := make([]Migration, len(listed))
	for i, m := range listed {
		migrations[i] = Migration(m)
	}
	return migrations, nil
}
