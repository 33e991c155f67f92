package sqliteconn

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/storagedb"
)

var _ storagedb.DBTX = (*Conn)(nil)

func openMemory(t *testing.T) *Conn {
	t.Helper()
	is := is.New(t)
	target, err := dburl.Parse("sqlite::memory:")
	is.NoErr(err)
	conn, err := Open(DSN(target))
	is.NoErr(err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// modernc keeps a statement prepared unless something follows it.
func TestStatementStaysPrepared(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	conn := openMemory(t)
	for _, text := range []string{"SELECT 1", "SELECT 2;", "SELECT 3; \n", "-- name: Four :one\nSELECT 4;\n"} {
		var n int
		is.NoErr(conn.QueryRow(t.Context(), text).Scan(&n))
		statement := conn.statements[text]
		is.True(!reflect.ValueOf(statement.Stmt).Elem().FieldByName("pstmt").IsZero())
	}
}

func TestStatementCacheIsBounded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	conn := openMemory(t)
	for i := range 3 * maxStatements {
		var n int
		is.NoErr(conn.QueryRow(t.Context(), fmt.Sprintf("SELECT %d", i)).Scan(&n))
		is.Equal(n, i)
		is.True(len(conn.statements) <= maxStatements)
	}
}

func TestSameQueryInsideALoopOverIt(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	conn := openMemory(t)
	const query = "SELECT value FROM json_each('[1,2,3]')"
	outer, err := conn.Query(t.Context(), query)
	is.NoErr(err)
	sum := 0
	for outer.Next() {
		inner, err := conn.Query(t.Context(), query)
		is.NoErr(err)
		for inner.Next() {
			var n int
			is.NoErr(inner.Scan(&n))
			sum += n
		}
		is.NoErr(inner.Err())
	}
	is.NoErr(outer.Err())
	is.Equal(sum, 18)

	// The cache is emptied while a result is open on one of its statements.
	outer, err = conn.Query(t.Context(), query)
	is.NoErr(err)
	is.True(outer.Next())
	conn.dropStatements()
	is.True(outer.Next())
	outer.Close()
}

func TestArgumentsOfOwnQueries(t *testing.T) {
	t.Parallel()
	type word string
	type number int16
	now := time.Date(2026, 11, 23, 10, 0, 22, 123456789, time.FixedZone("", 3600))
	id := uuid.MustParse("01890000-0000-7000-8000-000000000001")
	conn := openMemory(t)
	for _, c := range []struct {
		given any
		want  any
	}{
		{nil, nil}, {"a", "a"}, {word("w"), "w"}, {int64(1), int64(1)}, {number(2), int64(2)}, {uint8(3), int64(3)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)}, {1.5, 1.5}, {float32(0.5), 0.5}, {true, int64(1)}, {[]byte{1, 2},
			[]byte{1, 2}},
		{new("p"), "p"}, {(*string)(nil), nil}, {(*int64)(nil), nil}, {(*time.Time)(nil), nil}, {(*uuid.UUID)(nil), nil},
		{now, "2026-11-23 09:00:22.123456"}, {&now, "2026-11-23 09:00:22.123456"},
		{id, id.String()}, {&id, id.String()}, {storagedb.StatusFailed, "failed"}, {storagedb.Metadata(nil),
			"{}"}, {storagedb.Metadata(`{"a":1}`), `{"a":1}`},
		{sql.NullString{}, nil}, {sql.NullInt64{Int64: 5, Valid: true}, int64(5)}, {sql.NullTime{Time: now, Valid: true},
			"2026-11-23 09:00:22.123456"},
	} {
		var got any
		err := conn.QueryRow(t.Context(), "SELECT $1", c.given).Scan(&got)
		if err != nil || fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", c.want, c.want) {
			t.Errorf("%T %v: got %T %v, %v, want %v", c.given, c.given, got, got, err, c.want)
		}
	}
	for _, bad := range []any{make(chan int), uint64(math.MaxUint64), []string{"a"}, struct{}{}} {
		if err := conn.QueryRow(t.Context(), "SELECT $1", bad).Scan(new(any)); err == nil {
			t.Errorf("%T is accepted", bad)
		}
		if _, err := conn.Exec(t.Context(), "SELECT $1", bad); err == nil {
			t.Errorf("%T is accepted", bad)
		}
	}
}

func TestDestinationsOfOwnQueries(t *testing.T) {
	t.Parallel()
	type word string
	is := is.New(t)
	conn := openMemory(t)
	scan := func(query string, dest ...any) error { return conn.QueryRow(t.Context(), query).Scan(dest...) }

	var text string
	var named word
	var raw []byte
	var textPointer *string
	is.NoErr(scan("SELECT 'a', 'b', 'c', 'd'", &text, &named, &raw, &textPointer))
	is.Equal(text+string(named)+string(raw)+*textPointer, "abcd")

	var i64 int64
	var i32 int32
	var u8 uint8
	var f64 float64
	var f32 float32
	var yes bool
	var i64Pointer *int64
	var f64Pointer *float64
	is.NoErr(scan("SELECT 1, 2, 3, 4, 5.5, 1, 7, 8.5", &i64, &i32, &u8, &f64, &f32, &yes, &i64Pointer, &f64Pointer))
	is.Equal(float64(i64)+float64(i32)+float64(u8)+f64+float64(f32)+float64(*i64Pointer)+*f64Pointer, 31.0)
	is.True(yes)

	var null sql.NullString
	var nothing any = "something"
	var number *int32
	is.NoErr(scan("SELECT NULL, NULL, NULL, NULL, NULL", &null, &nothing, &number, &textPointer, &i64Pointer))
	is.True(!null.Valid && nothing == nil && number == nil && textPointer == nil && i64Pointer == nil)
	is.NoErr(scan("SELECT 9", &number))
	is.Equal(*number, int32(9))

	var id uuid.UUID
	var idPointer *uuid.UUID
	var status storagedb.Status
	var metadata storagedb.Metadata
	is.NoErr(scan(`SELECT '01890000-0000-7000-8000-000000000001', '01890000-0000-7000-8000-000000000001', 'failed', '{"a":1}'`, &id, &idPointer, &status, &metadata))
	is.Equal(id, *idPointer)
	is.Equal(status, storagedb.StatusFailed)
	is.Equal(string(metadata), `{"a":1}`)

	want := time.Date(2026, 11, 23, 9, 0, 22, 0, time.UTC)
	var at time.Time
	var atPointer *time.Time
	_, err := conn.Exec(t.Context(), "CREATE TABLE own (at DATETIME)")
	is.NoErr(err)
	for _, stored := range []string{"2026-11-23 09:00:22", "2026-11-23 09:00:22.000000", "2026-11-23T10:00:22+01:00"} {
		is.NoErr(conn.QueryRow(t.Context(), "SELECT $1, $1", stored).Scan(&at, &atPointer))
		is.Equal(at, want)
		is.Equal(*atPointer, want)
	}
	_, err = conn.Exec(t.Context(), "INSERT INTO own VALUES ($1)", want)
	is.NoErr(err)
	is.NoErr(scan("SELECT at FROM own", &at)) // modernc itself makes a time of a DATETIME column
	is.Equal(at, want)

	for query, dest := range map[string]any{
		"SELECT NULL":              new(string),
		"SELECT 300":               new(uint8),
		"SELECT -1":                new(uint),
		"SELECT 2":                 new(bool),
		"SELECT 'a'":               new(int),
		"SELECT x'01'":             new(float64),
		"SELECT 1.5":               new(int64),
		"SELECT 'yesterday'":       new(time.Time),
		"SELECT 5":                 new(time.Time),
		"SELECT 'no UUID'":         new(uuid.UUID),
		"SELECT 1 AS no_pointer":   "text",
		"SELECT 2 AS no_pointer":   (*int)(nil),
		"SELECT 1 AS struct":       new(struct{}),
		"SELECT 1 WHERE 1 = 2":     new(int64),
		"SELECT json('{')":         new(string),
		"SELECT 1 FROM json('[}')": new(string),
	} {
		if err := scan(query, dest); err == nil {
			t.Errorf("%s into %T: no error", query, dest)
		}
	}
	is.True(errors.Is(scan("SELECT 1 WHERE 1 = 2", new(int64)), pgx.ErrNoRows))

	rows, err := conn.Query(t.Context(), "SELECT 1, 'a' UNION ALL SELECT 2, NULL")
	is.NoErr(err)
	is.True(rows.Next())
	values, err := rows.Values()
	is.NoErr(err)
	is.Equal(values, []any{int64(1), "a"})
	rows.Close()
	is.True(!rows.Next())
}
