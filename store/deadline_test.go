package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// holding runs a transaction that uses prompts, and keeps it open until the returned function is called or the test
// ends.
func holding(t *testing.T, s *store.Store, prompts ...string) (release func()) {
	t.Helper()
	held, releasing, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.InTx(context.Background(), func(tx *store.Tx) error {
			for _, prompt := range prompts {
				if _, err := tx.TrackPrompt(context.Background(), prompt); err != nil {
					return err
				}
			}
			close(held)
			<-releasing
			return nil
		})
	}()
	select {
	case <-held:
	case err := <-ended:
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		close(releasing)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

func isNotKnown(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "not known")
}

func changedNothing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "nothing was changed")
}

// late is how much later than the end of its context a caller may return here: 50 milliseconds, and what a busy machine
// takes to notice.
const late = 500 * time.Millisecond

// Each caller returns soon after the end of its own context, the first of a batch, too, and says what is known. The
// prompt is locked for as long as they take.
func TestCallersReturnAtTheEndOfTheirContexts(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t, store.Options{BusyTimeout: time.Minute, MaxConns: 4})
	release := holding(t, s, "hot")
	type call struct {
		within time.Duration
		id     uuid.UUID
		err    error
	}
	calls := make([]call, 20)
	var group sync.WaitGroup
	for i := range calls {
		c := &calls[i]
		c.within, c.id = time.Duration(i+1)*50*time.Millisecond, uuid.New()
		group.Go(func() {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), c.within)
			defer cancel()
			params := testkit.Beat("hot")
			params.ID = c.id
			_, c.err = s.CreateGeneration(ctx, params)
			if took := time.Since(began); took > c.within+late || took < c.within {
				t.Errorf("it asked for %s, and returned after %s", c.within, took)
			}
			if !isNotKnown(c.err) && !changedNothing(c.err) {
				t.Errorf("it was told: %v", c.err)
			}
		})
	}
	group.Wait()
	release()
	testkit.Create(t, s, "hot") // after all of them
	known := 0
	for _, c := range calls {
		if changedNothing(c.err) {
			known++
			is.True(errors.Is(testkit.Err(s.GetGeneration(t.Context(), c.id)), store.ErrNotFound))
		}
	}
	t.Logf("%d of %d know that nothing was changed", known, len(calls))
	is.NoErr(s.CheckCounts(t.Context()))
}

// The same on SQLite, where one of the writes of a batch takes long.
func TestCallersLeaveABatchThatTakesLong(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.SQLite.Open(t, store.Options{BusyTimeout: time.Minute})
	running, release := make(chan struct{}), make(chan struct{})
	slow := start(1, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := s.Write(ctx, func(db storagedb.DBTX) error {
			close(running)
			<-release
			_, err := storagedb.New(db).TrackPrompt(ctx, storagedb.TrackPromptParams{Text: "slow", UsedAt: time.Now()})
			return err
		})
		is.True(time.Since(began) < 200*time.Millisecond+late)
		return err
	})
	<-running
	const callers = 10
	results := start(callers, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := s.CreateGeneration(ctx, testkit.Beat("behind"))
		is.True(time.Since(began) < 300*time.Millisecond+late)
		return err
	})
	for range callers {
		is.True(changedNothing((<-results).err))
	}
	is.True(isNotKnown((<-slow).err))
	close(release)
	testkit.Create(t, s, "after")
	is.Equal(testkit.Count(t, s, "SELECT count(*) FROM prompts WHERE text = 'slow'"), int64(1)) // it took effect
	is.Equal(testkit.Count(t, s, "SELECT count(*) FROM prompts WHERE text = 'behind'"), int64(0))
}

// A call that waits for another process's write returns at the end of its context.
func TestCallersReturnWhileAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := testkit.SQLite.URL(t)
	s, other := testkit.OpenURL(t, url), testkit.OpenURL(t, url)
	release := holding(t, other)
	for name, call := range map[string]func(context.Context) error{
		"CreateGeneration": func(ctx context.Context) error {
			return testkit.Err(s.CreateGeneration(ctx, testkit.Beat("x")))
		},
		"InTx": func(ctx context.Context) error { return s.InTx(ctx, func(*store.Tx) error { return nil }) },
		"CreateGenerations": func(ctx context.Context) error {
			return testkit.Err(s.CreateGenerations(ctx, []store.CreateGenerationParams{testkit.Beat("x"), testkit.Beat("x")}))
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(began); took > 300*time.Millisecond+late || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
	release()
	is.Equal(testkit.Create(t, s, "x").PromptID, int64(1))
}

// A locked prompt delays the callers that use it, and nobody else: neither those of the same batch, nor those that come
// while many callers wait for the lock. The prompt may exist, or be created by the transaction that locks it.
func TestLockedPromptDelaysOnlyItsUsers(t *testing.T) {
	t.Parallel()
	for _, exists := range []bool{true, false} {
		t.Run(fmt.Sprintf("exists=%t", exists), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := testkit.Postgres.Open(t, store.Options{BusyTimeout: time.Minute, MaxConns: 4})
			if exists {
				testkit.Create(t, s, "hot")
			}
			release := holding(t, s, "hot")
			const users, others = 24, 24
			write := func(prompt string) error {
				_, err := s.TrackPrompt(t.Context(), prompt)
				if err == nil {
					_, err = s.CreateGeneration(t.Context(), testkit.Beat(prompt))
				}
				return err
			}
			waiting := start(users, func() error { return write("hot") })
			var next atomic.Int64
			for range 3 {
				rest := start(others, func() error { return write(fmt.Sprint("other ", next.Add(1)%7)) })
				for range others {
					select {
					case got := <-rest:
						is.Equal(got, told{})
					case got := <-waiting:
						t.Fatalf("a user of the locked prompt was told %+v", got)
					case <-time.After(30 * time.Second):
						t.Fatal("callers that do not use the prompt wait for it")
					}
				}
			}
			is.Equal(len(waiting), 0)
			release()
			for range users {
				is.Equal(<-waiting, told{})
			}
			is.NoErr(s.CheckCounts(t.Context()))
			p, err := s.GetPromptByText(t.Context(), "hot")
			is.NoErr(err)
			is.Equal(p.UsedCount >= 2*users+1, true)
		})
	}
}

// A lock that lasts longer than BusyTimeout is an ErrBusy for its users.
func TestLockedPromptIsBusyInTheEnd(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t, store.Options{BusyTimeout: 300 * time.Millisecond})
	release := holding(t, s, "hot")
	results := start(8, func() error { return testkit.Err(s.CreateGeneration(t.Context(), testkit.Beat("hot"))) })
	for range 8 {
		is.True(errors.Is((<-results).err, store.ErrBusy))
	}
	release()
	testkit.Create(t, s, "hot")
	is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations"), int64(1))
}

// Of the calls whose deadlines are near the latency, more than half succeed. A caller that gives up costs the others
// little: its batch goes on, and its connection stays.
func TestGoodputUnderDeadlines(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures for seconds")
	}
	for _, engine := range testkit.Engines {
		for _, callers := range []int{1, 16} {
			t.Run(fmt.Sprintf("%s/%d", engine.Name, callers), func(t *testing.T) {
				s := engine.Open(t)
				measure := func(timeout time.Duration) (succeeded float64, median time.Duration) {
					var mu sync.Mutex
					var latencies []time.Duration
					done := 0
					var group sync.WaitGroup
					until := time.Now().Add(2 * time.Second)
					for range callers {
						group.Go(func() {
							for time.Now().Before(until) {
								ctx, cancel := context.WithTimeout(t.Context(), timeout)
								began := time.Now()
								_, err := s.CreateGeneration(ctx, testkit.Beat("x"))
								took := time.Since(began)
								cancel()
								mu.Lock()
								latencies = append(latencies, took)
								switch {
								case err == nil:
									done++
								case !errors.Is(err, context.DeadlineExceeded):
									t.Error(err)
								}
								mu.Unlock()
							}
						})
					}
					group.Wait()
					slices.Sort(latencies)
					return float64(done) / float64(len(latencies)), latencies[len(latencies)/2]
				}
				measure(time.Minute)
				_, median := measure(time.Minute)
				succeeded, _ := measure(median * 3 / 2)
				shorter, _ := measure(median)
				t.Logf("the median is %s: with a deadline half longer %.0f %% succeed, with the median as one %.0f %%",
					median, 100*succeeded, 100*shorter)
				if succeeded < 0.5 {
					t.Error("less than half")
				}
			})
		}
	}
}
