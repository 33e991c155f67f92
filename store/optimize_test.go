package store_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
)

func manyGenerations(t testing.TB, s *store.Store, n int) {
	t.Helper()
	params := make([]store.CreateGenerationParams, n)
	for i := range params {
		params[i] = beat(fmt.Sprintf("prompt %d of some words", i))
	}
	if _, err := s.CreateGenerations(t.Context(), params); err != nil {
		t.Fatal(err)
	}
}

// It gathers statistics, and none that make SQLite prepare statements again: not the first time, nor the second, nor where
// somebody has gathered those before.
func TestOptimizeLeavesNoSamples(t *testing.T) {
	is := is.New(t)
	url := engines[0].url(t)
	s := openAt(t, url)
	defer s.Close()
	other := openAt(t, url) // which has loaded what there was before
	defer other.Close()
	manyGenerations(t, s, 3000)
	_, err := other.ListGenerations(t.Context(), store.ListGenerationsParams{})
	is.NoErr(err)
	_, err = s.DB().Exec(t.Context(), "ANALYZE")
	is.NoErr(err)
	count := func(table string) (rows int) {
		t.Helper()
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
		return rows
	}
	is.True(count("sqlite_stat4") > 0) // what is to be avoided
	version := func() (v int) {
		t.Helper()
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT schema_version FROM pragma_schema_version").Scan(&v))
		return v
	}
	for range 2 {
		before := version()
		is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{}))
		is.Equal(count("sqlite_stat4"), 0)
		is.True(count("sqlite_stat1") > 0)
		is.True(version() > before) // by which open connections notice
		page, err := other.ListGenerations(t.Context(), store.ListGenerationsParams{})
		is.NoErr(err)
		is.Equal(len(page.Generations), 100)
	}
}

func TestOptimizeGivesBackRoomAndEmptiesTheLog(t *testing.T) {
	is := is.New(t)
	url := engines[0].url(t)
	s := openAt(t, url)
	defer s.Close()
	manyGenerations(t, s, 5000)
	_, err := s.Prune(t.Context(), store.PruneParams{OlderThan: time.Microsecond, DropUnusedPrompts: true})
	is.NoErr(err)
	_, err = s.DB().Exec(t.Context(), "DELETE FROM generations")
	is.NoErr(err)
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{}))
	is.Equal(logSize(url), int64(0))
	size := func() int64 {
		info, err := os.Stat(strings.TrimPrefix(url, "sqlite://"))
		is.NoErr(err)
		return info.Size()
	}
	before := size()
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
	is.True(size() < before/2)
	is.Equal(logSize(url), int64(0))
	is.Equal(found(t, s, store.CheckParams{}), []string{})
}

func TestOptimizeMergesTheFullTextIndex(t *testing.T) {
	is := is.New(t)
	s := engines[0].open(t)
	for i := range 200 {
		_, err := s.TrackPrompt(t.Context(), fmt.Sprintf("prompt %d of some words", i))
		is.NoErr(err)
	}
	segments := func() (n int) {
		t.Helper()
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT count(DISTINCT segid) FROM prompts_search_idx").Scan(&n))
		return n
	}
	is.True(segments() > 1)
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{}))
	is.Equal(segments(), 1)
	hits, err := s.SearchPrompts(t.Context(), "words 42", 10)
	is.NoErr(err)
	is.Equal(len(hits), 1)
	is.Equal(found(t, s, store.CheckParams{}), []string{})
}

func TestOptimizeInMemory(t *testing.T) {
	is := is.New(t)
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite::memory:", Migrate: true})
	is.NoErr(err)
	defer s.Close()
	manyGenerations(t, s, 100)
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
	is.Equal(found(t, s, store.CheckParams{}), []string{})
	count, err := s.CountGenerations(t.Context(), "")
	is.NoErr(err)
	is.Equal(count, int64(100))
}

func TestOptimizeAnalyzesTheStoresTables(t *testing.T) {
	for _, vacuum := range []bool{false, true} {
		t.Run(fmt.Sprint(vacuum), func(t *testing.T) {
			is := is.New(t)
			s := engines[1].open(t)
			manyGenerations(t, s, 1000)
			_, err := s.DB().Exec(t.Context(), "CREATE TABLE anothers AS SELECT 1 AS one FROM generations")
			is.NoErr(err)
			is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: vacuum}))
			var rows, others float64
			is.NoErr(s.DB().QueryRow(t.Context(), "SELECT reltuples FROM pg_class WHERE oid = CAST('generations' AS REGCLASS)").Scan(&rows))
			is.NoErr(s.DB().QueryRow(t.Context(), "SELECT reltuples FROM pg_class WHERE oid = CAST('anothers' AS REGCLASS)").Scan(&others))
			is.Equal(rows, 1000.0)
			is.Equal(others, -1.0) // never looked at
		})
	}
}

func TestOptimizeBesideCallers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		stop := make(chan struct{})
		var group sync.WaitGroup
		for caller := range 8 {
			group.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := s.CreateGeneration(t.Context(), beat(fmt.Sprintf("prompt %d %d", caller, i))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range 6 {
			is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: i%2 == 1}))
		}
		close(stop)
		group.Wait()
		is.Equal(found(t, s, store.CheckParams{}), []string{})
	})
}
