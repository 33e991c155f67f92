package db_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// column is a field of a generated struct.
type column struct {
	name     string // in SQL
	field    string // in Go
	typeName string
}

// carried are the tables whose whole rows Transfer copies, with their models and the queries that copy them.
var carried = []struct{ table, model, copy, file string }{
	{"prompts", "Prompt", "CopyPrompts", "transfer.sql"},
	{"generations", "Generation", "CopyGenerations", "generations.sql"},
	{"generation_errors", "GenerationError", "CopyGenerationErrors", "transfer.sql"},
}

// sameOnBothEngines are the types that hold the same values on both engines.
var sameOnBothEngines = []string{
	"int64", "*int64", "float64", "*float64", "string", "*string", "bool", "*bool",
	"time.Time", "*time.Time", "uuid.UUID", "*uuid.UUID", "Status", "Metadata",
}

// Lists of columns that are kept by hand must have every column. A list that lacks one often keeps a package from
// compiling, with an error that does not name the list. So this test compiles none of the lists: it reads their source.
func TestEveryColumnIsListed(t *testing.T) {
	rows := structs(t, "../storagedb/*.go")
	for _, c := range carried {
		sameColumns(t, "db/queries/"+c.file+": "+c.copy, names(rows[c.copy+"Params"]), c.table, names(rows[c.model]))
		for _, column := range rows[c.model] {
			if !slices.Contains(sameOnBothEngines, column.typeName) {
				t.Errorf("db/migrations/postgres: %s.%s is a %s in Go: take BIGINT, DOUBLE PRECISION, TEXT, BOOLEAN, "+
					"TIMESTAMPTZ or UUID, which hold the same values as SQLite's columns", c.table, column.name, column.typeName)
			}
		}
	}
	for _, engine := range []struct{ folder, remedy string }{
		{"pgdb", "both packages of PostgreSQL need the same overrides"},
		{"sqlitedb", `the overrides of "SQLite only" say what a column means that is no number or text in Go`},
	} {
		own := structs(t, "../storagedb/"+engine.folder+"/*.go")
		for _, c := range carried {
			for _, column := range own[c.model] {
				for _, shared := range rows[c.model] {
					if shared.name == column.name && shared.typeName != column.typeName {
						t.Errorf("sqlc.yaml: %s.%s is a %s in %s, and a %s in storagedb: %s",
							c.table, column.name, column.typeName, engine.folder, shared.typeName, engine.remedy)
					}
				}
			}
		}
	}
	sameColumns(t, "storagedb/newest.go: columns", match(t, "../storagedb/newest.go", `(?s)return \[\]any\{(.*?)\}`),
		"Generation", scanned(rows["Generation"]))
	// What a creation inserts is said once for each way in.
	sameColumns(t, "db/queries/postgres/generations.sql: CreateGenerations",
		match(t, "queries/postgres/generations.sql", `(?s)INSERT INTO generations \((.*?)\)`),
		"InsertGenerations in db/queries/generations.sql", names(rows["InsertGenerationsParams"]))
}

// The benchmark's peers read and write what the store does, or they would be measured at less work.
func TestEveryColumnIsReadByThePeers(t *testing.T) {
	const record, schema = "bench/peers/record.go", "bench/peers/ent/schema/schema.go"
	row := structs(t, "../storagedb/models.go")["Generation"]
	sameColumns(t, record+": record", fields(structs(t, "../"+record)["record"]), "Generation", fields(row))
	sameColumns(t, record+": columns", match(t, "../"+record, "(?s)columns += `(.*?)`"), "Generation", names(row))
	sameColumns(t, record+": scan", match(t, "../"+record, `(?s)row\.Scan\((.*?)\)`), "Generation", scanned(row))
	var ent []string
	for _, element := range match(t, "../"+schema, `(?s)func \(Generation\) Fields\(\) \[\]ent\.Field \{(.*?)\n\}`) {
		if name := regexp.MustCompile(`\("([a-z_]+)"`).FindStringSubmatch(element); name != nil {
			ent = append(ent, name[1])
		}
	}
	sameColumns(t, schema+": Generation", ent, "Generation", names(row))
}

// sameColumns reports how a list differs from the model.
func sameColumns(t *testing.T, list string, got []string, model string, want []string) {
	t.Helper()
	without := func(all, some []string) string {
		left := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(some, c) })
		return strings.Join(left, ", ")
	}
	lacks, surplus := without(want, got), without(got, want)
	switch {
	case lacks != "":
		t.Errorf("%s lacks %s, which %s has", list, lacks, model)
	case surplus != "":
		t.Errorf("%s has %s, which %s lacks", list, surplus, model)
	case !slices.Equal(got, want):
		t.Errorf("%s has another order than %s: %s", list, model, strings.Join(want, ", "))
	}
}

// structs parses the structs of Go files, of which a glob pattern is given.
func structs(t *testing.T, pattern string) map[string][]column {
	t.Helper()
	is := is.New(t)
	files, err := filepath.Glob(pattern)
	is.NoErr(err)
	found := make(map[string][]column)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		is.NoErr(err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			of, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range of.Fields.List {
				for _, name := range field.Names { // an embedded one has none
					c := column{field: name.Name, typeName: strings.ReplaceAll(types.ExprString(field.Type), "storagedb.", "")}
					if field.Tag != nil {
						tag, err := strconv.Unquote(field.Tag.Value)
						is.NoErr(err)
						c.name = reflect.StructTag(tag).Get("json")
					}
					found[spec.Name.Name] = append(found[spec.Name.Name], c)
				}
			}
			return true
		})
	}
	return found
}

// match returns the elements, between commas, of what a pattern's group matches in a file.
func match(t *testing.T, file, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	is.New(t).NoErr(err)
	group := regexp.MustCompile(pattern).FindSubmatch(text)
	if group == nil {
		t.Fatalf("%s has nothing like %s", file, pattern)
	}
	var elements []string
	for element := range strings.SplitSeq(string(group[1]), ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}

func names(columns []column) (names []string) {
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

func fields(columns []column) (fields []string) {
	for _, c := range columns {
		fields = append(fields, c.field)
	}
	return fields
}

// scanned returns where a row's columns are scanned to, as Go source.
func scanned(columns []column) (targets []string) {
	for _, c := range columns {
		targets = append(targets, "&g."+c.field)
	}
	return targets
}
