package storagedb_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store/storetest"
)

// Each statement of each generated package must be one that its engine prepares. sqlc checks the queries against the
// schema, but not the statements that it writes.
func TestEveryStatementPrepares(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := storetest.Open(t)
		for name, text := range statements(t, ".", "sqlitedb") {
			if _, err := s.DB().Exec(t.Context(), "EXPLAIN "+text, make([]any, parameters(text))...); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("postgres", func(t *testing.T) {
		is := is.New(t)
		conn, err := pgx.Connect(t.Context(), storetest.PostgresURL(t))
		is.NoErr(err)
		defer conn.Close(t.Context())
		for name, text := range statements(t, ".", "pgdb") {
			if _, err := conn.Prepare(t.Context(), name, text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// statements returns the statements of generated packages, which are in the given directories, by package and constant.
func statements(t *testing.T, directories ...string) map[string]string {
	t.Helper()
	is := is.New(t)
	found := make(map[string]string)
	for _, directory := range directories {
		files, err := filepath.Glob(filepath.Join(directory, "*.sql.go"))
		is.NoErr(err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			is.NoErr(err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || len(spec.Values) != 1 {
					return true
				}
				literal, ok := spec.Values[0].(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				is.NoErr(err)
				if strings.HasPrefix(text, "-- name: ") {
					found[directory+"."+spec.Names[0].Name] = text[strings.Index(text, "\n"):]
				}
				return true
			})
		}
	}
	if len(found) < 15 {
		t.Fatalf("found %d statements in %v", len(found), directories)
	}
	return found
}

// parameters returns the highest number after a $ or a ?.
func parameters(text string) (highest int) {
	for i, c := range text {
		if c != '$' && c != '?' {
			continue
		}
		digits := 0
		for i+1+digits < len(text) && text[i+1+digits] >= '0' && text[i+1+digits] <= '9' {
			digits++
		}
		if number, err := strconv.Atoi(text[i+1 : i+1+digits]); err == nil {
			highest = max(highest, number)
		}
	}
	return highest
}
