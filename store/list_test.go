package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// Every combination of filters, in both orders, page by page, against a loop over everything.
func TestEveryCombinationOfFilters(t *testing.T) {
	t.Parallel()
	onEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testClock) {
		is := is.New(t)
		ctx := t.Context()
		random := rand.New(rand.NewPCG(1, 2))
		batch := uuid.New()
		began := clock.Now()
		var all []store.Generation
		for i := range 120 {
			if random.IntN(3) > 0 { // so that some have the same time
				clock.Advance(time.Second)
			}
			params := beat(fmt.Sprintf("prompt %d", i%7))
			params.ModelName = []string{"musicgen-small", "musicgen-large"}[random.IntN(2)]
			if random.IntN(2) == 0 {
				params.BatchID = batch
			}
			g, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
			if random.IntN(2) == 0 {
				g, err = s.SetFavorite(ctx, g.ID, true)
				is.NoErr(err)
				is.True(g.Favorite)
			}
			if status := storagedb.Statuses()[random.IntN(3)]; status != store.StatusPending {
				g, err = s.UpdateGenerationStatus(ctx, g.ID, status, "")
				is.NoErr(err)
			}
			all = append(all, g)
		}
		middle := began.Add(clock.Now().Sub(began) / 2)
		for combination := range 1 << 7 {
			has := func(bit int) bool { return combination&(1<<bit) != 0 }
			params := store.ListGenerationsParams{Limit: 7, OldestFirst: has(0)}
			if has(1) {
				params.Status = store.StatusCompleted
			}
			if has(2) {
				params.ModelName = "musicgen-large"
			}
			if has(3) {
				params.BatchID = batch
			}
			params.Favorite = has(4)
			if has(5) {
				params.CreatedFrom = began.Add(10 * time.Second)
			}
			if has(6) {
				params.CreatedTo = middle
			}
			var want []uuid.UUID
			for _, g := range all {
				if (params.Status == "" || g.Status == params.Status) &&
					(params.ModelName == "" || g.ModelName == params.ModelName) &&
					(params.BatchID == uuid.Nil || g.BatchID != nil) &&
					(!params.Favorite || g.Favorite) &&
					!g.CreatedAt.Before(params.CreatedFrom) &&
					(params.CreatedTo.IsZero() || g.CreatedAt.Before(params.CreatedTo)) {
					want = append(want, g.ID)
				}
			}
			if !params.OldestFirst {
				slices.Reverse(want)
			}
			var got []uuid.UUID
			for g, err := range s.Generations(ctx, params) {
				is.NoErr(err)
				got = append(got, g.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v: got %d, want %d: %v, %v", params, len(got), len(want), got, want)
			}
			params.Offset, params.Limit = 3, 5
			page, err := s.ListGenerations(ctx, params)
			is.NoErr(err)
			is.Equal(len(page.Generations), max(0, min(5, len(want)-3)))
			for i, g := range page.Generations {
				is.Equal(g.ID, want[3+i])
			}
		}
	})
}

// The page that has code of its own, beside what sqlc makes of the same query, with rows that have a value in every column.
func TestNewestPageIsWhatItsQuerySays(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		full := beat("full")
		full.ModelVersion, full.BatchID, full.Metadata = new("v2"), uuid.New(), store.Metadata(`{"bpm":140}`)
		for _, params := range []store.CreateGenerationParams{full, beat("plain"), full} {
			_, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
		}
		claims, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
		is.NoErr(err)
		claimed := claims[0]
		_, err = s.SetFavorite(ctx, claimed.ID, true)
		is.NoErr(err)
		is.NoErr(s.ReportProgress(ctx, claimed.ID, claimed.Attempt, store.Progress{Step: "sampling", Fraction: 0.5}))
		_, err = s.CancelGeneration(ctx, claimed.ID)
		is.NoErr(err)
		queries := storagedb.New(s.DB())
		for _, limit := range []int64{0, 2, 3, 1 << 40} {
			generated, err := queries.NewestGenerations(ctx, limit)
			is.NoErr(err)
			page, err := queries.NewestPage(ctx, limit)
			is.NoErr(err)
			is.Equal(page, generated)
			is.Equal(len(page), int(min(limit, 3)))
		}
	})
}

func TestTimeRangeIncludesItsStartAndExcludesItsEnd(t *testing.T) {
	onEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testClock) {
		is := is.New(t)
		at := clock.Now()
		g := create(t, s, "x")
		for _, c := range []struct {
			from, to time.Time
			found    bool
		}{
			{at, time.Time{}, true},
			{at.Add(1), time.Time{}, false}, // a nanosecond later, which the store does not hold
			{at.Add(time.Microsecond), time.Time{}, false},
			{time.Time{}, at, false},
			{time.Time{}, at.Add(1), true},
			{at, at.Add(time.Microsecond), true},
			{at.In(time.FixedZone("", 3600)), at.Add(time.Second).In(time.FixedZone("", -7200)), true},
			{at.Add(time.Hour), at, false},
			{time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), true},
		} {
			for _, oldestFirst := range []bool{false, true} {
				page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{CreatedFrom: c.from, CreatedTo: c.to, OldestFirst: oldestFirst})
				is.NoErr(err)
				is.Equal(len(page.Generations), map[bool]int{true: 1}[c.found])
			}
		}
		is.Equal(g.CreatedAt, at)
		for field, params := range map[string]store.ListGenerationsParams{
			"created_from": {CreatedFrom: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			"created_to":   {CreatedTo: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
		} {
			_, err := s.ListGenerations(t.Context(), params)
			wantInvalid(t, err, field)
		}
	})
}

func TestWalkStopsAndBeginsAnew(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		for i := range 10 {
			create(t, s, fmt.Sprint(i))
		}
		walk := s.Generations(t.Context(), store.ListGenerationsParams{Limit: 3, Offset: 1, OldestFirst: true})
		for range 2 {
			var seen []string
			for g, err := range walk {
				is.NoErr(err)
				if seen = append(seen, g.Prompt); len(seen) == 5 {
					break
				}
			}
			is.Equal(seen, []string{"1", "2", "3", "4", "5"})
		}
		for g, err := range s.Generations(t.Context(), store.ListGenerationsParams{Limit: -1}) {
			wantInvalid(t, err, "limit")
			is.Equal(g, store.Generation{})
		}
	})
}

func TestSetFavorite(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := create(t, s, "x")
		is.True(!g.Favorite)
		wantKeys(t, g, "favorite")
		for _, favorite := range []bool{true, true, false} {
			set, err := s.SetFavorite(t.Context(), g.ID, favorite)
			is.NoErr(err)
			is.Equal(set.Favorite, favorite)
			got, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(got, set)
		}
		_, err := s.SetFavorite(t.Context(), noSuchID, true)
		is.True(err != nil)
	})
}

// Whatever writers do at once, cascades and rollbacks included, the counts are what there is.
func TestCountsAreExact(t *testing.T) {
	const writers = 8
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
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
							tx.CreateGenerations(ctx, []store.CreateGenerationParams{beat(prompt), beat("only " + prompt), beat(prompt)})
							tx.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 3, Lease: time.Minute})
							if random.IntN(2) == 0 {
								return fmt.Errorf("rolled back")
							}
							return nil
						})
					}
					g, err := s.CreateGeneration(ctx, beat(prompt))
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

// A transaction that stays open after it has changed a count holds nobody up who changes the same one.
func TestCountsHoldNobodyUp(t *testing.T) {
	is := is.New(t)
	s := engines[1].open(t, store.Options{BusyTimeout: 2 * time.Second})
	ctx := t.Context()
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.CreateGeneration(ctx, beat("in the transaction")); err != nil {
			return err
		}
		for range 5 {
			create(t, s, "beside it")
		}
		stats, err := tx.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.PendingGenerations, int64(6))
		return nil
	}))
	is.NoErr(s.CheckCounts(ctx))
}

// Each statement appends its changes; they are folded within a transaction that makes many, and behind it.
func TestCountsAreFolded(t *testing.T) {
	is := is.New(t)
	s := engines[1].open(t)
	ctx := t.Context()
	wantFew := func(db storagedb.DBTX) {
		t.Helper()
		var rows int
		is.NoErr(db.QueryRow(ctx, "SELECT count(*) FROM generation_counters").Scan(&rows))
		is.True(rows > 0 && rows < 200)
	}
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		for i := range 400 {
			if _, err := tx.CreateGeneration(ctx, beat(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		wantFew(tx.DB())
		return tx.CheckCounts(ctx)
	}))
	for range 200 {
		create(t, s, "alone")
	}
	wantFew(s.DB())
	is.NoErr(s.CheckCounts(ctx))
}

// Others may write at a higher isolation level: what they count does not get into each other's way.
func TestCountsAboveReadCommitted(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	url := engines[1].url(t)
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
		create(t, s, "meanwhile") // and folded meanwhile
	}
	for i := range 200 {
		_, err = tx.Exec(ctx, "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ($1, 1, now(), now())", fmt.Sprint("higher ", i))
		is.NoErr(err)
	}
	is.NoErr(tx.Commit(ctx))
	is.NoErr(s.CheckCounts(ctx))
}

// Whoever truncates finds what others have counted meanwhile, or is told that it cannot.
func TestTruncateTakesCountsAlong(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	url := engines[1].url(t)
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
		_, err := s.CreateGeneration(ctx, store.CreateGenerationParams{Prompt: "x", ModelName: "m", DurationSeconds: 1, SampleRate: 1, Channels: 1, FilePath: "x", Metadata: store.Metadata(`{"bpm": 1}`)})
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
	time.Sleep(100 * time.Millisecond)
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
	onEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testClock) {
		is := is.New(t)
		ctx := t.Context()
		complete := func(seconds float64) {
			g := create(t, s, "x")
			_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: seconds})
			is.NoErr(err)
		}
		complete(100)
		clock.Advance(time.Hour + time.Second)
		complete(10)
		complete(20)
		create(t, s, "waits")
		clock.Advance(90 * time.Second)
		create(t, s, "waits, too")
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.OldestPendingAgeSeconds, 90.0)
		is.Equal(stats.AverageGenerationTimeSeconds, 15.0)
	})
}
