package testkit

import (
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// EmptyDatabases make a database without any table, on each engine.
var EmptyDatabases = []struct {
	Name string
	URL  func(testing.TB) string
}{
	{"sqlite", func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "new.db") }},
	{"postgres", storetest.EmptyPostgresURL},
}

// KnownMigrations returns the migrations of this program.
func KnownMigrations(t *testing.T) []store.Migration {
	t.Helper()
	migrations, err := store.MigrationStatus(t.Context(), "sqlite::memory:")
	is.New(t).NoErr(err)
	return migrations
}

// WantApplied fails the test unless the first so many migrations are applied to the database, and no other.
func WantApplied(t *testing.T, url string, want int) {
	t.Helper()
	is := is.New(t)
	migrations, err := store.MigrationStatus(t.Context(), url)
	is.NoErr(err)
	is.Equal(len(migrations), len(KnownMigrations(t)))
	for i, m := range migrations {
		is.Equal(m.Applied, i < want)
	}
	is.Equal(migrations[0].Name, "initial_schema")
}
