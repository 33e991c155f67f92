package store

import "context"

// OptimizeParams of [Store.Optimize]. The zero value is worth running once a day.
type OptimizeParams struct {
	Vacuum bool // also gives back the room of deleted rows
}

// Optimize keeps the engine fast. It runs on the primary, and beside workers.
//
// On SQLite it merges the full-text index in small steps, between which others write. It gathers statistics from
// samples, for which it holds the writer a tenth of a second, and runs PRAGMA optimize. It brings the log back into the
// file, and empties it if nobody reads it. With Vacuum it writes the file anew, and writers wait meanwhile: the time
// grows with the file, and 1.3 seconds were measured with 140,000 generations. Writers with a shorter BusyTimeout
// return ErrBusy; readers go on. Vacuum needs room for two copies of the file: one in the directory for temporary files
// ($SQLITE_TMPDIR or $TMPDIR), one for the log. If there is not enough, nothing is changed, and the error says so.
//
// On PostgreSQL it runs ANALYZE on the store's own tables, or with Vacuum VACUUM (ANALYZE), which blocks neither
// readers nor writers and makes the room of deleted rows usable again. autovacuum does the same in time; this is for
// after a large Prune or Transfer. The user must own the tables, or the server skips them with a warning.
//
// It returns ErrBusy if the writer, or a lock, was not available within BusyTimeout.
func (s *Store) Optimize(ctx context.Context, params OptimizeParams) error {
	return describe("optimize", s.engine.Optimize(ctx, params.Vacuum))
}
