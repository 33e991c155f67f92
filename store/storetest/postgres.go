package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/db"
	"github.com/dgx-music/storage/store"
)

// server is a PostgreSQL server on which tests make their databases.
type server struct {
	url      *url.URL // of its administrative database
	template string   // a migrated database to copy
}

var postgres struct {
	once   sync.Once
	server *server
	err    error
	leash  io.Closer // the watcher of a server that was started here, kept so that it is not let go before the end
}

// postgresServer finds or starts the server once per process, and skips the test where there is none.
func postgresServer(t testing.TB) *server {
	t.Helper()
	postgres.once.Do(func() { postgres.server, postgres.err = newServer(context.Background()) })
	if postgres.err != nil {
		if os.Getenv("REQUIRE_POSTGRES") != "" || os.Getenv("TEST_POSTGRES_URL") != "" {
			t.Fatalf("REQUIRE_POSTGRES or TEST_POSTGRES_URL is set, and there is no PostgreSQL: %v", postgres.err)
		}
		t.Skipf("no PostgreSQL: %v", postgres.err)
	}
	return postgres.server
}

func newServer(ctx context.Context) (*server, error) {
	text := os.Getenv("TEST_POSTGRES_URL")
	if text == "" {
		var err error
		if text, err = startServer(ctx); err != nil {
			return nil, err
		}
	}
	parsed, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		return nil, errors.New("TEST_POSTGRES_URL is no postgres:// URL")
	}
	s := &server{url: parsed}
	return s, s.prepareTemplate(ctx)
}

// prepareTemplate makes the migrated database that tests copy. Several test processes may share a server, so the
// template is named by the migrations that are in it, and made under a lock. It stays, for the next run.
func (s *server) prepareTemplate(ctx context.Context) error {
	name, err := templateName()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	const lock = "SELECT pg_advisory_lock(7358921)" // any number that nobody else takes; it ends with the connection
	if _, err := conn.Exec(ctx, lock); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		// Under a passing name first: what was cut off half way must not be taken for the template.
		unfinished := name + "_unfinished"
		for _, statement := range []string{"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)", "CREATE DATABASE " + unfinished} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		if err := store.Migrate(ctx, s.urlOf(unfinished)); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name); err != nil {
			return err
		}
	}
	s.template = name
	return nil
}

func templateName() (string, error) {
	files, err := db.Migrations("postgres")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	})
	return "storetest_template_" + hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// database makes a database for one test and drops it when the test ends, whoever is still connected.
func (s *server) database(t testing.TB, migrated bool) string {
	t.Helper()
	ctx := context.Background()
	name := "storetest_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	statement := "CREATE DATABASE " + name
	if migrated {
		statement += " TEMPLATE " + s.template
	}
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(ctx, s.url.String())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.urlOf(name)
}

func (s *server) urlOf(database string) string {
	u := *s.url
	u.Path = "/" + database
	return u.String()
}

// startServer starts a server from the installed binaries, in a folder of its own.
func startServer(ctx context.Context) (string, error) {
	bin, err := findBinaries()
	if err != nil {
		return "", err
	}
	parent := os.TempDir()
	if len(parent) > 60 { // the path of a Unix socket holds some hundred bytes
		parent = "/tmp"
	}
	folder, err := os.MkdirTemp(parent, "storetest-postgres-")
	if err != nil {
		return "", err
	}
	// This process may be killed at any time, so a child of its own stops the server once the pipe to it closes.
	if postgres.leash, err = startWatcher(filepath.Join(bin, "pg_ctl"), folder); err != nil {
		os.RemoveAll(folder)
		return "", err
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
	if err := run("initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return "", err
	}
	settings := []string{"listen_addresses=", "unix_socket_directories=" + folder, "max_connections=200"}
	if os.Getenv("TEST_POSTGRES_DURABLE") == "" {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	options := ""
	for _, setting := range settings {
		options += " -c " + strconv.Quote(setting)
	}
	if err := run("pg_ctl", "start", "--wait", "--timeout", strconv.Itoa(int(time.Minute.Seconds())), "--pgdata", data, "--log", filepath.Join(folder, "log"), "--options", options); err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "log")) // where there is none, err says enough
		return "", fmt.Errorf("%w: %s", err, log)
	}
	return "postgres:///postgres?" + url.Values{"host": {folder}, "user": {"postgres"}}.Encode(), nil
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
