package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/sqlitefile"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

func (d *dialect) PruneGenerations(ctx context.Context, ids []uuid.UUID, pruned engine.Pruned) ([]string, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return d.own.PruneGenerations(ctx, sqlitedb.PruneGenerationsParams{
		Ids: string(list), Status: pruned.Status, FavoritesToo: pruned.FavoritesToo, CreatedBefore: pruned.Before,
		CompletedBefore: &pruned.Before,
	})
}

// DropUnusedPrompts needs no lock: a creation is a transaction, too. It is seen here, or it finds that the prompt is
// gone.
func (d *dialect) DropUnusedPrompts(ctx context.Context, ids []int64, usedBefore time.Time) (int64, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	return d.own.DropUnusedPrompts(ctx, sqlitedb.DropUnusedPromptsParams{Ids: string(list), UsedBefore: usedBefore})
}

// withExclusiveConn runs fn on a dedicated connection while it holds the writer, so that callers wait for their turn.
// Settings of the connection end with it; some apply when a statement is prepared, and would not apply to a cached one.
func (e *Engine) withExclusiveConn(ctx context.Context, fn func(conn storagedb.DBTX) error) error {
	deadline := time.Now().Add(e.waitTimeout)
	writer, err := e.take(ctx, e.writer, deadline)
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	return e.withDedicatedConn(ctx, deadline, e.waitTimeout, fn)
}

// withDedicatedConn runs fn on a new connection, whose temporary data goes to files: it may be as large as the
// database. The caller holds another connection, so that Close waits.
func (e *Engine) withDedicatedConn(
	ctx context.Context, deadline time.Time, waitTimeout time.Duration, fn func(conn storagedb.DBTX) error,
) error {
	log := dbtx.NewLog(e.logger)
	defer log.Flush(dbtx.WithoutCaller(ctx)) // the caller holds another connection
	conn, err := sqliteconn.OpenWhenFree(ctx, deadline, e.dsn, waitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Exec(ctx, "PRAGMA temp_store = FILE"); err != nil {
		return err
	}
	return fn(log.Wrap(conn))
}

// maxIntegrityErrors bounds SQLite's report on a broken file. SQLite's own bound is 100.
const maxIntegrityErrors = "10000"

// CheckStorage runs SQLite's integrity check of each page, index and CHECK constraint, and of the structure of the
// full-text index. It reads one snapshot, so the log grows while it runs. It needs a new connection: on one that has
// used the full-text index, FTS5 trusts its cached structure, and takes a merge by another connection for corruption.
func (e *Engine) CheckStorage(ctx context.Context, rowsToo bool, found func(engine.Finding)) error {
	return e.Read(ctx, func(engine.Queries) error { // holds a connection, so that Close waits
		return e.withDedicatedConn(ctx, time.Now().Add(e.waitTimeout), e.waitTimeout, func(conn storagedb.DBTX) error {
			withoutRows := fmt.Sprintf("PRAGMA ignore_check_constraints = %t", !rowsToo)
			for _, statement := range []string{withoutRows, "BEGIN"} { // both end with the connection
				if _, err := conn.Exec(ctx, statement); err != nil {
					return err
				}
			}
			rows, err := conn.Query(ctx, "PRAGMA integrity_check("+maxIntegrityErrors+")")
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, line := range lines {
				if line != "ok" && !strings.Contains(strings.ToLower(line), "fts5") { // CheckSearchIndex finds these
					found(engine.Finding{Kind: engine.FindingIntegrity, ID: "database", Detail: line})
				}
			}
			return err
		})
	})
}

// IsCorruption reports whether err says that the file cannot be read. The statements of a check are fixed, so
// SQLITE_ERROR is about what they read: metadata that is not JSON, or a missing table. They write only copies, so
// SQLITE_CONSTRAINT is about a key that the file has twice.
func (e *Engine) IsCorruption(err error) bool {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // the primary code
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT:
			return true
		}
	}
	return false
}

// OwnFiles returns the database file, those that SQLite keeps beside it, and the copy that an adoption has left.
func (e *Engine) OwnFiles() []string {
	if e.memory {
		return nil
	}
	return []string{e.path, e.path + "-wal", e.path + "-shm", e.path + "-journal", e.path + ".before-v2"}
}

const searchIndexName = "prompts_search"

// CheckSearchIndex finds prompts that the full-text index misses, or has in excess, and lets FTS5 compare the index
// with the texts. FTS5 does that in a write transaction. So it gets a copy in temporary files: that takes a snapshot
// while the copy is made, and no lock.
func (e *Engine) CheckSearchIndex(ctx context.Context, found func(engine.Finding)) error {
	return e.Read(ctx, func(q engine.Queries) error {
		db := q.DB
		if err := findIDs(ctx, db, "the full-text index misses the prompt", `SELECT p.id FROM prompts AS p
			WHERE NOT EXISTS (SELECT 1 FROM prompts_search_docsize AS d WHERE d.id = p.id)`, found); err != nil {
			return err
		}
		if err := findIDs(ctx, db, "the full-text index has a prompt that does not exist",
			`SELECT d.id FROM prompts_search_docsize AS d
			WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = d.id)`, found); err != nil {
			return err
		}
		return e.withDedicatedConn(ctx, time.Now().Add(e.waitTimeout), e.waitTimeout, func(conn storagedb.DBTX) error {
			err := sqlitefile.CompareSearchIndex(ctx, conn)
			if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_CORRUPT_VTAB {
				found(engine.Finding{Kind: engine.FindingIntegrity, ID: searchIndexName, Repairable: true,
					Detail: "the full-text index is not that of the prompts' texts"})
				return nil
			}
			return err
		})
	})
}

func findIDs(ctx context.Context, db storagedb.DBTX, detail, query string, found func(engine.Finding)) error {
	rows, err := db.Query(ctx, query)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, id := range ids {
		found(engine.Finding{Kind: engine.FindingIntegrity, ID: strconv.FormatInt(id, 10), Detail: detail, Repairable: true})
	}
	return err
}

// MendSearchIndex rebuilds the index, and holds the writer meanwhile.
func (e *Engine) MendSearchIndex(ctx context.Context, _ []engine.Finding) error {
	return e.Write(ctx, engine.Bulk, func(q engine.Queries) error {
		_, err := q.DB.Exec(ctx, "INSERT INTO prompts_search (prompts_search) VALUES ('rebuild')")
		return err
	})
}

func (d *dialect) MetadataToCheck(ctx context.Context, from uuid.UUID) ([]engine.CheckedMetadata, error) {
	page, err := d.own.MetadataToCheck(ctx, sqlitedb.MetadataToCheckParams{FromID: from, RowLimit: engine.PageRows})
	return engine.MapRows(page, func(row sqlitedb.MetadataToCheckRow) engine.CheckedMetadata {
		return engine.CheckedMetadata(row)
	}), err
}

func (d *dialect) SurplusMetadata(ctx context.Context) ([]engine.SurplusMetadata, error) {
	surplus, err := d.own.SurplusMetadata(ctx)
	return engine.MapRows(surplus, func(row sqlitedb.SurplusMetadataRow) engine.SurplusMetadata {
		return engine.SurplusMetadata(row)
	}), err
}

func (d *dialect) AddMissingMetadata(ctx context.Context, ids []uuid.UUID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return d.own.AddMissingMetadata(ctx, string(list))
}

func (d *dialect) DeleteSurplusMetadata(ctx context.Context, ids []uuid.UUID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return d.own.DeleteSurplusMetadata(ctx, string(list))
}

// The writer is the lock.
func (d *dialect) LockRecount(context.Context) error       { return nil }
func (d *dialect) LockPrompt(context.Context, int64) error { return nil }

func (d *dialect) SetCounter(ctx context.Context, wrong engine.CountDifference) error {
	return d.own.SetCounter(ctx, sqlitedb.SetCounterParams{Name: wrong.Name, Value: wrong.There})
}
