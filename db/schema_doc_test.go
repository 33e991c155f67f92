package db_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// object is what a schema dump defines and docs/schema.md explains.
type object struct {
	kind, table, name string
}

func (o object) String() string {
	if o.table == "" {
		return o.kind + " " + o.name
	}
	return o.kind + " " + o.name + " of " + o.table
}

// objects maps each object to its definition: a column's type, an index's columns, a trigger's event.
type objects map[object]string

// dumps maps each engine, as docs/schema.md spells it, to its schema dump.
var dumps = map[string]string{"SQLite": "schema.sql", "PostgreSQL": "schema.postgres.sql"}

// TestSchemaDocIsCurrent compares docs/schema.md with the schema dumps of both engines.
func TestSchemaDocIsCurrent(t *testing.T) {
	is := is.New(t)
	text, err := os.ReadFile("../docs/schema.md")
	is.NoErr(err)
	documented, err := documentedObjects(string(text))
	is.NoErr(err)
	for engine, file := range dumps {
		dumped := dumpedObjects(t, file)
		for o, definition := range dumped {
			explained, found := documented[engine][o]
			if !found {
				t.Errorf("docs/schema.md lacks the %s, which db/%s has", o, file)
			} else if explained != definition {
				t.Errorf("docs/schema.md defines the %s as %q on %s, db/%s as %q", o, explained, engine, file, definition)
			}
		}
		for o := range documented[engine] {
			if _, found := dumped[o]; !found {
				t.Errorf("docs/schema.md has the %s, which db/%s lacks", o, file)
			}
		}
	}
}

// TestSchemaDocDiagram compares the diagram of docs/schema.md with PostgreSQL's dump.
func TestSchemaDocDiagram(t *testing.T) {
	is := is.New(t)
	text, err := os.ReadFile("../docs/schema.md")
	is.NoErr(err)
	_, diagram, found := strings.Cut(string(text), "```mermaid\n")
	is.True(found)
	diagram, _, _ = strings.Cut(diagram, "```")
	drawn := make(objects)
	for _, entity := range regexp.MustCompile(`(?s)\n    (\w+) \{\n(.*?)\n    \}`).FindAllStringSubmatch(diagram, -1) {
		drawn[object{"table", "", entity[1]}] = ""
		for line := range strings.Lines(entity[2]) {
			drawn[object{"column", entity[1], strings.Fields(line)[1]}] = ""
		}
	}
	dumped := dumpedObjects(t, dumps["PostgreSQL"])
	for o := range dumped {
		if o.kind != "table" && o.kind != "column" || o.name == "schema_migrations" || o.table == "schema_migrations" {
			continue
		}
		if _, found := drawn[o]; !found {
			t.Errorf("the diagram of docs/schema.md lacks the %s", o)
		}
	}
	for o := range drawn {
		if _, found := dumped[o]; !found {
			t.Errorf("the diagram of docs/schema.md has the %s, which db/%s lacks", o, dumps["PostgreSQL"])
		}
	}
}

// TestChecksAreNamedAfterTheirColumn holds the schema to a rule that docs/schema.md states: the store reads the refused
// field out of a constraint's name.
func TestChecksAreNamedAfterTheirColumn(t *testing.T) {
	for _, file := range dumps {
		dumped := dumpedObjects(t, file)
		checks := 0
		for table, body := range tables(dump(t, file)) {
			for _, found := range regexp.MustCompile(`CONSTRAINT (\w+) CHECK`).FindAllStringSubmatch(body, -1) {
				checks++
				column := strings.TrimSuffix(strings.TrimPrefix(found[1], table+"_"), "_check")
				if _, isColumn := dumped[object{"column", table, column}]; !isColumn || found[1] != table+"_"+column+"_check" {
					t.Errorf("db/%s: the constraint %s of %s is not named <table>_<column>_check", file, found[1], table)
				}
			}
		}
		if checks == 0 {
			t.Errorf("db/%s has no CHECK", file)
		}
	}
}

func TestSchemaDocReadsWhatItCompares(t *testing.T) {
	is := is.New(t)
	documented, err := documentedObjects("## Table `a`\n### Columns\n- `b` (`TEXT NULL`,\n  `text`): x.\n" +
		"- `c` (SQLite only: `ANY`): y.\n## Functions\n- `f` (): z.\n")
	is.NoErr(err)
	is.Equal(documented, map[string]objects{
		"SQLite":     {{"table", "", "a"}: "", {"column", "a", "b"}: "TEXT NULL", {"column", "a", "c"}: "ANY"},
		"PostgreSQL": {{"table", "", "a"}: "", {"column", "a", "b"}: "text", {"function", "", "f"}: ""},
	})
	_, err = documentedObjects("## Table `a`\n### Columns\n- `b`: no definition\n")
	is.True(err != nil)
	_, err = documentedObjects("## Table `a`\n### Columns\n- `b` (`TEXT`): x.\n- `b` (`TEXT`): twice.\n")
	is.True(err != nil)
}

var (
	docTable  = regexp.MustCompile("^#+ (Table|View) `(\\w+)`(?: \\((\\w+) only\\))?$")
	docObject = regexp.MustCompile("^- `(\\w+)` \\((?:(\\w+) only)?(.*?)\\): .")
	docCode   = regexp.MustCompile("`([^`]*)`")
)

// docSections maps a heading of docs/schema.md to the kind of object that its list explains.
var docSections = map[string]string{
	"Columns": "column", "Indexes": "index", "Foreign keys": "foreign key", "Triggers": "trigger",
	"Functions": "function", "Migrations": "migration",
}

// documentedObjects reads docs/schema.md: "## Table `name`", then lists under "### Columns" and the other headings of
// docSections. An item is "- `name` (`definition`): reason" or, if the engines differ, "- `name` (`SQLite's`,
// `PostgreSQL's`): reason", or "- `name` (SQLite only: `definition`): reason".
func documentedObjects(text string) (map[string]objects, error) {
	found := map[string]objects{"SQLite": {}, "PostgreSQL": {}}
	add := func(engine string, o object, definition string) error {
		if _, twice := found[engine][o]; twice {
			return fmt.Errorf("docs/schema.md has the %s twice", o)
		}
		found[engine][o] = definition
		return nil
	}
	var table, kind string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\n  ", " "), "\n") {
		if heading := docTable.FindStringSubmatch(line); heading != nil {
			table, kind = heading[2], ""
			for engine := range found {
				if heading[3] == "" || heading[3] == engine {
					if err := add(engine, object{strings.ToLower(heading[1]), "", table}, ""); err != nil {
						return nil, err
					}
				}
			}
			continue
		}
		if heading, isHeading := strings.CutPrefix(line, "## "); isHeading {
			table, kind = "", docSections[heading]
			continue
		}
		if heading, isHeading := strings.CutPrefix(line, "### "); isHeading && table != "" {
			kind = docSections[heading]
			continue
		}
		if kind == "" || !strings.HasPrefix(line, "- ") {
			continue
		}
		if kind == "migration" {
			version := docCode.FindStringSubmatch(line)
			if version == nil {
				return nil, fmt.Errorf("docs/schema.md: %q has no version", line)
			}
			for engine := range found {
				if err := add(engine, object{kind, "", version[1]}, ""); err != nil {
					return nil, err
				}
			}
			continue
		}
		item := docObject.FindStringSubmatch(line)
		if item == nil {
			return nil, fmt.Errorf("docs/schema.md: %q is not - `name` (`definition`): reason", line)
		}
		only := item[2]
		if kind == "function" {
			only = "PostgreSQL"
		}
		definitions := []string{}
		for _, code := range docCode.FindAllStringSubmatch(item[3], -1) {
			definitions = append(definitions, code[1])
		}
		for i, engine := range []string{"SQLite", "PostgreSQL"} {
			if only != "" && only != engine {
				continue
			}
			definition := ""
			if len(definitions) > 0 {
				definition = definitions[min(i, len(definitions)-1)]
			}
			if err := add(engine, object{kind, table, item[1]}, definition); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// dump reads a schema dump without its comments.
func dump(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	is.New(t).NoErr(err)
	return strings.ReplaceAll(regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(string(text), ""), "public.", "")
}

var (
	createTable = regexp.MustCompile(`(?m)^CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?["']?(\w+)["']? ` +
		`?(?:USING \w+ )?\(`)
	createView  = regexp.MustCompile(`(?m)^CREATE VIEW (\w+) AS[^;]*/\* \w+\(([\w,]+)\) \*/;`)
	createIndex = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+) (?:USING \w+ )?` +
		`\(([\w, ]+)\)(?: WITH \([^)]*\))?(\s+WHERE [^;]*)?;`)
	createTrigger = regexp.MustCompile(`(?m)^CREATE TRIGGER (\w+) ((?:BEFORE|AFTER) [A-Z]+(?: OF\s[\w,\s]+?)?)\sON (\w+)`)
	createFunc    = regexp.MustCompile(`(?m)^CREATE FUNCTION (\w+)\((.*?)\) RETURNS`)
	addConstraint = regexp.MustCompile(`(?m)^ALTER TABLE ONLY (\w+)\s+ADD (CONSTRAINT [^;]*);`)
	anyCreate     = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE |VIRTUAL |OR REPLACE )?\w+ `)
	version       = regexp.MustCompile(`\('(\d{14})'\)`)

	key        = regexp.MustCompile(`^CONSTRAINT (\w+) (?:PRIMARY KEY|UNIQUE) \(([\w, ]+)\)$`)
	foreignKey = regexp.MustCompile(`^CONSTRAINT (\w+) FOREIGN KEY \(([\w, ]+)\) REFERENCES (\w+) ?\(\w+\)(.*)$`)
	ofColumn   = regexp.MustCompile(`(?i)\s*\b(?:CONSTRAINT|CHECK|PRIMARY KEY|AUTOINCREMENT)\b.*`)
	cast       = regexp.MustCompile(`::\w+`)
)

// dumpedObjects reads a schema dump.
func dumpedObjects(t *testing.T, file string) objects {
	t.Helper()
	text := dump(t, file)
	found := make(objects)
	statements := 0
	for table, body := range tables(text) {
		statements++
		found[object{"table", "", table}] = ""
		for _, part := range split(body) {
			if addKey(found, table, part) {
				continue
			}
			name, definition, _ := strings.Cut(part, " ")
			switch name {
			case "CONSTRAINT", "PRIMARY":
			case "content", "content_rowid", "tokenize": // options of FTS5
			default:
				found[object{"column", table, name}] = columnType(definition)
			}
		}
	}
	for _, view := range createView.FindAllStringSubmatch(text, -1) {
		statements++
		found[object{"view", "", view[1]}] = ""
		for column := range strings.SplitSeq(view[2], ",") {
			found[object{"column", view[1], column}] = ""
		}
	}
	for _, index := range createIndex.FindAllStringSubmatch(text, -1) {
		statements++
		where := strings.NewReplacer("(", "", ")", "").Replace(cast.ReplaceAllString(index[4], ""))
		found[object{"index", index[2], index[1]}] = strings.Join(strings.Fields(index[3]+where), " ")
	}
	for _, trigger := range createTrigger.FindAllStringSubmatch(text, -1) {
		statements++
		found[object{"trigger", trigger[3], trigger[1]}] = strings.Join(strings.Fields(trigger[2]), " ")
	}
	for _, function := range createFunc.FindAllStringSubmatch(text, -1) {
		statements++
		found[object{"function", "", function[1]}] = function[2]
	}
	for _, constraint := range addConstraint.FindAllStringSubmatch(text, -1) {
		if !addKey(found, constraint[1], constraint[2]) {
			t.Errorf("db/%s: cannot read %q", file, constraint[0])
		}
	}
	for _, applied := range version.FindAllStringSubmatch(text, -1) {
		found[object{"migration", "", applied[1]}] = ""
	}
	if all := anyCreate.FindAllString(text, -1); len(all) != statements {
		t.Errorf("db/%s has %d CREATE statements, of which this test reads %d", file, len(all), statements)
	}
	return found
}

// addKey adds a table's constraint if it is a key.
func addKey(found objects, table, constraint string) bool {
	if unique := key.FindStringSubmatch(constraint); unique != nil {
		found[object{"index", table, unique[1]}] = unique[2]
		return true
	}
	if foreign := foreignKey.FindStringSubmatch(constraint); foreign != nil {
		found[object{"foreign key", table, foreign[1]}] = foreign[2] + " REFERENCES " + foreign[3] + foreign[4]
		return true
	}
	return false
}

// columnType returns a column's type and default, with NULL if it may hold that.
func columnType(definition string) string {
	notNull := regexp.MustCompile(`(?i)NOT NULL|PRIMARY KEY`).MatchString(definition)
	definition = ofColumn.ReplaceAllString(strings.ReplaceAll(definition, "NOT NULL", ""), "")
	definition = strings.ReplaceAll(cast.ReplaceAllString(definition, ""), "timestamp with time zone", "timestamptz")
	definition = strings.Join(strings.Fields(definition), " ")
	if definition != "" && !notNull {
		definition += " NULL"
	}
	return definition
}

// tables maps the name of each table to what stands in its parentheses.
func tables(text string) map[string]string {
	found := make(map[string]string)
	for _, at := range createTable.FindAllStringSubmatchIndex(text, -1) {
		body := text[at[1]:]
		end := closing(body)
		found[text[at[2]:at[3]]] = body[:end]
	}
	return found
}

// closing returns the index of the parenthesis that closes what text begins in.
func closing(text string) int {
	depth, quoted := 1, false
	for i, c := range text {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// split cuts what stands in a table's parentheses at its commas, and makes one line of each part.
func split(body string) (parts []string) {
	depth, quoted, start := 0, false, 0
	add := func(end int) { parts = append(parts, strings.Join(strings.Fields(body[start:end]), " ")) }
	for i, c := range body {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			add(i)
			start = i + 1
		}
	}
	add(len(body))
	return parts
}
