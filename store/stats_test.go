package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// Whatever writers do at once, cascades and rollbacks included, the counts are exact.
func TestCountsAreExact(t *testing.T) {
	t.Parallel()
	const writers = 8
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 0))
				for i := range rounds {
					prompt := fmt.Sprintf("prompt %d", random.IntN(20))
					if i%3 == 0 {
						s.InTx(ctx, func(tx *store.Tx) error {
							tx.CreateGenerations(ctx, []store.CreateGenerationParams{testkit.Beat(prompt), testkit.Beat("only " + prompt),
								testkit.Beat(prompt)})
							tx.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 3, Lease: time.Minute})
							if random.IntN(2) == 0 {
								return fmt.Errorf("rolled back")
							}
							return nil
						})
					}
					g, err := s.CreateGeneration(ctx, testkit.Beat(prompt))
					if err != nil {
						t.Error(err)
						return
					}
					switch random.IntN(5) {
					case 0:
						s.UpdateGenerationStatus(ctx, g.ID, storagedb.Statuses()[random.IntN(5)], "")
					case 1:
						s.DeleteGeneration(ctx, g.ID)
					case 2:
						s.DeletePrompt(ctx, g.PromptID)
					case 3:
						s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 5, Lease: time.Minute})
					}
					if _, err := s.Stats(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		is.NoErr(s.CheckCounts(ctx))
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.True(stats.TotalGenerations > 0 && stats.TotalPrompts > 0)

		_, err = s.DB().Exec(ctx, "UPDATE generation_counters SET value = value + 1 WHERE name = 'pending'")
		is.NoErr(err)
		var wrong *store.CountsError
		err = s.CheckCounts(ctx)
		is.True(errors.As(err, &wrong))
		is.Equal(len(wrong.Differences), 1)
		is.Equal(wrong.Differences[0].Name, "pending")
		is.True(wrong.Differences[0].Kept > wrong.Differences[0].There)
	})
}

// A transaction that has changed a count and stays open does not hold up others that change the same one.
func TestCountsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t, store.Options{BusyTimeout: 2 * time.Second})
	ctx := t.Context()
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.CreateGeneration(ctx, testkit.Beat("in the transaction")); err != nil {
			return err
		}
		for range 5 {
			testkit.Create(t, s, "beside it")
		}
		stats, err := tx.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.PendingGenerations, int64(6))
		return nil
	}))
	is.NoErr(s.CheckCounts(ctx))
}

// Each statement appends its changes. They are folded within a transaction that makes many, and after it.
func TestCountsAreFolded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t)
	ctx := t.Context()
	wantFew := func(db storagedb.DBTX) {
		t.Helper()
		var rows int
		is.NoErr(db.QueryRow(ctx, "SELECT count(*) FROM generation_counters").Scan(&rows))
		is.True(rows > 0 && rows < 200)
	}
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		for i := range 400 {
			if _, err := tx.CreateGeneration(ctx, testkit.Beat(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		wantFew(tx.DB())
		return tx.CheckCounts(ctx)
	}))
	for range 200 {
		testkit.Create(t, s, "alone")
	}
	wantFew(s.DB())
	is.NoErr(s.CheckCounts(ctx))
}

// Other programs may write at a higher isolation level. Their counts do not conflict.
func TestCountsAboveReadCommitted(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	url := testkit.Postgres.URL(t)
	s, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	conn, err := pgx.Connect(ctx, url)
	is.NoErr(err)
	defer conn.Close(ctx)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	is.NoErr(err)
	_, err = tx.Exec(ctx, "SELECT 1 FROM prompts") // its snapshot is from here
	is.NoErr(err)
	for range 100 {
		testkit.Create(t, s, "meanwhile") // and folded meanwhile
	}
	for i := range 200 {
		_, err = tx.Exec(ctx, "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ($1, 1, now(), now())", fmt.Sprint("higher ", i))
		is.NoErr(err)
	}
	is.NoErr(tx.Commit(ctx))
	is.NoErr(s.CheckCounts(ctx))
}

// TRUNCATE takes along what others have counted meanwhile, or fails.
func TestTruncateTakesCountsAlong(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	url := testkit.Postgres.URL(t)
	s, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, url)
		is.NoErr(err)
		t.Cleanup(func() { conn.Close(context.WithoutCancel(ctx)) })
		return conn
	}
	one, other := connect(), connect()
	for range 10 {
		_, err := s.CreateGeneration(ctx, store.CreateGenerationParams{Prompt: "x", ModelName: "m", DurationSeconds: 1,
			SampleRate: 1, Channels: 1, FilePath: "x", Metadata: store.Metadata(`{"bpm": 1}`)})
		is.NoErr(err)
	}
	tx, err := one.Begin(ctx)
	is.NoErr(err)
	for i := range 70 { // and one of them folds
		_, err := tx.Exec(ctx, "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ($1, 1, now(), now())", fmt.Sprint(i))
		is.NoErr(err)
	}
	truncated := make(chan error, 1)
	go func() {
		_, err := other.Exec(ctx, "TRUNCATE generations CASCADE")
		truncated <- err
	}()
	testkit.Eventually(t, "it waits for the transaction", func() bool {
		return testkit.Count(t, s, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'TRUNCATE %' AND wait_event_type = 'Lock'") == 1
	})
	is.NoErr(tx.Commit(ctx))
	is.NoErr(<-truncated)
	is.NoErr(s.CheckCounts(ctx))
	var entries int
	is.NoErr(s.DB().QueryRow(ctx, "SELECT count(*) FROM generation_metadata").Scan(&entries))
	is.Equal(entries, 0)

	tx, err = one.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	is.NoErr(err)
	_, err = tx.Exec(ctx, "TRUNCATE generations CASCADE")
	is.True(err != nil)
	is.NoErr(tx.Rollback(ctx))
}

func TestAgesInStats(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		complete := func(seconds float64) {
			g := testkit.Create(t, s, "x")
			_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: seconds})
			is.NoErr(err)
		}
		complete(100)
		clock.Advance(time.Hour + time.Second)
		complete(10)
		complete(20)
		testkit.Create(t, s, "waits")
		clock.Advance(90 * time.Second)
		testkit.Create(t, s, "waits, too")
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.OldestPendingAgeSeconds, 90.0)
		is.Equal(stats.AverageGenerationTimeSeconds, 15.0)
	})
}
