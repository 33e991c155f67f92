package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// Contexts that end at any moment, even in the middle of BEGIN, must leave nothing open.
func TestContextsThatEndAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			url := engine.URL(t)
			s, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			calls := 500
			if testing.Short() {
				calls = 150 // each that is cut off costs a new connection
			}
			var group sync.WaitGroup
			acknowledged, unknown := make([]int, 4), make([]int, 4)
			for worker := range acknowledged {
				group.Go(func() {
					for i := range calls {
						longest := 3 * time.Millisecond
						if i%10 == 0 { // on a busy machine a new connection alone takes longer, and some must get through
							longest = 100 * time.Millisecond
						}
						ctx, cancel := context.WithTimeout(t.Context(), rand.N(longest))
						_, err := s.CreateGeneration(ctx, testkit.Beat("storm"))
						cancel()
						switch {
						case err == nil:
							acknowledged[worker]++
						case isNotKnown(err):
							unknown[worker]++
						case !errors.Is(err, context.DeadlineExceeded):
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			testkit.Create(t, s, "after the storm")
			is.NoErr(s.Close())

			again, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			defer again.Close()
			p, err := again.GetPromptByText(t.Context(), "storm")
			is.NoErr(err)
			page, err := again.ListGenerations(t.Context(), store.ListGenerationsParams{Limit: 10000})
			is.NoErr(err)
			is.Equal(int(p.UsedCount), len(page.Generations)-1) // each prompt counted with its generation
			told, possible := 0, 0
			for worker, n := range acknowledged {
				told += n
				possible += unknown[worker]
			}
			is.True(int(p.UsedCount) >= told) // a batch may have committed what nobody heard of
			if engine.Name == "sqlite" {
				is.True(int(p.UsedCount) <= told+possible)
			}
		})
	}
}

func TestResultLeftOpenInATransaction(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		kept := testkit.Create(t, s, "kept")
		leave := map[string]func(tx *store.Tx){
			"rows": func(tx *store.Tx) {
				rows, err := tx.DB().Query(ctx, "SELECT text FROM prompts")
				is.NoErr(err)
				is.True(rows.Next())
			},
			"row": func(tx *store.Tx) {
				tx.DB().QueryRow(ctx, "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ('gone', 1, $1, $1) RETURNING id", time.Now())
			},
		}
		for name, open := range leave {
			for _, returned := range []error{nil, errOops} {
				err := s.InTx(ctx, func(tx *store.Tx) error { open(tx); return returned })
				if returned != nil {
					is.Equal(err, returned)
				} else if err == nil || !strings.Contains(err.Error(), "left open") {
					t.Errorf("%s: got %v", name, err)
				}
				wantOnly(t, s, kept)
			}
		}
		testkit.Create(t, s, "all is well")
	})
}

func TestTransactionThatAStatementEnds(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		kept := testkit.Create(t, s, "kept")
		for _, end := range []string{"ROLLBACK", "COMMIT", "INSERT OR ROLLBACK INTO prompts SELECT * FROM prompts"} {
			for _, returned := range []error{nil, errOops} {
				err := s.InTx(ctx, func(tx *store.Tx) error {
					_, _ = tx.DB().Exec(ctx, end) // the third is no SQL for PostgreSQL, which fails the transaction as well
					_, err := tx.CreateGeneration(ctx, testkit.Beat("gone"))
					is.True(err != nil)
					return returned
				})
				is.True(err != nil)
				wantOnly(t, s, kept)
			}
		}
		testkit.Create(t, s, "all is well")
	})
}

func TestBeginByHandDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		_, err := s.DB().Exec(t.Context(), "BEGIN")
		is.NoErr(err)
		g := testkit.Create(t, s, "x")
		is.NoErr(s.Close())
		_ = g
	}, store.Options{MaxConns: 1})
}

func TestContextThatEndsInTheMiddleOfAList(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := s.DB().Query(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT i FROM n")
		is.NoErr(err)
		is.True(rows.Next())
		cancel()
		read := 0
		for rows.Next() {
			read++
		}
		is.True(errors.Is(rows.Err(), context.Canceled))
		is.True(read < 4000000)
		testkit.Create(t, s, "all is well")
	})
}

func TestFileThatAnotherProcessHasToItself(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "x.db")
	url := "sqlite://" + path
	other, err := sql.Open("sqlite", path)
	is.NoErr(err)
	defer other.Close()
	other.SetMaxOpenConns(1)
	_, err = other.Exec("CREATE TABLE t (id INTEGER); BEGIN EXCLUSIVE")
	is.NoErr(err)
	start := time.Now()
	_, err = store.Open(t.Context(), store.Options{URL: url, BusyTimeout: 200 * time.Millisecond})
	is.True(errors.Is(err, store.ErrBusy))
	is.True(time.Since(start) < 8*time.Second) // and not after the default, 10 s
	for name, call := range map[string]func(context.Context) error{
		"Open":    func(ctx context.Context) error { _, err := store.Open(ctx, store.Options{URL: url}); return err },
		"Migrate": func(ctx context.Context) error { return store.Migrate(ctx, url) },
		"Status":  func(ctx context.Context) error { _, err := store.MigrationStatus(ctx, url); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 8*time.Second {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
}

func TestFileThatIsNotForUsStaysAsItIs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "x.db")
	url := "sqlite://" + path
	other, err := sql.Open("sqlite", path)
	is.NoErr(err)
	_, err = other.Exec("CREATE TABLE generations (id VARCHAR NOT NULL PRIMARY KEY)") // as the Python service's init_db makes one
	is.NoErr(err)
	is.NoErr(other.Close())
	before, err := os.ReadFile(path)
	is.NoErr(err)
	_, openErr := store.Open(ctx, store.Options{URL: url})
	for name, err := range map[string]error{
		"Open": openErr, "Open and migrate": testkit.OpenError(url), "Migrate": store.Migrate(ctx,
			url), "Rollback": store.Rollback(ctx, url), "Reset": store.Reset(ctx, url),
	} {
		if err == nil || !strings.Contains(err.Error(), "Python") {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := os.ReadFile(path)
	is.NoErr(err)
	is.Equal(bytes.Equal(before, after), true)
}

// It is not parallel: it counts the goroutines of the whole process.
func TestGoroutinesEndWithTheStore(t *testing.T) {
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			url := engine.URL(t)
			openAndClose := func() {
				s, err := store.Open(t.Context(), store.Options{URL: url, Migrate: true})
				is.NoErr(err)
				testkit.Create(t, s, "x")
				is.NoErr(s.WaitForPending(t.Context())) // from here on it listens
				working, stop := context.WithCancel(t.Context())
				is.NoErr(s.Work(working, store.WorkOptions{}, func(ctx context.Context,
					g store.Generation) (store.CompleteGenerationParams, error) {
					defer stop()
					return sing(ctx, g)
				}))
				is.NoErr(store.Rollback(t.Context(), url))
				is.NoErr(store.Migrate(t.Context(), url))
				is.NoErr(s.Close())
			}
			openAndClose()
			before := runtime.NumGoroutine()
			for range 3 {
				openAndClose()
			}
			testkit.Eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

func TestReplicaThatHangsCostsOneWait(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	defer listener.Close()
	s := storetest.OpenPostgres(t, store.Options{ReplicaURLs: []string{"postgres://nobody@" + listener.Addr().String() +
		"/none"}})
	start := time.Now()
	for range 30 {
		_, err := s.Stats(t.Context())
		is.NoErr(err)
	}
	is.True(time.Since(start) < 20*time.Second) // a second for each would be 30
}

// If the server has closed idle connections, and a call could not send anything on one of them, the call takes another
// one. A proxy closes them, because nobody can see from outside when a server has closed its own.
func TestConnectionsThatTheServerClosed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	config, err := pgconn.ParseConfig(testkit.Postgres.URL(t))
	is.NoErr(err)
	folder, err := os.MkdirTemp("", "proxy-") // a socket's path must be short
	is.NoErr(err)
	defer os.RemoveAll(folder)
	listener, err := net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432"))
	if err != nil {
		t.Skip("only on a Unix socket does a client know that it has sent nothing:", err)
	}
	server := proxied(t, listener, config)
	s, err := store.Open(ctx, store.Options{URL: fmt.Sprintf("postgres://%s@/%s?host=%s&port=5432", config.User,
		config.Database, folder)})
	is.NoErr(err)
	defer s.Close()
	for round := range 3 {
		var group sync.WaitGroup
		for range 20 { // fill the pool
			group.Go(func() {
				if _, err := s.DB().Exec(ctx, "SELECT pg_sleep(0.05)"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		server.closeAll()
		switch round {
		case 0:
			_, err = s.Stats(ctx)
		case 1:
			_, err = s.TrackPrompt(ctx, "x")
		case 2:
			err = s.InTx(ctx, func(tx *store.Tx) error { _, err := tx.TrackPrompt(ctx, "x"); return err })
		}
		is.NoErr(err)
	}
}

// retryable is an error as pgx makes one where nothing was sent.
type retryable struct{ error }

func (retryable) SafeToRetry() bool { return true }

func TestFunctionOfATransactionRunsOnce(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		runs := 0
		err := s.InTx(t.Context(), func(*store.Tx) error { runs++; return retryable{errOops} })
		is.True(errors.Is(err, errOops) || err == retryable{errOops})
		is.Equal(runs, 1)
	})
}

func TestTxThatAGoroutineStillUses(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		for range 50 {
			testkit.Create(t, s, "x")
		}
		for range 20 {
			var group sync.WaitGroup
			is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
				group.Go(func() {
					for {
						if _, err := tx.ListGenerations(ctx, store.ListGenerationsParams{}); err != nil {
							if !errors.Is(err, store.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				})
				time.Sleep(300 * time.Microsecond)
				return nil
			}))
			group.Wait()
		}
	})
}

func TestRowThatIsScannedTwice(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		row := s.DB().QueryRow(t.Context(), "SELECT 1")
		is.NoErr(row.Scan(new(int64)))
		is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
			is.True(row.Scan(new(int64)) != nil)
			_, err := tx.TrackPrompt(t.Context(), "x")
			return err
		}))
		testkit.Create(t, s, "all is well")
	})
}

type bomb struct{}

func (bomb) Scan(any) error               { panic(errOops) }
func (bomb) Value() (driver.Value, error) { panic(errOops) }

func TestPanicInOwnTypesGivesTheConnectionBack(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		survive := func(call func()) {
			defer func() { is.Equal(recover(), errOops) }()
			call()
		}
		survive(func() { _ = s.DB().QueryRow(t.Context(), "SELECT 'x'").Scan(&bomb{}) })
		survive(func() { _ = s.DB().QueryRow(t.Context(), "SELECT $1", bomb{}).Scan(new(string)) })
		survive(func() { _, _ = s.DB().Query(t.Context(), "SELECT $1", bomb{}) })
		survive(func() { _, _ = s.DB().Exec(t.Context(), "SELECT $1", bomb{}) })
		testkit.Create(t, s, "all is well")
	}, store.Options{MaxConns: 1, BusyTimeout: time.Second})
}

// If a context ends right after a statement took effect, the operation's answer must be what is committed.
func TestContextThatEndsBehindAStatement(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		began := time.Now()
		testkit.Create(t, s, "x")
		longest := 2 * time.Since(began)
		for want := int64(1); want < 50; {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(longest))
			var created error
			inTx := s.InTx(t.Context(), func(tx *store.Tx) error {
				_, created = tx.CreateGeneration(ctx, testkit.Beat("x"))
				return nil
			})
			cancel()
			if created == nil && inTx == nil {
				want++
			}
			count, err := s.CountGenerations(t.Context(), "")
			is.NoErr(err)
			is.Equal(count, want)
		}
	})
}

func TestExtremesOfBusyTimeout(t *testing.T) {
	t.Parallel()
	for _, patience := range []time.Duration{time.Nanosecond, 1000 * time.Hour, 1<<63 - 1} {
		for _, engine := range testkit.Engines {
			is := is.New(t)
			s := engine.Open(t, store.Options{BusyTimeout: patience})
			testkit.Create(t, s, "x")
			if patience == time.Nanosecond {
				is.True(errors.Is(s.InTx(t.Context(), func(tx *store.Tx) error {
					_, err := tx.TrackPrompt(t.Context(), "x")
					is.NoErr(err)
					_, err = s.TrackPrompt(t.Context(), "x")
					return err
				}), store.ErrBusy))
			}
		}
	}
}

func TestInTxWithoutAFunction(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		testkit.WantInvalid(t, s.InTx(t.Context(), nil), "fn")
	})
}

func TestBusyTimeoutCountsOnceOnSQLite(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	const patience = 2 * time.Second
	s, err := store.Open(t.Context(), store.Options{URL: url, BusyTimeout: patience})
	is.NoErr(err)
	defer s.Close()
	other, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer other.Close()
	is.NoErr(other.InTx(t.Context(), func(*store.Tx) error { // another process's write, for which both wait in turn
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				start := time.Now()
				_, err := s.TrackPrompt(t.Context(), "x")
				if took := time.Since(start); !errors.Is(err,
					store.ErrBusy) || took > patience*17/10 { // a wait after that of the other would make 15/8

					t.Errorf("%v after %s", err, took)
				}
			})
			time.Sleep(patience / 8)
		}
		group.Wait()
		return nil
	}))
}

// Whatever the Python service wrote into a database of the first version can be read.
func TestRowsOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "x.db")
	url := "sqlite://" + path
	is.NoErr(store.Migrate(ctx, url))
	for range len(testkit.KnownMigrations(t)) - 1 {
		is.NoErr(store.Rollback(ctx, url))
	}
	old, err := sql.Open("sqlite", path)
	is.NoErr(err)
	defer old.Close()
	insert := func(id, prompt, status, createdAt string, completedAt, metadata any) {
		t.Helper()
		_, err := old.Exec(`INSERT INTO generations VALUES (?, ?, 'musicgen-small', NULL, 16.0, 32000, 2, 'outputs/x.wav', NULL, ?, ?, ?, NULL, NULL, ?)`,
			id, prompt, status, createdAt, completedAt, metadata)
		is.NoErr(err)
	}
	tooLong := strings.Repeat("long ", 1000)
	ids := []string{
		"30a36e6c-2456-415d-afcd-e84a490eb991", "30a36e6c-2456-415d-afcd-e84a490eb992", "30a36e6c-2456-415d-afcd-e84a490eb993",
		"30a36e6c-2456-415d-afcd-e84a490eb994", "30a36e6c-2456-415d-afcd-e84a490eb995",
	}
	insert(ids[0], "tracked", "failed", "2025-11-07 09:00:22", nil, nil) // failed without completed_at
	insert(ids[1], "untracked", "completed", "2025-11-07T09:00:22", "2025-11-07 09:00:23.5",
		`{"bpm": 12345678901234567890}`)
	insert(ids[2], "untracked", "cancelled", "2025-11-07 08:00:22.123456", nil, " null ")
	insert(ids[3], tooLong, "pending", "2025-11-07 09:00:22.1", nil, `[1, 2]`)
	insert(ids[4], "untracked", "pending", "2025-11-07 09:00:22.1", nil, `{"broken`)
	_, err = old.Exec("INSERT INTO prompts VALUES (7, 'tracked', 5, '2025-11-07 09:00:22', '2025-11-07 09:00:22.25')")
	is.NoErr(err)

	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{})
	is.NoErr(err)
	is.Equal(len(page.Generations), 5)
	byID := make(map[string]store.Generation)
	for _, g := range page.Generations {
		byID[g.ID.String()] = g
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04:05.999999", text)
		is.NoErr(err)
		return parsed
	}
	is.Equal(byID[ids[0]].CreatedAt, at("2025-11-07 09:00:22"))
	is.Equal(byID[ids[0]].CompletedAt, nil)
	is.Equal(string(byID[ids[0]].Metadata), "{}")
	is.Equal(byID[ids[0]].PromptID, int64(7))
	is.Equal(byID[ids[1]].CreatedAt, at("2025-11-07 09:00:22"))
	is.Equal(*byID[ids[1]].CompletedAt, at("2025-11-07 09:00:23.5"))
	is.Equal(string(byID[ids[1]].Metadata), `{"bpm": 12345678901234567890}`)
	is.Equal(string(byID[ids[2]].Metadata), "{}")
	is.True(byID[ids[2]].IsCancelled())
	is.Equal(byID[ids[3]].Prompt, tooLong)
	is.Equal(testkit.Decode(t, byID[ids[3]].Metadata), map[string]any{"legacy_raw": "[1, 2]"})
	is.Equal(testkit.Decode(t, byID[ids[4]].Metadata), map[string]any{"legacy_raw": `{"broken`})
	p, err := s.GetPromptByText(ctx, "tracked")
	is.NoErr(err)
	is.Equal(p.UsedCount, int64(5)) // never lowered
	p, err = s.GetPromptByText(ctx, "untracked")
	is.NoErr(err)
	is.Equal(p.UsedCount, int64(3))
	is.Equal(p.FirstUsedAt, at("2025-11-07 08:00:22.123456"))
	is.Equal(p.LastUsedAt, at("2025-11-07 09:00:22.1"))
	_, err = s.GetPromptByText(ctx, tooLong)
	is.NoErr(err)
	// Those that are there can be worked with; new ones of that length are refused.
	_, err = s.CompleteGeneration(ctx, byID[ids[3]].ID,
		store.CompleteGenerationParams{Metadata: store.Metadata(`{"a":1}`)})
	is.NoErr(err)
	_, err = s.CreateGeneration(ctx, testkit.Beat(tooLong))
	testkit.WantInvalid(t, err, "prompt")
}
