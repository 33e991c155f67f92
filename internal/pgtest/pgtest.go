// Package pgtest finds or starts a PostgreSQL server for tests. It imports nothing of this module, so that it also
// serves what must run before the generated code compiles.
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

// Server is a PostgreSQL server on which tests make their databases.
type Server struct {
	URL   *url.URL  // of its administrative database
	leash io.Closer // of the watcher of a server that was started here, kept so that it is not let go before the end
}

// Find returns the server of $TEST_POSTGRES_URL. If that is empty, it starts one, which stops when the process ends.
// The Server must be kept as long as it is used.
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
		return nil, errors.New("TEST_POSTGRES_URL is no postgres:// URL")
	}
	return &Server{parsed, leash}, nil
}

// Missing skips the test for want of a server. If REQUIRE_POSTGRES or TEST_POSTGRES_URL is set, it fails the test.
func Missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_POSTGRES") != "" || os.Getenv("TEST_POSTGRES_URL") != "" {
		t.Fatalf("REQUIRE_POSTGRES or TEST_POSTGRES_URL is set, and there is no PostgreSQL: %v", err)
	}
	t.Skipf("no PostgreSQL: %v", err)
}

// Database makes a database for one test, and drops it when the test ends, even if others are still connected. If
// template is not empty, the database is a copy of that one.
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

// startServer starts a server from the installed binaries, in a folder of its own.
func startServer(ctx context.Context) (text string, leash io.Closer, err error) {
	bin, err := findBinaries()
	if err != nil {
		return "", nil, err
	}
	durable := os.Getenv("TEST_POSTGRES_DURABLE") != ""
	folder, err := os.MkdirTemp(parentOfServer(durable), "storetest-postgres-")
	if err != nil {
		return "", nil, err
	}
	// This process may be killed at any time, so a child of its own stops the server once the pipe to it closes.
	if leash, err = startWatcher(filepath.Join(bin, "pg_ctl"), folder); err != nil {
		os.RemoveAll(folder)
		return "", nil, err
	}
	run := func(program string, args ...string) error {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
		cmd.Dir = folder
		if err := asServerUser(cmd, folder); err != nil {
			return err
		}
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, output)
		}
		return nil
	}
	data := filepath.Join(folder, "data")
	if err := run(
		"initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale",
		"--no-sync",
	); err != nil {
		return "", nil, err
	}
	// The tests of several packages may share the server, with a pool for each store that they open.
	settings := []string{"listen_addresses=", "unix_socket_directories=" + folder, "max_connections=500"}
	if !durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=256MB")
	}
	options := ""
	for _, setting := range settings {
		options += " -c " + strconv.Quote(setting)
	}
	if err := run(
		"pg_ctl", "start", "--wait", "--timeout", strconv.Itoa(int(time.Minute.Seconds())), "--pgdata", data,
		"--log", filepath.Join(folder, "log"), "--options", options,
	); err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "log")) // where there is none, err says enough
		return "", nil, fmt.Errorf("%w: %s", err, log)
	}
	return "postgres:///postgres?" + url.Values{"host": {folder}, "user": {"postgres"}}.Encode(), leash, nil
}

// parentOfServer returns where the directory of a server goes: in memory, if it need not be durable and there is room.
// A database is some three hundred files, and each test makes and drops one: on a disk that costs ten times as much.
func parentOfServer(durable bool) string {
	const memory, needed = "/dev/shm", 4 << 30
	if !durable && freeBytes(memory) >= needed {
		return memory
	}
	if parent := os.TempDir(); len(parent) <= 60 { // the path of a Unix socket holds some hundred bytes
		return parent
	}
	return "/tmp"
}

// findBinaries finds the folder of initdb and pg_ctl: that of $PATH, or the newest of those where Debian puts them.
func findBinaries() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if resolved, err := filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(resolved), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("set TEST_POSTGRES_URL, or install PostgreSQL's server: neither it nor initdb is there")
	}
	version := func(path string) int {
		number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for a name that is no number
		return number
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}
