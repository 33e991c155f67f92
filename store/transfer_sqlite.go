package store

import (
	"context"

	"github.com/dgx-music/storage/storagedb"
)

// The highest ID of each AUTOINCREMENT is in sqlite_sequence, which may be written (https://www.sqlite.org/autoinc.html). sqlc
// does not know it.

func (e *sqliteEngine) lastPromptID(ctx context.Context, db storagedb.DBTX) (last int64, err error) {
	err = db.QueryRow(ctx, "SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = 'prompts'").Scan(&last)
	return last, err
}

// skipPromptIDs: SQLite has made the row where a prompt was ever inserted, and has let it follow what was inserted.
func (e *sqliteEngine) skipPromptIDs(ctx context.Context, db storagedb.DBTX, upTo int64) error {
	changed, err := db.Exec(ctx, "UPDATE sqlite_sequence SET seq = max(seq, $1) WHERE name = 'prompts'", upTo)
	if err != nil || changed.RowsAffected() > 0 {
		return err
	}
	_, err = db.Exec(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES ('prompts', $1)", upTo)
	return err
}
