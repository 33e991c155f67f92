package migrate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/matryer/is"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func onEmptyDatabases(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, empty := range testkit.EmptyDatabases {
		t.Run(empty.Name, func(t *testing.T) {
			t.Parallel()
			test(t, empty.URL(t))
		})
	}
}

func TestMigrateIsRepeatable(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx := t.Context()
		testkit.WantApplied(t, url, 0)
		is.NoErr(store.Migrate(ctx, url))
		testkit.WantApplied(t, url, len(testkit.KnownMigrations(t)))
		is.NoErr(store.Migrate(ctx, url))
		testkit.WantApplied(t, url, len(testkit.KnownMigrations(t)))
	})
}

// The parameters of the pool are pgx's own. No server knows them.
func TestParametersOfThePool(t *testing.T) {
	t.Parallel()
	for _, parameter := range []string{
		"pool_max_conns=20", "pool_min_conns=1", "pool_min_idle_conns=1", "pool_max_conn_lifetime=1h", "pool_max_conn_lifetime_jitter=1m",
		"pool_max_conn_idle_time=30m", "pool_health_check_period=1m",
	} {
		t.Run(parameter, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx := t.Context()
			url := storetest.EmptyPostgresURL(t) + "&" + parameter
			s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
			is.NoErr(err)
			testkit.Create(t, s, "x")
			is.NoErr(s.Backup(ctx, filepath.Join(t.TempDir(), "backup.db")))
			is.NoErr(s.Close())
			is.NoErr(store.Rollback(ctx, url))
			is.NoErr(store.Migrate(ctx, url))
			_, err = store.MigrationStatus(ctx, url)
			is.NoErr(err)
			_, err = store.Transfer(ctx, url, "sqlite://"+filepath.Join(t.TempDir(), "to.db"), store.TransferOptions{})
			is.NoErr(err)
			is.NoErr(store.Reset(ctx, url))
		})
	}
}

func TestMigrationStatusCreatesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "none.db")
	testkit.WantApplied(t, "sqlite://"+path, 0)
	_, err := os.Stat(path)
	is.True(os.IsNotExist(err))
}

// The migrations go up, down and up again with a row in every table. What the old schema can hold survives.
func TestMigrationsGoUpDownAndUpWithRows(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx := t.Context()
		s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
		is.NoErr(err)
		given := testkit.Beat("survives")
		given.Metadata = store.Metadata(`{"bpm":12345678901234567890}`)
		g, err := s.CreateGeneration(ctx, given)
		is.NoErr(err)
		g, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: 18.5,
			FileSizeBytes: 5})
		is.NoErr(err)
		p, err := s.GetPrompt(ctx, g.PromptID)
		is.NoErr(err)
		failing := testkit.Create(t, s, "fails")
		claimed := testkit.ClaimOne(t, s)
		is.Equal(claimed.ID, failing.ID)
		_, err = s.FailGeneration(ctx, failing.ID, store.FailGenerationParams{Attempt: 1, NoRetry: true, ErrorMessage: "x"})
		is.NoErr(err)
		is.NoErr(s.PauseQueue(ctx))
		is.NoErr(s.Close())

		for range len(testkit.KnownMigrations(t)) - 1 { // to the first version, which the Python service's tables are
			is.NoErr(store.Rollback(ctx, url))
		}
		testkit.WantApplied(t, url, 1)
		_, err = store.Open(ctx, store.Options{URL: url})
		is.True(errors.Is(err, store.ErrSchemaOutdated))
		is.NoErr(store.Migrate(ctx, url))
		s, err = store.Open(ctx, store.Options{URL: url})
		is.NoErr(err)
		got, err := s.GetGeneration(ctx, g.ID)
		is.NoErr(err)
		is.Equal(got, g)
		failed, err := s.GetGeneration(ctx, failing.ID)
		is.NoErr(err)
		is.Equal(*failed.ErrorMessage, "x") // which the first version has; the error of the attempt it has not
		is.Equal(failed.ProgressStep, store.StepFailed)
		gotPrompt, err := s.GetPrompt(ctx, p.ID)
		is.NoErr(err)
		is.Equal(gotPrompt, p)
		is.NoErr(s.Close())

		for range testkit.KnownMigrations(t) {
			is.NoErr(store.Rollback(ctx, url))
		}
		testkit.WantApplied(t, url, 0)
		is.True(errors.Is(store.Rollback(ctx, url), store.ErrNotFound))
	})
}

func TestResetLosesAllData(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx := t.Context()
		is.NoErr(store.Reset(ctx, url)) // creates what is not there
		s, err := store.Open(ctx, store.Options{URL: url})
		is.NoErr(err)
		testkit.Create(t, s, "gone")
		_, err = s.DB().Exec(ctx, "CREATE TABLE somebody_elses (id BIGINT)")
		is.NoErr(err)
		is.NoErr(s.Close())
		is.NoErr(store.Reset(ctx, url))
		s, err = store.Open(ctx, store.Options{URL: url})
		is.NoErr(err)
		defer s.Close()
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats, store.Stats{})
		_, err = s.DB().Exec(ctx, "INSERT INTO somebody_elses VALUES (1)")
		is.NoErr(err)
	})
}

func TestSchemaThatDoesNotFit(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx := t.Context()
		_, err := store.Open(ctx, store.Options{URL: url})
		is.True(errors.Is(err, store.ErrSchemaOutdated))
		is.True(strings.Contains(err.Error(), "store.Migrate"))

		s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
		is.NoErr(err)
		_, err = s.DB().Exec(ctx, "INSERT INTO schema_migrations (version) VALUES ('99990101000000')")
		is.NoErr(err)
		is.NoErr(s.Close())
		_, err = store.Open(ctx, store.Options{URL: url})
		is.True(errors.Is(err, store.ErrSchemaOutdated))
		for _, part := range []string{"99990101000000",
			testkit.KnownMigrations(t)[len(testkit.KnownMigrations(t))-1].Version, "upgrade the program"} {
			is.True(strings.Contains(err.Error(), part))
		}
		// An old program leaves what a newer one has made alone.
		for _, err := range []error{store.Migrate(ctx, url), store.Rollback(ctx, url), store.Reset(ctx, url),
			testkit.OpenError(url)} {
			is.True(errors.Is(err, store.ErrSchemaOutdated))
		}
		migrations, err := store.MigrationStatus(ctx, url)
		is.NoErr(err)
		is.Equal(migrations[len(migrations)-1], store.Migration{Version: "99990101000000", Applied: true})
	})
}

func TestTenProcessesOpenAndMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const processes = 10
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		var group sync.WaitGroup
		for range processes {
			group.Go(func() {
				if err := testkit.InProcess(t, "open and migrate", url).Run(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		s, err := store.Open(t.Context(), store.Options{URL: url})
		is.NoErr(err)
		defer s.Close()
		count, err := s.CountGenerations(t.Context(), "")
		is.NoErr(err)
		is.Equal(count, int64(processes))
	})
}

func TestMigrateHonoursItsContext(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is.True(errors.Is(store.Migrate(ctx, url), context.Canceled))
		is.NoErr(store.Migrate(t.Context(), url))
	})
}

func TestMigrateOnADatabaseThatDoesNotExist(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.EmptyPostgresURL(t)
	err := store.Migrate(t.Context(), strings.Replace(url, "storetest_", "no_such_database_", 1))
	is.True(err != nil && strings.Contains(err.Error(), "createdb"))
}

// The dbmate CLI and the store agree on what is applied, whichever of them applied it.
func TestDbmateCLIAgrees(t *testing.T) {
	t.Parallel()
	dbmate := os.Getenv("DBMATE")
	if dbmate == "" {
		t.Skip("DBMATE names no dbmate binary; make verify builds it, and make test uses it from then on")
	}
	for _, empty := range testkit.EmptyDatabases {
		t.Run(empty.Name, func(t *testing.T) {
			is := is.New(t)
			cli := func(url string, args ...string) string {
				t.Helper()
				cmd := exec.Command(dbmate, append([]string{"--url", forDbmate(url), "--migrations-dir",
					"../../db/migrations/" + empty.Name, "--no-dump-schema"}, args...)...)
				output, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("dbmate %v: %v: %s", args, err, output)
				}
				return string(output)
			}
			ctx := t.Context()

			byStore := empty.URL(t)
			is.NoErr(store.Migrate(ctx, byStore))
			status := cli(byStore, "status")
			is.True(strings.Contains(status, fmt.Sprintf("Applied: %d\n", len(testkit.KnownMigrations(t)))) &&
				strings.Contains(status, "Pending: 0"))
			is.True(!strings.Contains(cli(byStore, "migrate"), "Applying"))
			cli(byStore, "rollback")
			testkit.WantApplied(t, byStore, len(testkit.KnownMigrations(t))-1)
			is.NoErr(store.Migrate(ctx, byStore))

			byCLI := empty.URL(t)
			cli(byCLI, "up")
			testkit.WantApplied(t, byCLI, len(testkit.KnownMigrations(t)))
			s, err := store.Open(ctx, store.Options{URL: byCLI})
			is.NoErr(err)
			testkit.Create(t, s, "x")
			is.NoErr(s.Close())
			is.NoErr(store.Rollback(ctx, byCLI))
			is.True(strings.Contains(cli(byCLI, "status"), "Pending: 1"))
			cli(byCLI, "migrate")
			testkit.WantApplied(t, byCLI, len(testkit.KnownMigrations(t)))
		})
	}
}

// forDbmate adds to the URL that the server has no TLS. dbmate uses lib/pq, which expects it.
func forDbmate(url string) string {
	if strings.HasPrefix(url, "postgres") {
		return url + "&sslmode=disable"
	}
	return url
}

// Rows that are written while a migration counts and indexes the existing ones are counted and indexed, too.
func TestMigrationMissesNothingThatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	url := testkit.Postgres.URL(t)
	s, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	params := make([]store.CreateGenerationParams, 4000)
	for i := range params {
		params[i] = testkit.Beat("x")
		params[i].Metadata = store.Metadata(`{"bpm": 140}`)
	}
	_, err = s.CreateGenerations(ctx, params)
	is.NoErr(err)
	is.NoErr(store.Rollback(ctx, url))
	done := make(chan error)
	stop := make(chan struct{})
	var written atomic.Int64
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := s.CreateGeneration(ctx, params[0]); err != nil {
				done <- err
				return
			}
			written.Add(1)
		}
	}()
	testkit.Eventually(t, "something is written", func() bool { return written.Load() > 0 })
	is.NoErr(store.Migrate(ctx, url))
	close(stop)
	is.NoErr(<-done)
	found := 0
	for _, err := range s.Generations(ctx, store.ListGenerationsParams{Metadata: map[string]any{"bpm": 140},
		Limit: 1000}) {
		is.NoErr(err)
		found++
	}
	is.Equal(found, len(params)+int(written.Load()))
	is.NoErr(s.CheckCounts(ctx))
}

// Values that an older schema let pass, and that the store cannot read, are named by the migration, which changes
// nothing. Once they are corrected, it runs.
func TestMigrateNamesWhatTheStoreCannotRead(t *testing.T) {
	t.Parallel()
	onEmptyDatabases(t, func(t *testing.T, url string) {
		is := is.New(t)
		ctx := t.Context()
		s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
		is.NoErr(err)
		testkit.Create(t, s, "secret")
		g := testkit.ClaimOne(t, s)
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: 1, NoRetry: true})
		is.NoErr(err)
		is.NoErr(s.PauseQueue(ctx))
		is.NoErr(s.Close())
		applied := 0
		for _, m := range testkit.KnownMigrations(t) {
			if m.Version < readableValues {
				applied++
			}
		}
		for range len(testkit.KnownMigrations(t)) - applied {
			is.NoErr(store.Rollback(ctx, url))
		}
		wrong := "'2025-02-30 00:00:00.000000'"
		if strings.HasPrefix(url, "postgres") {
			wrong = "'-infinity'"
		}
		var want []string
		for _, column := range []struct{ table, key, column string }{
			{"prompts", "1", "first_used_at"}, {"prompts", "1", "last_used_at"},
			{"generations", g.ID.String(), "created_at"}, {"generations", g.ID.String(), "scheduled_at"},
			{"generations", g.ID.String(), "started_at"}, {"generations", g.ID.String(), "completed_at"},
			{"generations", g.ID.String(), "lease_expires_at"}, {"generations", g.ID.String(), "cancel_requested_at"},
			{"generation_errors", g.ID.String() + "/1", "failed_at"}, {"generation_queue", "1", "paused_at"},
		} {
			runByHand(t, url, "UPDATE "+column.table+" SET "+column.column+" = "+wrong)
			want = append(want, column.table+" "+column.key+" "+column.column)
		}
		err = store.Migrate(ctx, url)
		is.True(err != nil)
		for _, name := range want {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
		is.True(!strings.Contains(err.Error(), "secret"))
		testkit.WantApplied(t, url, applied)

		runByHand(t, url, `UPDATE prompts SET first_used_at = '2025-02-28 00:00:00.000000',
			last_used_at = '2025-02-28 00:00:00.000000'`)
		runByHand(t, url, `UPDATE generations SET created_at = '2025-02-28 00:00:00.000000',
			scheduled_at = '2025-02-28 00:00:00.000000', started_at = NULL, completed_at = '2025-02-28 00:00:00.000000',
			lease_expires_at = NULL, cancel_requested_at = NULL`)
		runByHand(t, url, "UPDATE generation_errors SET failed_at = '2025-02-28 00:00:00.000000'")
		runByHand(t, url, "UPDATE generation_queue SET paused_at = NULL")
		is.NoErr(store.Migrate(ctx, url))
		s = testkit.OpenURL(t, url)
		report, err := s.Check(ctx, store.CheckParams{})
		is.NoErr(err)
		is.Equal(report.Findings, []store.Finding{})
	})
}

// readableValues is the version of the schema that refuses what the store cannot read.
const readableValues = "20261129023000"

// runByHand runs a statement on a database that the store does not open, because of its version.
func runByHand(t *testing.T, url, statement string) {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, source = "sqlite", path
	}
	database, err := sql.Open(driver, source)
	is.New(t).NoErr(err)
	defer database.Close()
	if _, err := database.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
