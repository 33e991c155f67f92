package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestURLsMeanWhatDbmateTakesThemToMean(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for url, path := range map[string]string{
		"sqlite:data/generations.db":        "data/generations.db", // its folder is made
		"sqlite:plain.db":                   "plain.db",
		"sqlite3:three.db":                  "three.db",
		"sqlite:./dot.db":                   "dot.db",
		"sqlite:with%20escape.db":           "with%20escape.db", // relative ones are taken as they are
		"sqlite:hash#tag.db":                "hash#tag.db",
		"sqlite://" + folder + "/two.db":    "two.db", // of the leading slashes one is left
		"sqlite:" + folder + "/one.db":      "one.db",
		"sqlite:////" + folder + "/many.db": "many.db",
		"sqlite://" + folder + "/a%20b.db":  "a b.db", // absolute ones are unescaped
	} {
		t.Run(url, func(t *testing.T) {
			is := is.New(t)
			s, err := store.Open(t.Context(), store.Options{URL: url, Migrate: true})
			is.NoErr(err)
			testkit.Create(t, s, "x")
			is.NoErr(s.Close())
			info, err := os.Stat(filepath.Join(folder, path))
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), fs.FileMode(0o600))
		})
	}
}

func TestURLOfTheEnvironment(t *testing.T) {
	is := is.New(t)
	t.Chdir(t.TempDir())
	t.Setenv("DATABASE_URL", "")
	s, err := store.Open(t.Context(), store.Options{Migrate: true})
	is.NoErr(err)
	is.NoErr(s.Close())
	_, err = os.Stat("data/generations.db")
	is.NoErr(err)

	t.Setenv("DATABASE_URL", "sqlite:other.db")
	is.NoErr(store.Migrate(t.Context(), ""))
	_, err = os.Stat("other.db")
	is.NoErr(err)
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for url, part := range map[string]string{
		"data/generations.db":                                     "scheme",
		"mysql://root:s3cret@localhost/x":                         "mysql",
		"sqlite:":                                                 "no file",
		"sqlite:x.db?_journal_mode=WAL":                           "no parameters",
		"sqlite://" + folder + "/what%3f.db":                      "question mark",
		"sqlite:file:x.db":                                        "without file:",
		"postgresql+psycopg2://u:s3cret@host/x":                   "write postgresql:",
		"postgres://u:pa@s3cret@127.0.0.1:1/x":                    "cannot be parsed",
		"postgres://u:x@s3cret/more@127.0.0.1:1/x":                "cannot be parsed",
		"postgres://u%3As3cret@127.0.0.1:1/x":                     "cannot be parsed",
		"postgres://u:a@b?s3cret@host/db":                         "cannot be parsed",
		"s3cret:foo@127.0.0.1/x":                                  "scheme",
		"postgres://u:#s3cret@127.0.0.1:1/x":                      "cannot be parsed",
		"Postgres://u:s3cret@127.0.0.1:1/x":                       "127.0.0.1",
		"sqlite:///no/such/folder/x.db":                           "sqlite:no/such/folder/x.db", // what an SQLAlchemy user meant
		"sqlite://" + folder:                                      folder,
		"postgres://u:s3cret@host:notaport/x":                     "cannot be parsed",
		"postgres://u:s3cret%zz@host/x":                           "cannot be parsed",
		"postgres://u:s3cret@host/x?sslmode=s3cret":               "cannot be used",
		"postgres://u:s3cret@127.0.0.1:1/x":                       "127.0.0.1",
		"postgres://u:s3cret@127.0.0.1:1/x?pool_max_conns=s3cret": "cannot be used",
	} {
		for name, err := range map[string]error{
			"Open":    testkit.OpenError(url),
			"Migrate": store.Migrate(context.Background(), url),
		} {
			if err == nil {
				t.Errorf("%s(%s): no error", name, url)
				continue
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: the error carries the password: %v", name, err)
			}
			if !strings.Contains(err.Error(), part) && name == "Open" {
				t.Errorf("%s(%s): %v, want %q in it", name, url, err, part)
			}
		}
	}
}

func TestFileThatIsNoDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "notes.txt")
	is.NoErr(os.WriteFile(path, []byte(strings.Repeat("these are notes\n", 100)), 0o600))
	err := testkit.OpenError("sqlite://" + path)
	is.True(err != nil && strings.Contains(err.Error(), "not a SQLite database"))
	text, err := os.ReadFile(path)
	is.NoErr(err)
	is.Equal(string(text), strings.Repeat("these are notes\n", 100)) // untouched
}

// What keeps a file from being opened is named: SQLite says the same of all of it.
func TestWhyAFileCannotBeOpened(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := func(name string) string { return filepath.Join(directory, name) }
	for name, c := range map[string]struct {
		prepare func(is *is.I)
		path    string
		says    string
	}{
		"a link that leads nowhere": {
			func(is *is.I) { is.NoErr(os.Symlink("nowhere/g.db", path("link.db"))) },
			path("link.db"), "link.db is a symbolic link to nowhere/g.db, which does not exist",
		},
		"no directory": {func(*is.I) {}, path("gone/g.db"), "gone"},
		"UTF-16": {
			func(*is.I) {
				testkit.OnFile(t, path("utf16.db"), "PRAGMA encoding = 'UTF-16le'", "CREATE TABLE other (id)")
			},
			path("utf16.db"), "encoded as UTF-16le",
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			c.prepare(is)
			err := store.Migrate(t.Context(), "sqlite://"+c.path)
			is.True(err != nil && strings.Contains(err.Error(), c.says))
			_, err = store.Open(t.Context(), store.Options{URL: "sqlite://" + c.path})
			is.True(err != nil)
		})
	}
}

// An open store says what happened to its file's directory.
func TestDirectoryThatIsMovedAway(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	directory := filepath.Join(t.TempDir(), "data")
	is.NoErr(os.Mkdir(directory, 0o755))
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(directory, "g.db"), Migrate: true})
	is.NoErr(err)
	defer s.Close()
	is.NoErr(os.Rename(directory, directory+"2"))
	_, err = s.GetGeneration(t.Context(), uuid.New()) // opens the first reader
	is.True(err != nil && strings.Contains(err.Error(), "the directory of "+directory))
}

func TestDatabaseInMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite::memory:", Migrate: true,
		BusyTimeout: 100 * time.Millisecond})
	is.NoErr(err)
	defer s.Close()
	g := testkit.Create(t, s, "x")
	got, err := s.GetGeneration(t.Context(), g.ID)
	is.NoErr(err)
	is.Equal(got, g)
	is.True(errors.Is(s.InTx(t.Context(), func(*store.Tx) error {
		_, err := s.GetGeneration(t.Context(), g.ID)
		return err
	}), store.ErrBusy))
	other, err := store.Open(t.Context(), store.Options{URL: "sqlite::memory:", Migrate: true})
	is.NoErr(err)
	defer other.Close()
	count, err := other.CountGenerations(t.Context(), "")
	is.NoErr(err)
	is.Equal(count, int64(0)) // each has its own
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		db := s.DB()
		is.NoErr(s.Close())
		is.NoErr(s.Close()) // a second time is no matter
		_, err := s.CreateGeneration(ctx, testkit.Beat("x"))
		is.True(errors.Is(err, store.ErrClosed))
		_, err = s.GetGeneration(ctx, testkit.NoSuchID)
		is.True(errors.Is(err, store.ErrClosed))
		_, err = s.Stats(ctx)
		is.True(errors.Is(err, store.ErrClosed))
		is.True(errors.Is(s.Ping(ctx), store.ErrClosed))
		is.True(errors.Is(s.InTx(ctx, func(*store.Tx) error { return nil }), store.ErrClosed))
		_, err = db.Exec(ctx, "SELECT 1")
		is.True(err != nil)
	})
}

// Callers that go on creating do not keep Close from returning. From its beginning on they get ErrClosed.
func TestCloseReturnsWhileCallersGoOnCreating(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			for range 3 {
				s, err := store.Open(t.Context(), store.Options{URL: url})
				is.NoErr(err)
				var created atomic.Int64
				var callers sync.WaitGroup
				for range 16 {
					callers.Go(func() {
						for {
							if _, err := s.CreateGeneration(context.Background(), testkit.Beat("goes on")); errors.Is(err, store.ErrClosed) {
								return
							} else if err != nil {
								t.Errorf("got %v, want ErrClosed", err)
								return
							}
							created.Add(1)
						}
					})
				}
				for created.Load() < 100 {
					time.Sleep(time.Millisecond)
				}
				closed := make(chan error)
				go func() { closed <- s.Close() }()
				select {
				case err := <-closed:
					is.NoErr(err)
				case <-time.After(30 * time.Second):
					t.Fatal("Close has not returned in 30 seconds")
				}
				callers.Wait()
			}
		})
	}
}

func TestCancelledContextIsHonoured(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.CreateGeneration(ctx, testkit.Beat("x"))
		is.True(errors.Is(err, context.Canceled))
		_, err = s.GetGeneration(ctx, g.ID)
		is.True(errors.Is(err, context.Canceled))
		_, err = s.ListGenerations(ctx, store.ListGenerationsParams{})
		is.True(errors.Is(err, context.Canceled))
		is.True(errors.Is(s.Ping(ctx), context.Canceled))

		// In the middle of a statement that would run for minutes, and while waiting for the writer.
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err = s.DB().Exec(short, endless)
		is.True(err != nil)
		is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.MergeMetadata(t.Context(), g.ID, store.Metadata(`{"a":1}`))
			is.NoErr(err)
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = s.MergeMetadata(short, g.ID, store.Metadata(`{"b":1}`))
			is.True(errors.Is(err, context.DeadlineExceeded))
			return nil
		}))
		is.True(time.Since(start) < 30*time.Second) // and not after minutes
		testkit.Create(t, s, "all is well afterwards")
	})
}

func TestWriterOfAnotherProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	one, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer one.Close()
	two, err := store.Open(t.Context(), store.Options{URL: url,
		BusyTimeout: 200 * time.Millisecond}) // as a process of its own
	is.NoErr(err)
	defer two.Close()
	is.NoErr(one.InTx(t.Context(), func(tx *store.Tx) error {
		start := time.Now()
		_, err := two.CreateGeneration(t.Context(), testkit.Beat("x"))
		is.True(errors.Is(err, store.ErrBusy))
		is.True(time.Since(start) < 8*time.Second) // and not after the default, 10 s
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err = two.CreateGeneration(short, testkit.Beat("x"))
		is.True(errors.Is(err, context.DeadlineExceeded))
		_, err = two.Stats(t.Context()) // readers do not wait
		is.NoErr(err)
		return nil
	}))
	testkit.Create(t, two, "x")
}

func TestStatementsAreLoggedWithoutValues(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			s := engine.Open(t, store.Options{Logger: logger})
			ctx := t.Context()
			given := testkit.Beat("a secret prompt")
			given.Metadata = store.Metadata(`{"who":"a secret person"}`)
			g, err := s.CreateGeneration(ctx, given)
			is.NoErr(err)
			given.ID = g.ID
			_, err = s.CreateGeneration(ctx, given)
			is.True(errors.Is(err, store.ErrConflict))
			_, err = s.GetGeneration(ctx, g.ID)
			is.NoErr(err)
			_, err = s.ListPrompts(ctx, store.ListPromptsParams{})
			is.NoErr(err)
			rows, err := s.DB().Query(ctx, "SELECT text FROM prompts WHERE text = 'a secret prompt'")
			is.NoErr(err)
			rows.Close()
			_, err = s.DB().Exec(ctx, "SELECT 'a secret prompt' FROM no_such_table")
			is.True(err != nil)
			_, err = s.DB().Query(ctx, "SELECT 'a secret prompt' FROM no_such_table")
			is.True(err != nil)
			for _, part := range []string{"level=DEBUG", "query=GetGeneration", "query=ListPrompts", "query=SELECT",
				"duration=", "error="} {
				if !strings.Contains(log.String(), part) {
					t.Errorf("no %q in the log:\n%s", part, log.String())
				}
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("the log has values:\n%s", log.String())
			}
		})
	}
}

func TestSlowStatementsAreWarnedOf(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := storetest.Open(t, store.Options{Logger: logger})
	short, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	_, err := s.DB().Exec(short, endless)
	is.True(err != nil)
	is.True(strings.Contains(log.String(), "slow statement"))
	is.True(strings.Contains(log.String(), "query=INSERT"))
}

func TestReplicasServeWhatMayBeStale(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	// A second database stands in for a replica, one that lags behind for good.
	replicaURL := storetest.PostgresURL(t)
	replica, err := store.Open(ctx, store.Options{URL: replicaURL})
	is.NoErr(err)
	onReplica := testkit.Create(t, replica, "on the replica")
	is.NoErr(replica.Close())

	s := storetest.OpenPostgres(t, store.Options{ReplicaURLs: []string{replicaURL}})
	onPrimary := testkit.Create(t, s, "on the primary")
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{})
	is.NoErr(err)
	is.Equal(promptsOf(page.Generations), []string{onReplica.Prompt})
	prompts, err := s.MostUsedPrompts(ctx, 0)
	is.NoErr(err)
	is.Equal(prompts[0].Text, onReplica.Prompt)

	// What was written a moment ago is seen by its key, in the queue and in a transaction.
	_, err = s.GetGeneration(ctx, onPrimary.ID)
	is.NoErr(err)
	pending, err := s.PendingGenerations(ctx, 0)
	is.NoErr(err)
	is.Equal(promptsOf(pending), []string{onPrimary.Prompt})
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		page, err := tx.ListGenerations(ctx, store.ListGenerationsParams{})
		is.Equal(promptsOf(page.Generations), []string{onPrimary.Prompt})
		return err
	}))
}

func TestReplicaThatDoesNotAnswerIsPassedOver(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := storetest.OpenPostgres(t, store.Options{ReplicaURLs: []string{"postgres://nobody@127.0.0.1:1/none"}})
	g := testkit.Create(t, s, "x")
	page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{})
	is.NoErr(err)
	is.Equal(page.Generations, []store.Generation{g})
	for _, bad := range []string{"", "sqlite:x.db", "postgres://u:s3cret@host/x?sslmode=none"} {
		_, err := store.Open(t.Context(), store.Options{URL: storetest.PostgresURL(t), ReplicaURLs: []string{bad}})
		is.True(err != nil)
		is.True(!strings.Contains(err.Error(), "s3cret"))
	}
}

// The clock on PostgreSQL follows the server's, here that of the same machine.
func TestClockFollowsTheServer(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := storetest.OpenPostgres(t)
	g := testkit.Create(t, s, "x")
	apart := time.Since(g.CreatedAt)
	is.True(apart > -time.Second && apart < time.Minute)
	is.Equal(g.CreatedAt.Location(), time.UTC)
	is.Equal(g.CreatedAt, g.CreatedAt.Truncate(time.Microsecond))
}
