package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

func TestClaimInOrder(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		now := clock.Now()
		make := func(prompt string, priority int64, scheduledAt time.Time, model string) {
			params := testkit.Beat(prompt)
			params.Priority, params.ScheduledAt, params.ModelName = priority, scheduledAt, model
			_, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
		}
		make("second", 0, time.Time{}, "small")
		make("third", 0, time.Time{}, "large") // of equals the one with the lower ID, which was created first
		make("first", 0, now.Add(-time.Hour), "small")
		make("urgent", math.MinInt64, time.Time{}, "large")
		make("urgent, but later", -5, now.Add(time.Hour), "small")
		make("later", 0, now.Add(time.Minute), "small")
		make("when there is time", math.MaxInt64, now.Add(-time.Hour), "small")

		claim := func(limit int, models ...string) []string {
			claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: limit, Lease: time.Minute,
				ModelNames: models})
			is.NoErr(err)
			for _, g := range claimed {
				is.True(g.IsProcessing())
				is.Equal(g.Attempt, int64(1))
				is.Equal(*g.Worker, "w")
				is.Equal(*g.StartedAt, clock.Now())
				is.Equal(*g.LeaseExpiresAt, clock.Now().Add(time.Minute))
				got, err := s.GetGeneration(ctx, g.ID)
				is.NoErr(err)
				is.Equal(got, g)
			}
			return promptsOf(claimed)
		}
		is.Equal(claim(1, "large"), []string{"urgent"})
		is.Equal(claim(2), []string{"first", "second"})
		is.Equal(claim(10, "unknown"), []string(nil))
		is.Equal(claim(10, "large", "small"), []string{"third", "when there is time"})
		is.Equal(claim(10), []string(nil))
		clock.Advance(time.Minute)
		is.Equal(claim(10), []string{"later"})
		clock.Advance(time.Hour)
		is.Equal(claim(10), []string{"urgent, but later"})
	})
}

func TestClaimersNeverShareAGeneration(t *testing.T) {
	t.Parallel()
	const jobs, claimers = 500, 8
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		params := make([]store.CreateGenerationParams, jobs)
		for i := range params {
			params[i] = testkit.Beat("x")
			params[i].Priority = int64(i % 3)
		}
		_, err := s.CreateGenerations(t.Context(), params)
		is.NoErr(err)
		var mu sync.Mutex
		claims := make(map[uuid.UUID]int)
		var group sync.WaitGroup
		for i := range claimers {
			group.Go(func() {
				for {
					claimed, err := s.ClaimGenerations(t.Context(), store.ClaimParams{Worker: fmt.Sprint(i), Limit: 1 + i,
						Lease: time.Minute})
					if err != nil {
						t.Error(err)
					}
					if len(claimed) == 0 {
						return
					}
					mu.Lock()
					for _, g := range claimed {
						claims[g.ID]++
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		is.Equal(len(claims), jobs) // so nobody found the queue empty too early, either
		for _, count := range claims {
			is.Equal(count, 1)
		}
	})
}

func TestWorkerThatSleptCannotOverwriteItsSuccessor(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		testkit.Create(t, s, "x")
		first := testkit.ClaimOne(t, s)
		clock.Advance(time.Hour)

		// Nobody else has it yet, so it could still go on.
		_, err := s.ExtendLease(ctx, first.ID, first.Attempt, time.Minute)
		is.NoErr(err)
		clock.Advance(time.Hour)
		rescued, err := s.RescueGenerations(ctx, 10)
		is.NoErr(err)
		is.Equal(len(rescued), 1)
		is.True(rescued[0].IsPending())
		wantLeaseLost := func() {
			t.Helper()
			before, err := s.GetGeneration(ctx, first.ID)
			is.NoErr(err)
			for name, call := range map[string]func() error{
				"complete": func() error {
					_, err := s.CompleteGeneration(ctx, first.ID, store.CompleteGenerationParams{Attempt: first.Attempt})
					return err
				},
				"fail": func() error {
					_, err := s.FailGeneration(ctx, first.ID, store.FailGenerationParams{Attempt: first.Attempt})
					return err
				},
				"extend":   func() error { _, err := s.ExtendLease(ctx, first.ID, first.Attempt, time.Minute); return err },
				"progress": func() error { return s.ReportProgress(ctx, first.ID, first.Attempt, store.Progress{Fraction: 1}) },
				"release":  func() error { _, err := s.ReleaseGeneration(ctx, first.ID, first.Attempt); return err },
				"without an attempt": func() error {
					if !before.IsProcessing() { // nobody holds it
						return store.ErrLeaseLost
					}
					_, err := s.CompleteGeneration(ctx, first.ID, store.CompleteGenerationParams{})
					return err
				},
				"extend without an attempt": func() error { _, err := s.ExtendLease(ctx, first.ID, 0, time.Minute); return err },
			} {
				if err := call(); !errors.Is(err, store.ErrLeaseLost) {
					t.Errorf("%s: %v, want ErrLeaseLost", name, err)
				}
			}
			after, err := s.GetGeneration(ctx, first.ID)
			is.NoErr(err)
			is.Equal(after, before)
		}
		wantLeaseLost()
		second := testkit.ClaimOne(t, s)
		is.Equal(second.ID, first.ID)
		is.Equal(second.Attempt, first.Attempt+1)
		wantLeaseLost()
		done, err := s.CompleteGeneration(ctx, second.ID, store.CompleteGenerationParams{Attempt: second.Attempt,
			FileSizeBytes: 2})
		is.NoErr(err)
		is.True(done.IsComplete())
		is.Equal(done.ProgressStep, store.StepCompleted)
		is.Equal(done.ProgressFraction, 1.0)
		_, err = s.CompleteGeneration(ctx, first.ID, store.CompleteGenerationParams{Attempt: first.Attempt})
		is.True(errors.Is(err, store.ErrLeaseLost))
	})
}

func TestFailureUnderAClaimIsTriedAgain(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "x")
		is.Equal(g.MaxAttempts, int64(3))
		for attempt := range int64(3) {
			g = testkit.ClaimOne(t, s)
			is.NoErr(s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{Step: store.StepGenerating, Fraction: 0.5}))
			clock.Advance(time.Second)
			failed, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt,
				ErrorMessage: fmt.Sprintf("error %d", attempt)})
			is.NoErr(err)
			is.Equal(*failed.ErrorMessage, fmt.Sprintf("error %d", attempt))
			is.Equal(failed.LeaseExpiresAt, nil)
			if attempt == 2 {
				is.True(failed.IsFailed())
				is.Equal(*failed.CompletedAt, clock.Now())
				is.Equal(failed.ProgressStep, store.StepFailed)
				is.Equal(failed.ProgressFraction, 0.5) // so far it got
				break
			}
			is.True(failed.IsPending())
			is.Equal(failed.StartedAt, nil)
			is.Equal(failed.CompletedAt, nil)
			is.Equal(failed.ProgressStep, store.StepQueued)
			is.Equal(failed.ProgressFraction, 0.0)
			wait, exact := failed.ScheduledAt.Sub(clock.Now()), time.Second<<attempt
			is.True(wait >= exact*9/10 && wait <= exact*11/10)
			none, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
			is.NoErr(err)
			is.Equal(len(none), 0)
			clock.Advance(wait)
		}
		kept, err := s.GenerationErrors(ctx, g.ID)
		is.NoErr(err)
		is.Equal(len(kept), 3)
		for i, e := range kept {
			is.Equal(e.GenerationID, g.ID)
			is.Equal(e.Attempt, int64(i+1))
			is.Equal(e.Worker, "w")
			is.Equal(e.Error, fmt.Sprintf("error %d", i))
		}
		is.Equal(kept[2].FailedAt, clock.Now())

		retried, err := s.RetryGeneration(ctx, g.ID)
		is.NoErr(err)
		is.True(retried.IsPending())
		is.Equal(retried.MaxAttempts, int64(4))
		is.Equal(retried.ErrorMessage, nil)
		g = testkit.ClaimOne(t, s)
		is.Equal(g.Attempt, int64(4))
		last, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: 4, ErrorMessage: "again"})
		is.NoErr(err)
		is.True(last.IsFailed())

		is.NoErr(s.DeleteGeneration(ctx, g.ID)) // with its errors
		_, err = s.GenerationErrors(ctx, g.ID)
		is.True(errors.Is(err, store.ErrNotFound))
	})
}

func TestRetryAfterAndNoRetry(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		testkit.Create(t, s, "x")
		g := testkit.ClaimOne(t, s)
		failed, err := s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{Attempt: g.Attempt,
			RetryAfter: time.Hour})
		is.NoErr(err)
		is.Equal(failed.ScheduledAt, clock.Now().Add(time.Hour))
		is.Equal(failed.ErrorMessage, nil)
		clock.Advance(time.Hour)
		g = testkit.ClaimOne(t, s)
		failed, err = s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{Attempt: g.Attempt, NoRetry: true})
		is.NoErr(err)
		is.True(failed.IsFailed())
	})
}

func TestReleaseDoesNotCountAsAnAttempt(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		params := testkit.Beat("x")
		params.MaxAttempts = 1
		created, err := s.CreateGeneration(t.Context(), params)
		is.NoErr(err)
		for range 5 {
			clock.Advance(time.Minute)
			testkit.Create(t, s, "comes behind it")
			g := testkit.ClaimOne(t, s)
			is.Equal(g.ID, created.ID) // its old place in the queue
			released, err := s.ReleaseGeneration(t.Context(), g.ID, g.Attempt)
			is.NoErr(err)
			is.True(released.IsPending())
			is.Equal(released.MaxAttempts, g.MaxAttempts+1)
		}
		g := testkit.ClaimOne(t, s)
		is.Equal(g.Attempt, int64(6))
		failed, err := s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{Attempt: g.Attempt})
		is.NoErr(err)
		is.True(failed.IsFailed())
	})
}

func TestReleasesDoNotCountInTheBackoff(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		testkit.Create(t, s, "x")
		for range 12 {
			g := testkit.ClaimOne(t, s)
			_, err := s.ReleaseGeneration(t.Context(), g.ID, g.Attempt)
			is.NoErr(err)
		}
		g := testkit.ClaimOne(t, s)
		failed, err := s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{Attempt: g.Attempt})
		is.NoErr(err)
		is.True(failed.ScheduledAt.Sub(clock.Now()) <= 1100*time.Millisecond)
	})
}

// A status that somebody set past the store ends a claim, too.
func TestStatusSetPastTheStoreEndsAClaim(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		testkit.Create(t, s, "x")
		g := testkit.ClaimOne(t, s)
		for _, status := range []store.Status{store.StatusFailed, store.StatusPending} {
			_, err := s.DB().Exec(ctx, "UPDATE generations SET status = $1", status)
			is.NoErr(err)
			_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt})
			is.True(errors.Is(err, store.ErrLeaseLost))
			_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt})
			is.True(errors.Is(err, store.ErrLeaseLost))
		}
		cancelled, err := s.CancelGeneration(ctx, g.ID)
		is.NoErr(err)
		is.True(cancelled.IsCancelled())
		retried, err := s.RetryGeneration(ctx, g.ID)
		is.NoErr(err)
		is.Equal(retried.LeaseExpiresAt, nil)
		_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
		is.NoErr(err)
	})
}

func TestRescue(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		for i := range int64(3) {
			params := testkit.Beat(fmt.Sprintf("max %d", i+1))
			params.MaxAttempts = i + 1
			_, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
		}
		_, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "killed", Limit: 3, Lease: time.Second})
		is.NoErr(err)
		clock.Advance(time.Second - time.Microsecond)
		rescued, err := s.RescueGenerations(ctx, 10)
		is.NoErr(err)
		is.Equal(len(rescued), 0)
		clock.Advance(time.Microsecond)
		one, err := s.RescueGenerations(ctx, 1)
		is.NoErr(err)
		is.Equal(len(one), 1)
		rest, err := s.RescueGenerations(ctx, 10)
		is.NoErr(err)
		is.Equal(len(rest), 2)
		for _, g := range append(one, rest...) {
			is.Equal(g.IsFailed(), g.MaxAttempts == 1)
			is.Equal(g.IsPending(), g.MaxAttempts > 1)
			is.True(strings.Contains(*g.ErrorMessage, "lease expired"))
			kept, err := s.GenerationErrors(ctx, g.ID)
			is.NoErr(err)
			is.Equal(len(kept), 1)
			is.Equal(kept[0].Worker, "killed")
			is.Equal(kept[0].Error, *g.ErrorMessage)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		cancel := func(id uuid.UUID) store.Generation {
			t.Helper()
			g, err := s.CancelGeneration(ctx, id)
			is.NoErr(err)
			return g
		}
		g := cancel(testkit.Create(t, s, "pending").ID)
		is.True(g.IsCancelled())
		is.Equal(*g.CompletedAt, clock.Now())
		_, err := s.CancelGeneration(ctx, g.ID)
		wantTransitionError(t, err, g, store.StatusCancelled)

		byHand := inStatus(t, s, store.StatusProcessing)
		is.True(cancel(byHand.ID).IsCancelled()) // nobody holds a claim, so there is nobody to ask

		asked := func() store.Generation {
			t.Helper()
			testkit.Create(t, s, "running")
			g := testkit.ClaimOne(t, s)
			for range 2 { // to ask again is no error, and changes nothing
				got := cancel(g.ID)
				is.True(got.IsProcessing())
				is.Equal(*got.CancelRequestedAt, *g.StartedAt)
			}
			_, err := s.ExtendLease(ctx, g.ID, g.Attempt, time.Minute)
			is.True(errors.Is(err, store.ErrCancelRequested))
			is.True(errors.Is(s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{}), store.ErrCancelRequested))
			return g
		}
		g = asked()
		released, err := s.ReleaseGeneration(ctx, g.ID, g.Attempt)
		is.NoErr(err)
		is.True(released.IsCancelled())
		is.Equal(released.MaxAttempts, g.MaxAttempts)
		is.Equal(released.CancelRequestedAt, nil)

		g = asked()
		failed, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, ErrorMessage: "stopped"})
		is.NoErr(err)
		is.True(failed.IsCancelled())

		g = asked()
		clock.Advance(time.Minute)
		rescued, err := s.RescueGenerations(ctx, 10)
		is.NoErr(err)
		is.Equal(len(rescued), 1)
		is.True(rescued[0].IsCancelled())

		g = asked()
		done, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt})
		is.NoErr(err)
		is.True(done.IsComplete())

		g = asked()
		again, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusPending, "") // ends the claim, and the request with it
		is.NoErr(err)
		is.Equal(again.CancelRequestedAt, nil)
		g = testkit.ClaimOne(t, s)
		is.NoErr(s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{}))
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		created := testkit.Create(t, s, "x")
		is.Equal(created.ProgressStep, store.StepQueued)
		g := testkit.ClaimOne(t, s)
		for _, c := range []struct {
			report store.Progress
			step   string
		}{
			{store.Progress{Step: store.StepLoadingModel}, store.StepLoadingModel},
			{store.Progress{Step: "mastering – 音楽", Fraction: 0.25}, "mastering – 音楽"},
			{store.Progress{Fraction: 1}, "mastering – 音楽"},
		} {
			is.NoErr(s.ReportProgress(ctx, g.ID, g.Attempt, c.report))
			got, err := s.GetGeneration(ctx, g.ID)
			is.NoErr(err)
			is.Equal(got.ProgressStep, c.step)
			is.Equal(got.ProgressFraction, c.report.Fraction)
			is.Equal(got.LeaseExpiresAt, g.LeaseExpiresAt)
		}
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		batch, other := uuid.New(), uuid.New()
		var params []store.CreateGenerationParams
		for i := range 10 {
			p := testkit.Beat(fmt.Sprintf("prompt %d", i%4))
			p.BatchID = batch
			params = append(params, p)
		}
		created, err := s.CreateGenerations(ctx, params)
		is.NoErr(err)
		is.Equal(*created[9].BatchID, batch)
		alone := testkit.Create(t, s, "alone")
		is.Equal(alone.BatchID, nil)
		p := testkit.Beat("other")
		p.BatchID = other
		_, err = s.CreateGeneration(ctx, p)
		is.NoErr(err)

		_, err = s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 3, Lease: time.Minute})
		is.NoErr(err)
		_, err = s.CompleteGeneration(ctx, created[0].ID, store.CompleteGenerationParams{Attempt: 1})
		is.NoErr(err)
		want := store.Stats{TotalGenerations: 10, PendingGenerations: 7, ProcessingGenerations: 2, CompletedGenerations: 1,
			TotalPrompts: 4}
		got, err := s.BatchStats(ctx, batch)
		is.NoErr(err)
		is.Equal(got, want)

		count, err := s.CancelBatch(ctx, batch)
		is.NoErr(err)
		is.Equal(count, int64(9))
		count, err = s.CancelBatch(ctx, batch)
		is.NoErr(err)
		is.Equal(count, int64(0))
		_, err = s.ExtendLease(ctx, created[1].ID, 1, time.Minute)
		is.True(errors.Is(err, store.ErrCancelRequested))
		got, err = s.BatchStats(ctx, batch)
		is.NoErr(err)
		want.PendingGenerations, want.CancelledGenerations = 0, 7
		is.Equal(got, want)
		untouched, err := s.BatchStats(ctx, other)
		is.NoErr(err)
		is.Equal(untouched.PendingGenerations, int64(1))
		none, err := s.BatchStats(ctx, uuid.New())
		is.NoErr(err)
		is.Equal(none, store.Stats{})
	})
}

func TestQueuePosition(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		want := func(g store.Generation, position int64) {
			t.Helper()
			got, err := s.QueuePosition(ctx, g.ID)
			is.NoErr(err)
			is.Equal(got, position)
		}
		a, b := testkit.Create(t, s, "a"), testkit.Create(t, s, "b")
		later := testkit.Beat("later")
		later.ScheduledAt, later.Priority = clock.Now().Add(time.Minute), -1
		l, err := s.CreateGeneration(ctx, later)
		is.NoErr(err)
		want(a, 1)
		want(b, 2)
		want(l, 3)
		is.Equal(testkit.ClaimOne(t, s).ID, a.ID)
		want(a, 0)
		want(b, 1)
		want(l, 2)
		clock.Advance(time.Minute)
		want(l, 1)
		want(b, 2)
		_, err = s.CompleteGeneration(ctx, a.ID, store.CompleteGenerationParams{Attempt: 1})
		is.NoErr(err)
		for _, id := range []uuid.UUID{a.ID, testkit.NoSuchID} {
			_, err = s.QueuePosition(ctx, id)
			is.True(errors.Is(err, store.ErrNotFound))
		}
	})
}

func TestPausedQueueGivesNothingOut(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		running := testkit.Create(t, s, "running")
		testkit.ClaimOne(t, s)
		testkit.Create(t, s, "waiting")
		is.NoErr(s.PauseQueue(ctx))
		paused := clock.Now()
		clock.Advance(time.Second)
		is.NoErr(s.PauseQueue(ctx)) // again is no error, and does not count
		at, err := s.QueuePausedAt(ctx)
		is.NoErr(err)
		is.Equal(at, paused)
		none, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
		is.NoErr(err)
		is.Equal(len(none), 0)
		_, err = s.CompleteGeneration(ctx, running.ID, store.CompleteGenerationParams{Attempt: 1}) // goes on
		is.NoErr(err)
		for range 2 {
			is.NoErr(s.ResumeQueue(ctx))
		}
		at, err = s.QueuePausedAt(ctx)
		is.NoErr(err)
		is.True(at.IsZero())
		is.Equal(testkit.ClaimOne(t, s).Prompt, "waiting")
	})
}

func TestClaimThatIsRolledBackIsNone(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		testkit.Create(t, s, "x")
		oops := errors.New("oops")
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			claimed, err := tx.ClaimGenerations(t.Context(), store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
			is.NoErr(err)
			is.Equal(len(claimed), 1)
			_, err = tx.FailGeneration(t.Context(), claimed[0].ID, store.FailGenerationParams{Attempt: 1})
			is.NoErr(err)
			return oops
		})
		is.True(errors.Is(err, oops))
		is.Equal(testkit.ClaimOne(t, s).Attempt, int64(1))
	})
}

// On PostgreSQL a statement may find that a row has changed since it began. Whatever happens between, an attempt ends
// once.
func TestCallsThatMeetOnOneGeneration(t *testing.T) {
	t.Parallel()
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		for range rounds {
			params := testkit.Beat("x")
			params.MaxAttempts = 1
			_, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
			g := testkit.ClaimOne(t, s)
			var ended atomic.Int32
			var group sync.WaitGroup
			group.Go(func() {
				for range 5 {
					s.ExtendLease(ctx, g.ID, g.Attempt, time.Minute)
					s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{Fraction: 0.5})
				}
			})
			group.Go(func() { s.CancelGeneration(ctx, g.ID) })
			for range 3 {
				group.Go(func() {
					_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, ErrorMessage: "x"})
					switch {
					case err == nil:
						ended.Add(1)
					case !errors.Is(err, store.ErrLeaseLost):
						t.Error(err)
					}
				})
			}
			group.Wait()
			is.Equal(ended.Load(), int32(1))
			kept, err := s.GenerationErrors(ctx, g.ID)
			is.NoErr(err)
			is.Equal(len(kept), 1)
			got, err := s.GetGeneration(ctx, g.ID)
			is.NoErr(err)
			is.True(got.IsFailed() || got.IsCancelled())
			is.Equal(got.LeaseExpiresAt, nil)
			is.Equal(got.CancelRequestedAt, nil)
		}
	})
}

func TestBadInputOfTheQueueIsRefused(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		testkit.Create(t, s, "x")
		g := testkit.ClaimOne(t, s)
		waiting := testkit.Create(t, s, "y")
		claim := func(change func(*store.ClaimParams)) error {
			params := store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute}
			change(&params)
			_, err := s.ClaimGenerations(ctx, params)
			return err
		}
		lease := func(lease time.Duration) error {
			_, err := s.ExtendLease(ctx, g.ID, g.Attempt, lease)
			return err
		}
		progress := func(p store.Progress) error { return s.ReportProgress(ctx, g.ID, g.Attempt, p) }
		creation := func(change func(*store.CreateGenerationParams)) error {
			params := testkit.Beat("x")
			change(&params)
			_, err := s.CreateGeneration(ctx, params)
			return err
		}
		work := func(opts store.WorkOptions) error { return s.Work(ctx, opts, sing) }
		for i, c := range []struct {
			field string
			err   error
		}{
			{"worker", claim(func(p *store.ClaimParams) { p.Worker = "" })},
			{"worker", claim(func(p *store.ClaimParams) { p.Worker = "\xff" })},
			{"worker", claim(func(p *store.ClaimParams) { p.Worker = "a\x00" })},
			{"worker", claim(func(p *store.ClaimParams) { p.Worker = strings.Repeat("w", 256) })},
			{"limit", claim(func(p *store.ClaimParams) { p.Limit = 0 })},
			{"limit", claim(func(p *store.ClaimParams) { p.Limit = -1 })},
			{"lease", claim(func(p *store.ClaimParams) { p.Lease = 0 })},
			{"lease", claim(func(p *store.ClaimParams) { p.Lease = time.Second - 1 })},
			{"lease", claim(func(p *store.ClaimParams) { p.Lease = 24*time.Hour + 1 })},
			{"lease", claim(func(p *store.ClaimParams) { p.Lease = -time.Hour })},
			{"model_name", claim(func(p *store.ClaimParams) { p.ModelNames = []string{"a", ""} })},
			{"model_name", claim(func(p *store.ClaimParams) { p.ModelNames = []string{"\x00"} })},
			{"lease", lease(time.Second - 1)},
			{"lease", lease(24*time.Hour + 1)},
			{"progress_fraction", progress(store.Progress{Fraction: -0.01})},
			{"progress_fraction", progress(store.Progress{Fraction: 1.01})},
			{"progress_fraction", progress(store.Progress{Fraction: math.NaN()})},
			{"progress_fraction", progress(store.Progress{Fraction: math.Inf(1)})},
			{"progress_step", progress(store.Progress{Step: "\xff"})},
			{"progress_step", progress(store.Progress{Step: strings.Repeat("s", 256)})},
			{"attempt", s.ReportProgress(ctx, g.ID, -1, store.Progress{})},
			{"attempt", testkit.Err(s.ExtendLease(ctx, g.ID, -1, time.Minute))},
			{"attempt", testkit.Err(s.ReleaseGeneration(ctx, g.ID, -1))},
			{"retry_after", testkit.Err(s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt,
				RetryAfter: -1}))},
			{"limit", testkit.Err(s.RescueGenerations(ctx, 0))},
			{"limit", testkit.Err(s.RescueGenerations(ctx, -1))},
			{"batch_id", testkit.Err(s.BatchStats(ctx, uuid.Nil))},
			{"batch_id", testkit.Err(s.CancelBatch(ctx, uuid.Nil))},
			{"max_attempts", creation(func(p *store.CreateGenerationParams) { p.MaxAttempts = -1 })},
			{"max_attempts", creation(func(p *store.CreateGenerationParams) { p.MaxAttempts = math.MaxInt64 })},
			{"scheduled_at", creation(func(p *store.CreateGenerationParams) {
				p.ScheduledAt = time.Date(10000, 1, 1, 0, 0, 0, 0,
					time.UTC)
			})},
			{"scheduled_at", creation(func(p *store.CreateGenerationParams) {
				p.ScheduledAt = time.Date(-1, 1, 1, 0, 0, 0, 0,
					time.UTC)
			})},
			{"handler", s.Work(ctx, store.WorkOptions{}, nil)},
			{"worker", work(store.WorkOptions{Worker: "\xff"})},
			{"Concurrency", work(store.WorkOptions{Concurrency: -1})},
			{"lease", work(store.WorkOptions{Lease: time.Millisecond})},
			{"lease", work(store.WorkOptions{Lease: 25 * time.Hour})},
			{"PollInterval", work(store.WorkOptions{PollInterval: -1})},
			{"RescueInterval", work(store.WorkOptions{RescueInterval: -1})},
			{"ShutdownTimeout", work(store.WorkOptions{ShutdownTimeout: -1})},
			{"model_name", work(store.WorkOptions{ModelNames: []string{""}})},
		} {
			t.Run(fmt.Sprint(i, c.field), func(t *testing.T) { testkit.WantInvalid(t, c.err, c.field) })
		}
		for _, unchanged := range []store.Generation{g, waiting} {
			got, err := s.GetGeneration(ctx, unchanged.ID)
			is.NoErr(err)
			is.Equal(got, unchanged)
		}
	})
}

func TestJustWithinTheLimitsOfTheQueue(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		params := testkit.Beat("x")
		params.Priority, params.MaxAttempts, params.ScheduledAt = math.MinInt64, math.MaxInt32, time.Date(1, 1, 1, 0, 0, 0,
			1000, time.UTC)
		created, err := s.CreateGeneration(ctx, params)
		is.NoErr(err)
		is.Equal(created.ScheduledAt, params.ScheduledAt)
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: strings.Repeat("w", 255), Limit: math.MaxInt,
			Lease: 24 * time.Hour})
		is.NoErr(err)
		is.Equal(len(claimed), 1)
		is.NoErr(s.ReportProgress(ctx, claimed[0].ID, 1, store.Progress{Step: strings.Repeat("s", 255), Fraction: 1}))
		released, err := s.ReleaseGeneration(ctx, claimed[0].ID, 1)
		is.NoErr(err)
		is.Equal(released.MaxAttempts, int64(math.MaxInt32+1))
		params.ScheduledAt = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
		last, err := s.CreateGeneration(ctx, params)
		is.NoErr(err)
		is.Equal(last.ScheduledAt, params.ScheduledAt.Truncate(time.Microsecond))
	})
}

func TestMissingGenerationsOfTheQueueAreErrNotFound(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for name, err := range map[string]error{
			"ExtendLease":       testkit.Err(s.ExtendLease(ctx, testkit.NoSuchID, 1, time.Minute)),
			"ReportProgress":    s.ReportProgress(ctx, testkit.NoSuchID, 1, store.Progress{}),
			"ReleaseGeneration": testkit.Err(s.ReleaseGeneration(ctx, testkit.NoSuchID, 1)),
			"RetryGeneration":   testkit.Err(s.RetryGeneration(ctx, testkit.NoSuchID)),
			"CancelGeneration":  testkit.Err(s.CancelGeneration(ctx, testkit.NoSuchID)),
			"QueuePosition":     testkit.Err(s.QueuePosition(ctx, testkit.NoSuchID)),
			"GenerationErrors":  testkit.Err(s.GenerationErrors(ctx, testkit.NoSuchID)),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestJSONOfTheQueue(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		params := testkit.Beat("x")
		params.BatchID = uuid.New()
		_, err := s.CreateGeneration(t.Context(), params)
		is.NoErr(err)
		g := testkit.ClaimOne(t, s)
		testkit.WantKeys(t, g, "priority", "scheduled_at", "started_at", "attempt", "max_attempts", "worker",
			"lease_expires_at", "batch_id",
			"progress_step", "progress_fraction", "cancel_requested_at")
		text, err := json.Marshal(g)
		is.NoErr(err)
		var back store.Generation
		is.NoErr(json.Unmarshal(text, &back))
		is.Equal(back, g)
		_, err = s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{Attempt: 1, ErrorMessage: "x"})
		is.NoErr(err)
		kept, err := s.GenerationErrors(t.Context(), g.ID)
		is.NoErr(err)
		testkit.WantKeys(t, kept[0], "generation_id", "attempt", "worker", "error", "failed_at")
	})
}

func TestTimesOfTheQueueFollowTheStoresClock(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		clock.Advance(-1000 * time.Hour) // no other clock has this time
		testkit.Create(t, s, "x")
		g := testkit.ClaimOne(t, s)
		is.Equal(*g.StartedAt, clock.Now())
		clock.Advance(time.Second)
		g, err := s.ExtendLease(t.Context(), g.ID, g.Attempt, time.Hour)
		is.NoErr(err)
		is.Equal(*g.LeaseExpiresAt, clock.Now().Add(time.Hour))
	})
}
