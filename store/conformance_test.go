package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// The behaviours of the Python test suite come first, then what this store adds.

func TestMetadataGivenAtCreationComesBackEqual(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat("hip hop beat at 140 BPM")
		var err error
		given.Metadata, err = store.NewMetadata(map[string]any{"bpm": 140, "genre": "hip hop",
			"instruments": []string{"808", "hi-hat"}})
		is.NoErr(err)
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		got, err := s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.Equal(testkit.Decode(t, got.Metadata), testkit.Decode(t, given.Metadata))
		is.Equal(got, g) // what creation returned is what is stored
	})
}

func TestCreateGenerationStoresEveryField(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat(`dark lo-fi, "heavy" 808 — énergie 音楽 🎧'; DROP TABLE prompts; --`)
		given.ModelVersion = new("1.0")
		given.DurationSeconds = 7.3
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		is.Equal(g.ID.Version(), uuid.Version(7))
		is.Equal(g.Prompt, given.Prompt)
		is.Equal(g.ModelName, "musicgen-small")
		is.Equal(*g.ModelVersion, "1.0")
		is.Equal(g.DurationSeconds, 7.3)
		is.Equal(g.SampleRate, int64(32000))
		is.Equal(g.Channels, int64(2))
		is.Equal(g.FilePath, "outputs/gen_123.wav")
		is.Equal(g.FileSizeBytes, nil)
		is.Equal(g.Status, store.StatusPending)
		is.True(g.IsPending() && !g.IsFinished())
		is.Equal(g.CreatedAt, clock.Now()) // UTC, to the microsecond
		is.Equal(g.ScheduledAt, clock.Now())
		is.Equal(g.CompletedAt, nil)
		is.Equal(g.GenerationTimeSeconds, nil)
		is.Equal(g.ErrorMessage, nil)
		is.Equal(string(g.Metadata), "{}")
		p, err := s.GetPrompt(t.Context(), g.PromptID)
		is.NoErr(err)
		is.Equal(p.Text, given.Prompt)
		is.Equal(p.FirstUsedAt, clock.Now())
	}, store.Options{Now: clock.Now})
}

func TestEmptyModelVersionIsNone(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat("x")
		given.ModelVersion = new("")
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		is.Equal(g.ModelVersion, nil)
	})
}

func TestGenerationIsThereInANewSession(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			first, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			g := testkit.Create(t, first, "trap beat 140 BPM")
			is.NoErr(first.Close())
			second, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			defer second.Close()
			got, err := second.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(got, g)
		})
	}
}

func TestMissingRowsAreErrNotFound(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		calls := map[string]func() error{
			"GetGeneration": func() error { _, err := s.GetGeneration(ctx, testkit.NoSuchID); return err },
			"UpdateGenerationStatus": func() error {
				_, err := s.UpdateGenerationStatus(ctx, testkit.NoSuchID, store.StatusFailed, "")
				return err
			},
			"CompleteGeneration": func() error {
				_, err := s.CompleteGeneration(ctx, testkit.NoSuchID, store.CompleteGenerationParams{})
				return err
			},
			"FailGeneration": func() error {
				_, err := s.FailGeneration(ctx, testkit.NoSuchID, store.FailGenerationParams{})
				return err
			},
			"MergeMetadata": func() error {
				_, err := s.MergeMetadata(ctx, testkit.NoSuchID,
					store.Metadata(`{"a":1}`))
				return err
			},
			"DeleteGeneration": func() error { return s.DeleteGeneration(ctx, testkit.NoSuchID) },
			"GetPrompt":        func() error { _, err := s.GetPrompt(ctx, 999); return err },
			"GetPromptByText":  func() error { _, err := s.GetPromptByText(ctx, "nobody asked for this"); return err },
			"DeletePrompt":     func() error { return s.DeletePrompt(ctx, 999) },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestListWithLimitOffsetAndStatus(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t, store.Options{Now: clock.Now})
			ctx := t.Context()
			var all []store.Generation
			for i := range 10 {
				clock.Advance(time.Second)
				given := testkit.Beat(fmt.Sprintf("prompt %d", i))
				if i%2 == 1 {
					given.ModelName = "musicgen-large"
				}
				g, err := s.CreateGeneration(ctx, given)
				is.NoErr(err)
				if i < 3 {
					g, err = s.UpdateGenerationStatus(ctx, g.ID, store.StatusProcessing, "")
					is.NoErr(err)
				}
				all = append(all, g)
			}
			slices.Reverse(all) // newest first
			list := func(params store.ListGenerationsParams) []string {
				t.Helper()
				page, err := s.ListGenerations(ctx, params)
				is.NoErr(err)
				return promptsOf(page.Generations)
			}
			want := func(keep func(store.Generation) bool) []string {
				return promptsOf(slices.DeleteFunc(slices.Clone(all), func(g store.Generation) bool { return !keep(g) }))
			}
			is.Equal(list(store.ListGenerationsParams{}), promptsOf(all))
			is.Equal(list(store.ListGenerationsParams{Limit: 3}), promptsOf(all[:3]))
			is.Equal(list(store.ListGenerationsParams{Limit: 3, Offset: 4}), promptsOf(all[4:7]))
			is.Equal(list(store.ListGenerationsParams{Offset: 100}), []string(nil))
			is.Equal(list(store.ListGenerationsParams{Status: store.StatusProcessing}), want(store.Generation.IsProcessing))
			is.Equal(list(store.ListGenerationsParams{ModelName: "musicgen-large"}),
				want(func(g store.Generation) bool { return g.ModelName == "musicgen-large" }))
			is.Equal(list(store.ListGenerationsParams{Status: store.StatusPending, ModelName: "musicgen-large"}),
				want(func(g store.Generation) bool { return g.ModelName == "musicgen-large" && g.IsPending() }))
			is.Equal(list(store.ListGenerationsParams{ModelName: "no such model"}), []string(nil))
			page, err := s.ListGenerations(ctx, store.ListGenerationsParams{Limit: 2})
			is.NoErr(err)
			is.Equal(page.Generations, all[:2]) // whole rows, not prompts alone
		})
	}
}

func TestListDefaultsToAHundred(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		_, err := s.CreateGenerations(t.Context(), slices.Repeat([]store.CreateGenerationParams{testkit.Beat("x")}, 101))
		is.NoErr(err)
		page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{})
		is.NoErr(err)
		is.Equal(len(page.Generations), 100)
		pending, err := s.PendingGenerations(t.Context(), 0)
		is.NoErr(err)
		is.Equal(len(pending), 100)
	})
}

func TestCursorSurvivesInsertsAndDeletesBetweenPages(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock() // stands still: all have the same time, and the ID decides
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var want []string
		for i := range 25 {
			want = append(want, testkit.Create(t, s, fmt.Sprintf("prompt %d", i)).Prompt)
		}
		slices.Reverse(want)
		var got []string
		params := store.ListGenerationsParams{Limit: 10}
		for {
			page, err := s.ListGenerations(ctx, params)
			is.NoErr(err)
			got = append(got, promptsOf(page.Generations)...)
			if page.Next == "" {
				break
			}
			params.After = page.Next
			testkit.Create(t, s, "came later")
			is.NoErr(s.DeleteGeneration(ctx, page.Generations[len(page.Generations)-1].ID))
		}
		is.Equal(got, want)
	}, store.Options{Now: clock.Now})
}

func TestCursorThatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		testkit.Create(t, s, "x")
		page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Limit: 1})
		is.NoErr(err)
		cursor := string(page.Next)
		is.True(cursor != "")
		changed := "B" + cursor[1:]
		other := map[bool]string{true: "y", false: "x"}[cursor[10] == 'x']
		for _, bad := range []string{"x", "not base64 !", cursor[:len(cursor)-1], cursor + "AA", changed,
			cursor[:10] + other + cursor[11:], strings.Repeat("A", len(cursor))} {
			_, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{After: store.Cursor(bad)})
			testkit.WantInvalid(t, err, "after")
		}
	})
}

func TestCompletingMergesMetadataOverTheOld(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat("x")
		given.Metadata = store.Metadata(`{"bpm": 140, "genre": "trap", "nested": {"a": 1, "b": 2}, "gone": 1}`)
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		done, err := s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{
			GenerationTimeSeconds: 18.5,
			FileSizeBytes:         5242880,
			Metadata:              store.Metadata(`{"bpm": 141, "key": "Cm", "nested": {"b": 3}, "gone": null}`),
		})
		is.NoErr(err)
		// A key of the patch replaces that of the old whole, as dict.update does: nothing is merged below the top.
		is.Equal(testkit.Decode(t, done.Metadata), map[string]any{
			"bpm": 141.0, "genre": "trap", "key": "Cm", "nested": map[string]any{"b": 3.0}, "gone": nil,
		})
		is.True(done.IsComplete() && done.IsFinished())
		is.Equal(*done.GenerationTimeSeconds, 18.5)
		is.Equal(*done.FileSizeBytes, int64(5242880))
		is.Equal(*done.CompletedAt, clock.Now())
		got, err := s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.Equal(got, done)
	}, store.Options{Now: clock.Now})
}

func TestMergeMetadata(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		for _, patch := range []string{`{"a": 1}`, `{"b": [1, 2]}`, `{"a": "two"}`, ``} {
			merged, err := s.MergeMetadata(t.Context(), g.ID, store.Metadata(patch))
			is.NoErr(err)
			g = merged
		}
		is.Equal(testkit.Decode(t, g.Metadata), map[string]any{"a": "two", "b": []any{1.0, 2.0}})
		is.True(g.IsPending())
	})
}

func TestNumbersInMetadataKeepTheirDigits(t *testing.T) {
	t.Parallel()
	const text = `{"big": 12345678901234567890, "long": 0.1234567890123456789012345678901234567890, "minus": -98765432109876543210, "nested": [{"n": 9007199254740993}]}`
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat("x")
		given.Metadata = store.Metadata(text)
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		g, err = s.MergeMetadata(t.Context(), g.ID, store.Metadata(`{"other": 11111111111111111111}`))
		is.NoErr(err)
		g, err = s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		for _, digits := range []string{"12345678901234567890", "0.1234567890123456789012345678901234567890",
			"-98765432109876543210", "9007199254740993", "11111111111111111111"} {
			is.True(strings.Contains(string(g.Metadata), digits))
		}
	})
}

func TestLastOfDuplicateKeysWins(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		given := testkit.Beat("x")
		given.Metadata = store.Metadata(`{"bpm": 1, "inner": {"k": 1, "\u006b": 12345678901234567890}, "bpm": 140}`)
		g, err := s.CreateGeneration(t.Context(), given)
		is.NoErr(err)
		is.Equal(strings.Count(string(g.Metadata), "bpm"), 1)
		is.Equal(testkit.Decode(t, g.Metadata)["bpm"], 140.0)
		is.True(strings.Contains(string(g.Metadata), "12345678901234567890"))
	})
}

func TestDeleteThenGetIsErrNotFound(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		is.NoErr(s.DeleteGeneration(t.Context(), g.ID))
		_, err := s.GetGeneration(t.Context(), g.ID)
		is.True(errors.Is(err, store.ErrNotFound))
		is.True(errors.Is(s.DeleteGeneration(t.Context(), g.ID), store.ErrNotFound))
		p, err := s.GetPrompt(t.Context(), g.PromptID) // it was used, whatever became of it
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(1))
	})
}

func TestFiveUsesOfOnePromptThreeOfAnother(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t, store.Options{Now: clock.Now})
			ctx := t.Context()
			began := clock.Now()
			for range 3 {
				_, err := s.TrackPrompt(ctx, "ambient pad")
				is.NoErr(err)
			}
			for range 5 {
				clock.Advance(time.Second)
				_, err := s.TrackPrompt(ctx, "trap beat")
				is.NoErr(err)
			}
			testkit.Create(t, s, "once, early")
			clock.Advance(time.Second)
			testkit.Create(t, s, "once, late")
			prompts, err := s.MostUsedPrompts(ctx, 0)
			is.NoErr(err)
			var got []string
			for _, p := range prompts {
				got = append(got, fmt.Sprintf("%s: %d", p.Text, p.UsedCount))
			}
			is.Equal(got, []string{"trap beat: 5", "ambient pad: 3", "once, late: 1", "once, early: 1"})
			is.Equal(prompts[0].FirstUsedAt, began.Add(time.Second))
			is.Equal(prompts[0].LastUsedAt, began.Add(5*time.Second))

			two, err := s.MostUsedPrompts(ctx, 2)
			is.NoErr(err)
			is.Equal(two, prompts[:2])
			paged, err := s.ListPrompts(ctx, store.ListPromptsParams{Limit: 2, Offset: 1})
			is.NoErr(err)
			is.Equal(paged, prompts[1:3])
			byText, err := s.GetPromptByText(ctx, "ambient pad")
			is.NoErr(err)
			is.Equal(byText, prompts[1])
		})
	}
}

func TestClockThatGoesBackDoesNotTurnLastUseBack(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t, store.Options{Now: clock.Now})
			late, err := s.TrackPrompt(t.Context(), "x")
			is.NoErr(err)
			clock.Advance(-time.Hour)
			tracked, err := s.TrackPrompt(t.Context(), "x")
			is.NoErr(err)
			is.Equal(tracked.LastUsedAt, late.LastUsedAt)
			g := testkit.Create(t, s, "x")
			tracked, err = s.GetPrompt(t.Context(), g.PromptID)
			is.NoErr(err)
			is.Equal(tracked.LastUsedAt, late.LastUsedAt)
			is.Equal(tracked.UsedCount, int64(3))
			clock.Advance(time.Hour)
		})
	}
}

func TestStatsPerStatus(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		none, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(none, store.Stats{})
		counts := map[store.Status]int{
			store.StatusPending: 5, store.StatusProcessing: 1, store.StatusCompleted: 4, store.StatusFailed: 3, store.StatusCancelled: 2,
		}
		for status, n := range counts {
			for i := range n {
				g := testkit.Create(t, s, fmt.Sprintf("prompt %d", i))
				if status != store.StatusPending {
					_, err := s.UpdateGenerationStatus(ctx, g.ID, status, "")
					is.NoErr(err)
				}
			}
		}
		clock.Advance(time.Minute)
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats, store.Stats{
			TotalGenerations: 15, PendingGenerations: 5, ProcessingGenerations: 1, CompletedGenerations: 4,
			FailedGenerations: 3, CancelledGenerations: 2, TotalPrompts: 5, OldestPendingAgeSeconds: 60,
		})
		is.NoErr(s.CheckCounts(ctx))
		for status, n := range counts {
			count, err := s.CountGenerations(ctx, status)
			is.NoErr(err)
			is.Equal(count, int64(n))
		}
		count, err := s.CountGenerations(ctx, "")
		is.NoErr(err)
		is.Equal(count, int64(15))
		text, err := json.Marshal(stats)
		is.NoErr(err)
		is.Equal(string(text), `{"total_generations":15,"pending_generations":5,"processing_generations":1,"completed_generations":4,"failed_generations":3,"cancelled_generations":2,"total_prompts":5,"oldest_pending_age_seconds":60,"average_generation_time_seconds":0}`)
	})
}

func TestDeletePromptTakesItsGenerationsAlong(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		doomed, doomedToo, kept := testkit.Create(t, s, "a"), testkit.Create(t, s, "a"), testkit.Create(t, s, "b")
		is.Equal(doomed.PromptID, doomedToo.PromptID)
		is.NoErr(s.DeletePrompt(ctx, doomed.PromptID))
		_, err := s.GetGeneration(ctx, doomedToo.ID)
		is.True(errors.Is(err, store.ErrNotFound))
		_, err = s.GetGeneration(ctx, kept.ID)
		is.NoErr(err)
		again := testkit.Create(t, s, "a")
		is.True(again.PromptID != doomed.PromptID) // an ID is never used twice
	})
}

func TestDeletedNewestPromptsIDIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		first, err := s.TrackPrompt(t.Context(), "a")
		is.NoErr(err)
		is.NoErr(s.DeletePrompt(t.Context(), first.ID))
		second, err := s.TrackPrompt(t.Context(), "b")
		is.NoErr(err)
		is.True(second.ID > first.ID)
	})
}

func TestPendingGenerationsInClaimOrder(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t, store.Options{Now: clock.Now})
			ctx := t.Context()
			a, b, c := testkit.Create(t, s, "a"), testkit.Create(t, s, "b"), testkit.Create(t, s, "c")
			clock.Advance(time.Second)
			for _, status := range []store.Status{store.StatusProcessing, store.StatusPending} { // a goes to the end
				_, err := s.UpdateGenerationStatus(ctx, a.ID, status, "")
				is.NoErr(err)
			}
			_, err := s.UpdateGenerationStatus(ctx, c.ID, store.StatusProcessing, "")
			is.NoErr(err)
			pending, err := s.PendingGenerations(ctx, 10)
			is.NoErr(err)
			is.Equal(promptsOf(pending), []string{"b", "a"})
			one, err := s.PendingGenerations(ctx, 1)
			is.NoErr(err)
			is.Equal(promptsOf(one), []string{"b"})
			_ = b
		})
	}
}

func TestCreateGenerations(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var given []store.CreateGenerationParams
		for i := range 501 { // more than one statement creates on PostgreSQL
			params := testkit.Beat(fmt.Sprintf("prompt %d", i%7))
			params.FilePath = fmt.Sprintf("outputs/%d.wav", i)
			params.Metadata = store.Metadata(fmt.Sprintf(`{"i": %d}`, i))
			if i%2 == 0 {
				params.ModelVersion = new("1.0")
			}
			given = append(given, params)
		}
		created, err := s.CreateGenerations(ctx, given)
		is.NoErr(err)
		is.Equal(len(created), len(given))
		for i, g := range created { // in the order of the parameters
			is.Equal(g.FilePath, given[i].FilePath)
			is.Equal(g.ModelVersion == nil, i%2 == 1)
			got, err := s.GetGeneration(ctx, g.ID)
			is.NoErr(err)
			sameSpelling(t, &got)
			is.Equal(got, g)
		}
		p, err := s.GetPromptByText(ctx, "prompt 0")
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(72))
		pending, err := s.PendingGenerations(ctx, len(given))
		is.NoErr(err)
		for i := range pending {
			sameSpelling(t, &pending[i])
		}
		is.Equal(pending, created) // of two created together the earlier one is claimed first

		none, err := s.CreateGenerations(ctx, nil)
		is.NoErr(err)
		is.Equal(len(none), 0)
	})
}

// sameSpelling writes the metadata as a caller of many creations gets it: JSONB has spaces.
func sameSpelling(t *testing.T, g *store.Generation) {
	t.Helper()
	var err error
	g.Metadata, err = g.Metadata.Canonical()
	is.New(t).NoErr(err)
}

func TestCreateGenerationsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, _ *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		taken := testkit.Create(t, s, "taken")
		before, err := s.Stats(ctx)
		is.NoErr(err)

		conflict := []store.CreateGenerationParams{testkit.Beat("new"), testkit.Beat("other")}
		conflict[1].ID = taken.ID
		_, err = s.CreateGenerations(ctx, conflict)
		is.True(errors.Is(err, store.ErrConflict))

		twice := []store.CreateGenerationParams{testkit.Beat("new"), testkit.Beat("other")}
		twice[0].ID, twice[1].ID = testkit.NoSuchID, testkit.NoSuchID
		_, err = s.CreateGenerations(ctx, twice)
		is.True(errors.Is(err, store.ErrConflict))

		bad := []store.CreateGenerationParams{testkit.Beat("new"), testkit.Beat("other")}
		bad[1].Channels = 6
		_, err = s.CreateGenerations(ctx, bad)
		testkit.WantInvalid(t, err, "channels")
		is.True(strings.Contains(err.Error(), "number 2"))

		many := slices.Repeat([]store.CreateGenerationParams{testkit.Beat("new"), testkit.Beat("taken")}, 300)
		many[599].ID = taken.ID
		_, err = s.CreateGenerations(ctx, many)
		is.True(errors.Is(err, store.ErrConflict))
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.CreateGenerations(ctx, many)
			is.True(errors.Is(err, store.ErrConflict))
			_, err = tx.TrackPrompt(ctx, "taken") // the transaction goes on
			return err
		}))

		after, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(after, before)
		p, err := s.GetPromptByText(ctx, "taken")
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(2))
	})
}

func TestSecondCreateWithTheSameIDIsErrConflict(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		given := testkit.Beat("x")
		given.ID = uuid.New() // any version is taken
		first, err := s.CreateGeneration(ctx, given)
		is.NoErr(err)
		is.Equal(first.ID, given.ID)
		_, err = s.CreateGeneration(ctx, given)
		is.True(errors.Is(err, store.ErrConflict))
		p, err := s.GetPrompt(ctx, first.PromptID)
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(1)) // the one that failed is not a use
	})
}

func TestJSONHasThePythonKeys(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		p, err := s.GetPrompt(t.Context(), g.PromptID)
		is.NoErr(err)
		testkit.WantKeys(t, g, "id", "prompt", "model_name", "model_version", "duration_seconds", "sample_rate", "channels",
			"file_path", "file_size_bytes", "status", "created_at", "completed_at", "generation_time_seconds",
			"error_message", "metadata")
		testkit.WantKeys(t, p, "id", "text", "used_count", "first_used_at", "last_used_at")
		text, err := json.Marshal(g)
		is.NoErr(err)
		var back store.Generation
		is.NoErr(json.Unmarshal(text, &back))
		is.Equal(back, g)
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is.New(t).NoErr(s.Ping(t.Context()))
	})
}

func TestListsWithoutRowsAreEmptyInJSON(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{})
		is.NoErr(err)
		text, err := json.Marshal(page)
		is.NoErr(err)
		is.Equal(string(text), `{"generations":[],"next":""}`)
		prompts, err := s.ListPrompts(t.Context(), store.ListPromptsParams{})
		is.NoErr(err)
		is.True(prompts != nil)
		pending, err := s.PendingGenerations(t.Context(), 0)
		is.NoErr(err)
		is.True(pending != nil)
	})
}

func TestCursorsBefore1970(t *testing.T) {
	t.Parallel()
	clock := testkit.ClockAt(time.Date(1955, 11, 5, 6, 15, 0, 0, time.UTC))
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		testkit.Create(t, s, "a")
		testkit.Create(t, s, "b")
		page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Limit: 1})
		is.NoErr(err)
		page, err = s.ListGenerations(t.Context(), store.ListGenerationsParams{Limit: 1, After: page.Next})
		is.NoErr(err)
		is.Equal(promptsOf(page.Generations), []string{"a"})
	}, store.Options{Now: clock.Now})
}

func promptsOf(generations []store.Generation) (prompts []string) {
	for _, g := range generations {
		prompts = append(prompts, g.Prompt)
	}
	return prompts
}

func TestSetFavorite(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		is.True(!g.Favorite)
		testkit.WantKeys(t, g, "favorite")
		for _, favorite := range []bool{true, true, false} {
			set, err := s.SetFavorite(t.Context(), g.ID, favorite)
			is.NoErr(err)
			is.Equal(set.Favorite, favorite)
			got, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(got, set)
		}
		_, err := s.SetFavorite(t.Context(), testkit.NoSuchID, true)
		is.True(err != nil)
	})
}
