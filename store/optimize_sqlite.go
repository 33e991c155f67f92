package store

import (
	"context"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

const (
	// searchMergePages is how much of the full-text index a step merges, which is how long it holds the writer.
	searchMergePages = "64"
	// maxSearchMerges ends the merging where others write as fast as it merges.
	maxSearchMerges = 100_000
	// truncatePatience is how long writers may have to wait for readers that still read the log.
	truncatePatience = 100 * time.Millisecond
)

func (e *sqliteEngine) optimize(ctx context.Context, params OptimizeParams) error {
	if err := e.mergeSearchIndex(ctx); err != nil {
		return err
	}
	if params.Vacuum {
		if err := e.vacuum(ctx); err != nil {
			return err
		}
	}
	if err := e.analyze(ctx); err != nil {
		return err
	}
	return e.emptyLog(ctx)
}

// mergeSearchIndex does what FTS5's 'optimize' does in one go, in steps: the first marks all segments as ones to be merged.
// https://www.sqlite.org/fts5.html#the_merge_command
func (e *sqliteEngine) mergeSearchIndex(ctx context.Context) error {
	pages := "-" + searchMergePages
	for range maxSearchMerges {
		var before, after int64
		var took time.Duration
		if err := e.writeMany(ctx, func(db storagedb.DBTX) error {
			began := time.Now()
			if err := db.QueryRow(ctx, "SELECT total_changes()").Scan(&before); err != nil {
				return err
			}
			if _, err := db.Exec(ctx, "INSERT INTO prompts_search (prompts_search, rank) VALUES ('merge', "+pages+")"); err != nil {
				return err
			}
			took = time.Since(began)
			return db.QueryRow(ctx, "SELECT total_changes()").Scan(&after)
		}); err != nil {
			return err
		}
		if after-before < 2 { // the command itself counts as one
			return nil
		}
		pages = searchMergePages
		if err := leaveToOthers(ctx, took); err != nil {
			return err
		}
	}
	return nil
}

// vacuum runs on a connection of its own, where the copy that it makes goes to a file and not to memory.
func (e *sqliteEngine) vacuum(ctx context.Context) error {
	return e.alone(ctx, func(conn storagedb.DBTX) error {
		_, err := conn.Exec(ctx, "VACUUM")
		return err
	})
}

// analyze gathers statistics with a limit, from samples of each index: that takes as long at any size, and leaves sqlite_stat4
// empty, which is what matters. Once that has rows SQLite prepares each statement again, at each execution, that compares a
// parameter to an indexed column, to see whether another plan is better for this value; lists then cost a fifth more.
//
// The table is dropped first, in case somebody has filled it, and made again by ANALYZE. Either changes the schema's version, by which the
// connections that are open, of all processes, notice, and load the new statistics; otherwise they would go by those of when
// they were opened.
func (e *sqliteEngine) analyze(ctx context.Context) error {
	return e.alone(ctx, func(conn storagedb.DBTX) error {
		for _, statement := range []string{
			"PRAGMA analysis_limit = 1000", // of this connection, which ends here
			"BEGIN IMMEDIATE",
			"DROP TABLE IF EXISTS sqlite_stat4",
			"ANALYZE",
			"COMMIT",
			"PRAGMA optimize",
		} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyLog brings the log back into the file. The first checkpoint does it beside writers, the second takes what little they have
// written meanwhile and empties the log, which needs the write lock and that nobody reads from it; where somebody still does, the
// next commit that finds nobody begins the log anew.
func (e *sqliteEngine) emptyLog(ctx context.Context) error {
	if e.memory {
		return nil
	}
	return e.read(ctx, func(storagedb.DBTX) error { // holds a connection, so that Close waits
		return e.beside(ctx, time.Now().Add(e.patience), truncatePatience, func(conn storagedb.DBTX) error {
			for _, mode := range []string{"PASSIVE", "TRUNCATE"} {
				if _, err := conn.Exec(ctx, "PRAGMA wal_checkpoint("+mode+")"); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
