package db_test

import (
	"database/sql"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/matryer/is"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/db"
	"github.com/dgx-music/storage/internal/pgtest"
)

var update = flag.Bool("update", false, "write the schema dumps instead of comparing them")

// db/schema.sql and db/schema.postgres.sql are dbmate's dumps of what the migrations make: for readers, and so that a
// change of the schema shows in a diff. This test imports neither store nor storagedb: it runs before they compile.
func TestSchemaDumpsAreCurrent(t *testing.T) {
	dbmate := os.Getenv("DBMATE")
	if dbmate == "" {
		t.Skip("DBMATE names no dbmate binary; make verify builds it")
	}
	server, err := pgtest.Find(t.Context())
	if err != nil {
		pgtest.Missing(t, err)
	}
	file, postgresURL := filepath.Join(t.TempDir(), "schema.db"), server.Database(t, "")
	columns := make(map[string]map[string][]string)
	for _, engine := range []struct {
		name, url, program, file string
		driver, source           string // for database/sql
		columnsQuery             string
	}{
		{
			"sqlite", "sqlite:" + file, "sqlite3", "schema.sql", "sqlite", file,
			`SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
			WHERE t.type = 'table' ORDER BY t.name, c.cid`,
		},
		{
			"postgres", postgresURL + "&sslmode=disable", "pg_dump", "schema.postgres.sql", "pgx", postgresURL,
			`SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`,
		},
	} {
		t.Run(engine.name, func(t *testing.T) {
			is := is.New(t)
			if _, err := exec.LookPath(engine.program); err != nil {
				t.Fatalf("dbmate dumps a schema with %s, which is not installed", engine.program)
			}
			file := filepath.Join(t.TempDir(), engine.file)
			cmd := exec.Command(dbmate, "--url", engine.url,
				"--migrations-dir", "migrations/"+engine.name, "--schema-file", file, "up")
			cmd.Env = append(os.Environ(), "PGTZ=UTC") // pg_dump writes the times of constraints in this zone
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("dbmate: %v: %s", err, output)
			}
			columns[engine.name] = columnsOf(t, engine.driver, engine.source, engine.columnsQuery)
			objects := objectsOfAllVersions(t, engine.driver, engine.source, engine.name, func() error {
				cmd := exec.Command(dbmate, "--url", engine.url,
					"--migrations-dir", "migrations/"+engine.name, "--no-dump-schema", "rollback")
				return cmd.Run()
			})
			dump, err := os.ReadFile(file)
			is.NoErr(err)
			objectsFile := "objects." + engine.name + ".txt"
			if *update {
				is.NoErr(os.WriteFile(engine.file, []byte(withoutVersions(string(dump))), 0o644))
				is.NoErr(os.WriteFile(objectsFile, []byte(objects), 0o644))
				return
			}
			kept, err := os.ReadFile(objectsFile)
			is.NoErr(err)
			if string(kept) != objects {
				t.Errorf("db/%s is stale: run make generate", objectsFile)
			}
			kept, err = os.ReadFile(engine.file)
			is.NoErr(err)
			if withoutVersions(string(dump)) != withoutVersions(string(kept)) {
				t.Errorf("db/%s is stale: run make generate", engine.file)
			}
		})
	}
	if len(columns) < 2 {
		return // -run has chosen one engine
	}
	// The generated rows of the engines convert into each other only if they have the same fields in the same order.
	for _, table := range []string{"prompts", "generations", "generation_errors", "generation_queue"} {
		sqlite, postgres := columns["sqlite"][table], columns["postgres"][table]
		if !slices.Equal(sqlite, postgres) {
			t.Errorf("%s differs between the engines: add every column in db/migrations/sqlite and in "+
				"db/migrations/postgres, in the same order\nsqlite:   %s\npostgres: %s",
				table, strings.Join(sqlite, " "), strings.Join(postgres, " "))
		}
	}
}

// objectsOfAllVersions rolls back one migration after the other, and returns the objects of all versions, sorted.
func objectsOfAllVersions(t *testing.T, driver, source, engine string, rollback func() error) string {
	t.Helper()
	is := is.New(t)
	database, err := sql.Open(driver, source)
	is.NoErr(err)
	defer database.Close()
	all := make(map[string]bool)
	for {
		rows, err := database.QueryContext(t.Context(), db.ObjectsQuery(engine))
		is.NoErr(err)
		for rows.Next() {
			var object string
			is.NoErr(rows.Scan(&object))
			all[object] = true
		}
		is.NoErr(rows.Err())
		if rollback() != nil { // none is left
			return strings.Join(slices.Sorted(maps.Keys(all)), "\n") + "\n"
		}
	}
}

// columnsOf returns the columns of each table, in their order.
func columnsOf(t *testing.T, driver, source, query string) map[string][]string {
	t.Helper()
	is := is.New(t)
	database, err := sql.Open(driver, source)
	is.NoErr(err)
	defer database.Close()
	rows, err := database.QueryContext(t.Context(), query)
	is.NoErr(err)
	defer rows.Close()
	found := make(map[string][]string)
	for rows.Next() {
		var table, column string
		is.NoErr(rows.Scan(&table, &column))
		found[table] = append(found[table], column)
	}
	is.NoErr(rows.Err())
	return found
}

// withoutVersions drops what differs between versions and runs of pg_dump: the lines that name them, the random key of
// \restrict, and settings that older servers do not know.
func withoutVersions(dump string) string {
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "-- Dumped ") || strings.HasPrefix(line, "SET transaction_timeout ") ||
			strings.HasPrefix(line, `\restrict `) || strings.HasPrefix(line, `\unrestrict `) {
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}
