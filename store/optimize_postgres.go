package store

import (
	"context"
	"strings"

	"github.com/dgx-music/storage/storagedb"
)

// postgresTables are the store's own.
var postgresTables = []string{
	"prompts", "prompts_search", "generations", "generation_metadata", "generation_errors", "generation_counters", "generation_queue",
}

// optimize lets no two run at once on a table: both statements take a lock that autovacuum gives way to, and writers do not need.
func (e *postgresEngine) optimize(ctx context.Context, params OptimizeParams) error {
	command := "ANALYZE "
	if params.Vacuum {
		command = "VACUUM (ANALYZE) "
	}
	return e.read(ctx, func(db storagedb.DBTX) error { // on the primary, and in no transaction
		_, err := db.Exec(ctx, command+strings.Join(postgresTables, ", "))
		return err
	})
}
