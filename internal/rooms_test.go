// Package internal_test checks that the rooms of the code stay as docs/architecture.md draws them.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"
)

const module = "github.com/dgx-music/storage/"

// allowed are the rooms that each room may import. All may import storagedb. Floors are separated by empty lines: a
// room imports only rooms below it, so that nothing comes back up.
var allowed = map[string]string{
	"store":           "engine transfer maintain pythondb sqlite postgres migrate sqlitefile listing sqliteconn dbtx dburl dberr",
	"store/storetest": "store pgtest db",

	"internal/sqlite":   "engine commit listing dbtx dburl dberr sqliteconn sqlitefile",
	"internal/postgres": "engine commit listing dbtx dburl dberr",
	"internal/transfer": "engine migrate dbtx dburl dberr",
	"internal/maintain": "engine listing dberr",
	"internal/pythondb": "migrate sqlitefile sqliteconn dburl dberr",

	"internal/engine":     "listing dbtx dberr",
	"internal/migrate":    "sqliteconn dburl dberr db",
	"internal/sqlitefile": "sqliteconn dburl dberr",
	"internal/commit":     "dbtx dberr",

	"internal/listing":    "dberr",
	"internal/sqliteconn": "dburl dberr",
	"internal/dbtx":       "dberr",

	"internal/dburl": "",
	"internal/dberr": "",
	// For tests only. Nothing but storetest imports pgtest, and nothing but tests testkit.
	"internal/pgtest":  "",
	"internal/testkit": "store store/storetest",
	"internal/testrun": "pgtest", // the command of make test
}

// ownStoragedb are the rooms that may import an engine's own queries.
var ownStoragedb = map[string]string{"internal/sqlite": "sqlitedb", "internal/postgres": "pgdb"}

// drivers are the rooms that may import a driver.
var drivers = map[string]string{
	"modernc.org/sqlite":              "internal/sqlite internal/sqliteconn internal/sqlitefile internal/migrate",
	"modernc.org/sqlite/lib":          "internal/sqlite internal/sqliteconn internal/sqlitefile",
	"github.com/jackc/pgx/v5/pgxpool": "internal/postgres internal/migrate",
}

// maxLines bounds a room without its tests, so that one person can hold it.
var maxLines = map[string]int{"store": 3500}

const maxLinesOfARoom = 1600

type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func rooms(t *testing.T) []listed {
	t.Helper()
	output, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", module+"store/...",
		module+"internal/...").Output()
	is.New(t).NoErr(err)
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var room listed
		if err := decoder.Decode(&room); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(room.GoFiles) > 0 {
			all = append(all, room)
		}
	}
}

func TestRoomsImportOnlyWhatStandsBelowThem(t *testing.T) {
	seen := make(map[string]bool)
	for _, room := range rooms(t) {
		name := strings.TrimPrefix(room.ImportPath, module)
		seen[name] = true
		list, known := allowed[name]
		if !known {
			t.Errorf("%s is a room that this test does not know: give it a floor, here and in docs/architecture.md", name)
			continue
		}
		may := strings.Fields(list)
		for _, path := range room.Imports {
			if rooms, isDriver := drivers[path]; isDriver && !slices.Contains(strings.Fields(rooms), name) {
				t.Errorf("%s must not import the driver %s", name, path)
			}
			inner, ours := strings.CutPrefix(path, module)
			if !ours || inner == "storagedb" || inner == "storagedb/"+ownStoragedb[name] {
				continue
			}
			if !slices.Contains(may, strings.TrimPrefix(inner, "internal/")) {
				t.Errorf("%s must not import %s", name, inner)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("there is no room %s", name)
		}
	}
}

func TestRoomsAreSmall(t *testing.T) {
	is := is.New(t)
	for _, room := range rooms(t) {
		name, lines := strings.TrimPrefix(room.ImportPath, module), 0
		for _, file := range room.GoFiles {
			text, err := os.ReadFile(filepath.Join(room.Dir, file))
			is.NoErr(err)
			lines += bytes.Count(text, []byte("\n"))
		}
		most := maxLines[name]
		if most == 0 {
			most = maxLinesOfARoom
		}
		if lines > most {
			t.Errorf("%s has %d lines, and %d are the most: divide it", name, lines, most)
		}
	}
}
