package testkit

import (
	"database/sql"
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// PythonSchema is the schema of the Python service's database, as Alembic has written it.
//
//go:embed testdata/alembic-001-schema.sql
var PythonSchema string

//go:embed testdata/python-alembic.db
var pythonFile []byte

// PythonDatabase makes a database as the Python service's init_db() does, and runs the statements on it.
func PythonDatabase(t testing.TB, statements ...string) (path, url string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "generations.db")
	OnFile(t, path, append([]string{PythonSchema, "DROP TABLE alembic_version"}, statements...)...)
	return path, "sqlite://" + path
}

// PythonFile copies a database with 120 generations that the service has made to a directory of its own.
func PythonFile(t testing.TB) (path, url string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "generations.db")
	if err := os.WriteFile(path, pythonFile, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, "sqlite://" + path
}

// OnFile runs statements on a SQLite file as any other program would.
func OnFile(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// PythonRows returns the rows of a table by their first column, as text, as the service reads them.
func PythonRows(t testing.TB, path, table string) map[string][]string {
	t.Helper()
	columns := "id, text, used_count, first_used_at, last_used_at"
	if table == "generations" {
		columns = `id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, file_size_bytes, status,
			created_at, completed_at, generation_time_seconds, error_message, metadata`
	}
	var names []string
	for name := range strings.SplitSeq(columns, ",") { // as text, since modernc reads times in its own way
		names = append(names, "coalesce(CAST("+strings.TrimSpace(name)+" AS TEXT), 'NULL')")
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT " + strings.Join(names, ", ") + " FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string][]string)
	for rows.Next() {
		row := make([]string, len(names))
		into := make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all[row[0]] = row
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// WantFiles fails the test unless these are all files of the database's directory, apart from the log of an open one.
func WantFiles(t *testing.T, path string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	is := is.New(t)
	is.NoErr(err)
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, "-wal") && !strings.HasSuffix(name, "-shm") {
			names = append(names, name)
		}
	}
	is.Equal(names, want)
}
