package db

import (
	"embed"
	"strings"
)

//go:embed objects.sqlite.txt objects.postgres.txt
var objects embed.FS

// Objects returns what any version of the schema has had of an engine: its tables, and for each table its columns,
// indexes, triggers and constraints, as ObjectsQuery names them. Whatever else is at one of these tables belongs to the
// user, and no migration may drop it without a word.
func Objects(engine string) (map[string]bool, error) {
	text, err := objects.ReadFile("objects." + engine + ".txt")
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		known[strings.TrimSpace(line)] = true
	}
	return known, nil
}

// ObjectsQuery returns a query for the objects in a database of an engine, such as "table generations" and "index
// prompts.idx_prompts_text". On PostgreSQL it reads the schema that comes first in the search_path.
func ObjectsQuery(engine string) string {
	if engine == "sqlite" {
		return `
			SELECT 'table ' || name FROM sqlite_schema WHERE type = 'table'
			UNION ALL SELECT type || ' ' || tbl_name || '.' || name FROM sqlite_schema
			WHERE type IN ('index', 'trigger') AND name NOT LIKE 'sqlite^_%' ESCAPE '^'
			UNION ALL SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
			WHERE t.type = 'table'`
	}
	return `
		WITH tables AS (
			SELECT c.oid, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')
		)
		SELECT 'table ' || relname FROM tables
		UNION ALL SELECT 'column ' || t.relname || '.' || a.attname FROM tables AS t
		JOIN pg_attribute AS a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped
		UNION ALL SELECT 'index ' || t.relname || '.' || i.relname FROM tables AS t
		JOIN pg_index AS x ON x.indrelid = t.oid JOIN pg_class AS i ON i.oid = x.indexrelid
		UNION ALL SELECT 'trigger ' || t.relname || '.' || g.tgname FROM tables AS t
		JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
		UNION ALL SELECT 'constraint ' || t.relname || '.' || k.conname FROM tables AS t
		JOIN pg_constraint AS k ON k.conrelid = t.oid WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
		UNION ALL SELECT 'policy ' || t.relname || '.' || p.polname FROM tables AS t
		JOIN pg_policy AS p ON p.polrelid = t.oid
		UNION ALL SELECT 'rule ' || t.relname || '.' || r.rulename FROM tables AS t
		JOIN pg_rewrite AS r ON r.ev_class = t.oid`
}
