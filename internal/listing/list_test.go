package listing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// Lists with every combination of filters, in both orders, page by page, equal a loop over everything.
func TestEveryCombinationOfFilters(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
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
			params := testkit.Beat(fmt.Sprintf("prompt %d", i%7))
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

// The hand-written page equals what sqlc makes of the same query, for rows that have a value in every column.
func TestNewestPageIsWhatItsQuerySays(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		full := testkit.Beat("full")
		full.ModelVersion, full.BatchID, full.Metadata = new("v2"), uuid.New(), store.Metadata(`{"bpm":140}`)
		for _, params := range []store.CreateGenerationParams{full, testkit.Beat("plain"), full} {
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
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		at := clock.Now()
		g := testkit.Create(t, s, "x")
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
				page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{CreatedFrom: c.from, CreatedTo: c.to,
					OldestFirst: oldestFirst})
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
			testkit.WantInvalid(t, err, field)
		}
	})
}

func TestWalkStopsAndBeginsAnew(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		for i := range 10 {
			testkit.Create(t, s, fmt.Sprint(i))
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
			testkit.WantInvalid(t, err, "limit")
			is.Equal(g, store.Generation{})
		}
	})
}
