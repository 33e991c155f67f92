package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5"
)

// ErrPythonDatabase says that this looks like a database of the Python service. It matches [ErrSchemaOutdated], too. [Migrate]
// adopts it. Match it with errors.Is.
var ErrPythonDatabase = fmt.Errorf("%w: the database has a table generations or prompts, but no version in schema_migrations, as one that the Python service made: store.Migrate, Options.Migrate or dgxstore migrate adopts it, and keeps a copy beside it", ErrSchemaOutdated)

// firstVersion is the migration that creates the tables of the Python service.
const firstVersion = "20251107000001"

// pythonWorker stands for whoever worked on what the Python service had processing, which kept no name.
const pythonWorker = "python"

// adopt makes a SQLite database of the Python service one of this program's, in place: all of it or, where it returns an error,
// nothing. It has no log then: the first to open it for writing brings it into WAL mode.
func adopt(ctx context.Context, t target, patience time.Duration) error {
	if err := checkAdoptable(ctx, t, patience); err != nil {
		return err
	}
	settings := slices.DeleteFunc(slices.Clone(durableSettings), func(s string) bool { return strings.HasPrefix(s, "journal_mode") })
	// Others may read: SQLite's backup does, on a connection of its own, which that of a transaction that writes refuses to.
	return lockedForMigration(ctx, t, "IMMEDIATE", settings, func(conn *migrationConn, m *dbmate.DB) error {
		// Another process may have adopted it by now.
		switch _, err := conn.inspect(); {
		case err == nil:
			return m.Migrate()
		case !errors.Is(err, ErrPythonDatabase):
			return err
		}
		a := adoption{ctx: ctx, conn: conn.sqlite}
		if err := a.run(); err != nil { // it may have changed since it was looked at
			return err
		}
		if err := keepCopy(ctx, t, t.path+".before-v2"); err != nil {
			return fmt.Errorf("keep a copy of the database: %w", err)
		}
		if err := a.rewrite(); err != nil {
			return err
		}
		database := conn.database()
		defer database.Close()
		if err := conn.CreateMigrationsTable(database); err != nil {
			return err
		}
		if _, err := conn.sqlite.Exec(ctx, "INSERT INTO schema_migrations (version) VALUES ($1)", firstVersion); err != nil {
			return err
		}
		if err := m.Migrate(); err != nil {
			return err
		}
		// A lease that expired when the generation was created, so that RescueGenerations finds it.
		_, err := conn.sqlite.Exec(ctx, `UPDATE generations SET attempt = 1, worker = $1, started_at = created_at, lease_expires_at = created_at
			WHERE status = 'processing' AND worker IS NULL`, pythonWorker)
		return err
	})
}

// checkAdoptable looks at everything on a connection that changes nothing, not even the journal mode.
func checkAdoptable(ctx context.Context, t target, patience time.Duration) error {
	conn, err := openToLook(ctx, t, patience)
	if err != nil {
		return err
	}
	defer conn.close() // and with it the transaction, for which one who adopts waits
	if _, err := conn.sqlite.Exec(ctx, "BEGIN"); err != nil {
		return describe("adopt the database", err)
	}
	if _, err := conn.inspect(); !errors.Is(err, ErrPythonDatabase) {
		return describe("adopt the database", err) // another process has adopted it
	}
	a := adoption{ctx: ctx, conn: conn.sqlite}
	return describe("adopt the database", a.run())
}

// AdoptionError says what in a database of the Python service the store cannot hold. The database was left as it is. Match it
// with errors.As.
type AdoptionError struct {
	Problems []AdoptionProblem // the first 100
	Total    int               // how many there are
}

// AdoptionProblem is one thing that keeps a database from being adopted.
type AdoptionProblem struct {
	Table   string `json:"table"`   // or another object of the schema
	Row     string `json:"row"`     // its ID as it stands there, or its rowid; empty for what is wrong with the table itself
	Column  string `json:"column"`  // empty likewise
	Problem string `json:"problem"` // what is wrong, never with a prompt's text
	Remedy  string `json:"remedy"`  // what to do about it
}

const maxAdoptionProblems = 100

func (e *AdoptionError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the database of the Python service holds %d things that the store cannot carry, and nothing was changed:", e.Total)
	for _, p := range e.Problems[:min(len(e.Problems), 10)] {
		fmt.Fprintf(&text, "\n- %s", p)
	}
	if more := e.Total - min(len(e.Problems), 10); more > 0 {
		fmt.Fprintf(&text, "\n- and %d more", more)
	}
	return text.String()
}

// String is one line.
func (p AdoptionProblem) String() string {
	where := p.Table
	if p.Row != "" {
		where += " " + p.Row
	}
	if p.Column != "" {
		where += ", " + p.Column
	}
	return where + " " + p.Problem + ": " + p.Remedy
}

// adoption goes through a database of the Python service.
type adoption struct {
	ctx   context.Context
	conn  *sqliteConn
	ids   map[string]bool // that rows will have which are spelled differently yet
	found AdoptionError
}

// run looks at the schema and at each row, and returns an *AdoptionError where something is wrong.
func (a *adoption) run() error {
	if err := a.checkSchema(); err != nil {
		return err
	}
	if a.found.Total == 0 { // or the columns may not be there
		if err := a.eachRow(nil); err != nil {
			return err
		}
	}
	if a.found.Total > 0 {
		return &a.found
	}
	return nil
}

// rewrite brings the rows to the form that the migrations know how to read. They have been checked.
func (a *adoption) rewrite() error {
	a.ids = nil
	return a.eachRow(func(table string, rowid int64, changed []columnValue) error {
		var sets []string
		var args []any
		for i, c := range changed {
			sets = append(sets, fmt.Sprintf("%s = $%d", c.column, i+1))
			args = append(args, c.value)
		}
		_, err := a.conn.Exec(a.ctx, fmt.Sprintf("UPDATE %s SET %s WHERE rowid = $%d", table, strings.Join(sets, ", "), len(args)+1), append(args, rowid)...)
		return err
	})
}

func (a *adoption) problem(p AdoptionProblem) {
	if a.found.Total++; a.found.Total <= maxAdoptionProblems {
		a.found.Problems = append(a.found.Problems, p)
	}
}

// pythonColumns are those of the service's models, in the order in which rows are read.
var pythonColumns = map[string][]string{
	"generations": {
		"id", "prompt", "model_name", "model_version", "duration_seconds", "sample_rate", "channels", "file_path", "file_size_bytes",
		"status", "created_at", "completed_at", "generation_time_seconds", "error_message", "metadata",
	},
	"prompts": {"id", "text", "used_count", "first_used_at", "last_used_at"},
}

// checkSchema finds what is not the service's. Its indexes may be any: the migrations make their own.
func (a *adoption) checkSchema() error {
	objects, err := a.texts("SELECT type || ' ' || name FROM sqlite_schema WHERE type <> 'index' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
	if err != nil {
		return err
	}
	for _, object := range objects {
		switch object {
		case "table generations", "table prompts", "table alembic_version", "table schema_migrations":
		default:
			kind, name, _ := strings.Cut(object, " ")
			a.problem(AdoptionProblem{Table: kind + " " + name, Problem: "is not the service's", Remedy: "move it to a database of its own, or drop it"})
		}
	}
	for _, table := range []string{"generations", "prompts"} {
		columns, err := a.texts("SELECT name FROM pragma_table_xinfo('" + table + "')")
		if err != nil {
			return err
		}
		want := slices.Sorted(slices.Values(pythonColumns[table]))
		if slices.Sort(columns); !slices.Equal(columns, want) {
			a.problem(AdoptionProblem{Table: "table " + table, Problem: fmt.Sprintf("has the columns %v, and not those of Alembic's revision 001, %v", columns, want),
				Remedy: "bring it to that revision with Alembic, or move what it has to a database that is"})
		}
	}
	if slices.Contains(objects, "table alembic_version") {
		versions, err := a.texts("SELECT version_num FROM alembic_version WHERE version_num <> '001'")
		if err != nil {
			return err
		}
		for _, version := range versions {
			a.problem(AdoptionProblem{Table: "alembic_version", Problem: fmt.Sprintf("is at %q, and this program knows 001", version), Remedy: "run alembic downgrade 001, or use a newer release of github.com/dgx-music/storage"})
		}
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
