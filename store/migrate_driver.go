package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/amacneil/dbmate/v2/pkg/dbutil"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/dgx-music/storage/db"
)

// dbmate's library finds its driver by the URL's scheme, in a table that is filled at start-up. Ours has one scheme of
// its own, so that it does not get in the way of a program that uses dbmate's drivers; the rest of the URL is the key of
// the connection that a migration runs on.
const dbmateScheme = "dgx-music-store"

var migrationConns sync.Map // key to *migrationConn

func init() {
	dbmate.RegisterDriver(func(config dbmate.DriverConfig) dbmate.Driver {
		conn, _ := migrationConns.Load(config.DatabaseURL.Host)
		return conn.(*migrationConn)
	}, dbmateScheme)
}

// underMigrationLock runs fn while no other process migrates the same database, which this program may change.
func underMigrationLock(ctx context.Context, t target, fn func(*dbmate.DB) error) error {
	return lockedForMigration(ctx, t, "EXCLUSIVE", durableSettings, func(conn *migrationConn, m *dbmate.DB) error {
		// Once more: another process may have changed something before it let go of the lock.
		if _, err := conn.inspect(); err != nil {
			return err
		}
		return fn(m)
	})
}

// lockedForMigration runs fn while no other process migrates the same database. Of SQLite it takes a lock of the kind given, with
// which others may read or not, and a connection with the settings given.
func lockedForMigration(ctx context.Context, t target, kind string, settings []string, fn func(*migrationConn, *dbmate.DB) error) error {
	files, err := db.Migrations(t.engine)
	if err != nil {
		return err
	}
	// Foreign keys are off, as in the dbmate CLI: with them, dropping a table deletes the rows that refer to it.
	conn, err := openMigrationConn(ctx, t, maxBusyTimeout, append([]string{"foreign_keys(OFF)"}, settings...)...)
	if err != nil {
		return err
	}
	defer conn.close()
	key := uuid.NewString()
	migrationConns.Store(key, conn)
	defer migrationConns.Delete(key)
	if err := conn.lock(kind); err != nil {
		return describe("migrate", err)
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
	return describe("migrate", err)
}

// migrationConn is the one connection on which a migration runs, and dbmate's driver for it. dbmate opens and closes a
// database for every step; here each of those is the same connection, since the lock belongs to it.
type migrationConn struct {
	ctx    context.Context // dbmate passes none; it belongs to the one call that this connection serves
	engine string
	conn   driver.Conn
	sqlite *sqliteConn // what conn belongs to, on SQLite
	inTx   bool        // SQLite: the transaction that is the lock
}

// openMigrationConn opens a connection. On SQLite it has the settings given, and waits as long as patience where another
// process has the file to itself.
func openMigrationConn(ctx context.Context, t target, patience time.Duration, settings ...string) (*migrationConn, error) {
	m := &migrationConn{ctx: ctx, engine: t.engine}
	if t.engine == "postgres" {
		// As the pool parses it: pgx alone would hand the pool's own parameters, such as pool_max_conns, to the server.
		pool, parseErr := pgxpool.ParseConfig(t.url)
		if parseErr != nil {
			return nil, errUnparsablePostgresURL
		}
		config := pool.ConnConfig
		// A migration takes as long as it takes, and so does the wait for another's, whatever the URL says of statements.
		config.RuntimeParams["lock_timeout"] = "0"
		config.RuntimeParams["statement_timeout"] = "0"
		var err error
		if m.conn, err = stdlib.GetConnector(*config).Connect(ctx); err != nil {
			return nil, describe("connect", err)
		}
		return m, nil
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(patience), t.sqliteDSN(settings...), patience)
	if err != nil {
		return nil, describe("open "+t.path, err)
	}
	m.sqlite, m.conn = conn, conn.conn
	return m, nil
}

// close: an error would be that of a connection which is not used again.
func (m *migrationConn) close() {
	if m.sqlite != nil {
		m.sqlite.close()
		return
	}
	m.conn.Close()
}

// migrationLock is the key of PostgreSQL's advisory lock, which belongs to one database: the first eight bytes of
// SHA-256("github.com/dgx-music/storage migrations").
const migrationLock = 0x66b1ef3aa080f3ca

// lock waits for other processes that migrate, until the context ends. On SQLite the lock is a transaction around all
// that follows; dbmate's own transactions are savepoints in it.
func (m *migrationConn) lock(kind string) error {
	if m.engine == "postgres" {
		_, err := m.exec(fmt.Sprintf("SELECT pg_advisory_lock(%d)", migrationLock))
		return err
	}
	for {
		_, err := m.exec("BEGIN " + kind)
		if err == nil || !errors.Is(classify(err), ErrBusy) {
			m.inTx = err == nil
			return err
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
	}
}

// unlock commits what was done on SQLite, where it succeeded. On PostgreSQL it was committed step by step, and the lock
// ends with the connection.
func (m *migrationConn) unlock(succeeded bool) error {
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
			m.exec("ROLLBACK") // as below
		}
		return err
	}
	// Closing the connection would roll back as well, so an error here changes nothing.
	m.exec("ROLLBACK")
	return nil
}

// commit is not to be cut off half way: an error must mean that nothing was changed. Where others read without a log it waits for
// them, a moment at a time, as long as the context lasts.
func (m *migrationConn) commit() error {
	if _, err := m.exec("PRAGMA busy_timeout(100)"); err != nil {
		return err
	}
	for {
		_, err := m.conn.(driver.ExecerContext).ExecContext(context.WithoutCancel(m.ctx), "COMMIT", nil)
		if err == nil || !errors.Is(classify(err), ErrBusy) {
			return err
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
	}
}

func (m *migrationConn) checkForeignKeys() error {
	database := m.database()
	defer database.Close()
	violations, err := dbutil.QueryColumn(database, `SELECT "table" || ' row ' || coalesce(rowid, '') FROM pragma_foreign_key_check LIMIT 10`)
	if err != nil {
		return err
	}
	if len(violations) > 0 {
		return fmt.Errorf("the migration leaves rows that refer to nothing, so it was taken back: %v", violations)
	}
	return nil
}

func (m *migrationConn) exec(statement string) (driver.Result, error) {
	return m.conn.(driver.ExecerContext).ExecContext(m.ctx, statement, nil)
}

func (m *migrationConn) tableExists(table string) (bool, error) {
	database := m.database()
	defer database.Close()
	found, err := dbutil.QueryColumn(database, tableQuery(m.engine, table))
	return len(found) > 0, err
}

func (m *migrationConn) appliedVersions() (map[string]bool, error) {
	database := m.database()
	defer database.Close()
	exists, err := m.MigrationsTableExists(database)
	if err != nil || !exists {
		return nil, err
	}
	return m.SelectMigrations(database, -1)
}

// migrations lists what this program knows and what the database has.
func (m *migrationConn) migrations() ([]Migration, error) {
	known, err := knownMigrations(m.engine)
	if err != nil {
		return nil, err
	}
	applied, err := m.appliedVersions()
	return withApplied(known, applied), err
}

// inspect also refuses a database that is to be left alone: a newer program made it, or one that keeps no versions. It
// looks for the table first: where another process is migrating, the version comes with the table, not before it.
func (m *migrationConn) inspect() ([]Migration, error) {
	exists := false
	for _, table := range []string{"generations", "prompts"} {
		found, err := m.tableExists(table)
		if err != nil {
			return nil, err
		}
		exists = exists || found
	}
	migrations, err := m.migrations()
	if err != nil {
		return nil, err
	}
	if exists && !slices.ContainsFunc(migrations, func(m Migration) bool { return m.Applied }) {
		if m.engine == "sqlite" {
			return nil, ErrPythonDatabase
		}
		return nil, errNotOurs
	}
	return migrations, checkNotAhead(migrations)
}

var errNotOurs = errors.New("the database has a table generations or prompts, but no version in schema_migrations: somebody else made it, and it was left as it is; use a database, or a schema by search_path, of its own")

// The rest is dbmate.Driver. The statements are those of dbmate's own drivers, so that its CLI agrees.

func (m *migrationConn) database() *sql.DB { return sql.OpenDB(migrationConnector{m}) }

func (m *migrationConn) Open() (*sql.DB, error)        { return m.database(), nil }
func (m *migrationConn) DatabaseExists() (bool, error) { return true, nil }
func (m *migrationConn) CreateDatabase() error         { return errors.ErrUnsupported }
func (m *migrationConn) DropDatabase() error           { return errors.ErrUnsupported }
func (m *migrationConn) Ping() error                   { return nil }

func (m *migrationConn) DumpSchema(*sql.DB) ([]byte, error) { return nil, errors.ErrUnsupported }

func (m *migrationConn) QueryError(query string, err error) error {
	return &migrationError{dbmate.QueryError{Err: err, Query: query}}
}

// migrationError keeps the driver's error reachable, which dbmate's type does not.
type migrationError struct{ dbmate.QueryError }

func (e *migrationError) Error() string { return e.QueryError.Error() }
func (e *migrationError) Unwrap() error { return e.Err }

func (m *migrationConn) MigrationsTableExists(database *sql.DB) (bool, error) {
	found, err := dbutil.QueryColumn(database, tableQuery(m.engine, "schema_migrations"))
	return len(found) > 0, err
}

func (m *migrationConn) CreateMigrationsTable(database *sql.DB) error {
	statement := "create table if not exists schema_migrations (version varchar primary key)"
	if m.engine == "sqlite" {
		statement = `create table if not exists "schema_migrations" (version varchar(128) primary key)`
	}
	_, err := database.Exec(statement)
	return err
}

func (m *migrationConn) SelectMigrations(database *sql.DB, limit int) (map[string]bool, error) {
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

func (m *migrationConn) InsertMigration(tx dbutil.Transaction, version string) error {
	_, err := tx.Exec("insert into schema_migrations (version) values ($1)", version)
	return err
}

func (m *migrationConn) DeleteMigration(tx dbutil.Transaction, version string) error {
	_, err := tx.Exec("delete from schema_migrations where version = $1", version)
	return err
}

// migrationConnector hands out the one connection, again and again, and keeps it open when database/sql closes it.
type migrationConnector struct{ m *migrationConn }

func (c migrationConnector) Connect(context.Context) (driver.Conn, error) {
	return sharedMigrationConn(c), nil
}
func (c migrationConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// sharedMigrationConn runs everything with the context of the migration, which dbmate does not know of.
type sharedMigrationConn struct{ m *migrationConn }

func (c sharedMigrationConn) Close() error { return nil }

func (c sharedMigrationConn) Prepare(query string) (driver.Stmt, error) {
	return c.m.conn.(driver.ConnPrepareContext).PrepareContext(c.m.ctx, query)
}

func (c sharedMigrationConn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.m.conn.(driver.ExecerContext).ExecContext(c.m.ctx, query, args)
}

func (c sharedMigrationConn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.m.conn.(driver.QueryerContext).QueryContext(c.m.ctx, query, args)
}

func (c sharedMigrationConn) Begin() (driver.Tx, error) {
	if c.m.inTx {
		_, err := c.m.exec("SAVEPOINT migration")
		return savepointTx(c), err
	}
	return c.m.conn.(driver.ConnBeginTx).BeginTx(c.m.ctx, driver.TxOptions{})
}

// savepointTx is a transaction within the one that is SQLite's lock.
type savepointTx struct{ m *migrationConn }

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
