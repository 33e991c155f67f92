// Package storetest gives each test a store of its own. The store is migrated and empty, and is removed when the test
// ends.
//
//	func TestMine(t *testing.T) {
//		s := storetest.Open(t)
//		…
//	}
package storetest

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dgx-music/storage/store"
)

// Open returns a migrated, empty store on a SQLite file of its own, in the test's temporary directory. It is closed
// when the test ends. The options are those of store.Open, and at most one may be given; Open sets the URL.
func Open(t testing.TB, opts ...store.Options) *store.Store {
	t.Helper()
	return open(t, URL(t), opts)
}

// OpenPostgres returns a migrated, empty store on a PostgreSQL database of its own. The database is dropped when the
// test ends. The options are those of store.Open, and at most one may be given; OpenPostgres sets the URL.
//
// It uses the server of $TEST_POSTGRES_URL, a postgres:// URL. Its user must be allowed to create databases. A migrated
// template database stays there for the next run.
//
// If $TEST_POSTGRES_URL is empty, it starts a server for the test process:
//
//   - It finds initdb and pg_ctl in $PATH, or in the directories where Debian installs them.
//   - If the tests run as root, the server runs as the user postgres or nobody.
//   - The server listens only on a Unix socket. It stops when the test process ends, even if that is killed.
//   - It does not wait for the disk. For measurements, set $TEST_POSTGRES_DURABLE.
//
// Without a server the test is skipped. If $REQUIRE_POSTGRES or $TEST_POSTGRES_URL is set, it fails instead.
func OpenPostgres(t testing.TB, opts ...store.Options) *store.Store {
	t.Helper()
	return open(t, PostgresURL(t), opts)
}

// URL returns the URL of a migrated, empty SQLite database like that of [Open], for tests that open it themselves.
func URL(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generations.db")
	if err := os.WriteFile(path, sqliteTemplate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return sqliteURL(path)
}

// sqliteURL returns the URL of an absolute path. On Unix it escapes the path twice, since the URL is unescaped twice:
// by net/url, and again as dbmate does. A Windows path with a drive letter is not unescaped.
func sqliteURL(path string) string {
	if filepath.VolumeName(path) != "" {
		return "sqlite:" + filepath.ToSlash(path)
	}
	once := (&url.URL{Path: path}).EscapedPath()
	return "sqlite://" + (&url.URL{Path: once}).EscapedPath()
}

// PostgresURL returns the URL of a migrated, empty PostgreSQL database like that of [OpenPostgres], for tests that open
// it themselves.
func PostgresURL(t testing.TB) string {
	t.Helper()
	s := postgresServer(t)
	return s.Database(t, s.template)
}

// EmptyPostgresURL returns the URL of a PostgreSQL database without tables, for tests of migrations.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return postgresServer(t).Database(t, "")
}

func open(t testing.TB, url string, opts []store.Options) *store.Store {
	t.Helper()
	var options store.Options
	if len(opts) > 0 {
		options = opts[0]
	}
	options.URL = url
	s, err := store.Open(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeInTime(t, s) })
	return s
}

// closeInTime closes the store. It fails the test if Close does not return, so that the test binary does not run into
// its time limit.
func closeInTime(t testing.TB, s *store.Store) {
	t.Helper()
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("storetest: Close does not return: " +
			"a result of DB().Query was not closed, a row was not scanned, or an InTx still runs")
	}
}

var template struct {
	once sync.Once
	file []byte
	err  error
}

// sqliteTemplate returns the content of a migrated file. It migrates once per process, and every test gets a copy.
func sqliteTemplate(t testing.TB) []byte {
	t.Helper()
	template.once.Do(func() { template.file, template.err = makeSQLiteTemplate() })
	if template.err != nil {
		t.Fatal(template.err)
	}
	return template.file
}

func makeSQLiteTemplate() ([]byte, error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	// Migrate closes the file with a WAL checkpoint, so this one file is the whole database.
	if err := store.Migrate(context.Background(), sqliteURL(path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
