package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/db"
	"github.com/dgx-music/storage/internal/pgtest"
	"github.com/dgx-music/storage/store"
)

// server is a PostgreSQL server on which tests create their databases.
type server struct {
	*pgtest.Server
	template string // name of the migrated database that tests copy
}

var postgres struct {
	once   sync.Once
	server *server
	err    error
}

// postgresServer finds or starts the server, once per process. If there is none, it skips the test.
func postgresServer(t testing.TB) *server {
	t.Helper()
	postgres.once.Do(func() { postgres.server, postgres.err = newServer(context.Background()) })
	if postgres.err != nil {
		pgtest.Missing(t, postgres.err)
	}
	return postgres.server
}

func newServer(ctx context.Context) (*server, error) {
	found, err := pgtest.Find(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{Server: found}
	return s, s.prepareTemplate(ctx)
}

// prepareTemplate creates the migrated database that tests copy. Several test processes may share a server, so the
// template is created under a lock, and its name has a hash of the migrations. It stays for the next run.
func (s *server) prepareTemplate(ctx context.Context) error {
	name, err := templateName()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.URL.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	const lock = "SELECT pg_advisory_lock(7358921)" // an arbitrary number; the lock ends with the connection
	if _, err := conn.Exec(ctx, lock); err != nil {
		return err
	}
	var exists bool
	const query = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)"
	if err := conn.QueryRow(ctx, query, name).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		// It has a temporary name until it is complete, since this process may be killed half way.
		unfinished := name + "_unfinished"
		for _, statement := range []string{
			"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)", "CREATE DATABASE " + unfinished,
		} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		if err := store.Migrate(ctx, s.URLOf(unfinished)); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name); err != nil {
			return err
		}
	}
	s.template = name
	return nil
}

// templateName returns the name of the template for the current migrations.
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
