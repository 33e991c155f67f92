package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

var errOops = errors.New("something went wrong")

func TestTransactionThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		kept := testkit.Create(t, s, "kept")
		err := s.InTx(ctx, func(tx *store.Tx) error {
			g, err := tx.CreateGeneration(ctx, testkit.Beat("gone"))
			is.NoErr(err)
			_, err = tx.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{})
			is.NoErr(err)
			_, err = tx.TrackPrompt(ctx, "kept")
			is.NoErr(err)
			is.NoErr(tx.DeleteGeneration(ctx, kept.ID))
			return errOops
		})
		is.Equal(err, errOops) // as it is
		wantOnly(t, s, kept)
	})
}

func TestTransactionCommits(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var created store.Generation
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) (err error) {
			created, err = tx.CreateGeneration(ctx, testkit.Beat("x"))
			is.NoErr(err)

			// It sees its own writes, by every kind of read.
			got, err := tx.GetGeneration(ctx, created.ID)
			is.NoErr(err)
			is.Equal(got, created)
			page, err := tx.ListGenerations(ctx, store.ListGenerationsParams{})
			is.NoErr(err)
			is.Equal(len(page.Generations), 1)
			pending, err := tx.PendingGenerations(ctx, 0)
			is.NoErr(err)
			is.Equal(len(pending), 1)
			stats, err := tx.Stats(ctx)
			is.NoErr(err)
			is.Equal(stats.TotalGenerations, int64(1))
			count, err := tx.CountGenerations(ctx, "")
			is.NoErr(err)
			is.Equal(count, int64(1))
			prompts, err := tx.MostUsedPrompts(ctx, 0)
			is.NoErr(err)
			is.Equal(len(prompts), 1)
			created, err = tx.UpdateGenerationStatus(ctx, created.ID, store.StatusProcessing, "")
			is.NoErr(err)
			created, err = tx.MergeMetadata(ctx, created.ID, store.Metadata(`{"bpm":140}`))
			return err
		}))
		wantOnly(t, s, created)
	})
}

func wantOnly(t *testing.T, s *store.Store, g store.Generation) {
	t.Helper()
	is := is.New(t)
	page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{})
	is.NoErr(err)
	is.Equal(page.Generations, []store.Generation{g})
	prompts, err := s.ListPrompts(t.Context(), store.ListPromptsParams{})
	is.NoErr(err)
	is.Equal(len(prompts), 1)
	is.Equal(prompts[0].UsedCount, int64(1))
}

func TestPanicRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		kept := testkit.Create(t, s, "kept")
		func() {
			defer func() { is.Equal(recover(), errOops) }()
			_ = s.InTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.CreateGeneration(t.Context(), testkit.Beat("gone"))
				is.NoErr(err)
				panic(errOops)
			})
		}()
		wantOnly(t, s, kept)
		is.NoErr(s.DeleteGeneration(t.Context(), kept.ID)) // the writer is free again
	})
}

func TestCancelledContextRollsBack(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		kept := testkit.Create(t, s, "kept")
		for _, returned := range []error{nil, errOops} {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.CreateGeneration(ctx, testkit.Beat("gone"))
				is.NoErr(err)
				cancel()
				return returned
			})
			if returned == nil {
				returned = context.Canceled
			}
			is.True(errors.Is(err, returned))
			wantOnly(t, s, kept)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.InTx(ctx, func(*store.Tx) error { t.Error("runs under a cancelled context"); return nil })
		is.True(errors.Is(err, context.Canceled))
	})
}

// SQLite rolls the whole transaction back when it interrupts a statement. What followed would commit by itself.
func TestOperationCutOffInsideATransactionIsNotPassedOver(t *testing.T) {
	t.Parallel()
	t.Run("in the middle", func(t *testing.T) { testOperationCutOff(t, true) })
	t.Run("before it began", func(t *testing.T) { testOperationCutOff(t, false) })
}

func testOperationCutOff(t *testing.T, middle bool) {
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		kept := testkit.Create(t, s, "kept")
		err := s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.TrackPrompt(ctx, "gone")
			is.NoErr(err)
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if middle {
				_, err = tx.DB().Exec(short, endless)
			} else {
				<-short.Done()
				_, err = tx.TrackPrompt(short, "kept")
			}
			is.True(err != nil)
			_, err = tx.TrackPrompt(ctx, "gone, too")
			is.True(err != nil)
			return nil // as if nothing had happened
		})
		is.True(err != nil)
		wantOnly(t, s, kept)
	})
}

// endless runs for minutes on either engine, and changes something at its end.
const endless = `INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
	SELECT 'endless', count(*), '2026-11-23 09:00:22.000000', '2026-11-23 09:00:22.000000' FROM n`

func TestTransactionGoesOnAfterAConflict(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		taken := testkit.Beat("taken")
		taken.ID = testkit.NoSuchID
		_, err := s.CreateGeneration(ctx, taken)
		is.NoErr(err)
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.CreateGeneration(ctx, taken)
			is.True(errors.Is(err, store.ErrConflict))
			_, err = tx.GetGeneration(ctx, testkit.NoSuchID)
			is.NoErr(err)
			_, err = tx.CreateGeneration(ctx, testkit.Beat("another"))
			return err
		}))
		p, err := s.GetPromptByText(ctx, "taken")
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(1)) // the attempt that failed left no use behind
		_, err = s.GetPromptByText(ctx, "another")
		is.NoErr(err)
	})
}

func TestCallingTheStoreInsideInTxDoesNotHang(t *testing.T) {
	t.Parallel()
	t.Run("exhausted pool", func(t *testing.T) { testCallingTheStoreInsideInTx(t, 1) })
	t.Run("row lock", func(t *testing.T) { testCallingTheStoreInsideInTx(t, 4) })
}

func testCallingTheStoreInsideInTx(t *testing.T, maxConns int) {
	const patience = 300 * time.Millisecond
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "x")
		wrong := map[string]func() error{
			"create":   func() error { _, err := s.CreateGeneration(ctx, testkit.Beat("x")); return err },
			"update":   func() error { _, err := s.MergeMetadata(ctx, g.ID, store.Metadata(`{"a":1}`)); return err },
			"read":     func() error { _, err := s.GetGeneration(ctx, g.ID); return err },
			"InTx":     func() error { return s.InTx(ctx, func(*store.Tx) error { return nil }) },
			"DB":       func() error { _, err := s.DB().Exec(ctx, "DELETE FROM prompts WHERE id = 999"); return err },
			"DB query": func() error { return s.DB().QueryRow(ctx, "SELECT 1").Scan(new(int64)) },
		}
		for name, call := range wrong {
			is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.MergeMetadata(ctx, g.ID, store.Metadata(`{"held":true}`))
				is.NoErr(err)
				start := time.Now()
				err = call()
				if took := time.Since(start); took > patience+20*time.Second {
					t.Errorf("%s: took %s", name, took)
				}
				if err != nil && !errors.Is(err, store.ErrBusy) {
					t.Errorf("%s: got %v, want nil or ErrBusy", name, err)
				}
				if err != nil && !strings.Contains(err.Error(), "nside InTx") {
					t.Errorf("%s: the error does not say what was done wrong: %v", name, err)
				}
				return nil
			}))
		}
	}, store.Options{BusyTimeout: patience, MaxConns: maxConns})
}

func TestTxIsOfNoUseOnceInTxHasReturned(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		var kept *store.Tx
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error { kept = tx; return nil }))
		_, err := kept.CreateGeneration(ctx, testkit.Beat("too late"))
		is.True(errors.Is(err, store.ErrClosed))
		_, err = kept.GetGeneration(ctx, testkit.NoSuchID)
		is.True(errors.Is(err, store.ErrClosed))
		_, err = kept.DB().Exec(ctx, "DELETE FROM prompts")
		is.True(errors.Is(err, store.ErrClosed))
		_, err = kept.DB().Query(ctx, "SELECT 1")
		is.True(errors.Is(err, store.ErrClosed))
	})
}

func TestGoroutinesMayShareATx(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for range 10 {
						if _, err := tx.CreateGeneration(ctx, testkit.Beat("shared")); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			return nil
		}))
		count, err := s.CountGenerations(ctx, "")
		is.NoErr(err)
		is.Equal(count, int64(80))
	})
}

// A user's own sqlc package takes the DBTX of a store and of a transaction; storagedb stands in for it here.
func TestOwnQueriesOnStoreAndTx(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		own := storagedb.New(s.DB())
		p, err := own.TrackPrompt(ctx, storagedb.TrackPromptParams{Text: "own", UsedAt: time.Now()}) // INSERT ... RETURNING
		is.NoErr(err)
		got, err := own.GetPrompt(ctx, p.ID)
		is.NoErr(err)
		is.Equal(got, p)
		prompts, err := own.ListPrompts(ctx, storagedb.ListPromptsParams{RowLimit: 10})
		is.NoErr(err)
		is.Equal(len(prompts), 1)

		err = s.InTx(ctx, func(tx *store.Tx) error {
			own := storagedb.New(tx.DB())
			rows, err := own.DeletePrompt(ctx, p.ID)
			is.NoErr(err)
			is.Equal(rows, int64(1))
			_, err = tx.GetPrompt(ctx, p.ID)
			is.True(errors.Is(err, store.ErrNotFound))
			return errOops
		})
		is.Equal(err, errOops)
		_, err = s.GetPrompt(ctx, p.ID)
		is.NoErr(err)
	})
}

func TestRowsOfOwnQueries(t *testing.T) {
	t.Parallel()
	type word string
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		testkit.Create(t, s, "a")
		testkit.Create(t, s, "b")
		rows, err := s.DB().Query(ctx, "SELECT text, used_count FROM prompts ORDER BY text")
		is.NoErr(err)
		var texts []word
		for rows.Next() {
			var text word
			var count int32
			is.NoErr(rows.Scan(&text, &count))
			is.Equal(count, int32(1))
			texts = append(texts, text)
		}
		is.NoErr(rows.Err())
		is.Equal(texts, []word{"a", "b"})

		rows, err = s.DB().Query(ctx, "SELECT text FROM prompts ORDER BY text")
		is.NoErr(err)
		is.True(rows.Next())
		is.True(rows.Scan(new(string), new(string)) != nil) // a column too many
		is.Equal(rows.FieldDescriptions()[0].Name, "text")
		rows.Close()
		rows.Close()                     // twice is no matter
		testkit.Create(t, s, "after it") // the connection is free again

		_, err = s.DB().Exec(ctx, "THIS IS NO SQL")
		is.True(err != nil)
		_, err = s.DB().Query(ctx, "THIS IS NO SQL")
		is.True(err != nil)
		is.True(s.DB().QueryRow(ctx, "THIS IS NO SQL").Scan() != nil)
	})
}
