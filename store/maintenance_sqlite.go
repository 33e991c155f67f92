package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

func (e *sqliteEngine) pruneGenerations(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID, pruned prunedGenerations) ([]string, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return sqlitedb.New(db).PruneGenerations(ctx, sqlitedb.PruneGenerationsParams{
		Ids: string(list), Status: pruned.status, FavoritesToo: pruned.favoritesToo, CreatedBefore: pruned.before, CompletedBefore: &pruned.before,
	})
}

// A creation is one transaction, too, so it is either seen, or finds that the prompt is gone.
func (e *sqliteEngine) dropUnusedPrompts(ctx context.Context, db storagedb.DBTX, ids []int64, usedBefore time.Time) (int64, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	return sqlitedb.New(db).DropUnusedPrompts(ctx, sqlitedb.DropUnusedPromptsParams{Ids: string(list), UsedBefore: usedBefore})
}

// alone runs fn on a connection of its own, as another process would, while the writer of this one is held, so that callers
// wait for it in turn. What is set on the connection ends with it; some settings take effect when a statement is prepared,
// and would not again where it is kept.
func (e *sqliteEngine) alone(ctx context.Context, fn func(conn storagedb.DBTX) error) error {
	deadline := time.Now().Add(e.patience)
	writer, err := e.take(ctx, e.writer, deadline)
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	return e.beside(ctx, deadline, e.patience, fn)
}

// beside runs fn on a connection of its own, which can write what is temporary. Temporary data goes to files: it may be as
// large as the database. Whoever calls it holds a connection, so that Close waits.
func (e *sqliteEngine) beside(ctx context.Context, deadline time.Time, patience time.Duration, fn func(conn storagedb.DBTX) error) error {
	conn, err := openSQLiteWhenFree(ctx, deadline, e.dsn, patience)
	if err != nil {
		return err
	}
	defer conn.close()
	if _, err := conn.Exec(ctx, "PRAGMA temp_store = FILE"); err != nil {
		return err
	}
	return fn(logged(conn, e.logger))
}

// maxIntegrityErrors bounds what SQLite says of a broken file; its own bound is 100.
const maxIntegrityErrors = "10000"

// checkStorage runs SQLite's own check. It looks at each page, index and CHECK constraint, and at the structure of the full-text
// index, in one snapshot: the log grows for as long as it runs. A new connection reads it: on one that has used the full-text
// index before, FTS5 goes by what it knows of that from then, and takes what others have merged meanwhile for a corruption.
func (e *sqliteEngine) checkStorage(ctx context.Context, found func(Finding)) error {
	return e.read(ctx, func(storagedb.DBTX) error { // holds a connection, so that Close waits
		return e.beside(ctx, time.Now().Add(e.patience), e.patience, func(conn storagedb.DBTX) error {
			if _, err := conn.Exec(ctx, "BEGIN"); err != nil { // its end is that of the connection
				return err
			}
			rows, err := conn.Query(ctx, "PRAGMA integrity_check("+maxIntegrityErrors+")")
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, line := range lines {
				if line != "ok" && !strings.Contains(strings.ToLower(line), "fts5") { // of that index checkSearchIndex finds it, too
					found(Finding{Kind: FindingIntegrity, ID: "database", Detail: line})
				}
			}
			return err
		})
	})
}

func (e *sqliteEngine) ownFiles() []string {
	if e.memory {
		return nil
	}
	return []string{e.path, e.path + "-wal", e.path + "-shm", e.path + "-journal", e.path + ".before-v2"}
}

const searchIndexName = "prompts_search"

// checkSearchIndex asks which prompts the full-text index has not indexed, or has and should not, and lets FTS5 compare the
// whole of it with the texts. FTS5 does that in a write transaction; so it is given a copy, in temporary files, which takes a
// snapshot for as long as it takes to copy, and no lock at all.
func (e *sqliteEngine) checkSearchIndex(ctx context.Context, found func(Finding)) error {
	return e.read(ctx, func(db storagedb.DBTX) error {
		if err := findIDs(ctx, db, "SELECT p.id FROM prompts AS p WHERE NOT EXISTS (SELECT 1 FROM prompts_search_docsize AS d WHERE d.id = p.id)", "the full-text index misses the prompt", found); err != nil {
			return err
		}
		if err := findIDs(ctx, db, "SELECT d.id FROM prompts_search_docsize AS d WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = d.id)", "the full-text index has a prompt that does not exist", found); err != nil {
			return err
		}
		return e.beside(ctx, time.Now().Add(e.patience), e.patience, func(conn storagedb.DBTX) error {
			err := compareSearchIndex(ctx, conn)
			if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_CORRUPT_VTAB {
				found(Finding{Kind: FindingIntegrity, ID: searchIndexName, Detail: "the full-text index is not that of the prompts' texts", Repairable: true})
				return nil
			}
			return err
		})
	})
}

func findIDs(ctx context.Context, db storagedb.DBTX, query, detail string, found func(Finding)) error {
	rows, err := db.Query(ctx, query)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, id := range ids {
		found(Finding{Kind: FindingIntegrity, ID: strconv.FormatInt(id, 10), Detail: detail, Repairable: true})
	}
	return err
}

// compareSearchIndex returns an error of SQLITE_CORRUPT_VTAB where the full-text index is wrong.
func compareSearchIndex(ctx context.Context, conn storagedb.DBTX) error {
	var created string
	if err := conn.QueryRow(ctx, "SELECT sql FROM sqlite_schema WHERE name = $1", searchIndexName).Scan(&created); err != nil {
		return err
	}
	statements := []string{
		"ATTACH '' AS copy",
		"PRAGMA copy.journal_mode = OFF", // nobody needs it afterwards
		"BEGIN",
		"CREATE TABLE copy.prompts (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
		"INSERT INTO copy.prompts (id, text) SELECT id, text FROM main.prompts",
		strings.Replace(created, searchIndexName, "copy."+searchIndexName, 1),
	}
	for _, part := range []string{"data", "idx", "docsize", "config"} {
		table := searchIndexName + "_" + part
		statements = append(statements, "DELETE FROM copy."+table, "INSERT INTO copy."+table+" SELECT * FROM main."+table)
	}
	statements = append(statements, "COMMIT", "INSERT INTO copy.prompts_search (prompts_search, rank) VALUES ('integrity-check', 1)")
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// mendSearchIndex makes the index anew. It holds the writer for as long as that takes.
func (e *sqliteEngine) mendSearchIndex(ctx context.Context, _ []Finding) error {
	return e.writeMany(ctx, func(db storagedb.DBTX) error {
		_, err := db.Exec(ctx, "INSERT INTO prompts_search (prompts_search) VALUES ('rebuild')")
		return err
	})
}

func (e *sqliteEngine) metadataToCheck(ctx context.Context, db storagedb.DBTX, from uuid.UUID) ([]pgdb.MetadataToCheckRow, error) {
	page, err := sqlitedb.New(db).MetadataToCheck(ctx, sqlitedb.MetadataToCheckParams{FromID: from, RowLimit: maintenancePage})
	rows := make([]pgdb.MetadataToCheckRow, len(page))
	for i, row := range page {
		rows[i] = pgdb.MetadataToCheckRow(row)
	}
	return rows, err
}

func (e *sqliteEngine) surplusMetadata(ctx context.Context, db storagedb.DBTX) ([]pgdb.SurplusMetadataRow, error) {
	surplus, err := sqlitedb.New(db).SurplusMetadata(ctx)
	rows := make([]pgdb.SurplusMetadataRow, len(surplus))
	for i, row := range surplus {
		rows[i] = pgdb.SurplusMetadataRow(row)
	}
	return rows, err
}

func (e *sqliteEngine) addMissingMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return sqlitedb.New(db).AddMissingMetadata(ctx, string(list))
}

func (e *sqliteEngine) deleteSurplusMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return sqlitedb.New(db).DeleteSurplusMetadata(ctx, string(list))
}

// The writer is lock enough, for all of these.
func (e *sqliteEngine) lockRecount(context.Context, storagedb.DBTX) error       { return nil }
func (e *sqliteEngine) lockPrompt(context.Context, storagedb.DBTX, int64) error { return nil }

func (e *sqliteEngine) setCounter(ctx context.Context, db storagedb.DBTX, wrong CountDifference) error {
	return sqlitedb.New(db).SetCounter(ctx, sqlitedb.SetCounterParams{Name: wrong.Name, Value: wrong.There})
}
