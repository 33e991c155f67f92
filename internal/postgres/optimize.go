package postgres

import (
	"context"
	"strings"

	"github.com/dgx-music/storage/internal/engine"
)

// tables are the store's own.
var tables = []string{
	"prompts", "prompts_search", "generations", "generation_metadata", "generation_errors", "generation_counters",
	"generation_queue",
}

// Optimize runs ANALYZE or VACUUM (ANALYZE) on the store's tables. Both take a lock that admits one of them per table,
// that writers do not need, and that autovacuum yields to.
func (e *Engine) Optimize(ctx context.Context, vacuum bool) error {
	command := "ANALYZE "
	if vacuum {
		command = "VACUUM (ANALYZE) "
	}
	return e.Read(ctx, func(q engine.Queries) error { // on the primary, and in no transaction
		_, err := q.DB.Exec(ctx, command+strings.Join(tables, ", "))
		return err
	})
}
