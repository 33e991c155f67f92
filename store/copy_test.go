package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		prompt, err := s.TrackPrompt(ctx, "a beat")
		is.NoErr(err)

		full := testkit.RowsToCopy(prompt, 1)
		at := full[0].CreatedAt
		row := &full[0]
		row.ModelVersion, row.FileSizeBytes, row.Status, row.CompletedAt = new("1.0"), new(int64(5)), store.StatusCompleted, &at
		row.GenerationTimeSeconds, row.ErrorMessage, row.Priority, row.StartedAt = new(0.1), new("it's ok"), -3, &at
		row.Attempt, row.Worker, row.LeaseExpiresAt, row.BatchID = 2, new("w"), &at, &uuid.UUID{15: 1}
		row.ProgressStep, row.ProgressFraction, row.CancelRequestedAt, row.Favorite = "mixing", 0.3, &at, true
		n, err := storagedb.New(s.DB()).CopyGenerations(ctx, full)
		is.NoErr(err)
		is.Equal(n, int64(1))
		got, err := s.GetGeneration(ctx, row.ID)
		is.NoErr(err)
		got.Metadata, err = got.Metadata.Canonical() // JSONB has spaces
		is.NoErr(err)
		is.Equal(got, store.Generation(*row))

		total := int64(1)
		for _, rows := range []int{0, 1, 3, 63, 64, 65, 128, 200} {
			n, err := storagedb.New(s.DB()).CopyGenerations(ctx, testkit.RowsToCopy(prompt, rows))
			is.NoErr(err)
			is.Equal(n, int64(rows))
			total += int64(rows)
			count, err := s.CountGenerations(ctx, "")
			is.NoErr(err)
			is.Equal(count, total)
		}
		is.NoErr(s.CheckCounts(ctx))
	})
}

// A copy that fails leaves nothing, whichever row it fails at, and the next one succeeds.
func TestCopyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		prompt, err := s.TrackPrompt(ctx, "a beat")
		is.NoErr(err)
		for _, bad := range []int{0, 63, 64, 99} {
			rows := testkit.RowsToCopy(prompt, 100)
			rows[bad].Channels = 6
			_, err := storagedb.New(s.DB()).CopyGenerations(ctx, rows)
			is.True(err != nil)
			count, err := s.CountGenerations(ctx, "")
			is.NoErr(err)
			is.Equal(count, int64(0))
		}
		_, err = storagedb.New(s.DB()).CopyGenerations(ctx, testkit.RowsToCopy(prompt, 100))
		is.NoErr(err)
	})
}

func TestCopyInATransaction(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		prompt, err := s.TrackPrompt(ctx, "a beat")
		is.NoErr(err)
		err = s.InTx(ctx, func(tx *store.Tx) error {
			_, err := storagedb.New(tx.DB()).CopyGenerations(ctx, testkit.RowsToCopy(prompt, 100))
			is.NoErr(err)
			count, err := tx.CountGenerations(ctx, "")
			is.NoErr(err)
			is.Equal(count, int64(100))
			return errOops
		})
		is.Equal(err, errOops)
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			_, err := storagedb.New(tx.DB()).CopyGenerations(ctx, testkit.RowsToCopy(prompt, 70))
			return err
		}))
		count, err := s.CountGenerations(ctx, "")
		is.NoErr(err)
		is.Equal(count, int64(70))

		var leaked *store.Tx
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error { leaked = tx; return nil }))
		_, err = storagedb.New(leaked.DB()).CopyGenerations(ctx, testkit.RowsToCopy(prompt, 1))
		is.True(errors.Is(err, store.ErrClosed))
	})
}

func TestCopyWhoseSourceFails(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		_, err := s.TrackPrompt(ctx, "a beat")
		is.NoErr(err)
		columns := []string{"text", "used_count", "first_used_at", "last_used_at"}
		copyPrompts := func(ctx context.Context, rows int, row func(i int) ([]any, error)) error {
			_, err := s.DB().CopyFrom(ctx, pgx.Identifier{"prompts"}, columns, pgx.CopyFromSlice(rows, row))
			return err
		}
		now := testkit.NewClock().Now()
		good := func(i int) []any { return []any{fmt.Sprint("prompt ", i), int64(1), now, now} }
		is.True(copyPrompts(ctx, 100, func(i int) ([]any, error) {
			if i == 70 {
				return nil, errOops // which PostgreSQL quotes, in an error of its own
			}
			return good(i), nil
		}) != nil)
		is.True(copyPrompts(ctx, 100, func(i int) ([]any, error) { return good(i)[i/70:], nil }) != nil) // too few values
		ended, cancel := context.WithCancel(ctx)
		is.True(copyPrompts(ended, 1_000_000, func(i int) ([]any, error) {
			if i == 70 {
				cancel()
			}
			time.Sleep(time.Microsecond) // pgx hears of the end while it sends rows
			return good(i), nil
		}) != nil)
		prompts, err := s.ListPrompts(ctx, store.ListPromptsParams{})
		is.NoErr(err)
		is.Equal(len(prompts), 1)
		is.NoErr(copyPrompts(ctx, 100, func(i int) ([]any, error) { return good(i), nil }))
	})
}

func TestCopyWhoseSourcePanicsLeavesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s := testkit.SQLite.Open(t) // pgx leaves a panic of its source to end the program
	prompt, err := s.TrackPrompt(ctx, "a beat")
	is.NoErr(err)
	rows := testkit.RowsToCopy(prompt, 100)
	is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
		func() {
			defer func() { is.Equal(recover(), "oops") }()
			_, _ = tx.DB().CopyFrom(ctx, pgx.Identifier{"prompts"}, []string{"text", "used_count", "first_used_at",
				"last_used_at"}, pgx.CopyFromSlice(100, func(i int) ([]any, error) {
				if i == 70 {
					panic("oops")
				}
				return []any{fmt.Sprint("prompt ", i), 1, rows[0].CreatedAt, rows[0].CreatedAt}, nil
			}))
		}()
		_, err := tx.TrackPrompt(ctx, "another")
		return err
	}))
	prompts, err := s.ListPrompts(ctx, store.ListPromptsParams{})
	is.NoErr(err)
	is.Equal(len(prompts), 2)
}

func TestCopyIntoNoColumns(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		_, err := s.DB().CopyFrom(t.Context(), pgx.Identifier{"prompts"}, nil,
			pgx.CopyFromSlice(3, func(int) ([]any, error) { return []any{}, nil }))
		is.New(t).True(err != nil)
	})
}

// While writers go on, their changes are brought back into the file, so that the log stays small.
func TestLogStaysSmallWhileManyWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("writes for seconds")
	}
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	writing := make(chan error)
	const callers = 16
	for caller := range callers {
		go func() {
			var err error
			for i := 0; err == nil && ctx.Err() == nil; i++ {
				_, err = s.CreateGeneration(context.WithoutCancel(ctx), testkit.Beat(fmt.Sprint("beat ", caller, i)))
			}
			writing <- err
		}()
	}
	for range callers {
		is.NoErr(<-writing)
	}
	path := strings.TrimPrefix(url, "sqlite://")
	log, err := os.Stat(path + "-wal")
	is.NoErr(err)
	file, err := os.Stat(path)
	is.NoErr(err)
	t.Logf("the log has %d KiB, the file %d KiB", log.Size()>>10, file.Size()>>10)
	is.True(log.Size() < 40<<20) // twice what makes a checkpoint due
	is.NoErr(s.CheckCounts(t.Context()))
}
