package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// writeMuch makes a checkpoint due.
func writeMuch(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.DB().Exec(ctx, "CREATE TABLE IF NOT EXISTS much (id INTEGER PRIMARY KEY, data BLOB)"); err != nil {
		return err
	}
	_, err := tx.DB().Exec(ctx, "INSERT OR REPLACE INTO much VALUES (1, $1)", make([]byte, 20<<20))
	return err
}

// Close is called while a transaction runs that makes a checkpoint due, with and without an earlier one.
func TestCloseLeavesNoLogBehind(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			is := is.New(t)
			url := storetest.URL(t)
			s := testkit.OpenURL(t, url)
			if before {
				is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error { return writeMuch(t.Context(), tx) }))
			}
			started, done := make(chan struct{}), make(chan error)
			go func() {
				done <- s.InTx(context.Background(), func(tx *store.Tx) error {
					close(started)
					for !errors.Is(s.Ping(context.Background()), store.ErrClosed) { // until Close has begun
						time.Sleep(time.Millisecond)
					}
					return writeMuch(context.Background(), tx)
				})
			}()
			<-started
			is.NoErr(s.Close())
			is.NoErr(<-done)
			is.Equal(testkit.LogSize(url), int64(0))
		})
	}
}

// Writes through DB, and by stores that are closed before they have written much, are brought back, too.
func TestLogStaysSmallWhoeverWrites(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := testkit.OpenURL(t, url)
	defer s.Close()
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error { return writeMuch(t.Context(), tx) }))
	for range 100 {
		_, err := s.DB().Exec(t.Context(), "INSERT OR REPLACE INTO much VALUES (2, $1)", make([]byte, 1<<20))
		is.NoErr(err)
	}
	is.True(testkit.LogSize(url) < 80<<20)
	for range 15 {
		other := testkit.OpenURL(t, url)
		_, err := other.DB().Exec(t.Context(), "INSERT OR REPLACE INTO much VALUES (3, $1)", make([]byte, 8<<20))
		is.NoErr(err)
		is.NoErr(other.Close())
	}
	is.True(testkit.LogSize(url) < 80<<20)
}

// A caller that has committed does not wait for the end of another caller's transaction.
func TestCheckpointDoesNotWaitLongForTheWriter(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.OpenURL(t, storetest.URL(t))
	defer s.Close()
	writing, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		<-writing
		done <- s.InTx(context.Background(), func(*store.Tx) error { <-release; return nil }) // it queues behind the other one
	}()
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
		close(writing)
		time.Sleep(50 * time.Millisecond) // most likely the other one waits by now; if not, this shows less
		return writeMuch(t.Context(), tx)
	}))
	close(release) // it has come back although that one still holds the writer
	is.NoErr(<-done)
}
