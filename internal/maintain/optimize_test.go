package maintain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// readsAll returns what prepared statements read, before and after the schema has changed under them.
func readsAll(t testing.TB, s *store.Store) (seen []string) {
	t.Helper()
	page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Metadata: map[string]any{"bpm": 60}, Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range page.Generations {
		seen = append(seen, g.ID.String())
	}
	found, err := s.SearchPrompts(t.Context(), "prompt 7", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		seen = append(seen, p.Prompt.Text)
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stats.OldestPendingAgeSeconds = 0
	return append(seen, fmt.Sprintf("%+v", stats))
}

func TestOptimizeChangesNothingThatIsSeen(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		for _, vacuum := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/vacuum %t", engine.Name, vacuum), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				url := engine.URL(t)
				testkit.FillMany(t, url, 2000)
				s, other := testkit.OpenURL(t, url), testkit.OpenURL(t, url) // the other one is as another process
				defer s.Close()
				defer other.Close()
				testkit.Exec(t, s, "UPDATE prompts SET used_count = 1000")
				want := readsAll(t, s)
				is.Equal(readsAll(t, other), want)
				for range 3 {
					is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}))
					is.Equal(readsAll(t, s), want)
					is.Equal(readsAll(t, other), want)
					is.NoErr(s.DeleteGeneration(t.Context(), testkit.Create(t, s, "prompt 1").ID))
					is.NoErr(other.DeleteGeneration(t.Context(), testkit.Create(t, other, "prompt 2").ID))
				}
				for _, f := range checked(t, other, "") {
					is.Equal(f.Kind, store.FindingStuckLease)
				}
			})
		}
	}
}

// ANALYZE of another program leaves samples. With them SQLite would prepare statements again at each execution.
func TestOptimizeOnSQLiteLeavesStatisticsAndNoSamples(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	testkit.FillMany(t, url, 3000)
	s := testkit.OpenURL(t, url)
	defer s.Close()
	statistics := func() (generations, samples int64) {
		tables := testkit.Count(t, s, "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat4'")
		if tables > 0 {
			samples = testkit.Count(t, s, "SELECT count(*) FROM sqlite_stat4")
		}
		return testkit.Count(t, s, "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'generations'"), samples
	}
	testkit.OnFile(t, strings.TrimPrefix(url, "sqlite://"), "ANALYZE")
	_, samples := statistics()
	is.True(samples > 0)
	testkit.Exec(t, s, "DELETE FROM sqlite_stat1")
	for _, vacuum := range []bool{false, true} {
		is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}))
		generations, samples := statistics()
		is.True(generations > 5) // one for each index
		is.Equal(samples, int64(0))
		is.Equal(testkit.LogSize(url), int64(0))
	}
}

func TestOptimizeMergesTheFullTextIndex(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.OpenURL(t, storetest.URL(t))
	defer s.Close()
	for i := range 300 { // each a segment, of which FTS5 merges some
		testkit.Create(t, s, fmt.Sprintf("melancholic %d over rain %d", i, i%17))
	}
	const segments = "SELECT count(DISTINCT segid) FROM prompts_search_idx"
	is.True(testkit.Count(t, s, segments) > 1)
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{}))
	is.Equal(testkit.Count(t, s, segments), int64(1))
	found, err := s.SearchPrompts(t.Context(), "melancholic 299", 10)
	is.NoErr(err)
	is.Equal(len(found), 1)
	is.Equal(checked(t, s, ""), []store.Finding{})
}

func TestVacuumGivesRoomBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes much")
	}
	is := is.New(t)
	url := storetest.URL(t)
	clock := testkit.NewClock()
	s, err := store.Open(t.Context(), store.Options{URL: url, Now: clock.Now})
	is.NoErr(err)
	defer s.Close()
	other := testkit.OpenURL(t, url)
	defer other.Close()
	params := make([]store.CreateGenerationParams, 5000)
	for i := range params {
		params[i] = testkit.Beat(fmt.Sprint("melancholic ", i))
	}
	created, err := s.CreateGenerations(t.Context(), params)
	is.NoErr(err)
	is.Equal(len(created), 5000)
	testkit.Exec(t, s, "UPDATE generations SET status = 'cancelled'")
	kept := testkit.Create(t, other, "kept")
	clock.Advance(day)
	report, err := s.Prune(t.Context(), store.PruneParams{OlderThan: time.Hour, DropUnusedPrompts: true})
	is.NoErr(err)
	is.Equal(report.Generations, int64(5000))
	size := func() int64 {
		info, err := os.Stat(strings.TrimPrefix(url, "sqlite://"))
		is.NoErr(err)
		return info.Size()
	}
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{}))
	is.Equal(testkit.LogSize(url), int64(0))
	before := size()
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
	is.Equal(testkit.LogSize(url), int64(0))
	is.True(size() < before/4)
	is.True(isThere(t, other, kept) && isThere(t, s, kept))
	is.Equal(checked(t, s, ""), []store.Finding{})
}

func TestOptimizeOnPostgres(t *testing.T) {
	t.Parallel()
	for _, vacuum := range []bool{false, true} {
		t.Run(fmt.Sprint(vacuum), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := testkit.Postgres.URL(t)
			testkit.FillMany(t, url, 2000)
			s := testkit.OpenURL(t, url)
			defer s.Close()
			testkit.Exec(t, s, "DELETE FROM generations WHERE sample_rate > 0 AND id IN (SELECT id FROM generations ORDER BY id LIMIT 500)")
			is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}))
			is.Equal(testkit.Count(t, s, "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'generations'"),
				int64(1500))
			is.Equal(testkit.Count(t, s, "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'prompts'"),
				int64(1000))
			is.True(testkit.Count(t, s, "SELECT count(*) FROM pg_stats WHERE tablename = 'generation_metadata'") > 0)
			if vacuum {
				is.True(testkit.Count(t, s, "SELECT CAST(relallvisible AS BIGINT) FROM pg_class WHERE relname = 'generations'") > 0)
			}
		})
	}
}

func TestOptimizeBesideCallers(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		l := newLoad(t)
		var runs atomic.Int64
		goesOn := untilDone(func() bool { return runs.Load() > 1 })
		var group sync.WaitGroup
		group.Go(func() { l.run(t.Context(), t, s, goesOn) })
		for ; goesOn(); runs.Add(1) {
			if err := s.Optimize(t.Context(), store.OptimizeParams{Vacuum: runs.Load()%2 == 1}); err != nil {
				t.Error(err)
			}
		}
		group.Wait()
		is.True(runs.Load() > 1)
		is.NoErr(s.CheckCounts(t.Context()))
		is.Equal(checked(t, s, l.root), []store.Finding{})
		t.Logf("%d runs beside %d rounds of the callers, the longest creation took %s", runs.Load(), l.calls.Load(),
			time.Duration(l.slowest.Load()))
	})
}

// If another program holds what Optimize needs, it gives up in time. A reader that stays does not keep it.
func TestOptimizeGivesUpInTime(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		url := storetest.URL(t)
		s, err := store.Open(t.Context(), store.Options{URL: url, BusyTimeout: patience})
		is.NoErr(err)
		defer s.Close()
		other := testkit.OpenURL(t, url)
		defer other.Close()
		is.NoErr(other.InTx(t.Context(), func(*store.Tx) error {
			for _, vacuum := range []bool{false, true} {
				began := time.Now()
				is.True(errors.Is(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}), store.ErrBusy))
				is.True(time.Since(began) < 30*patience) // and not as long as the other holds it
			}
			return nil
		}))
		is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))

		testkit.Create(t, s, "seen")
		for range s.Generations(t.Context(), store.ListGenerationsParams{}) { // holds a snapshot, or not
			is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		url := testkit.Postgres.URL(t)
		s, err := store.Open(t.Context(), store.Options{URL: url, BusyTimeout: patience})
		is.NoErr(err)
		defer s.Close()
		conn, err := pgx.Connect(t.Context(), url)
		is.NoErr(err)
		defer conn.Close(context.Background())
		tx, err := conn.Begin(t.Context())
		is.NoErr(err)
		_, err = tx.Exec(t.Context(), "LOCK TABLE generations IN SHARE UPDATE EXCLUSIVE MODE")
		is.NoErr(err)
		for _, vacuum := range []bool{false, true} {
			is.True(errors.Is(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}), store.ErrBusy))
		}
		is.NoErr(tx.Rollback(t.Context()))
		is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
	})
}

func vacuumOnce(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Optimize(ctx, store.OptimizeParams{Vacuum: true})
}
