// Package sqliteconn has a modernc connection to SQLite with pgx's DBTX interface, so that one generated package runs
// on both engines.
package sqliteconn

import (
	"context"
	"database/sql/driver"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// Conn is one modernc connection with the DBTX interface of the generated code, which is pgx's. It uses the driver
// directly. database/sql would add a pool, a lock and a conversion to each call, and prepare each statement anew.
//
// One goroutine at a time may use a Conn.
type Conn struct {
	conn       driver.Conn
	statements map[string]*statement
	ended      int // the number of transactions that have ended
}

var prepared atomic.Int64

// Prepared returns the number of statements that all connections have prepared. A test counts them.
func Prepared() int64 { return prepared.Load() }

// maxStatements limits the cache of prepared statements. The store has fewer than two hundred; a user may have others.
const maxStatements = 256

type statement struct {
	driver.Stmt
	inUse  bool // whether a result of it is open
	cached bool
}

// sqliteDriver is a driver of the store's own, so that its functions are not known to other users of modernc's driver.
var sqliteDriver = &sqlite.Driver{}

// RegisterFunction adds a deterministic SQL function to all connections that are opened afterwards.
func RegisterFunction(name string, args int32, fn func(args []driver.Value) (driver.Value, error)) error {
	return sqliteDriver.RegisterDeterministicScalarFunction(name, args,
		func(_ *sqlite.FunctionContext, values []driver.Value) (driver.Value, error) { return fn(values) })
}

// errRegister is the error of registering generation_readable, for Open to return.
var errRegister = RegisterFunction("generation_readable", 8, func(args []driver.Value) (driver.Value, error) {
	return readableIDs(args[:2]) && readableTimes(args[2:]), nil
})

// Open opens a connection once. [OpenWhenFree] also waits for another process.
func Open(dsn string) (*Conn, error) {
	if errRegister != nil {
		return nil, errRegister
	}
	conn, err := sqliteDriver.Open(dsn)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, statements: make(map[string]*statement)}
	hooks := conn.(sqlite.HookRegisterer)
	hooks.RegisterCommitHook(func() int32 { c.ended++; return 0 })
	hooks.RegisterRollbackHook(func() { c.ended++ })
	return c, nil
}

// Raw returns modernc's connection, which can do more than run statements, such as make a backup.
func (c *Conn) Raw() driver.Conn { return c.conn }

// Ended returns the number of transactions that have ended on the connection. It includes those that SQLite itself
// rolled back, as it does if the disk is full.
func (c *Conn) Ended() int { return c.ended }

// Close closes the connection, which rolls back an open transaction.
func (c *Conn) Close() error {
	c.dropStatements()
	hooks := c.conn.(sqlite.HookRegisterer) // modernc keeps the hooks in a global table
	hooks.RegisterCommitHook(nil)
	hooks.RegisterRollbackHook(nil)
	return c.conn.Close()
}

func (c *Conn) dropStatements() {
	for text, statement := range c.statements {
		statement.cached = false
		if !statement.inUse {
			statement.Close()
		}
		delete(c.statements, text)
	}
}

// prepare returns the cached statement for text. If a result of that one is still open, it prepares another for this
// use only. That happens if a query runs inside a loop over the same query.
func (c *Conn) prepare(ctx context.Context, text string) (*statement, error) {
	known := c.statements[text]
	if known != nil && !known.inUse {
		return known, nil
	}
	// modernc takes any text after a semicolon for a second statement, and would then prepare both at each call.
	single := strings.TrimRight(text, "; \t\r\n")
	stmt, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, single)
	if err != nil {
		return nil, err
	}
	prepared.Add(1)
	made := &statement{Stmt: stmt, cached: known == nil}
	if made.cached {
		if len(c.statements) >= maxStatements {
			c.dropStatements()
		}
		c.statements[text] = made
	}
	return made, nil
}

// release ends a use of the statement. It closes the statement unless that is cached.
func (s *statement) release() {
	s.inUse = false
	if !s.cached {
		s.Close()
	}
}

// Exec runs a statement. The command tag has the number of rows affected.
func (c *Conn) Exec(ctx context.Context, text string, args ...any) (pgconn.CommandTag, error) {
	values, err := arguments(args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	statement, err := c.prepare(ctx, text)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	statement.inUse = true
	defer statement.release()
	result, err := statement.Stmt.(driver.StmtExecContext).ExecContext(ctx, values)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	affected, err := result.RowsAffected()
	return pgconn.NewCommandTag("SQLITE " + strconv.FormatInt(affected, 10)), err
}

// Query runs a query. The caller must close the rows, or read them to the end.
func (c *Conn) Query(ctx context.Context, text string, args ...any) (pgx.Rows, error) {
	result, err := c.query(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// QueryRow runs a query of which Scan reads the first row. Scan returns pgx.ErrNoRows if there is none.
func (c *Conn) QueryRow(ctx context.Context, text string, args ...any) pgx.Row {
	result, err := c.query(ctx, text, args)
	return row{result, err}
}

func (c *Conn) query(ctx context.Context, text string, args []any) (*rows, error) {
	values, err := arguments(args)
	if err != nil {
		return nil, err
	}
	statement, err := c.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	statement.inUse = true
	result, err := statement.Stmt.(driver.StmtQueryContext).QueryContext(ctx, values)
	if err != nil {
		statement.release()
		return nil, err
	}
	return &rows{ctx: ctx, rows: result, statement: statement, values: make([]driver.Value, len(result.Columns()))}, nil
}
