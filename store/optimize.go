package store

import "context"

// OptimizeParams of [Store.Optimize]. The zero value is what is worth running once a day.
type OptimizeParams struct {
	Vacuum bool // also give back the room of what was deleted
}

// Optimize runs what keeps the engine fast, on the primary. It may run beside workers.
//
// On SQLite it merges the full-text index in small steps, between which others write; gathers the statistics by which queries
// are planned, from samples, for which the writer is held a tenth of a second; runs PRAGMA optimize; and brings the log back
// into the file and empties it, where nobody reads it. With Vacuum the file is written anew: writers wait for as long as that
// takes, which goes by the size of the file (1.3 seconds were measured with 140,000 generations, which is ten for each
// million), and those give up with ErrBusy whose BusyTimeout is shorter; readers go on. That needs room for two more of the
// file: one in the folder for temporary files ($SQLITE_TMPDIR or $TMPDIR), one for the log. Where there is not enough, nothing is
// changed, and the error says so.
//
// On PostgreSQL it runs ANALYZE on the store's own tables, with Vacuum VACUUM (ANALYZE), which keeps nobody from reading or
// writing and makes the room of what was deleted usable again. autovacuum does the same in time; this is for after a large
// Prune or Transfer. The user must own the tables, or the server passes them over with a warning.
//
// It returns ErrBusy where the writer, or a lock, was not to be had within BusyTimeout.
func (s *Store) Optimize(ctx context.Context, params OptimizeParams) error {
	return describe("optimize", s.engine.optimize(ctx, params))
}
