// Package pgtest finds or starts a PostgreSQL server for tests. It imports nothing of this module, so tests can use it
// before the generated code compiles.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server on which tests create their databases.
type Server struct {
	// URL is the URL of the administrative database.
	URL *url.URL
	// leash is a pipe to the watcher that stops a server of Find. The watcher acts when the pipe closes, so it must not be
	// garbage collected. It is nil for the server of $TEST_POSTGRES_URL.
	leash io.Closer
}

// Find returns the server of $TEST_POSTGRES_URL. If that is empty, it starts a server, which stops when the process
// ends. Keep a reference to the Server for as long as tests use it.
func Find(ctx context.Context) (*Server, error) {
	text, leash := os.Getenv("TEST_POSTGRES_URL"), io.Closer(nil)
	if text == "" {
		var err error
		if text, leash, err = startServer(ctx); err != nil {
			return nil, err
		}
	}
	parsed, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		return nil, errors.New("TEST_POSTGRES_URL is not a postgres:// URL")
	}
	return &Server{parsed, leash}, nil
}

// Missing skips the test, because err says that there is no server. If REQUIRE_POSTGRES or TEST_POSTGRES_URL is set, it
// fails the test instead.
func Missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_POSTGRES") != "" || os.Getenv("TEST_POSTGRES_URL") != "" {
		t.Fatalf("no PostgreSQL, but REQUIRE_POSTGRES or TEST_POSTGRES_URL is set: %v", err)
	}
	t.Skipf("no PostgreSQL: %v", err)
}

// Database creates a database for one test and returns its URL. If template is not empty, the database is a copy of
// that one. It is dropped when the test ends, even if other connections are open.
func (s *Server) Database(t testing.TB, template string) string {
	t.Helper()
	ctx := context.Background()
	name := "storetest_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	conn, err := pgx.Connect(ctx, s.URL.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(ctx, s.URL.String())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.URLOf(name)
}

// URLOf returns the URL of a database of the server.
func (s *Server) URLOf(database string) string {
	u := *s.URL
	u.Path = "/" + database
	return u.String()
}

// startServer starts a server from the installed binaries, in a directory of its own.
func startServer(ctx context.Context) (text string, leash io.Closer, err error) {
	bin, err := findBinaries()
	if err != nil {
		return "", nil, err
	}
	durable := os.Getenv("TEST_POSTGRES_DURABLE") != ""
	dir, err := os.MkdirTemp(parentOfServer(durable), "storetest-postgres-")
	if err != nil {
		return "", nil, err
	}
	// This process may be killed at any time. So a child stops the server when the pipe to it closes.
	if leash, err = startWatcher(filepath.Join(bin, "pg_ctl"), dir); err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	run := func(program string, args ...string) error {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
		cmd.Dir = dir
		if err := asServerUser(cmd, dir); err != nil {
			return err
		}
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, output)
		}
		return nil
	}
	data := filepath.Join(dir, "data")
	if err := run("initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return "", nil, err
	}
	// The tests of several packages may share the server, with a pool for each store that they open.
	settings := []string{"listen_addresses=", "unix_socket_directories=" + dir, "max_connections=500"}
	if !durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=256MB")
	}
	options := ""
	for _, setting := range settings {
		options += " -c " + strconv.Quote(setting)
	}
	logFile := filepath.Join(dir, "log")
	if err := run("pg_ctl", "start", "--wait", "--timeout", strconv.Itoa(int(time.Minute.Seconds())),
		"--pgdata", data, "--log", logFile, "--options", options); err != nil {
		log, _ := os.ReadFile(logFile) // if there is no log, err says enough
		return "", nil, fmt.Errorf("%w: %s", err, log)
	}
	return "postgres:///postgres?" + url.Values{"host": {dir}, "user": {"postgres"}}.Encode(), leash, nil
}

// parentOfServer returns the parent of a server's directory: in memory, if it need not be durable and there is room.
// A database is some three hundred files, and each test creates and drops one: on a disk that costs ten times as much.
func parentOfServer(durable bool) string {
	const memory, needed = "/dev/shm", 4 << 30
	if !durable && freeBytes(memory) >= needed {
		return memory
	}
	if parent := os.TempDir(); len(parent) <= 60 { // the path of a Unix socket is limited to about a hundred bytes
		return parent
	}
	return "/tmp"
}

// findBinaries returns the directory of initdb and pg_ctl: from $PATH, or else the newest version below Debian's
// directory.
func findBinaries() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if resolved, err := filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(resolved), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("initdb not found: set TEST_POSTGRES_URL, or install PostgreSQL's server")
	}
	version := func(path string) int {
		number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 if the name is not a number
		return number
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}
