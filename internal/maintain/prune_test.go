package maintain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

const day = 24 * time.Hour

// ended returns a generation with a prompt and a file that has just ended with the status.
func ended(t testing.TB, s *store.Store, prompt, path string, status store.Status) store.Generation {
	t.Helper()
	params := testkit.Beat(prompt)
	params.FilePath = path
	g, err := s.CreateGeneration(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = s.UpdateGenerationStatus(t.Context(), g.ID, status, ""); err != nil {
		t.Fatal(err)
	}
	return g
}

// prune prunes, dry first. Both must report the same.
func prune(t testing.TB, s *store.Store, params store.PruneParams) store.PruneReport {
	t.Helper()
	is := is.New(t)
	before, err := s.Stats(t.Context())
	is.NoErr(err)
	params.DryRun = true
	dry, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	untouched, err := s.Stats(t.Context())
	is.NoErr(err)
	is.Equal(untouched, before)
	params.DryRun = false
	report, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	is.Equal(dry, report)
	after, err := s.Stats(t.Context())
	is.NoErr(err)
	is.Equal(before.TotalGenerations-after.TotalGenerations, report.Generations)
	is.Equal(before.TotalPrompts-after.TotalPrompts, report.Prompts)
	is.NoErr(s.CheckCounts(t.Context()))
	again, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	is.Equal(again, store.PruneReport{FilePaths: []string{}})
	return report
}

func isThere(t testing.TB, s *store.Store, g store.Generation) bool {
	t.Helper()
	_, err := s.GetGeneration(t.Context(), g.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestPruneDeletesWhatEndedLongAgo(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		completed := ended(t, s, "old", "completed.wav", store.StatusCompleted)
		failed := ended(t, s, "old", "failed.wav", store.StatusFailed)
		cancelled := ended(t, s, "other", "cancelled.wav", store.StatusCancelled)
		pending := testkit.Create(t, s, "pending")
		late := testkit.Create(t, s, "late")
		clock.Advance(time.Microsecond)
		processing := testkit.Create(t, s, "processing")
		_, err := s.UpdateGenerationStatus(t.Context(), processing.ID, store.StatusProcessing, "")
		is.NoErr(err)
		clock.Advance(day)
		_, err = s.UpdateGenerationStatus(t.Context(), late.ID, store.StatusCompleted, "") // created long ago, and ended now
		is.NoErr(err)

		report := prune(t, s, store.PruneParams{OlderThan: day + time.Microsecond}) // exactly as old is not older
		is.Equal(report, store.PruneReport{FilePaths: []string{}})
		report = prune(t, s, store.PruneParams{OlderThan: day, Statuses: []store.Status{store.StatusFailed,
			store.StatusFailed}})
		is.Equal(report, store.PruneReport{Generations: 1, FilePaths: []string{"failed.wav"}})
		is.True(isThere(t, s, completed) && !isThere(t, s, failed))
		report = prune(t, s, store.PruneParams{OlderThan: day})
		is.Equal(report, store.PruneReport{Generations: 2, FilePaths: []string{"cancelled.wav", "completed.wav"}})
		is.True(!isThere(t, s, cancelled))
		for _, kept := range []store.Generation{pending, processing, late} {
			is.True(isThere(t, s, kept))
		}
		prompt, err := s.GetPromptByText(t.Context(), "old")
		is.NoErr(err)
		is.Equal(prompt.UsedCount, int64(2)) // history
	})
}

func TestPruneTakesErrorsAndIndexesAlong(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		params := testkit.Beat("fails")
		params.MaxAttempts, params.Metadata = 1, store.Metadata(`{"bpm": 140, "genre": "trap"}`)
		_, err := s.CreateGeneration(t.Context(), params)
		is.NoErr(err)
		g := testkit.ClaimOne(t, s)
		_, err = s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{ErrorMessage: "no memory",
			Attempt: g.Attempt})
		is.NoErr(err)
		clock.Advance(time.Hour)
		is.Equal(prune(t, s, store.PruneParams{OlderThan: time.Minute, DropUnusedPrompts: true}),
			store.PruneReport{Generations: 1, Prompts: 1, FilePaths: []string{params.FilePath}})
		for _, table := range []string{"generation_errors", "generation_metadata", "prompts_search"} {
			var rows int
			is.NoErr(s.DB().QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
			is.Equal(rows, 0)
		}
	})
}

func TestPruneKeepsFavorites(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		var favorites []store.Generation
		for i := range 450 { // several batches, of which the first are kept whole
			g := ended(t, s, "some", fmt.Sprintf("%d.wav", i), store.StatusCompleted)
			if i < 220 || i%2 == 0 {
				_, err := s.SetFavorite(t.Context(), g.ID, true)
				is.NoErr(err)
				favorites = append(favorites, g)
			}
		}
		clock.Advance(time.Hour)
		report := prune(t, s, store.PruneParams{OlderThan: time.Minute, KeepFavorites: true, DropUnusedPrompts: true})
		is.Equal(report.Generations, int64(450-len(favorites)))
		is.Equal(len(report.FilePaths), 450-len(favorites))
		is.Equal(report.Prompts, int64(0))
		for _, g := range favorites {
			is.True(isThere(t, s, g))
		}
		is.Equal(prune(t, s, store.PruneParams{OlderThan: time.Minute}).Generations, int64(len(favorites)))
	})
}

// Two generations may have one file.
func TestPruneReturnsPathsThatNobodyElseNames(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ended(t, s, "a", "own.wav", store.StatusCompleted)
		ended(t, s, "a", "twice.wav", store.StatusCompleted)
		ended(t, s, "a", "twice.wav", store.StatusFailed)
		ended(t, s, "a", "shared.wav", store.StatusCompleted)
		clock.Advance(time.Hour)
		ended(t, s, "a", "shared.wav", store.StatusCompleted) // too young to go
		others := make([]store.CreateGenerationParams, 2500)  // the walk over those that are left has more than a page
		for i := range others {
			others[i] = testkit.Beat("a")
			others[i].FilePath = fmt.Sprint(i, ".wav")
		}
		others[2400].FilePath = "own.wav"
		_, err := s.CreateGenerations(t.Context(), others)
		is.NoErr(err)
		report := prune(t, s, store.PruneParams{OlderThan: time.Minute})
		is.Equal(report, store.PruneReport{Generations: 4, FilePaths: []string{"twice.wav"}})
	})
}

// Prune recognizes a path however it is spelled, and whichever ID names it.
func TestPruneKnowsAFileByAnotherSpelling(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ended(t, s, "a", "./own.wav", store.StatusCompleted)
		ended(t, s, "a", "own.wav", store.StatusCompleted)
		ended(t, s, "a", "outputs//shared.wav", store.StatusCompleted)
		ended(t, s, "a", "lowest.wav", store.StatusCompleted)
		ended(t, s, "a", "highest.wav", store.StatusCompleted)
		clock.Advance(time.Hour)
		ended(t, s, "a", "outputs/x/../shared.wav", store.StatusCompleted)
		for id, path := range map[uuid.UUID]string{uuid.Nil: "lowest.wav", uuid.Max: "highest.wav"} {
			g := ended(t, s, "a", path, store.StatusCompleted)
			_, err := s.DB().Exec(t.Context(), "UPDATE generations SET id = $1 WHERE id = $2", id, g.ID)
			is.NoErr(err)
		}
		report := prune(t, s, store.PruneParams{OlderThan: time.Minute})
		is.Equal(report, store.PruneReport{Generations: 5, FilePaths: []string{"./own.wav", "own.wav"}})
	})
}

// The Python service may have left rows that are finished without a time of completion.
func TestPruneCountsFromCreationWhereNobodyKnowsTheEnd(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		g := ended(t, s, "python", "python.wav", store.StatusCompleted)
		_, err := s.DB().Exec(t.Context(), "UPDATE generations SET completed_at = NULL WHERE id = $1", g.ID)
		is.NoErr(err)
		clock.Advance(time.Hour)
		is.Equal(prune(t, s, store.PruneParams{OlderThan: time.Hour + 1}).Generations, int64(0))
		is.Equal(prune(t, s, store.PruneParams{OlderThan: time.Hour - time.Microsecond}),
			store.PruneReport{Generations: 1, FilePaths: []string{"python.wav"}})
	})
}

func TestPruneDropsUnusedPrompts(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		for i := range 1500 { // more than a page, and than a batch
			_, err := s.TrackPrompt(ctx, fmt.Sprint("never generated ", i))
			is.NoErr(err)
		}
		ended(t, s, "left without", "a.wav", store.StatusCompleted)
		ended(t, s, "used again", "b.wav", store.StatusCompleted)
		ended(t, s, "has another", "c.wav", store.StatusCompleted)
		kept := testkit.Create(t, s, "has another")
		clock.Advance(time.Hour)
		_, err := s.TrackPrompt(ctx, "used again")
		is.NoErr(err)

		is.Equal(prune(t, s, store.PruneParams{OlderThan: day, DropUnusedPrompts: true}),
			store.PruneReport{FilePaths: []string{}})
		report := prune(t, s, store.PruneParams{OlderThan: time.Minute, DropUnusedPrompts: true})
		is.Equal(report, store.PruneReport{Generations: 3, Prompts: 1501, FilePaths: []string{"a.wav", "b.wav", "c.wav"}})
		prompts, err := s.ListPrompts(ctx, store.ListPromptsParams{})
		is.NoErr(err)
		var left []string
		for _, p := range prompts {
			left = append(left, p.Text)
		}
		slices.Sort(left)
		is.Equal(left, []string{"has another", "used again"})
		is.True(isThere(t, s, kept))
		none, err := s.SearchPrompts(ctx, "never generated", 10)
		is.NoErr(err)
		is.Equal(len(none), 0)
	})
}

func TestPruneRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := ended(t, s, "a", "a.wav", store.StatusCompleted)
		for _, c := range []struct {
			params store.PruneParams
			field  string
		}{
			{store.PruneParams{}, "older_than"},
			{store.PruneParams{OlderThan: -time.Hour}, "older_than"},
			{store.PruneParams{OlderThan: 1, Statuses: []store.Status{store.StatusCompleted, store.StatusPending}}, "statuses"},
			{store.PruneParams{OlderThan: 1, Statuses: []store.Status{store.StatusProcessing}}, "statuses"},
			{store.PruneParams{OlderThan: 1, Statuses: []store.Status{""}}, "statuses"},
			{store.PruneParams{OlderThan: 1, Statuses: []store.Status{"done"}}, "statuses"},
		} {
			_, err := s.Prune(t.Context(), c.params)
			var refused *store.ValidationError
			is.True(errors.As(err, &refused))
			is.Equal(refused.Field, c.field)
		}
		is.True(isThere(t, s, g))
	})
}

// cancelAt cancels when it sees a statement in the log a certain number of times.
type cancelAt struct {
	slog.Handler
	query  string
	times  int
	cancel context.CancelFunc
}

func (c *cancelAt) Enabled(context.Context, slog.Level) bool { return true }
func (c *cancelAt) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" && a.Value.String() == c.query {
			if c.times--; c.times == 0 {
				c.cancel()
			}
		}
		return true
	})
	return nil
}

// If its context ends, Prune reports what it has deleted until then, with the files.
func TestPruneReportsWhatItHasDoneWhenItIsCutOff(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			clock := testkit.NewClock()
			logger := slog.New(&cancelAt{query: "PruneGenerations", times: 3, cancel: cancel})
			testPruneThatIsCutOff(ctx, t, engine.Open(t, store.Options{Now: clock.Now, Logger: logger}), clock)
		})
	}
}

func testPruneThatIsCutOff(ctx context.Context, t *testing.T, s *store.Store, clock *testkit.Clock) {
	is := is.New(t)
	const there = 2000
	params := make([]store.CreateGenerationParams, there)
	for i := range params {
		params[i] = testkit.Beat("a")
		params[i].FilePath = fmt.Sprint(i, ".wav")
	}
	created, err := s.CreateGenerations(t.Context(), params)
	is.NoErr(err)
	completions := make([]store.Completion, there)
	for i, g := range created {
		completions[i].ID = g.ID
	}
	_, err = s.CompleteGenerations(t.Context(), completions)
	is.NoErr(err)
	clock.Advance(time.Hour)

	report, err := s.Prune(ctx, store.PruneParams{OlderThan: time.Minute})
	is.True(errors.Is(err, context.Canceled))
	left, err := s.CountGenerations(t.Context(), "")
	is.NoErr(err)
	is.True(left > 0)
	is.True(left < there)
	is.Equal(report.Generations, there-left)
	is.Equal(int64(len(report.FilePaths)), there-left)
	is.NoErr(s.CheckCounts(t.Context()))
}

// On PostgreSQL Prune skips what another transaction has locked, and respects what that transaction has changed.
func TestPruneWaitsForNobody(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := testkit.Postgres.URL(t)
	clock := testkit.NewClock()
	s, err := store.Open(t.Context(), store.Options{URL: url, Now: clock.Now, BusyTimeout: time.Second})
	is.NoErr(err)
	defer s.Close()
	retried := ended(t, s, "retried", "a.wav", store.StatusFailed)
	other := ended(t, s, "other", "b.wav", store.StatusFailed)
	_, err = s.TrackPrompt(t.Context(), "used in a transaction")
	is.NoErr(err)
	clock.Advance(time.Hour)
	params := store.PruneParams{OlderThan: time.Minute, DropUnusedPrompts: true}
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.RetryGeneration(t.Context(), retried.ID); err != nil {
			return err
		}
		if _, err := tx.CreateGeneration(t.Context(), testkit.Beat("used in a transaction")); err != nil {
			return err
		}
		report, err := s.Prune(t.Context(), params)
		is.NoErr(err)
		is.Equal(report, store.PruneReport{Generations: 1, Prompts: 1, FilePaths: []string{"b.wav"}})
		return nil
	}))
	is.True(isThere(t, s, retried) && !isThere(t, s, other))
	report, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	is.Equal(report, store.PruneReport{FilePaths: []string{}})
	_, err = s.GetPromptByText(t.Context(), "used in a transaction")
	is.NoErr(err)
}

// A generation that is inserted by hand does not count as a use of its prompt. It must not go with the prompt either.
func TestPruneDropsNoPromptThatIsUsedByHand(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := testkit.Postgres.URL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	conn, err := pgx.Connect(t.Context(), url)
	is.NoErr(err)
	defer conn.Close(context.Background())
	p, err := s.TrackPrompt(t.Context(), "by hand")
	is.NoErr(err)
	time.Sleep(time.Millisecond) // its use is longer ago than OlderThan below
	tx, err := conn.Begin(t.Context())
	is.NoErr(err)
	_, err = tx.Exec(t.Context(), `INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, prompt_id, scheduled_at)
		VALUES ($1, 'by hand', 'm', 1, 1, 1, 'x', 'pending', now(), $2, now())`, uuid.New(), p.ID)
	is.NoErr(err)
	report, err := s.Prune(t.Context(), store.PruneParams{OlderThan: time.Microsecond, DropUnusedPrompts: true})
	is.NoErr(err)
	is.Equal(report.Prompts, int64(0))
	is.NoErr(tx.Commit(t.Context()))
	report, err = s.Prune(t.Context(), store.PruneParams{OlderThan: time.Microsecond, DropUnusedPrompts: true})
	is.NoErr(err)
	is.Equal(report.Prompts, int64(0))
}

// Sixteen callers create, claim, complete, fail, retry and cancel, with few prompts that are dropped all the time.
// None of their calls may fail, and nothing may go that has not ended.
func TestPruneBesideCallers(t *testing.T) {
	t.Parallel()
	const callers = 16
	lasting := 5 * time.Second
	if testing.Short() {
		lasting = time.Second / 3
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var calls, pruned, dropped atomic.Int64
		var open sync.Map // pending generations, that must stay
		began := time.Now()
		goesOn := func() bool { // until something was pruned and dropped, however slow the machine is
			took := time.Since(began)
			return took < lasting || (pruned.Load() == 0 || dropped.Load() == 0) && took < time.Minute
		}
		var group sync.WaitGroup
		check := func(err error) {
			calls.Add(1)
			var refused *store.TransitionError
			switch {
			case err == nil, errors.Is(err, store.ErrNotFound), errors.As(err, &refused), errors.Is(err, store.ErrLeaseLost):
			default:
				t.Error(err)
			}
		}
		for caller := range callers {
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(caller), 3))
				for goesOn() {
					if caller%2 == 0 { // its prompt is left without a generation again and again; the new one must not go with it
						g, err := s.CreateGeneration(ctx, testkit.Beat(fmt.Sprintf("brief %d", random.IntN(4))))
						if err == nil {
							_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
						}
						if err != nil {
							t.Error(err)
							return
						}
						calls.Add(2)
						continue
					}
					params := testkit.Beat(fmt.Sprintf("prompt %d", random.IntN(8)))
					params.FilePath, params.BatchID = uuid.NewString(), uuid.New()
					params.Metadata = store.Metadata(`{"bpm": 140, "genre": "trap"}`)
					g, err := s.CreateGeneration(ctx, params)
					if err != nil {
						t.Error(err)
						return
					}
					switch random.IntN(7) {
					case 0:
						_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
					case 1:
						_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{})
						check(err)
						if _, err = s.RetryGeneration(ctx, g.ID); err == nil {
							open.Store(g.ID, true)
						}
					case 2:
						_, err = s.CancelBatch(ctx, params.BatchID)
					case 3:
						_, err = s.CreateGenerations(ctx, []store.CreateGenerationParams{testkit.Beat("prompt 1"),
							testkit.Beat("prompt 2"), testkit.Beat("prompt 3")})
					case 4:
						_, err = s.TrackPrompt(ctx, fmt.Sprintf("prompt %d", random.IntN(8)))
					case 5:
						err = s.InTx(ctx, func(tx *store.Tx) error {
							_, err := tx.CreateGeneration(ctx, testkit.Beat(fmt.Sprintf("prompt %d", random.IntN(8))))
							return err
						})
					default:
						open.Store(g.ID, true)
					}
					check(err)
				}
			})
		}
		for range 2 { // two at once
			group.Go(func() {
				for goesOn() {
					report, err := s.Prune(ctx, store.PruneParams{OlderThan: time.Microsecond, DropUnusedPrompts: true})
					if err != nil {
						t.Error(err)
						return
					}
					pruned.Add(report.Generations)
					dropped.Add(report.Prompts)
				}
			})
		}
		group.Wait()
		t.Logf("%d calls, %d generations pruned, %d prompts dropped", calls.Load(), pruned.Load(), dropped.Load())
		is.True(pruned.Load() > 0)
		is.True(dropped.Load() > 0)
		open.Range(func(id, _ any) bool {
			_, err := s.GetGeneration(ctx, id.(uuid.UUID))
			is.NoErr(err)
			return true
		})
		is.NoErr(s.CheckCounts(ctx))
		report, err := s.Check(ctx, store.CheckParams{})
		is.NoErr(err)
		is.Equal(report.Findings, []store.Finding{})
	})
}

func TestPruneOnAClosedStore(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.SQLite.Open(t)
	is.NoErr(s.Close())
	_, err := s.Prune(t.Context(), store.PruneParams{OlderThan: time.Hour})
	is.True(errors.Is(err, store.ErrClosed) && strings.HasPrefix(err.Error(), "store: prune: "))
}
