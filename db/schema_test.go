package db_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store/storetest"
)

var update = flag.Bool("update", false, "write the schema dumps instead of comparing them")

// db/schema.sql and db/schema.postgres.sql are dbmate's dumps of what the migrations make: for readers, and so that a
// change of the schema shows in a diff.
func TestSchemaDumpsAreCurrent(t *testing.T) {
	dbmate := os.Getenv("DBMATE")
	if dbmate == "" {
		t.Skip("DBMATE names no dbmate binary; make verify builds it")
	}
	for _, engine := range []struct {
		name, url, program, file string
	}{
		{"sqlite", "sqlite:" + filepath.Join(t.TempDir(), "schema.db"), "sqlite3", "schema.sql"},
		{"postgres", storetest.EmptyPostgresURL(t) + "&sslmode=disable", "pg_dump", "schema.postgres.sql"},
	} {
		t.Run(engine.name, func(t *testing.T) {
			is := is.New(t)
			if _, err := exec.LookPath(engine.program); err != nil {
				t.Fatalf("dbmate dumps a schema with %s, which is not installed", engine.program)
			}
			file := filepath.Join(t.TempDir(), engine.file)
			cmd := exec.Command(dbmate, "--url", engine.url, "--migrations-dir", "migrations/"+engine.name, "--schema-file", file, "up")
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("dbmate: %v: %s", err, output)
			}
			dump, err := os.ReadFile(file)
			is.NoErr(err)
			if *update {
				is.NoErr(os.WriteFile(engine.file, []byte(withoutVersions(string(dump))), 0o644))
				return
			}
			kept, err := os.ReadFile(engine.file)
			is.NoErr(err)
			if withoutVersions(string(dump)) != withoutVersions(string(kept)) {
				t.Errorf("db/%s is stale: run make generate", engine.file)
			}
		})
	}
}

// withoutVersions drops what differs between versions and runs of pg_dump: the lines that name them, the random key of
// \restrict, and settings that older servers do not know.
func withoutVersions(dump string) string {
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "-- Dumped ") || strings.HasPrefix(line, `\restrict `) || strings.HasPrefix(line, `\unrestrict `) ||
			strings.HasPrefix(line, "SET transaction_timeout ") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}
