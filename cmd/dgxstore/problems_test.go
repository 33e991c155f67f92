package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// pythonDatabase copies a database file of the Python service, and runs the statements on the copy.
func pythonDatabase(t testing.TB, statements ...string) (path, url string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", "testkit", "testdata", "python-alembic.db"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "generations.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	onFile(t, path, statements...)
	return path, "sqlite:" + filepath.ToSlash(path)
}

// onFile runs statements past the store, which would refuse them.
func onFile(t testing.TB, path string, statements ...string) {
	t.Helper()
	database, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	database.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := database.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMigratePythonDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := pythonDatabase(t)
	for _, name := range []string{"list", "status"} {
		r := dgxstore(t, name, "--database", url)
		is.Equal(r.code, exitSchema)
		is.True(strings.Contains(r.stderr, "dgxstore migrate"))
	}
	r := dgxstore(t, "migrate", "--database", url)
	is.Equal(r.code, exitDone)
	is.True(strings.Contains(r.stdout, "adopted a database of the Python service: 120 generations, "))
	is.True(strings.Contains(r.stdout, "kept a copy of the original database: "+path+".before-v2\n"))
	is.True(!strings.Contains(dgxstore(t, "migrate", "--database", url).stdout, "adopted"))

	// Restore the copy, and adopt it once more.
	r = dgxstore(t, "restore", path+".before-v2", "--database", url)
	is.Equal(r.code, exitDeclined)
	is.True(strings.Contains(r.stderr, "and its 120 generations with the backup"))
	r = dgxstore(t, "restore", path+".before-v2", "--yes", "--database", url)
	is.Equal(r.code, exitDone)
	is.True(strings.Contains(r.stdout, "dgxstore migrate"))
	r = dgxstore(t, "restore", path+".before-v2", "--database", url)
	is.True(strings.Contains(r.stderr, ", a database of the Python service, with"))
	var done migrated
	dgxstore(t, "migrate", "--json", "--database", url).decode(t, &done)
	is.True(strings.HasPrefix(done.Adopted.CopyPath, path+".before-v2"))
	is.True(exists(done.Adopted.CopyPath))
	is.Equal(done.Adopted.Generations, int64(120))
	is.True(done.Adopted.Prompts > 0)
}

func TestMigrateUnfitPythonDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := pythonDatabase(t, "UPDATE generations SET duration_seconds = -1",
		"UPDATE generations SET id = 'no \x1b[31mid' || char(10) WHERE rowid = 1")
	before, err := os.ReadFile(path)
	is.NoErr(err)
	r := dgxstore(t, "migrate", "--database", url)
	is.Equal(r.code, exitData)
	checkHarmless(t, r.stderr)
	lines := strings.Split(r.stderr, "\n")
	is.True(strings.HasPrefix(r.stderr[strings.Index(r.stderr, "dgxstore: "):], "dgxstore: nothing was changed: "+
		"this database of the Python service has 121 problems; the first 100 are:\n"))
	is.True(strings.Count(r.stderr, "\n- generations ") == 100)
	is.True(len(lines) < 105)

	var failure struct {
		Error    string    `json:"error"`
		Code     int       `json:"code"`
		Problems []problem `json:"problems"`
	}
	is.NoErr(json.Unmarshal([]byte(dgxstore(t, "migrate", "--json", "--database", url).stderr), &failure))
	is.Equal(failure.Code, exitData)
	is.Equal(len(failure.Problems), 100)
	is.Equal(failure.Problems[0].Table, "generations")
	is.True(failure.Problems[0].Remedy != "")
	after, err := os.ReadFile(path)
	is.NoErr(err)
	is.Equal(string(before), string(after))
}

func TestTransferUnfitRows(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	from := storetest.URL(t)
	s := openNow(t, from)
	create(t, s, beat("trap beat"))
	is.NoErr(s.Close())
	path := strings.TrimPrefix(from, "sqlite:")
	onFile(t, path, "UPDATE prompts SET text = printf('%.*c', 3000, 'x')")
	to, made := missingURL(t)
	r := dgxstore(t, "transfer", "--from", from, "--to", to)
	is.Equal(r.code, exitData)
	is.True(strings.Contains(r.stderr,
		"dgxstore: nothing was written: the source has 1 problem:\n- prompts 1, text "))
	is.True(!exists(made))
	var failure struct {
		Problems []problem `json:"problems"`
	}
	is.NoErr(json.Unmarshal([]byte(dgxstore(t, "transfer", "--json", "--from", from, "--to", to).stderr), &failure))
	is.Equal(failure.Problems[0].Row, "1")

	// A row that only the destination's schema refuses is a data error, not a usage error.
	onFile(t, path, "UPDATE prompts SET text = 'trap beat'", "PRAGMA ignore_check_constraints = ON",
		"UPDATE generations SET channels = 9")
	r = dgxstore(t, "transfer", "--from", from, "--to", to)
	is.Equal(r.code, exitData)
	is.True(strings.Contains(r.stderr, "channels"))
}

// The error is for operators if another process writes during a transfer.
func TestTransferMismatch(t *testing.T) {
	is := is.New(t)
	err := forOperators(&store.TransferMismatchError{
		Table: "prompts", Source: store.TransferredTable{Rows: 1000}, Destination: store.TransferredTable{Rows: 999},
	})
	is.Equal(exitCode(err), exitData)
	is.True(strings.Contains(err.Error(),
		"table prompts differs: 1,000 rows in the source, 999 in the destination"))
}
