// Package pythondb adopts a SQLite database of the Python service: it migrates it to the store's schema, in place.
package pythondb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/sqlitefile"
)

// firstVersion is the version of the migration that creates the tables of the Python service.
const firstVersion = "20251107000001"

// pythonWorker stands for the worker of a generation that the Python service left processing. The service kept no
// names.
const pythonWorker = "python"

// Adopt turns a SQLite database of the Python service into one of the store, in place. If it returns an error, it has
// changed nothing. Afterwards the database has no WAL: the first connection that writes brings it into WAL mode.
func Adopt(ctx context.Context, t dburl.Target, waitTimeout time.Duration) error {
	if err := checkAdoptable(ctx, t, waitTimeout); err != nil {
		return err
	}
	// After BEGIN IMMEDIATE other connections may read. SQLite's backup reads on one of its own, and refuses one that
	// writes.
	settings := sqliteconn.WithoutLog(sqliteconn.DurableSettings)
	return migrate.Locked(ctx, t, "IMMEDIATE", settings, func(conn *migrate.Conn, m *dbmate.DB) error {
		// Another process may have adopted the database before this one got the lock.
		switch _, err := conn.Inspect(); {
		case err == nil:
			return m.Migrate()
		case !errors.Is(err, dberr.ErrPythonDatabase):
			return err
		}
		a := adoption{ctx: ctx, conn: conn.SQLite()}
		if err := a.run(); err != nil { // the database may have changed since the first check
			return err
		}
		if err := sqlitefile.KeepCopy(ctx, t, t.Path+".before-v2"); err != nil {
			return fmt.Errorf("keep a copy of the database: %w", err)
		}
		if err := a.rewrite(); err != nil {
			return err
		}
		database := conn.Database()
		defer database.Close()
		if err := conn.CreateMigrationsTable(database); err != nil {
			return err
		}
		_, err := conn.SQLite().Exec(ctx, "INSERT INTO schema_migrations (version) VALUES ($1)", firstVersion)
		if err != nil {
			return err
		}
		if err := m.Migrate(); err != nil {
			return err
		}
		// A generation that was processing gets a lease that has expired, so that RescueGenerations finds it. The lease
		// ended at the creation, or now: some programs wrote local time, which may be in the future.
		_, err = conn.SQLite().Exec(ctx, `UPDATE generations SET
				attempt = 1, worker = $1, started_at = min(created_at, $2), lease_expires_at = min(created_at, $2)
			WHERE status = 'processing' AND worker IS NULL`, pythonWorker, time.Now())
		return err
	})
}

// checkAdoptable checks the schema and all rows, on a connection that changes nothing, not even the journal mode.
func checkAdoptable(ctx context.Context, t dburl.Target, waitTimeout time.Duration) error {
	conn, err := migrate.OpenReadOnly(ctx, t, waitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close() // ends the transaction, for which the adoption would wait
	if _, err := conn.SQLite().Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := conn.Inspect(); !errors.Is(err, dberr.ErrPythonDatabase) {
		return err // nil if another process has adopted it
	}
	a := adoption{ctx: ctx, conn: conn.SQLite()}
	return a.run()
}

// Error says what the store cannot hold. Package store returns its own *AdoptionError for it.
type Error struct {
	Problems []Problem // the first 100
	Total    int       // the number of all problems
}

// Problem is one thing that the store cannot hold. Package store documents the fields.
type Problem struct {
	Table   string
	Row     string
	Column  string
	Problem string // never has a prompt's text
	Remedy  string
}

func (e *Error) Error() string { return "the store cannot hold the database of the Python service" }

const maxAdoptionProblems = 100

// adoption checks and rewrites one database of the Python service.
type adoption struct {
	ctx   context.Context
	conn  *sqliteconn.Conn
	ids   map[string]bool // the new IDs of rows whose UUID is spelled in another way
	found Error
}

// run checks the schema and each row, and returns an *Error if something is wrong.
func (a *adoption) run() error {
	if err := a.checkSchema(); err != nil {
		return err
	}
	if a.found.Total == 0 { // else a column may be missing
		if err := a.eachRow(nil); err != nil {
			return err
		}
	}
	if a.found.Total > 0 {
		return &a.found
	}
	return nil
}

// rewrite brings the rows, which run has checked, to the form that the migrations read.
func (a *adoption) rewrite() error {
	a.ids = nil
	return a.eachRow(func(table string, rowid int64, changed []columnValue) error {
		var sets []string
		var args []any
		for i, c := range changed {
			sets = append(sets, fmt.Sprintf("%s = $%d", c.column, i+1))
			args = append(args, c.value)
		}
		update := fmt.Sprintf("UPDATE %s SET %s WHERE rowid = $%d", table, strings.Join(sets, ", "), len(args)+1)
		_, err := a.conn.Exec(a.ctx, update, append(args, rowid)...)
		return err
	})
}

func (a *adoption) problem(p Problem) {
	if a.found.Total++; a.found.Total <= maxAdoptionProblems {
		a.found.Problems = append(a.found.Problems, p)
	}
}

// pythonColumns has the columns of the service's tables, in the order in which rows are read.
var pythonColumns = map[string][]string{
	"generations": {
		"id", "prompt", "model_name", "model_version", "duration_seconds", "sample_rate", "channels", "file_path",
		"file_size_bytes", "status", "created_at", "completed_at", "generation_time_seconds", "error_message", "metadata",
	},
	"prompts": {"id", "text", "used_count", "first_used_at", "last_used_at"},
}

// checkSchema finds what differs from the service's schema. It allows any index, because the migrations make their own.
func (a *adoption) checkSchema() error {
	objects, err := a.texts(`SELECT type || ' ' || name FROM sqlite_schema
		WHERE type <> 'index' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return err
	}
	for _, object := range objects {
		switch object {
		case "table generations", "table prompts", "table alembic_version", "table schema_migrations":
		default:
			kind, name, _ := strings.Cut(object, " ")
			a.problem(Problem{
				Table: kind + " " + name, Problem: "is not the service's",
				Remedy: "move it to a database of its own, or drop it",
			})
		}
	}
	var encoding string
	if err := a.conn.QueryRow(a.ctx, "PRAGMA encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF-8" { // the CHECK constraints would measure texts in that encoding
		a.problem(Problem{
			Table: "database", Problem: "is encoded as " + encoding,
			Remedy: "copy it into one in UTF-8: sqlite3 old.db .dump | sqlite3 new.db",
		})
	}
	for _, table := range []string{"generations", "prompts"} {
		columns, err := a.texts("SELECT name FROM pragma_table_xinfo('" + table + "')")
		if err != nil {
			return err
		}
		want := slices.Sorted(slices.Values(pythonColumns[table]))
		if slices.Sort(columns); !slices.Equal(columns, want) {
			a.problem(Problem{
				Table:   "table " + table,
				Problem: fmt.Sprintf("has the columns %v instead of those of Alembic's revision 001, %v", columns, want),
				Remedy:  "bring it to that revision with Alembic, or move its rows to a database at that revision",
			})
			continue
		}
		if err := a.checkKey(table, map[string]string{"generations": "id", "prompts": "text"}[table]); err != nil {
			return err
		}
	}
	if slices.Contains(objects, "table alembic_version") {
		columns, err := a.texts("SELECT name FROM pragma_table_xinfo('alembic_version')")
		if err != nil {
			return err
		}
		if !slices.Equal(columns, []string{"version_num"}) {
			a.problem(Problem{
				Table: "table alembic_version", Problem: fmt.Sprintf("has the columns %v instead of Alembic's", columns),
				Remedy: "move it to a database of its own, or drop it",
			})
			return nil
		}
		versions, err := a.texts("SELECT version_num FROM alembic_version WHERE version_num <> '001'")
		if err != nil {
			return err
		}
		for _, version := range versions {
			a.problem(Problem{
				Table: "alembic_version", Problem: fmt.Sprintf("is at %q, and this program knows 001", version),
				Remedy: "run alembic downgrade 001, or use a newer release of github.com/dgx-music/storage",
			})
		}
	}
	return nil
}

// checkKey finds a table whose column is not unique, or that is STRICT or WITHOUT ROWID.
func (a *adoption) checkKey(table, column string) error {
	keys, err := a.texts(`SELECT i.name FROM pragma_index_list('` + table + `') AS i
		WHERE i."unique" AND NOT i.partial
			AND (SELECT group_concat(c.name) FROM pragma_index_info(i.name) AS c) = '` + column + `'`)
	if err != nil {
		return err
	}
	usual, err := a.texts("SELECT name FROM pragma_table_list WHERE name = '" + table + "' AND NOT wr AND NOT strict")
	if err != nil {
		return err
	}
	if len(keys) == 0 || len(usual) == 0 {
		a.problem(Problem{
			Table: "table " + table,
			Problem: "is not as Alembic's revision 001 makes it: " + column +
				" must be unique, and the table neither STRICT nor WITHOUT ROWID",
			Remedy: "bring it to that revision with Alembic, or move its rows to a database at that revision",
		})
	}
	return nil
}

func (a *adoption) texts(query string) ([]string, error) {
	rows, err := a.conn.Query(a.ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
