package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

func TestDailyUsage(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		clock.Set(midnight.Add(-time.Microsecond)) // the last moment of February
		a, b := testkit.Create(t, s, "a"), testkit.Create(t, s, "b")
		clock.Set(midnight)
		_, err := s.CompleteGeneration(ctx, a.ID, store.CompleteGenerationParams{GenerationTimeSeconds: 10})
		is.NoErr(err)
		_, err = s.FailGeneration(ctx, b.ID, store.FailGenerationParams{})
		is.NoErr(err)
		c, d := testkit.Create(t, s, "c"), testkit.Create(t, s, "d")
		_, err = s.CompleteGeneration(ctx, c.ID, store.CompleteGenerationParams{GenerationTimeSeconds: 5})
		is.NoErr(err)
		_, err = s.CancelGeneration(ctx, d.ID)
		is.NoErr(err)
		clock.Set(midnight.AddDate(0, 0, 2))
		testkit.Create(t, s, "e")

		days, err := s.DailyUsage(ctx, midnight.AddDate(0, 0, -2), midnight.AddDate(0, 0, 3))
		is.NoErr(err)
		is.Equal(days, []store.DayUsage{
			{Day: "2026-02-27"},
			{Day: "2026-02-28", Created: 2},
			{Day: "2026-03-01", Created: 2, Completed: 2, Failed: 1, AudioSeconds: 32, AverageGenerationTimeSeconds: 7.5},
			{Day: "2026-03-02"},
			{Day: "2026-03-03", Created: 1},
		})
		part, err := s.DailyUsage(ctx, midnight.Add(time.Nanosecond), midnight.Add(time.Hour))
		is.NoErr(err)
		is.Equal(part, []store.DayUsage{{Day: "2026-03-01"}}) // all of it was before
		zone := time.FixedZone("", -8*3600)
		same, err := s.DailyUsage(ctx, midnight.AddDate(0, 0, -2).In(zone), midnight.AddDate(0, 0, 3).In(zone))
		is.NoErr(err)
		is.Equal(same, days)

		for _, bad := range [][2]time.Time{{midnight, midnight}, {midnight, midnight.Add(-1)},
			{midnight, midnight.AddDate(11, 0, 0)}} {
			_, err := s.DailyUsage(ctx, bad[0], bad[1])
			testkit.WantInvalid(t, err, "from")
		}
	})
}

func TestModelUsage(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		none, err := s.ModelUsage(ctx)
		is.NoErr(err)
		is.Equal(len(none), 0)
		make := func(model string, version *string, end func(store.Generation) error) {
			params := testkit.Beat("x")
			params.ModelName, params.ModelVersion = model, version
			g, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
			is.NoErr(end(g))
		}
		complete := func(seconds float64) func(store.Generation) error {
			return func(g store.Generation) error {
				return testkit.Err(s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: seconds}))
			}
		}
		fail := func(g store.Generation) error {
			return testkit.Err(s.FailGeneration(ctx, g.ID, store.FailGenerationParams{}))
		}
		wait := func(store.Generation) error { return nil }
		for i := range 21 { // 1 to 21 seconds, in some order; the 95th of a hundred is the 20th of 21
			make("small", nil, complete(float64(1+i*8%21)))
		}
		for range 7 {
			make("small", nil, fail)
		}
		make("small", nil, wait)
		make("small", new("2.0"), complete(8))
		make("large", new("1.0"), fail)
		make("medium", nil, wait)
		byHand := func(g store.Generation) error { // completed, and nobody knows how long it took
			return testkit.Err(s.UpdateGenerationStatus(ctx, g.ID, store.StatusCompleted, ""))
		}
		make("small", new("2.0"), byHand)

		usage, err := s.ModelUsage(ctx)
		is.NoErr(err)
		slices.SortFunc(usage, func(a, b store.ModelUsage) int { // where no version is stands as the engine likes
			return cmp.Or(cmp.Compare(a.ModelName, b.ModelName), cmp.Compare(fmt.Sprint(a.ModelVersion == nil),
				fmt.Sprint(b.ModelVersion == nil)))
		})
		is.Equal(usage, []store.ModelUsage{
			{ModelName: "large", ModelVersion: new("1.0"), TotalGenerations: 1, FailedGenerations: 1, FailureRate: 1},
			{ModelName: "medium", TotalGenerations: 1},
			{ModelName: "small", ModelVersion: new("2.0"), TotalGenerations: 2, CompletedGenerations: 2,
				AverageGenerationTimeSeconds: 8, P95GenerationTimeSeconds: 8, RealTimeFactor: 0.5},
			{ModelName: "small", TotalGenerations: 29, CompletedGenerations: 21, FailedGenerations: 7, FailureRate: 0.25,
				AverageGenerationTimeSeconds: 11, P95GenerationTimeSeconds: 20, RealTimeFactor: 11.0 / 16},
		})
	})
}

func TestTrendingPrompts(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		for range 9 {
			testkit.Create(t, s, "was popular")
		}
		clock.Advance(time.Hour)
		since := clock.Now()
		for i, prompt := range []string{"twice", "thrice", "once", "thrice", "was popular", "thrice", "twice",
			"once, later"} {
			clock.Advance(time.Duration(i) * time.Second)
			testkit.Create(t, s, prompt)
		}
		trending, err := s.TrendingPrompts(ctx, since, 0)
		is.NoErr(err)
		var got []string
		for _, p := range trending {
			got = append(got, fmt.Sprintf("%s: %d of %d", p.Prompt.Text, p.Uses, p.Prompt.UsedCount))
		}
		is.Equal(got, []string{"thrice: 3 of 3", "twice: 2 of 2", "once, later: 1 of 1", "was popular: 1 of 10",
			"once: 1 of 1"})
		two, err := s.TrendingPrompts(ctx, since, 2)
		is.NoErr(err)
		is.Equal(two, trending[:2])
		none, err := s.TrendingPrompts(ctx, clock.Now().Add(1), 2)
		is.NoErr(err)
		text, err := json.Marshal(none)
		is.NoErr(err)
		is.Equal(string(text), "[]")
		_, err = s.TrendingPrompts(ctx, since, -1)
		testkit.WantInvalid(t, err, "limit")
		_, err = s.TrendingPrompts(ctx, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), 1)
		testkit.WantInvalid(t, err, "since")
	})
}

// Times that nobody can have measured, but the schema holds, do not make an error of the sums.
func TestSumsOfHugeTimes(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		for range 3 {
			params := testkit.Beat("x")
			params.DurationSeconds = math.MaxFloat64
			g, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
			_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: math.MaxFloat64})
			is.NoErr(err)
		}
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.AverageGenerationTimeSeconds, 1e15)
		models, err := s.ModelUsage(ctx)
		is.NoErr(err)
		is.Equal(models[0].RealTimeFactor, 1.0)
		days, err := s.DailyUsage(ctx, time.Now().AddDate(0, 0, -1), time.Now().AddDate(0, 0, 1))
		is.NoErr(err)
		is.True(len(days) >= 2)
	})
}
