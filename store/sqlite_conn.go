package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"modernc.org/sqlite"

	"github.com/dgx-music/storage/storagedb"
)

// sqliteConn gives one modernc connection the DBTX interface of the generated code, which is pgx's. It works on the
// driver itself: database/sql would add a pool, a lock and a conversion to every call, and would prepare per call.
//
// It belongs to one goroutine at a time; sqliteEngine hands it out.
type sqliteConn struct {
	conn       driver.Conn
	statements map[string]*sqliteStatement
	prepared   int // how many statements were ever prepared, for the test that counts them
	ended      int // how many transactions have ended, whoever ended them: SQLite itself does when a disk is full
}

// maxStatements bounds the cache. The store's own queries are fewer than a hundred; the rest is for a user's.
const maxStatements = 256

type sqliteStatement struct {
	driver.Stmt
	inUse  bool // a result is open on it
	cached bool
}

func openSQLiteConn(dsn string) (*sqliteConn, error) {
	sqliteDriver, err := newSQLiteDriver()
	if err != nil {
		return nil, err
	}
	conn, err := sqliteDriver.Open(dsn)
	if err != nil {
		return nil, err
	}
	c := &sqliteConn{conn: conn, statements: make(map[string]*sqliteStatement)}
	hooks := conn.(sqlite.HookRegisterer)
	hooks.RegisterCommitHook(func() int32 { c.ended++; return 0 })
	hooks.RegisterRollbackHook(func() { c.ended++ })
	return c, nil
}

// newSQLiteDriver makes a driver of our own, so that the function that it brings along is in no other program's way.
var newSQLiteDriver = sync.OnceValues(func() (*sqlite.Driver, error) {
	d := &sqlite.Driver{}
	var latest atomic.Pointer[metadataMatcher] // a statement asks the same of each row
	return d, d.RegisterDeterministicScalarFunction("metadata_matches", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		metadata, ok := args[0].(string)
		wanted, given := args[1].(string)
		if !ok || !given {
			return nil, nil
		}
		matcher := latest.Load()
		if matcher == nil || matcher.text != wanted {
			var err error
			if matcher, err = newMetadataMatcher(wanted); err != nil {
				return nil, err
			}
			latest.Store(matcher)
		}
		return matcher.matches(metadata), nil
	})
})

func (c *sqliteConn) close() error {
	c.dropStatements()
	hooks := c.conn.(sqlite.HookRegisterer) // modernc keeps them in a table of its own
	hooks.RegisterCommitHook(nil)
	hooks.RegisterRollbackHook(nil)
	return c.conn.Close()
}

func (c *sqliteConn) dropStatements() {
	for text, statement := range c.statements {
		statement.cached = false
		if !statement.inUse {
			statement.Close()
		}
		delete(c.statements, text)
	}
}

// prepare returns the cached statement for text. Where a result is still open on that one, as when a user's query runs
// inside a loop over the same query, it prepares another for this use alone.
func (c *sqliteConn) prepare(ctx context.Context, text string) (*sqliteStatement, error) {
	known := c.statements[text]
	if known != nil && !known.inUse {
		return known, nil
	}
	// modernc takes what stands behind a semicolon for a second statement, and then prepares both at every call.
	single := strings.TrimRight(text, "; \t\r\n")
	prepared, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, single)
	if err != nil {
		return nil, err
	}
	c.prepared++
	statement := &sqliteStatement{Stmt: prepared, cached: known == nil}
	if statement.cached {
		if len(c.statements) >= maxStatements {
			c.dropStatements()
		}
		c.statements[text] = statement
	}
	return statement, nil
}

// release gives a statement back once its result is closed.
func (s *sqliteStatement) release() {
	s.inUse = false
	if !s.cached {
		s.Close()
	}
}

func (c *sqliteConn) Exec(ctx context.Context, text string, args ...any) (pgconn.CommandTag, error) {
	values, err := sqliteArguments(args)
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

func (c *sqliteConn) Query(ctx context.Context, text string, args ...any) (pgx.Rows, error) {
	rows, err := c.query(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (c *sqliteConn) QueryRow(ctx context.Context, text string, args ...any) pgx.Row {
	rows, err := c.query(ctx, text, args)
	return sqliteRow{rows, err}
}

func (c *sqliteConn) query(ctx context.Context, text string, args []any) (*sqliteRows, error) {
	values, err := sqliteArguments(args)
	if err != nil {
		return nil, err
	}
	statement, err := c.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	statement.inUse = true
	rows, err := statement.Stmt.(driver.StmtQueryContext).QueryContext(ctx, values)
	if err != nil {
		statement.release()
		return nil, err
	}
	return &sqliteRows{ctx: ctx, rows: rows, statement: statement, values: make([]driver.Value, len(rows.Columns()))}, nil
}

// sqliteRow is the one row of a QueryRow.
type sqliteRow struct {
	rows *sqliteRows
	err  error
}

func (r sqliteRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close() // its error is the statement's, which commits when it is reset
	return r.rows.Err()
}

// sqliteRows is pgx.Rows over a modernc result.
type sqliteRows struct {
	ctx       context.Context // modernc heeds it for the first row alone
	rows      driver.Rows
	statement *sqliteStatement
	values    []driver.Value
	err       error
	started   bool
	closed    bool
}

func (r *sqliteRows) Next() bool {
	if r.closed {
		return false
	}
	// The first row is there already, and with it what the statement changed.
	if r.started {
		if r.err = r.ctx.Err(); r.err != nil {
			r.Close()
			return false
		}
	}
	r.started = true
	if err := r.rows.Next(r.values); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
		r.Close()
		return false
	}
	return true
}

func (r *sqliteRows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("store: scan of %d columns into %d destinations", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := scanSQLite(r.values[i], d); err != nil {
			return &sqliteValueError{column: r.rows.Columns()[i], err: err}
		}
	}
	return nil
}

// sqliteValueError is a value that is not what its column holds, as a broken file may have it.
type sqliteValueError struct {
	column string
	err    error
}

func (e *sqliteValueError) Error() string {
	return "store: scan column " + e.column + ": " + e.err.Error()
}
func (e *sqliteValueError) Unwrap() error { return e.err }

func (r *sqliteRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if err := r.rows.Close(); err != nil && r.err == nil {
		r.err = err
	}
	r.statement.release()
}

func (r *sqliteRows) Err() error                    { return r.err }
func (r *sqliteRows) CommandTag() pgconn.CommandTag { return pgconn.CommandTag{} }
func (r *sqliteRows) Conn() *pgx.Conn               { return nil }
func (r *sqliteRows) RawValues() [][]byte           { return nil }
func (r *sqliteRows) TypeMap() *pgtype.Map          { return nil }

func (r *sqliteRows) FieldDescriptions() []pgconn.FieldDescription {
	fields := make([]pgconn.FieldDescription, len(r.values))
	for i, name := range r.rows.Columns() {
		fields[i].Name = name
	}
	return fields
}

func (r *sqliteRows) Values() ([]any, error) {
	values := make([]any, len(r.values))
	for i, value := range r.values {
		values[i] = value
	}
	return values, nil
}

// sqliteTimeLayout is how times are stored: UTC, and of fixed width so that they sort as text. SQLite's date functions
// and the Python service read it.
const sqliteTimeLayout = "2006-01-02 15:04:05.000000"

// sqliteArguments brings arguments to the types that SQLite knows. modernc binds $1 and ?1 by position.
func sqliteArguments(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		value, err := sqliteArgument(arg)
		if err != nil {
			return nil, fmt.Errorf("store: argument %d: %w", i+1, err)
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return values, nil
}

func sqliteArgument(arg any) (driver.Value, error) {
	switch arg := arg.(type) {
	case nil, int64, float64, bool, string, []byte:
		return arg, nil
	case time.Time:
		return arg.UTC().Format(sqliteTimeLayout), nil
	case *time.Time:
		if arg == nil {
			return nil, nil
		}
		return arg.UTC().Format(sqliteTimeLayout), nil
	case uuid.UUID:
		return arg.String(), nil
	case driver.Valuer:
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, nil
		}
		value, err := arg.Value()
		if err != nil {
			return nil, err
		}
		return sqliteArgument(value)
	}
	v := reflect.ValueOf(arg)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return sqliteArgument(v.Elem().Interface())
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > 1<<63-1 {
			return nil, errors.New("is greater than SQLite's largest integer")
		}
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("SQLite has no type for %T", arg)
}

// scanSQLite puts a column's value where dest points: first the types of our own rows, then whatever a user's may have.
func scanSQLite(value driver.Value, dest any) error {
	switch dest := dest.(type) {
	case *string:
		if text, ok := value.(string); ok {
			*dest = text
			return nil
		}
	case *int64:
		if number, ok := value.(int64); ok {
			*dest = number
			return nil
		}
	case *float64:
		if number, ok := value.(float64); ok {
			*dest = number
			return nil
		}
	case *bool:
		if number, ok := value.(int64); ok && (number == 0 || number == 1) {
			*dest = number == 1
			return nil
		}
	case *time.Time:
		return scanSQLiteTime(value, dest)
	case **time.Time:
		return scanNullable(value, dest, scanSQLiteTime)
	case **string:
		return scanNullable(value, dest, scanSQLite)
	case **uuid.UUID:
		return scanNullable(value, dest, scanSQLite)
	case **int64:
		return scanNullable(value, dest, scanSQLite)
	case **float64:
		return scanNullable(value, dest, scanSQLite)
	case *storagedb.Status:
		if text, ok := value.(string); ok {
			*dest = storagedb.Status(text)
			return nil
		}
	case *storagedb.Metadata:
		if text, ok := value.(string); ok {
			*dest = storagedb.Metadata(text)
			return nil
		}
	case *uuid.UUID:
		if text, ok := value.(string); ok {
			parsed, err := uuid.Parse(text)
			*dest = parsed
			return err
		}
	}
	return scanAny(value, dest)
}

func scanNullable[T any](value driver.Value, dest **T, scan func(driver.Value, any) error) error {
	if value == nil {
		*dest = nil
		return nil
	}
	*dest = new(T)
	return scan(value, *dest)
}

// scanAny scans into the types of a user's own queries. database/sql has such a conversion, but keeps it to itself.
func scanAny(value driver.Value, dest any) error {
	if scanner, ok := dest.(sql.Scanner); ok {
		return scanInto(scanner, value)
	}
	pointer := reflect.ValueOf(dest)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return fmt.Errorf("destination %T is no pointer", dest)
	}
	into := pointer.Elem()
	if into.Kind() == reflect.Pointer {
		if value == nil {
			into.SetZero()
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return scanSQLite(value, into.Interface())
	}
	if into.Kind() == reflect.Interface && into.NumMethod() == 0 {
		into.Set(reflect.ValueOf(&value).Elem())
		return nil
	}
	if value == nil && into.Kind() == reflect.Slice { // such as sqlc's nullable bytea and jsonb
		into.SetZero()
		return nil
	}
	switch value := value.(type) {
	case string:
		if into.Kind() == reflect.String || into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Uint8 {
			into.Set(reflect.ValueOf(value).Convert(into.Type()))
			return nil
		}
	case []byte:
		if into.Kind() == reflect.String || into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Uint8 {
			into.Set(reflect.ValueOf(value).Convert(into.Type()))
			return nil
		}
	case float64:
		if into.CanFloat() {
			into.SetFloat(value)
			return nil
		}
	case int64:
		switch {
		case into.CanInt() && !into.OverflowInt(value):
			into.SetInt(value)
			return nil
		case into.CanUint() && value >= 0 && !into.OverflowUint(uint64(value)):
			into.SetUint(uint64(value))
			return nil
		case into.CanFloat():
			into.SetFloat(float64(value))
			return nil
		case into.Kind() == reflect.Bool && (value == 0 || value == 1):
			into.SetBool(value == 1)
			return nil
		}
	}
	if value == nil {
		return fmt.Errorf("cannot scan NULL into %s", into.Type())
	}
	return fmt.Errorf("cannot scan %T into %s", value, into.Type())
}

// scanInto also offers a scanner what the column means: pgtype's types, which sqlc's pgx flavour has by default, take a
// time, a bool and a decimal number only as such, and SQLite has them as text and numbers.
func scanInto(scanner sql.Scanner, value driver.Value) error {
	err := scanner.Scan(value)
	if err == nil {
		return nil
	}
	var meanings []driver.Value
	switch value := value.(type) {
	case string:
		var at time.Time
		if scanSQLiteTime(value, &at) == nil {
			meanings = append(meanings, at)
		}
	case int64:
		meanings = append(meanings, value != 0, strconv.FormatInt(value, 10))
	case float64:
		meanings = append(meanings, strconv.FormatFloat(value, 'g', -1, 64))
	}
	for _, meaning := range meanings {
		if scanner.Scan(meaning) == nil {
			return nil
		}
	}
	return err
}

func scanSQLiteTime(value driver.Value, pointer any) error {
	dest := pointer.(*time.Time)
	switch value := value.(type) {
	case time.Time: // modernc parses columns that are declared DATETIME, as a user's may be
		*dest = value.UTC()
		return nil
	case string:
		for _, layout := range []string{sqliteTimeLayout, time.DateTime, time.RFC3339Nano} {
			if parsed, err := time.Parse(layout, value); err == nil {
				*dest = parsed.UTC()
				return nil
			}
		}
		return errors.New("is no time as SQLite stores it")
	}
	return fmt.Errorf("cannot scan %T into a time", value)
}
