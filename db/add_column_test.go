package db_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// added are new columns of generations, one for each kind of type that CONTRIBUTING.md names.
var added = []struct{ name, postgres, sqlite, field, peersType, entField, hash, doc string }{
	{
		"rating", "BIGINT CHECK (rating BETWEEN 1 AND 5)", "INTEGER CHECK (rating BETWEEN 1 AND 5)",
		"Rating", "*int64", "Int64(%s).Optional().Nillable()", "optionalInteger",
		"INTEGER NULL`, `bigint NULL",
	},
	{
		"plays", "SMALLINT NOT NULL DEFAULT 0", "INTEGER NOT NULL DEFAULT 0",
		"Plays", "int64", "Int64(%s).Default(0)", "integer",
		"INTEGER DEFAULT 0`, `smallint DEFAULT 0",
	},
	{
		"loudness", "DOUBLE PRECISION", "REAL",
		"Loudness", "*float64", "Float(%s).Optional().Nillable()", "optionalFloat",
		"REAL NULL`, `double precision NULL",
	},
	{
		"note", "TEXT", "TEXT",
		"Note", "*string", "String(%s).Optional().Nillable()", "optionalText",
		"TEXT NULL`, `text NULL",
	},
	{
		"approved", "BOOLEAN NOT NULL DEFAULT FALSE", "INTEGER NOT NULL DEFAULT 0 CHECK (approved IN (0, 1))",
		"Approved", "bool", "Bool(%s).Default(false)", "boolean",
		"INTEGER DEFAULT 0`, `boolean DEFAULT false",
	},
	{
		"rated_at", "TIMESTAMPTZ", "TEXT CHECK (rated_at GLOB '????-??-?? ??:??:??.??????')",
		"RatedAt", "*T", "String(%s).GoType(stamp.Time{}).Optional().Nillable()", "optionalTime",
		"TEXT NULL`, `timestamptz NULL",
	},
}

// The test takes the steps that CONTRIBUTING.md gives for a new column, in a copy of the repository. It also leaves out
// each of them once: make verify must name it.
func TestAddingAColumn(t *testing.T) {
	if os.Getenv("TEST_ALL") == "" {
		t.Skip("it generates, verifies and compiles a copy of the repository; TEST_ALL=1 runs it, as make test-all does")
	}
	s := newScratch(t)
	var names, targets, hashes []string
	var postgres, sqlite, down, peers, ent, drawn, explained string
	for _, c := range added {
		postgres += "ALTER TABLE generations ADD COLUMN " + c.name + " " + c.postgres + ";\n"
		sqlite += "ALTER TABLE generations ADD COLUMN " + c.name + " " + c.sqlite + ";\n"
		down += "ALTER TABLE generations DROP COLUMN " + c.name + ";\n"
		drawn += "\n        type " + c.name
		explained += "\n- `" + c.name + "` (`" + c.doc + "`): a reason."
		names, targets = append(names, c.name), append(targets, "&g."+c.field)
		hashes = append(hashes, c.hash+"(g."+c.field+")")
		peers += "\n\t" + c.field + " " + c.peersType
		ent += "\n\t\tfield." + strings.Replace(c.entField, "%s", `"`+c.name+`"`, 1) + ","
	}
	list, targetList := strings.Join(names, ", "), strings.Join(targets, ", ")

	s.run("make", "db-new", "NAME=add_columns")
	postgresFile := s.find("db/migrations/postgres/*_add_columns.sql")
	sqliteFile := s.find("db/migrations/sqlite/*_add_columns.sql")
	s.write(postgresFile, "-- migrate:up\n\n"+postgres+"\n-- migrate:down\n\n"+down)
	s.write(sqliteFile, "-- migrate:up\n\n"+sqlite+"\n-- migrate:down\n\n"+down)

	const (
		meanings, copying = "sqlc.yaml", "db/queries/generations.sql"
		newest            = "storagedb/newest.go"
		record, entSchema = "bench/peers/record.go", "bench/peers/ent/schema/schema.go"
		page              = "docs/schema.md"
	)
	version := filepath.Base(postgresFile)[:len("20060102150405")]
	hash, fit := s.fileOf("func encodeGeneration("), s.fileOf("func fitGeneration(")
	edits := []edit{
		{meanings, `(name: SQLite only.*overrides:)`, "${1}\n" +
			"          - {column: \"*.approved\", go_type: bool}\n" +
			"          - {column: \"*.rated_at\", go_type: {import: time, type: Time, pointer: true}}"},
		{copying, `(-- name: CopyGenerations .*?)(\n\)\nVALUES \(.*?)(\n\))`,
			"${1}, " + list + "${2}, @" + strings.Join(names, ", @") + "${3}"},
		{newest, `(return \[\]any\{.*?,)(\n\t\})`, "${1}\n\t\t" + targetList + ",${2}"},
		{record, `(type record\[.*?)(\n\})`, "${1}" + peers + "${2}"},
		{record, "(columns += `.*?)`", "${1}, " + list + "`"},
		{record, `(row\.Scan\(.*?)\)`, "${1}, " + targetList + ")"},
		{entSchema, `(func \(Generation\) Fields\(\) .*?)(\n\t\}\n)`, "${1}" + ent + "${2}"},
		{page, `(\n    generations \{[^}]*?)(\n    \})`, "${1}" + drawn + "${2}"},
		{page, "(## Table `generations`\n.*?)(\n\n### Indexes)", "${1}" + explained + "${2}"},
		{page, "(## Migrations\n.*)$", "${1}- `" + version + "`: a reason.\n"},
		{hash, `(func encodeGeneration\(.*?return e\.)`, "${1}" + strings.Join(hashes, ".") + "."},
		{fit, `(func fitGeneration\(.*?value \*string\n\t\}\{)`, "${1}\n\t\t" + `{"note", g.Note},`},
		{fit, `(func fitGeneration\(.*?value \*time\.Time\n\t\}\{)`, "${1}\n\t\t" + `{"rated_at", g.RatedAt},`},
	}
	listed := []string{meanings, copying, newest, record, entSchema, page} // what is checked before anything compiles
	s.keep(postgresFile, sqliteFile)

	// Without the migration of one engine.
	s.write(sqliteFile, "-- migrate:up\n\n-- migrate:down\n")
	s.fails([]string{"generations differs between the engines"}, "make", "generate")
	s.restore(sqliteFile)
	// Without make generate.
	s.fails([]string{"db/schema.sql is stale: run make generate"}, "make", "verify")
	// Without the lists, and with a type that holds other values on PostgreSQL.
	s.write(postgresFile, strings.ReplaceAll(s.read(postgresFile), "DOUBLE PRECISION", "REAL"))
	s.run("make", "generate")
	s.fails([]string{
		"db/migrations/postgres: generations.loudness is a *float32",
		"sqlc.yaml: generations.approved is a int64 in sqlitedb, and a bool in storagedb",
		"sqlc.yaml: generations.rated_at is a *string in sqlitedb, and a *time.Time in storagedb",
		copying + ": CopyGenerations lacks " + list,
		newest + ": columns lacks " + targetList,
		record + ": record lacks Rating",
		record + ": columns lacks " + list,
		record + ": scan lacks " + targetList,
		entSchema + ": Generation lacks " + list,
		page + " lacks the column rating of generations, which db/schema.sql has",
		"the diagram of " + page + " lacks the column rating of generations",
		page + " lacks the migration " + version,
	}, "make", "verify")
	s.restore(postgresFile)
	// Without what the transfer does with each column.
	s.apply(edits, listed...)
	s.run("make", "generate")
	leftOut := []string{"fitGeneration leaves out note", "fitGeneration leaves out rated_at"}
	for _, name := range names {
		leftOut = append(leftOut, "encodeGeneration leaves out "+name)
	}
	s.fails(leftOut, "make", "verify")
	// With all of it.
	s.apply(edits, hash, fit)
	s.run("make", "generate")
	s.run("make", "verify")
	s.write("added/added_test.go", s.read("db/testdata/added_columns_test.go"))
	s.run("go", "test", "./added")
	s.run("go", "test", "./store", "-run", "TestCreateGenerationStoresEveryField|TestNewestPage|TestCopy$|TestTransfer$")
}

// edit is a change of a file, of what a regular expression matches in it.
type edit struct{ file, pattern, replacement string }

// scratch is a copy of the repository.
type scratch struct {
	*testing.T
	folder string
	kept   map[string]string // files as they were
}

func newScratch(t *testing.T) *scratch {
	t.Helper()
	is := is.New(t)
	s := &scratch{T: t, folder: t.TempDir(), kept: make(map[string]string)}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	files, err := list.Output()
	is.NoErr(err)
	for file := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		if text, err := os.ReadFile(filepath.Join("..", file)); !os.IsNotExist(err) { // it may be deleted
			is.NoErr(err)
			s.write(file, string(text))
		}
	}
	// make builds it otherwise.
	if dbmate, err := os.ReadFile("../.bin/dbmate"); err == nil {
		s.write(".bin/dbmate", string(dbmate))
		is.NoErr(os.Chmod(filepath.Join(s.folder, ".bin/dbmate"), 0o755))
	}
	return s
}

func (s *scratch) read(file string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, file))
	is.New(s).NoErr(err)
	return string(text)
}

func (s *scratch) write(file, text string) {
	s.Helper()
	is := is.New(s)
	path := filepath.Join(s.folder, file)
	is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
	is.NoErr(os.WriteFile(path, []byte(text), 0o644))
}

func (s *scratch) keep(files ...string) {
	s.Helper()
	for _, file := range files {
		s.kept[file] = s.read(file)
	}
}

func (s *scratch) restore(file string) {
	s.Helper()
	s.write(file, s.kept[file])
}

// find returns the one file that a glob pattern matches.
func (s *scratch) find(pattern string) string {
	s.Helper()
	is := is.New(s)
	found, err := filepath.Glob(filepath.Join(s.folder, pattern))
	is.NoErr(err)
	is.Equal(len(found), 1)
	file, err := filepath.Rel(s.folder, found[0])
	is.NoErr(err)
	return file
}

// fileOf returns the Go file that has a text, wherever it has moved to.
func (s *scratch) fileOf(text string) string {
	s.Helper()
	is := is.New(s)
	grep := exec.Command("grep", "-rlF", "--include=*.go", "--exclude=*_test.go", text, ".")
	grep.Dir = s.folder
	found, err := grep.Output()
	is.NoErr(err)
	is.Equal(strings.Count(string(found), "\n"), 1)
	return filepath.Clean(strings.TrimSpace(string(found)))
}

// apply makes the edits of some files.
func (s *scratch) apply(edits []edit, files ...string) {
	s.Helper()
	for _, e := range edits {
		if !slices.Contains(files, e.file) {
			continue
		}
		pattern, text := regexp.MustCompile("(?s)"+e.pattern), s.read(e.file)
		if found := len(pattern.FindAllString(text, -1)); found != 1 {
			s.Fatalf("%s has %d places like %s", e.file, found, e.pattern)
		}
		s.write(e.file, pattern.ReplaceAllString(text, e.replacement))
	}
}

// run runs a command that must succeed.
func (s *scratch) run(command ...string) {
	s.Helper()
	if output, err := s.output(command...); err != nil {
		s.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, output)
	}
}

// fails runs a command that must fail and say the messages.
func (s *scratch) fails(messages []string, command ...string) {
	s.Helper()
	output, err := s.output(command...)
	if err == nil {
		s.Errorf("%s does not fail", strings.Join(command, " "))
	}
	for _, message := range messages {
		if !strings.Contains(output, message) {
			s.Errorf("%s does not say %q:\n%s", strings.Join(command, " "), message, output)
		}
	}
}

func (s *scratch) output(command ...string) (string, error) {
	began := time.Now()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = s.folder
	for _, variable := range os.Environ() { // the test may run under make itself
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains([]string{"TEST_ALL", "DBMATE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}, name) {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	output, err := cmd.CombinedOutput()
	s.Logf("%s took %v", strings.Join(command, " "), time.Since(began).Round(time.Second))
	return string(output), err
}
