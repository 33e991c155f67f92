// Package storetest gives tests a store of their own: migrated, empty, and gone when the test ends.
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

// Open gives a migrated, empty store on a SQLite file of its own in the test's temporary folder. It is closed when the
// test ends. The options, of which at most one may be given, are those of store.Open; their URL is set here.
func Open(t testing.TB, opts ...store.Options) *store.Store {
	t.Helper()
	return open(t, URL(t), opts)
}

// OpenPostgres gives a migrated, empty store on a PostgreSQL database of its own, which is dropped when the test ends.
// The options, of which at most one may be given, are those of store.Open; their URL is set here.
//
// The server is that of $TEST_POSTGRES_URL, a postgres:// URL whose user must be allowed to create databases; a
// migrated template stays there for the next run. Without it, one is started from the binaries that are installed
// (initdb and pg_ctl, from $PATH or Debian's folders), as the user postgres or nobody where the tests run as root, and
// stopped when the test process ends, even when it is killed. It listens on a Unix socket alone, and does not wait for
// the disk, unless $TEST_POSTGRES_DURABLE is set, which measurements need.
//
// Without a server the test is skipped; it fails where REQUIRE_POSTGRES is set, and where $TEST_POSTGRES_URL is set but
// cannot be used.
func OpenPostgres(t testing.TB, opts ...store.Options) *store.Store {
	t.Helper()
	return open(t, PostgresURL(t), opts)
}

// URL gives the URL of a migrated, empty SQLite database as [Open] does, for tests that open it themselves.
func URL(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generations.db")
	if err := os.WriteFile(path, sqliteTemplate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return sqliteURL(path)
}

// sqliteURL is the URL of an absolute path. On Unix it is unescaped twice, by net/url and as dbmate does; a path of
// Windows, with its drive letter, is taken as it is.
func sqliteURL(path string) string {
	if filepath.VolumeName(path) != "" {
		return "sqlite:" + filepath.ToSlash(path)
	}
	once := (&url.URL{Path: path}).EscapedPath()
	return "sqlite://" + (&url.URL{Path: once}).EscapedPath()
}

// PostgresURL gives the URL of a migrated, empty PostgreSQL database as [OpenPostgres] does, for tests that open it
// themselves.
func PostgresURL(t testing.TB) string {
	t.Helper()
	s := postgresServer(t)
	return s.Database(t, s.template)
}

// EmptyPostgresURL gives the URL of a PostgreSQL database without any table, for tests of migrations.
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

// closeInTime fails the test where Close does not come to an end, rather than letting the test binary run into its
// time limit.
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
		t.Error("storetest: the store does not close: a result of DB().Query was not closed, a row not scanned, " +
			"or an InTx still runs")
	}
}

var template struct {
	once sync.Once
	file []byte
	err  error
}

// sqliteTemplate migrates once per process; every test gets a copy of the file.
func sqliteTemplate(t testing.TB) []byte {
	t.Helper()
	template.once.Do(func() { template.file, template.err = makeSQLiteTemplate() })
	if template.err != nil {
		t.Fatal(template.err)
	}
	return template.file
}

func makeSQLiteTemplate() ([]byte, error) {
	folder, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "template.db")
	// Migrate closes the file, which brings the log back into it: the one file is the whole database.
	if err := store.Migrate(context.Background(), sqliteURL(path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
