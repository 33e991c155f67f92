package sqlite

import (
	"context"
	"time"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

const (
	// searchMergePages is how many pages of the full-text index a step merges, while it holds the writer.
	searchMergePages = "64"
	// maxSearchMerges ends the merging if others write as fast as it merges.
	maxSearchMerges = 100_000
	// truncateTimeout is how long writers may wait for readers that still read the log.
	truncateTimeout = 100 * time.Millisecond
)

// Optimize merges the full-text index, vacuums if asked to, gathers statistics, and empties the log.
func (e *Engine) Optimize(ctx context.Context, vacuum bool) error {
	if err := e.mergeSearchIndex(ctx); err != nil {
		return err
	}
	if vacuum {
		if err := e.vacuum(ctx); err != nil {
			return err
		}
	}
	if err := e.analyze(ctx); err != nil {
		return err
	}
	return e.emptyLog(ctx)
}

// mergeSearchIndex does in steps what FTS5's 'optimize' does at once. The first step marks all segments to be merged.
// https://www.sqlite.org/fts5.html#the_merge_command
func (e *Engine) mergeSearchIndex(ctx context.Context) error {
	pages := "-" + searchMergePages
	for range maxSearchMerges {
		var before, after int64
		var took time.Duration
		if err := e.Write(ctx, engine.Transaction, func(q engine.Queries) error {
			db := q.DB
			began := time.Now()
			if err := db.QueryRow(ctx, "SELECT total_changes()").Scan(&before); err != nil {
				return err
			}
			_, err := db.Exec(ctx, "INSERT INTO prompts_search (prompts_search, rank) VALUES ('merge', "+pages+")")
			if err != nil {
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
		if err := engine.LeaveToOthers(ctx, took); err != nil {
			return err
		}
	}
	return nil
}

// vacuum runs on a dedicated connection, whose temporary copy goes to a file and not to memory.
func (e *Engine) vacuum(ctx context.Context) error {
	return e.withExclusiveConn(ctx, func(conn storagedb.DBTX) error {
		_, err := conn.Exec(ctx, "VACUUM")
		return err
	})
}

// analyze gathers statistics from samples of each index. With a limit, ANALYZE takes the same time at any size, and
// leaves sqlite_stat4 empty, which matters more. If that table has rows, SQLite prepares each statement that compares a
// parameter to an indexed column again at each execution, to choose a plan for the value. Lists then cost a fifth more.
//
// It drops the table first, in case another program has filled it. ANALYZE makes it again. Both change the schema's
// version, by which the open connections of all processes notice, and load the new statistics.
func (e *Engine) analyze(ctx context.Context) error {
	return e.withExclusiveConn(ctx, func(conn storagedb.DBTX) error {
		for _, statement := range []string{
			"PRAGMA analysis_limit = 1000", // of this connection only
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

// emptyLog brings the log back into the file. The first checkpoint runs beside writers. The second one brings back what
// they wrote meanwhile and empties the log, for which it needs the write lock and no reader of the log. If there is a
// reader, the next commit without one starts the log again.
func (e *Engine) emptyLog(ctx context.Context) error {
	if e.memory {
		return nil
	}
	return e.Read(ctx, func(engine.Queries) error { // holds a connection, so that Close waits
		return e.withDedicatedConn(ctx, time.Now().Add(e.waitTimeout), truncateTimeout, func(conn storagedb.DBTX) error {
			for _, mode := range []string{"PASSIVE", "TRUNCATE"} {
				if _, err := conn.Exec(ctx, "PRAGMA wal_checkpoint("+mode+")"); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
