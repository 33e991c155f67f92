package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/store"
)

func validParams(prompt string) store.CreateGenerationParams {
	return store.CreateGenerationParams{Prompt: prompt, ModelName: "m", DurationSeconds: 1, SampleRate: 32000,
		Channels: 1, FilePath: "p"}
}

// It is not parallel: it counts the statements of the whole process.
func TestNoStatementIsPreparedPerCall(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "x.db"), Migrate: true,
		MaxConns: 1}) // one writer, one reader
	is.NoErr(err)
	defer s.Close()
	everything := func() {
		g, err := s.CreateGeneration(ctx, validParams("x"))
		is.NoErr(err)
		_, err = s.GetGeneration(ctx, g.ID)
		is.NoErr(err)
		for _, params := range []store.ListGenerationsParams{{}, {Status: store.StatusPending}, {ModelName: "m"},
			{Status: store.StatusPending, ModelName: "m"}} {
			_, err = s.ListGenerations(ctx, params)
			is.NoErr(err)
		}
		_, err = s.PendingGenerations(ctx, 1)
		is.NoErr(err)
		for _, status := range []store.Status{store.StatusProcessing, store.StatusPending, store.StatusFailed,
			store.StatusPending} {
			_, err = s.UpdateGenerationStatus(ctx, g.ID, status, "")
			is.NoErr(err)
		}
		_, err = s.MergeMetadata(ctx, g.ID, store.Metadata(`{"a":1}`))
		is.NoErr(err)
		_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
		is.NoErr(err)
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{})
		is.True(err != nil)
		_, err = s.Stats(ctx)
		is.NoErr(err)
		_, err = s.CountGenerations(ctx, "")
		is.NoErr(err)
		_, err = s.CountGenerations(ctx, store.StatusFailed)
		is.NoErr(err)
		_, err = s.TrackPrompt(ctx, "x")
		is.NoErr(err)
		_, err = s.GetPrompt(ctx, g.PromptID)
		is.NoErr(err)
		_, err = s.GetPromptByText(ctx, "x")
		is.NoErr(err)
		_, err = s.MostUsedPrompts(ctx, 1)
		is.NoErr(err)
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.CreateGeneration(ctx, validParams("y"))
			return err
		}))
		params := validParams("x")
		params.BatchID = uuid.New()
		_, err = s.CreateGeneration(ctx, params)
		is.NoErr(err)
		is.NoErr(s.PauseQueue(ctx))
		is.NoErr(s.ResumeQueue(ctx))
		_, err = s.QueuePausedAt(ctx)
		is.NoErr(err)
		is.NoErr(s.WaitForPending(ctx))
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 100, Lease: time.Minute})
		is.NoErr(err)
		for _, g := range claimed {
			_, err = s.ExtendLease(ctx, g.ID, g.Attempt, time.Minute)
			is.NoErr(err)
			is.NoErr(s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{Fraction: 0.5}))
			_, err = s.QueuePosition(ctx, g.ID)
			is.NoErr(err)
			_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, NoRetry: true})
			is.NoErr(err)
			_, err = s.GenerationErrors(ctx, g.ID)
			is.NoErr(err)
			_, err = s.RetryGeneration(ctx, g.ID)
			is.NoErr(err)
			_, err = s.CancelGeneration(ctx, g.ID)
			is.NoErr(err)
		}
		_, err = s.RescueGenerations(ctx, 1)
		is.NoErr(err)
		_, err = s.BatchStats(ctx, params.BatchID)
		is.NoErr(err)
		_, err = s.CancelBatch(ctx, params.BatchID)
		is.NoErr(err)
		is.NoErr(s.DeleteGeneration(ctx, g.ID))
		is.NoErr(s.DeletePrompt(ctx, g.PromptID))
		is.NoErr(s.Ping(ctx))
	}
	prepared := sqliteconn.Prepared
	before := prepared()
	everything()
	first := prepared()
	is.True(first > before+20)
	for range 10 {
		everything()
	}
	is.Equal(prepared(), first)
}
