package sqlitefile

import (
	"context"
	"strings"

	"github.com/dgx-music/storage/storagedb"
)

const searchIndex = "prompts_search"

// CompareSearchIndex returns an error of code SQLITE_CORRUPT_VTAB if the full-text index is wrong.
func CompareSearchIndex(ctx context.Context, conn storagedb.DBTX) error {
	var created string
	err := conn.QueryRow(ctx, "SELECT sql FROM sqlite_schema WHERE name = $1", searchIndex).Scan(&created)
	if err != nil {
		return err
	}
	statements := []string{
		"ATTACH '' AS copy",
		"PRAGMA copy.journal_mode = OFF", // the copy is thrown away
		"BEGIN",
		"CREATE TABLE copy.prompts (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
		"INSERT INTO copy.prompts (id, text) SELECT id, text FROM main.prompts",
		strings.Replace(created, searchIndex, "copy."+searchIndex, 1),
	}
	for _, part := range []string{"data", "idx", "docsize", "config"} {
		table := searchIndex + "_" + part
		statements = append(statements, "DELETE FROM copy."+table, "INSERT INTO copy."+table+" SELECT * FROM main."+table)
	}
	statements = append(statements, "COMMIT",
		"INSERT INTO copy.prompts_search (prompts_search, rank) VALUES ('integrity-check', 1)")
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
