package migrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/amacneil/dbmate/v2/pkg/dbutil"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/dgx-music/storage/db"
	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/sqliteconn"
)

// dbmateScheme is the URL scheme of the driver for dbmate's library, which finds drivers in a global table. It differs
// from those of dbmate's own drivers, which the program may use, too. The host of the URL is a key of migrationConns.
const dbmateScheme = "dgx-music-store"

var migrationConns sync.Map // from a key to the *Conn of a migration

func init() {
	dbmate.RegisterDriver(func(config dbmate.DriverConfig) dbmate.Driver {
		conn, _ := migrationConns.Load(config.DatabaseURL.Host)
		return conn.(*Conn)
	}, dbmateScheme)
}

// underLock runs fn while no other process migrates the same database. It returns an error if this program must not
// change the database.
func underLock(ctx context.Context, t dburl.Target, fn func(*dbmate.DB) error) error {
	return Locked(ctx, t, "EXCLUSIVE", sqliteconn.DurableSettings, func(conn *Conn, m *dbmate.DB) error {
		// Under the lock, because another process may have migrated the database before.
		migrations, err := conn.Inspect()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(migrations, func(m Migration) bool { return m.Applied }) {
			if err := conn.checkEncoding(); err != nil {
				return err
			}
		}
		return conn.keepingOthers(func() error { return fn(m) })
	})
}

// keepingOthers runs fn, and returns dberr.ErrDependentObjects if an object went with it that is not the store's: a
// column, index or trigger that a user has added to one of its tables. The transaction must be rolled back then.
func (m *Conn) keepingOthers(fn func() error) error {
	known, err := db.Objects(m.engine)
	if err != nil {
		return err
	}
	before, err := m.QueryColumn(db.ObjectsQuery(m.engine))
	if err != nil {
		return err
	}
	if err := fn(); err != nil {
		return dependents(err)
	}
	after, err := m.QueryColumn(db.ObjectsQuery(m.engine))
	if err != nil {
		return err
	}
	var lost []string
	for _, object := range before {
		if !known[object] && !slices.Contains(after, object) {
			lost = append(lost, object)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w: %s", dberr.ErrDependentObjects, strings.Join(lost, ", "))
	}
	return nil
}

// dependents names the objects, such as views, for whose sake PostgreSQL refuses to drop another.
func dependents(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == pgerrDependents {
		return fmt.Errorf("%w: %s: %w", dberr.ErrDependentObjects, strings.ReplaceAll(refused.Detail, "\n", ", "), err)
	}
	return err
}

const pgerrDependents = "2BP01" // dependent_objects_still_exist

// Locked runs fn while no other process migrates the same database. On SQLite the lock is a transaction of the given
// kind: after BEGIN IMMEDIATE others may read, after BEGIN EXCLUSIVE they may not. The connection has the given
// settings.
func Locked(
	ctx context.Context, t dburl.Target, kind string, settings []string, fn func(*Conn, *dbmate.DB) error,
) error {
	files, err := db.Migrations(t.Engine)
	if err != nil {
		return err
	}
	// Foreign keys are off, as in the dbmate CLI. With them, to drop a table would delete the rows that refer to it.
	conn, err := openConn(ctx, t, sqliteconn.MaxWaitTimeout, append([]string{"foreign_keys(OFF)"}, settings...)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	key := uuid.NewString()
	migrationConns.Store(key, conn)
	defer migrationConns.Delete(key)
	if err := conn.lock(kind); err != nil {
		return err
	}
	m := dbmate.New(&url.URL{Scheme: dbmateScheme, Host: key})
	m.FS = files
	m.MigrationsDir = []string{"."}
	m.AutoDumpSchema = false
	m.Log = io.Discard
	err = fn(conn, m)
	if unlockErr := conn.unlock(err == nil); err == nil {
		err = unlockErr
	}
	return err
}

// Conn is the one connection on which a migration runs, and dbmate's driver for it. dbmate opens and closes a database
// for each step. All of these are this connection, because the lock belongs to it.
type Conn struct {
	ctx    context.Context // that of the call that opened the connection; dbmate passes none
	engine string
	conn   driver.Conn
	sqlite *sqliteconn.Conn // the owner of conn on SQLite, nil on PostgreSQL
	inTx   bool             // whether the transaction around the migrations is open
}

// SQLite returns the connection, or nil on PostgreSQL.
func (m *Conn) SQLite() *sqliteconn.Conn { return m.sqlite }

// openConn opens a connection. On SQLite it has the given settings. While another process locks the file, openConn
// tries again for waitTimeout.
func openConn(ctx context.Context, t dburl.Target, waitTimeout time.Duration, settings ...string) (*Conn, error) {
	m := &Conn{ctx: ctx, engine: t.Engine}
	if t.Engine == "postgres" {
		// pgxpool parses the URL, because pgx alone would pass the pool's parameters, such as pool_max_conns, to the server.
		pool, parseErr := pgxpool.ParseConfig(t.URL)
		if parseErr != nil {
			return nil, dburl.ErrUnparsablePostgres
		}
		config := pool.ConnConfig
		// The timeouts of the URL are for queries. A migration may take longer, and so may the wait for that of another
		// process.
		config.RuntimeParams["lock_timeout"] = "0"
		config.RuntimeParams["statement_timeout"] = "0"
		var err error
		if m.conn, err = stdlib.GetConnector(*config).Connect(ctx); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		return m, nil
	}
	deadline := time.Now().Add(waitTimeout)
	conn, err := sqliteconn.OpenWhenFree(ctx, deadline, sqliteconn.DSN(t, settings...), waitTimeout)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", t.Path, sqliteconn.Classify(err))
	}
	m.sqlite, m.conn = conn, conn.Raw()
	return m, nil
}

// Close closes the connection. It returns no error, because the connection is not used again.
func (m *Conn) Close() {
	if m.sqlite != nil {
		m.sqlite.Close()
		return
	}
	m.conn.Close()
}

// migrationLock is the key of PostgreSQL's advisory lock, which belongs to one database: the first eight bytes of
// SHA-256("github.com/dgx-music/storage migrations").
const migrationLock = 0x66b1ef3aa080f3ca

// lock waits for other processes that migrate, until the context ends. It begins a transaction around all migrations,
// in which those of dbmate are savepoints. On SQLite that transaction is the lock; on PostgreSQL the lock ends with it.
// There each statement must see what the process before has committed, whatever isolation the server's default is.
func (m *Conn) lock(kind string) error {
	if m.engine == "postgres" {
		if _, err := m.exec("BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
			return err
		}
		m.inTx = true
		_, err := m.exec(fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", migrationLock))
		return err
	}
	for {
		_, err := m.exec("BEGIN " + kind)
		if err == nil || !errors.Is(sqliteconn.Classify(err), dberr.ErrBusy) {
			m.inTx = err == nil
			return err
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
	}
}

// unlock ends the transaction: it commits if the migrations succeeded, and rolls back if not.
func (m *Conn) unlock(succeeded bool) error {
	if !m.inTx {
		return nil
	}
	m.inTx = false
	if succeeded {
		if err := m.checkForeignKeys(); err != nil {
			m.exec("ROLLBACK")
			return err
		}
		err := m.commit()
		if err != nil {
			m.exec("ROLLBACK") // its error changes nothing, as below
		}
		return err
	}
	// An error here changes nothing, because to close the connection rolls back, too.
	m.exec("ROLLBACK")
	return nil
}

// commit runs COMMIT without the context, so that an error always means that nothing was changed. A database without a
// WAL cannot commit while other connections read. commit tries again until they are done or the context ends.
func (m *Conn) commit() error {
	if m.engine == "sqlite" {
		if _, err := m.exec("PRAGMA busy_timeout(100)"); err != nil {
			return err
		}
	}
	for {
		_, err := m.conn.(driver.ExecerContext).ExecContext(context.WithoutCancel(m.ctx), "COMMIT", nil)
		if err == nil || !errors.Is(sqliteconn.Classify(err), dberr.ErrBusy) {
			return err
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
	}
}

// checkForeignKeys does what PostgreSQL has done at each statement: on SQLite foreign keys are off.
func (m *Conn) checkForeignKeys() error {
	if m.engine == "postgres" {
		return nil
	}
	violations, err := m.QueryColumn(
		`SELECT "table" || ' row ' || coalesce(rowid, '') FROM pragma_foreign_key_check LIMIT 10`)
	if err != nil {
		return err
	}
	if len(violations) > 0 {
		return fmt.Errorf("the migration leaves rows that refer to no row, and was rolled back: %v", violations)
	}
	return nil
}

func (m *Conn) exec(statement string) (driver.Result, error) {
	return m.conn.(driver.ExecerContext).ExecContext(m.ctx, statement, nil)
}

// TableExists reports whether the database has the table. On PostgreSQL it looks in the schema that dbmate uses.
func (m *Conn) TableExists(table string) (bool, error) {
	found, err := m.QueryColumn(TableQuery(m.engine, table))
	return len(found) > 0, err
}

// QueryColumn returns the first column of a query's rows.
func (m *Conn) QueryColumn(query string, args ...any) ([]string, error) {
	database := m.Database()
	defer database.Close()
	return dbutil.QueryColumn(database, query, args...)
}

func (m *Conn) appliedVersions() (map[string]bool, error) {
	database := m.Database()
	defer database.Close()
	exists, err := m.MigrationsTableExists(database)
	if err != nil || !exists {
		return nil, err
	}
	return m.SelectMigrations(database, -1)
}

// Migrations lists the migrations that this program knows or the database has, oldest first.
func (m *Conn) Migrations() ([]Migration, error) {
	known, err := Known(m.engine)
	if err != nil {
		return nil, err
	}
	applied, err := m.appliedVersions()
	return withApplied(known, applied), err
}

// Inspect lists the migrations as Migrations does. It returns an error if a newer program migrated the database, or if
// the database has tables but no version. It looks for the tables before the versions: another process commits both at
// once.
func (m *Conn) Inspect() ([]Migration, error) {
	exists := false
	for _, table := range []string{"generations", "prompts"} {
		found, err := m.TableExists(table)
		if err != nil {
			return nil, err
		}
		exists = exists || found
	}
	migrations, err := m.Migrations()
	if err != nil {
		return nil, err
	}
	if exists && !slices.ContainsFunc(migrations, func(m Migration) bool { return m.Applied }) {
		if m.engine == "sqlite" {
			return nil, dberr.ErrPythonDatabase
		}
		return nil, errNotOurs
	}
	return migrations, checkNotAhead(migrations)
}

// checkEncoding refuses a SQLite file in UTF-16: the CHECK constraints would measure its texts in that encoding, two
// bytes for each letter.
func (m *Conn) checkEncoding() error {
	if m.engine != "sqlite" {
		return nil
	}
	encoding, err := m.QueryColumn("PRAGMA encoding")
	if err != nil || encoding[0] == "UTF-8" {
		return err
	}
	return fmt.Errorf("the file is encoded as %s, and was not changed: copy it into one in UTF-8: "+
		"sqlite3 old.db .dump | sqlite3 new.db", encoding[0])
}

var errNotOurs = errors.New("the database has a table generations or prompts, but no version in schema_migrations: " +
	"it belongs to another program, and nothing was changed; use another database, or another schema by search_path")

// The methods below are those of dbmate.Driver. The statements are those of dbmate's own drivers, so that the database
// is the same to its CLI.

// Database returns the connection as a *sql.DB. To close that leaves the connection open.
func (m *Conn) Database() *sql.DB { return sql.OpenDB(connector{m}) }

func (m *Conn) Open() (*sql.DB, error)        { return m.Database(), nil }
func (m *Conn) DatabaseExists() (bool, error) { return true, nil }
func (m *Conn) CreateDatabase() error         { return errors.ErrUnsupported }
func (m *Conn) DropDatabase() error           { return errors.ErrUnsupported }
func (m *Conn) Ping() error                   { return nil }

func (m *Conn) DumpSchema(*sql.DB) ([]byte, error) { return nil, errors.ErrUnsupported }

func (m *Conn) QueryError(query string, err error) error {
	return &migrationError{dbmate.QueryError{Err: err, Query: query}}
}

// migrationError has the driver's error in its chain, which dbmate's own type lacks.
type migrationError struct{ dbmate.QueryError }

func (e *migrationError) Error() string { return e.QueryError.Error() }
func (e *migrationError) Unwrap() error { return e.Err }

func (m *Conn) MigrationsTableExists(database *sql.DB) (bool, error) {
	found, err := dbutil.QueryColumn(database, TableQuery(m.engine, "schema_migrations"))
	return len(found) > 0, err
}

func (m *Conn) CreateMigrationsTable(database *sql.DB) error {
	statement := "create table if not exists schema_migrations (version varchar primary key)"
	if m.engine == "sqlite" {
		statement = `create table if not exists "schema_migrations" (version varchar(128) primary key)`
	}
	_, err := database.Exec(statement)
	return err
}

func (m *Conn) SelectMigrations(database *sql.DB, limit int) (map[string]bool, error) {
	versions, err := dbutil.QueryColumn(database, "select version from schema_migrations order by version desc")
	if err != nil {
		return nil, err
	}
	applied := make(map[string]bool)
	for i, version := range versions {
		if limit < 0 || i < limit {
			applied[version] = true
		}
	}
	return applied, nil
}

func (m *Conn) InsertMigration(tx dbutil.Transaction, version string) error {
	_, err := tx.Exec("insert into schema_migrations (version) values ($1)", version)
	return err
}

func (m *Conn) DeleteMigration(tx dbutil.Transaction, version string) error {
	_, err := tx.Exec("delete from schema_migrations where version = $1", version)
	return err
}

// connector returns the same connection each time. The connection stays open when database/sql closes it.
type connector struct{ m *Conn }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return sharedConn(c), nil
}
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// sharedConn runs all statements with the context of the migration, because dbmate passes none.
type sharedConn struct{ m *Conn }

func (c sharedConn) Close() error { return nil }

func (c sharedConn) Prepare(query string) (driver.Stmt, error) {
	return c.m.conn.(driver.ConnPrepareContext).PrepareContext(c.m.ctx, query)
}

func (c sharedConn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.m.conn.(driver.ExecerContext).ExecContext(c.m.ctx, query, args)
}

func (c sharedConn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.m.conn.(driver.QueryerContext).QueryContext(c.m.ctx, query, args)
}

func (c sharedConn) Begin() (driver.Tx, error) {
	if c.m.inTx {
		_, err := c.m.exec("SAVEPOINT migration")
		return savepointTx(c), err
	}
	return c.m.conn.(driver.ConnBeginTx).BeginTx(c.m.ctx, driver.TxOptions{})
}

// savepointTx is a transaction of dbmate: a savepoint within the transaction around all migrations.
type savepointTx struct{ m *Conn }

func (t savepointTx) Commit() error {
	_, err := t.m.exec("RELEASE migration")
	return err
}

func (t savepointTx) Rollback() error {
	if _, err := t.m.exec("ROLLBACK TO migration"); err != nil {
		return err
	}
	return t.Commit()
}
