package migrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// added are objects that a user may add to the store's tables.
var added = []struct {
	name, sqlite, postgres string // statements; "": the engine does not have it
	drop                   string
	object                 string // what an error names
}{
	{
		"column", "ALTER TABLE generations ADD COLUMN note TEXT", "ALTER TABLE generations ADD COLUMN note TEXT",
		"ALTER TABLE generations DROP COLUMN note", "note",
	},
	{
		"index", "CREATE INDEX mine ON generations (sample_rate)", "CREATE INDEX mine ON generations (sample_rate)",
		"DROP INDEX mine", "mine",
	},
	{
		"trigger",
		"CREATE TRIGGER mine AFTER DELETE ON generations BEGIN SELECT 1; END",
		`CREATE TRIGGER mine BEFORE UPDATE ON generations
		FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		"", "mine",
	},
	{
		"constraint", "", "ALTER TABLE prompts ADD CONSTRAINT mine CHECK (text <> 'x')",
		"ALTER TABLE prompts DROP CONSTRAINT mine", "mine",
	},
	{"view", "", "CREATE VIEW mine AS SELECT id FROM generations", "DROP VIEW mine", "mine"},
	{"key", "", "CREATE TABLE mine (id UUID REFERENCES generations (id))", "DROP TABLE mine", "mine"},
	{"policy", "", "CREATE POLICY mine ON generations USING (TRUE)", "DROP POLICY mine ON generations", "mine"},
}

// eachAddition runs a test for each object on each engine. The database has the object and one generation.
func eachAddition(t *testing.T, test func(t *testing.T, url, object string, s *store.Store, drop func())) {
	for _, engine := range testkit.Engines {
		for _, a := range added {
			statement, drop := a.sqlite, a.drop
			if engine.Name == "postgres" {
				statement = a.postgres
			}
			if statement == "" {
				continue
			}
			if drop == "" {
				drop = "DROP TRIGGER mine"
				if engine.Name == "postgres" {
					drop += " ON generations"
				}
			}
			t.Run(engine.Name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				url := engine.URL(t)
				s := testkit.OpenURL(t, url)
				testkit.Create(t, s, "kept")
				testkit.Exec(t, s, statement)
				test(t, url, a.object, s, func() { testkit.Exec(t, s, drop) })
			})
		}
	}
}

func TestResetKeepsWhatOthersHaveAdded(t *testing.T) {
	t.Parallel()
	eachAddition(t, func(t *testing.T, url, object string, s *store.Store, drop func()) {
		is := is.New(t)
		err := store.Reset(t.Context(), url)
		is.True(errors.Is(err, store.ErrDependentObjects))
		is.True(strings.Contains(err.Error(), object))
		testkit.WantApplied(t, url, len(testkit.KnownMigrations(t))) // all or nothing
		is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations"), int64(1))
		drop() // it was still there
		is.NoErr(store.Reset(t.Context(), url))
		is.Equal(testkit.Count(t, testkit.OpenURL(t, url), "SELECT count(*) FROM generations"), int64(0))
	})
}

func TestRollbackKeepsWhatOthersHaveAdded(t *testing.T) {
	t.Parallel()
	eachAddition(t, func(t *testing.T, url, object string, s *store.Store, drop func()) {
		is := is.New(t)
		applied := len(testkit.KnownMigrations(t))
		var err error
		for ; err == nil && applied > 0; applied-- {
			err = store.Rollback(t.Context(), url)
		}
		is.True(errors.Is(err, store.ErrDependentObjects))
		is.True(strings.Contains(err.Error(), object))
		testkit.WantApplied(t, url, applied+1)
		is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations"), int64(1))
		drop() // it was still there
		is.NoErr(store.Rollback(t.Context(), url))
	})
}

// On the way up SQLite makes tables anew, too.
func TestMigrateKeepsWhatOthersHaveAdded(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			s := testkit.OpenURL(t, url)
			known := len(testkit.KnownMigrations(t))
			for range known - 1 {
				is.NoErr(store.Rollback(t.Context(), url))
			}
			testkit.Exec(t, s, "CREATE INDEX mine ON generations (sample_rate)")
			err := store.Migrate(t.Context(), url)
			if err == nil {
				testkit.Exec(t, s, "DROP INDEX mine") // it is still there
				return
			}
			is.True(errors.Is(err, store.ErrDependentObjects))
			is.True(strings.Contains(err.Error(), "mine"))
			testkit.WantApplied(t, url, 1)
			testkit.Exec(t, s, "DROP INDEX mine")
			is.NoErr(store.Migrate(t.Context(), url))
			testkit.WantApplied(t, url, known)
		})
	}
}

// A user's table that refers to the store's keeps its rows: on SQLite nothing else sees to it.
func TestResetKeepsRowsThatReferToGenerations(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := testkit.Engines[0].URL(t)
	s := testkit.OpenURL(t, url)
	g := testkit.Create(t, s, "kept")
	testkit.Exec(t, s, "CREATE TABLE mine (id TEXT REFERENCES generations (id) ON DELETE CASCADE)")
	testkit.Exec(t, s, "INSERT INTO mine VALUES ($1)", g.ID.String())
	is.True(store.Reset(t.Context(), url) != nil)
	is.Equal(testkit.Count(t, s, "SELECT count(*) FROM mine JOIN generations USING (id)"), int64(1))
}
