package store

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
)

func TestPostgresErrorsAreClassifiedByCode(t *testing.T) {
	for code, want := range map[string]error{
		"23505": ErrConflict, "55P03": ErrBusy, "40001": ErrBusy, "40P01": ErrBusy, "53300": ErrBusy,
	} {
		driver := &pgconn.PgError{Code: code, Message: "some text"}
		err := describe("test", driver)
		var reachable *pgconn.PgError
		if !errors.Is(err, want) || !errors.As(err, &reachable) || reachable != driver {
			t.Errorf("%s: got %v, want %v", code, err, want)
		}
	}
	var invalid *ValidationError
	err := describe("test", &pgconn.PgError{Code: "23514", TableName: "generations", ConstraintName: "generations_channels_check"})
	if !errors.As(err, &invalid) || invalid.Field != "channels" {
		t.Errorf("check violation: got %v", err)
	}
	err = describe("test", &pgconn.PgError{Code: "23514", TableName: "generations", ConstraintName: "other"})
	if !errors.As(err, &invalid) || invalid.Field != "row" {
		t.Errorf("check violation under another name: got %v", err)
	}
	other := &pgconn.PgError{Code: "42P01"}
	if classify(other) != error(other) {
		t.Error("an unknown code is not left alone")
	}
}

func TestClockFollowsAServerThatIsAhead(t *testing.T) {
	is := is.New(t)
	c := &clock{now: time.Now}
	ahead := time.Hour
	is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) { return time.Now().Add(ahead), 0, nil }))
	apart := time.Until(c.Now())
	is.True(apart > ahead-time.Second && apart < ahead+time.Second)
	broken := errors.New("broken")
	is.Equal(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) { return time.Time{}, 0, broken }), broken)
	apart = time.Until(c.Now())
	is.True(apart > ahead-time.Second) // the last offset is kept
}

// A trip that took long says little: of two processes on one server, neither may be off by half of it.
func TestClockAsksAgainWhereATripTookLong(t *testing.T) {
	is := is.New(t)
	c := &clock{now: time.Now}
	asked := 0
	server := func(context.Context) (time.Time, time.Duration, error) {
		if asked++; asked <= 5 {
			return time.Now().Add(-30 * time.Millisecond), 60 * time.Millisecond, nil // the way back took all the time
		}
		return time.Now(), time.Millisecond, nil
	}
	is.NoErr(c.follow(t.Context(), server))
	is.Equal(asked, 6)
	is.True(time.Until(c.Now()).Abs() < 10*time.Millisecond)

	// What long trips say later does not turn a clock that is right.
	kept := c.anchor.Load()
	is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) {
		return time.Now().Add(-20 * time.Millisecond), 60 * time.Millisecond, nil
	}))
	is.Equal(c.anchor.Load(), kept)
	is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) {
		return time.Now().Add(time.Second), 60 * time.Millisecond, nil
	}))
	is.True(time.Until(c.Now()) > 900*time.Millisecond)
}

// A migration that fails, or leaves rows that refer to nothing, is taken back whole, and says where it failed.
func TestMigrationThatFailsChangesNothing(t *testing.T) {
	for name, c := range map[string]struct{ up, part string }{
		"syntax":      {"CREATE TABLE half (id INTEGER);\nTHIS IS NO SQL;", "syntax error"},
		"foreign key": {"CREATE TABLE child (id INTEGER REFERENCES prompts (id)); INSERT INTO child VALUES (999);", "child row 1"},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			url := "sqlite://" + filepath.Join(t.TempDir(), "x.db")
			is.NoErr(Migrate(ctx, url))
			target, err := parseURL(url)
			is.NoErr(err)
			err = underMigrationLock(ctx, target, func(m *dbmate.DB) error {
				m.FS = withMigration(t, m.FS, "99990101000000_broken.sql", "-- migrate:up\n"+c.up+"\n-- migrate:down\n")
				return m.Migrate()
			})
			is.True(err != nil && strings.Contains(err.Error(), c.part))
			s, err := Open(ctx, Options{URL: url})
			is.NoErr(err) // the version is the old one
			defer s.Close()
			var tables int
			is.NoErr(s.DB().QueryRow(ctx, "SELECT count(*) FROM sqlite_schema WHERE name IN ('half', 'child')").Scan(&tables))
			is.Equal(tables, 0)
		})
	}
}

func withMigration(t *testing.T, files fs.FS, name, text string) fs.FS {
	t.Helper()
	more := fstest.MapFS{name: {Data: []byte(text)}}
	entries, err := fs.ReadDir(files, ".")
	is.New(t).NoErr(err)
	for _, entry := range entries {
		data, err := fs.ReadFile(files, entry.Name())
		is.New(t).NoErr(err)
		more[entry.Name()] = &fstest.MapFile{Data: data}
	}
	return more
}

// SQLite has a transaction roll back by itself when the disk is full; a bound on the file's pages stands in for a disk.
func TestFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	s, err := Open(ctx, Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "x.db"), Migrate: true})
	is.NoErr(err)
	defer s.Close()
	_, err = s.DB().Exec(ctx, "PRAGMA max_page_count = 200")
	is.NoErr(err)
	acknowledged := 0
	for range 1000 {
		params := validParams("x")
		params.FilePath = strings.Repeat("f", 4000)
		if _, err = s.CreateGeneration(ctx, params); err != nil {
			break
		}
		acknowledged++
	}
	is.True(err != nil && acknowledged > 0)
	inTx := 0
	if s.InTx(ctx, func(tx *Tx) error {
		params := validParams("x")
		params.FilePath = strings.Repeat("f", 4000)
		for range 10 {
			if _, err := tx.CreateGeneration(ctx, params); err == nil {
				inTx++
			}
		}
		return nil
	}) == nil {
		acknowledged += inTx
	}
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(acknowledged))
	p, err := s.GetPromptByText(ctx, "x")
	is.NoErr(err)
	is.Equal(p.UsedCount, int64(acknowledged))
	_, err = s.DB().Exec(ctx, "PRAGMA max_page_count = 100000")
	is.NoErr(err)
	_, err = s.CreateGeneration(ctx, validParams("x")) // there is room again
	is.NoErr(err)
}

func TestQueryName(t *testing.T) {
	is := is.New(t)
	is.Equal(queryName("-- name: GetGeneration :one\nSELECT 1"), "GetGeneration")
	is.Equal(queryName("  select 1"), "select")
	is.Equal(queryName("'a-secret-that-is-long'"), "unnamed")
	is.Equal(queryName(""), "unnamed")
}

var _ storagedb.DBTX = (*sqliteConn)(nil)

func TestBackoff(t *testing.T) {
	is := is.New(t)
	for failures, exact := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512} {
		exact *= time.Second
		seen := make(map[time.Duration]bool)
		for range 1000 {
			wait := backoff(int64(failures))
			is.True(wait >= exact*9/10 && wait <= exact*11/10)
			seen[wait.Round(exact/100)] = true
		}
		is.True(len(seen) > 10) // spread out
	}
	for _, failures := range []int64{10, 11, 63, 64, math.MaxInt64} {
		seen := make(map[time.Duration]bool)
		for range 1000 {
			wait := backoff(failures)
			is.True(wait >= 9*time.Minute && wait <= 10*time.Minute)
			seen[wait.Round(time.Second)] = true
		}
		is.True(len(seen) > 10)
	}
}

func TestPausesGrowUpToTheirMaximumAndStayThere(t *testing.T) {
	is := is.New(t)
	for _, to := range []time.Duration{time.Millisecond, time.Second, 24 * time.Hour} {
		var pause time.Duration
		for range 200 {
			next := longer(pause, 50*time.Millisecond, to)
			is.True(next >= pause && next > 0 && next <= to)
			pause = next
		}
		is.Equal(pause, to)
	}
}

func TestNotifierSendsOnceForManyAnnouncements(t *testing.T) {
	is := is.New(t)
	var sent atomic.Int32
	n := &notifier{send: func() { sent.Add(1) }}
	began := time.Now()
	for range 1000 {
		n.poke()
		time.Sleep(20 * time.Microsecond)
	}
	n.close()
	is.True(sent.Load() >= 2)                                         // at once, and for what came later
	is.True(sent.Load() <= int32(time.Since(began)/notifyInterval)+2) // and not for each
	n.poke()
	n.close()
}
