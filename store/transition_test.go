package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

var legal = map[store.Status][]store.Status{
	store.StatusPending:    {store.StatusProcessing, store.StatusCompleted, store.StatusFailed, store.StatusCancelled},
	store.StatusProcessing: {store.StatusCompleted, store.StatusFailed, store.StatusCancelled, store.StatusPending},
	store.StatusFailed:     {store.StatusPending},
	store.StatusCancelled:  {store.StatusPending},
}

func TestEveryTransition(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		for _, from := range storagedb.Statuses() {
			for _, to := range storagedb.Statuses() {
				g := inStatus(t, s, from)
				updated, err := s.UpdateGenerationStatus(ctx, g.ID, to, "why")
				if slices.Contains(legal[from], to) {
					is.NoErr(err)
					is.Equal(updated.Status, to)
					is.Equal(*updated.ErrorMessage, "why")
					is.Equal(updated.CompletedAt != nil, to.Finished())
					is.Equal(updated.StartedAt != nil, to == store.StatusProcessing || from == store.StatusProcessing && to.Finished())
				} else {
					wantTransitionError(t, err, g, to)
					updated = g
				}
				got, err := s.GetGeneration(ctx, g.ID)
				is.NoErr(err)
				is.Equal(got, updated)
			}
			for to, finish := range map[store.Status]func(store.Generation) error{
				store.StatusCompleted: func(g store.Generation) error {
					_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
					return err
				},
				store.StatusFailed: func(g store.Generation) error {
					_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{ErrorMessage: "CUDA out of memory"})
					return err
				},
			} {
				g := inStatus(t, s, from)
				if err := finish(g); slices.Contains(legal[from], to) {
					is.NoErr(err)
				} else {
					wantTransitionError(t, err, g, to)
				}
			}
		}
	}, store.Options{Now: clock.Now})
}

func inStatus(t *testing.T, s *store.Store, status store.Status) store.Generation {
	t.Helper()
	g := testkit.Create(t, s, "x")
	if status == store.StatusPending {
		return g
	}
	g, err := s.UpdateGenerationStatus(t.Context(), g.ID, status, "")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wantTransitionError(t *testing.T, err error, g store.Generation, to store.Status) {
	t.Helper()
	var refused *store.TransitionError
	if !errors.As(err, &refused) || *refused != (store.TransitionError{ID: g.ID, From: g.Status, To: to}) {
		t.Errorf("%s to %s: got %v, want a *TransitionError", g.Status, to, err)
	}
}

func TestFailGenerationIsFinal(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		failed, err := s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{ErrorMessage: "CUDA out of memory"})
		is.NoErr(err)
		is.True(failed.IsFailed() && failed.IsFinished())
		is.Equal(*failed.ErrorMessage, "CUDA out of memory")
		is.Equal(*failed.CompletedAt, clock.Now())
		retried, err := s.UpdateGenerationStatus(t.Context(), g.ID, store.StatusPending, "")
		is.NoErr(err)
		is.Equal(retried.ErrorMessage, nil)
		is.Equal(retried.CompletedAt, nil)
	}, store.Options{Now: clock.Now})
}

func TestAttemptThatHoldsNothingHasLostItsLease(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "x")
		_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: 1})
		is.True(errors.Is(err, store.ErrLeaseLost))
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: 1})
		is.True(errors.Is(err, store.ErrLeaseLost))

		// As a claim leaves the row: from then on only the attempt that holds it can finish it.
		_, err = s.DB().Exec(ctx, "UPDATE generations SET status = 'processing', attempt = 2, worker = 'w', lease_expires_at = $1", time.Now())
		is.NoErr(err)
		for _, attempt := range []int64{0, 1, 3} {
			_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: attempt})
			is.True(errors.Is(err, store.ErrLeaseLost))
			_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: attempt})
			is.True(errors.Is(err, store.ErrLeaseLost))
		}
		done, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: 2})
		is.NoErr(err)
		is.True(done.IsComplete())
		is.Equal(done.LeaseExpiresAt, nil)
	})
}

func TestStatusSetByHandEndsAClaim(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "x")
		_, err := s.DB().Exec(ctx, "UPDATE generations SET status = 'processing', attempt = 1, worker = 'w', lease_expires_at = $1", time.Now())
		is.NoErr(err)
		_, err = s.UpdateGenerationStatus(ctx, g.ID, store.StatusPending, "")
		is.NoErr(err)
		_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: 1})
		is.True(errors.Is(err, store.ErrLeaseLost))
	})
}

func TestTwoWhoRaceToCompleteOneGeneration(t *testing.T) {
	t.Parallel()
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		for range rounds {
			g := testkit.Create(t, s, "race")
			var won, lost atomic.Int32
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() {
					_, err := s.CompleteGeneration(t.Context(), g.ID,
						store.CompleteGenerationParams{Metadata: store.Metadata(`{"a":1}`)})
					var refused *store.TransitionError
					switch {
					case err == nil:
						won.Add(1)
					case errors.As(err, &refused) && refused.From == store.StatusCompleted:
						lost.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			group.Wait()
			is.Equal(won.Load(), int32(1))
			is.Equal(lost.Load(), int32(1))
		}
	})
}

func TestSixteenWhoUseTheSamePrompt(t *testing.T) {
	t.Parallel()
	const goroutines = 16
	uses := 1000
	if testing.Short() {
		uses = 100
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		var group sync.WaitGroup
		for range goroutines {
			group.Go(func() {
				for range uses {
					if _, err := s.CreateGeneration(t.Context(), testkit.Beat("everybody wants this")); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		p, err := s.GetPromptByText(t.Context(), "everybody wants this")
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(goroutines*uses))
		count, err := s.CountGenerations(t.Context(), "")
		is.NoErr(err)
		is.Equal(count, int64(goroutines*uses))
	})
}

func TestConcurrentMergesAreAllKept(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		g := testkit.Create(t, s, "x")
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				if _, err := s.MergeMetadata(t.Context(), g.ID, store.Metadata(`{"`+strings.Repeat("k", i+1)+`":1}`)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		g, err := s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.Equal(len(testkit.Decode(t, g.Metadata)), 50)
	})
}
