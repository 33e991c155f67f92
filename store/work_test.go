package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

type handler = func(context.Context, store.Generation) (store.CompleteGenerationParams, error)

// sing is a handler that succeeds.
func sing(_ context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
	return store.CompleteGenerationParams{GenerationTimeSeconds: 1, FileSizeBytes: 5,
		Metadata: store.Metadata(`{"sung":true}`)}, nil
}

// working runs Work until stop is called, which returns what Work returned.
func working(t *testing.T, s *store.Store, opts store.WorkOptions, h handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() { returned <- s.Work(ctx, opts, h) }()
	var err error
	stopped := false
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			select {
			case err = <-returned:
			case <-time.After(time.Minute):
				err = errors.New("Work does not return")
			}
		}
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

// eventually gets a generation until it is as wanted.
func eventually(t *testing.T, s *store.Store, id uuid.UUID, wanted func(store.Generation) bool) store.Generation {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		g, err := s.GetGeneration(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if wanted(g) {
			return g
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("it stays %s, attempt %d, error %v", g.Status, g.Attempt, g.ErrorMessage)
		}
	}
}

func TestWorkCompletesWhatTheHandlerReturns(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		var running, most atomic.Int32
		var once sync.Once
		together := make(chan struct{}) // closed when two run at once
		stop := working(t, s, store.WorkOptions{Concurrency: 4}, func(ctx context.Context,
			g store.Generation) (store.CompleteGenerationParams, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			if n > 1 {
				once.Do(func() { close(together) })
			}
			<-together
			if err := s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{Step: store.StepSaving, Fraction: 0.9}); err != nil {
				return store.CompleteGenerationParams{}, err
			}
			return sing(ctx, g)
		})
		var created []store.Generation
		for i := range 40 {
			created = append(created, testkit.Create(t, s, fmt.Sprintf("prompt %d", i)))
		}
		for _, g := range created {
			g = eventually(t, s, g.ID, store.Generation.IsComplete)
			is.Equal(*g.FileSizeBytes, int64(5))
			is.Equal(string(decodeText(t, g, "sung")), "true")
			is.Equal(g.Attempt, int64(1))
			is.True(*g.Worker != "")
		}
		is.NoErr(stop())
		is.True(most.Load() > 1 && most.Load() <= 4)
	})
}

func decodeText(t *testing.T, g store.Generation, key string) string {
	t.Helper()
	return fmt.Sprint(testkit.Decode(t, g.Metadata)[key])
}

func TestWorkMakesAFailedAttemptOfWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		none := store.CompleteGenerationParams{}
		for name, c := range map[string]struct {
			handler handler
			message string
		}{
			"an error": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				return none, errors.New("CUDA out of memory")
			}, "CUDA out of memory"},
			"an error that is no text": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				return none, errors.New("\xff\x00" + strings.Repeat("é", 1<<20))
			}, "\uFFFD"},
			"an error that is a nil pointer": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				var e *os.PathError
				return none, e
			}, "panic: runtime error: invalid memory address"},
			"an error that panics": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				return none, explosive{}
			}, "panic: the error itself"},
			"a panic": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) { panic("oops") },
				"panic: oops\n\ngoroutine"},
			"a nil panic": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) { panic(nil) },
				"panic: "},
			"a goroutine that ends": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				runtime.Goexit()
				return none, nil
			}, "the handler ended its goroutine"},
			"a result that makes no sense": {func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				return store.CompleteGenerationParams{FileSizeBytes: -1}, nil
			}, "file_size_bytes"},
		} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				stop := working(t, s, store.WorkOptions{Worker: "me"}, c.handler)
				g := eventually(t, s, testkit.Create(t, s, "x").ID, func(g store.Generation) bool {
					return g.IsPending() &&
						g.Attempt == 1
				})
				is.NoErr(stop())
				is.True(strings.Contains(*g.ErrorMessage, c.message))
				kept, err := s.GenerationErrors(t.Context(), g.ID)
				is.NoErr(err)
				is.Equal(kept[0].Error, *g.ErrorMessage)
				is.Equal(kept[0].Worker, "me")
				is.NoErr(s.DeleteGeneration(t.Context(), g.ID))
			})
		}
	})
}

type explosive struct{}

func (explosive) Error() string    { return "boom" }
func (explosive) Is(error) bool    { panic("the error itself") }
func (explosive) Unwrap() error    { panic("the error itself") }
func (explosive) GoString() string { panic("the error itself") }

func TestWorkTriesAgain(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		stop := working(t, s, store.WorkOptions{PollInterval: 10 * time.Millisecond},
			func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
				if g.Attempt < 3 {
					s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, RetryAfter: time.Millisecond})
					return store.CompleteGenerationParams{}, errors.New("has been said")
				}
				return sing(ctx, g)
			})
		g := eventually(t, s, testkit.Create(t, s, "x").ID, store.Generation.IsComplete)
		is.Equal(g.Attempt, int64(3))
		is.NoErr(stop())
	})
}

func TestWorkExtendsLeases(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		stop := working(t, s, store.WorkOptions{Lease: 3 * time.Second, RescueInterval: 50 * time.Millisecond},
			func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
				time.Sleep(time.Until(*g.LeaseExpiresAt) + 500*time.Millisecond) // for longer than its first lease
				return store.CompleteGenerationParams{}, ctx.Err()
			})
		g := eventually(t, s, testkit.Create(t, s, "x").ID, store.Generation.IsComplete)
		is.Equal(g.Attempt, int64(1))
		is.NoErr(stop())
	})
}

func TestWorkEndsTheContextOfAHandler(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		causes := make(chan error, 1)
		started := make(chan struct{}, 1)
		listens := func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
			started <- struct{}{}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return store.CompleteGenerationParams{}, ctx.Err()
		}
		t.Run("whose generation is cancelled", func(t *testing.T) {
			is := is.New(t)
			stop := working(t, s, store.WorkOptions{Lease: 3 * time.Second}, listens)
			g := testkit.Create(t, s, "x")
			<-started
			_, err := s.CancelGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.True(errors.Is(<-causes, store.ErrCancelRequested))
			g = eventually(t, s, g.ID, store.Generation.IsCancelled)
			is.Equal(g.ErrorMessage, nil)
			kept, err := s.GenerationErrors(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(len(kept), 0) // it did not fail
			is.NoErr(stop())
		})
		t.Run("whose lease is lost", func(t *testing.T) {
			is := is.New(t)
			stop := working(t, s, store.WorkOptions{Lease: 3 * time.Second}, listens)
			g := testkit.Create(t, s, "x")
			<-started
			_, err := s.UpdateGenerationStatus(t.Context(), g.ID, store.StatusCompleted, "by hand")
			is.NoErr(err)
			is.True(errors.Is(<-causes, store.ErrLeaseLost))
			is.NoErr(stop())
			got, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(*got.ErrorMessage, "by hand")
		})
		t.Run("whose generation is deleted", func(t *testing.T) {
			is := is.New(t)
			stop := working(t, s, store.WorkOptions{Lease: 3 * time.Second}, listens)
			g := testkit.Create(t, s, "x")
			<-started
			is.NoErr(s.DeleteGeneration(t.Context(), g.ID))
			is.True(errors.Is(<-causes, store.ErrLeaseLost))
			is.NoErr(stop())
		})
		t.Run("that does not finish in time", func(t *testing.T) {
			is := is.New(t)
			stop := working(t, s, store.WorkOptions{ShutdownTimeout: 50 * time.Millisecond}, listens)
			g := testkit.Create(t, s, "x")
			<-started
			is.NoErr(stop())
			is.True(<-causes != nil)
			got, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.True(got.IsPending())
			is.Equal(got.MaxAttempts, g.MaxAttempts+1) // released
			is.NoErr(s.DeleteGeneration(t.Context(), g.ID))
		})
	})
}

func TestCancelThatAHandlerHearsOfFirst(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		started := make(chan struct{}, 1)
		stop := working(t, s, store.WorkOptions{},
			func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
				started <- struct{}{}
				for {
					if err := s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{}); err != nil {
						return store.CompleteGenerationParams{}, err
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		g := testkit.Create(t, s, "x")
		<-started
		_, err := s.CancelGeneration(t.Context(), g.ID)
		is.NoErr(err)
		g = eventually(t, s, g.ID, store.Generation.IsCancelled)
		is.Equal(g.ErrorMessage, nil)
		is.NoErr(stop())
	})
}

func TestHandlerThatDoesNotHeedItsContextIsLeftBehind(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		started, end := make(chan struct{}), make(chan struct{})
		defer close(end)
		stop := working(t, s, store.WorkOptions{ShutdownTimeout: time.Millisecond},
			func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
				close(started)
				<-end
				return store.CompleteGenerationParams{}, nil
			})
		g := testkit.Create(t, s, "x")
		<-started
		is.NoErr(stop())
		got, err := s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.True(got.IsPending())
	})
}

func TestWorkLetsHandlersFinish(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		started, finish := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		returned := make(chan error, 1)
		go func() {
			returned <- s.Work(ctx, store.WorkOptions{}, func(ctx context.Context,
				g store.Generation) (store.CompleteGenerationParams, error) {
				close(started)
				<-finish
				return store.CompleteGenerationParams{}, ctx.Err() // the end of Work's context does not end the handler's
			})
		}()
		g, waiting := testkit.Create(t, s, "x"), testkit.Create(t, s, "waits")
		<-started
		cancel()
		close(finish)
		is.NoErr(<-returned)
		g, err := s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.True(g.IsComplete())
		waiting, err = s.GetGeneration(t.Context(), waiting.ID)
		is.NoErr(err)
		is.True(waiting.IsPending())
		is.Equal(waiting.Attempt, int64(0)) // no more was claimed
	})
}

func TestWorkRescuesWhatOthersLeft(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			past, err := store.Open(t.Context(), store.Options{URL: url,
				Now: func() time.Time { return time.Now().Add(-time.Hour) }})
			is.NoErr(err)
			defer past.Close()
			testkit.Create(t, past, "x")
			left := testkit.ClaimOne(t, past)
			s, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			defer s.Close()
			stop := working(t, s, store.WorkOptions{}, sing)
			g := eventually(t, s, left.ID, store.Generation.IsComplete)
			is.Equal(g.Attempt, left.Attempt+1)
			is.NoErr(stop())
		})
	}
}

func TestWorkTakesOnlyItsModels(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		other := testkit.Create(t, s, "for another model")
		params := testkit.Beat("for this one")
		params.ModelName = "musicgen-large"
		mine, err := s.CreateGeneration(t.Context(), params)
		is.NoErr(err)
		stop := working(t, s, store.WorkOptions{ModelNames: []string{"musicgen-large"}, PollInterval: 10 * time.Millisecond},
			sing)
		eventually(t, s, mine.ID, store.Generation.IsComplete)
		second, err := s.CreateGeneration(t.Context(), params) // it comes after the other model's, and is claimed first
		is.NoErr(err)
		eventually(t, s, second.ID, store.Generation.IsComplete)
		is.NoErr(stop())
		other, err = s.GetGeneration(t.Context(), other.ID)
		is.NoErr(err)
		is.True(other.IsPending())
	})
}

func TestWorkEndsWithItsStore(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		returned := make(chan error)
		go func() { returned <- s.Work(context.Background(), store.WorkOptions{}, sing) }()
		eventually(t, s, testkit.Create(t, s, "x").ID, store.Generation.IsComplete) // it works
		is.NoErr(s.Close())
		is.True(errors.Is(<-returned, store.ErrClosed))
	})
}

// The lease cannot be extended any more, so the handler has no reason to go on.
func TestWorkEndsWithItsStoreUnderAHandler(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		testkit.Create(t, s, "x")
		began, returned := make(chan struct{}), make(chan error, 1)
		var cause error
		go func() {
			returned <- s.Work(context.Background(), store.WorkOptions{Lease: time.Second},
				func(ctx context.Context, _ store.Generation) (store.CompleteGenerationParams, error) {
					close(began)
					<-ctx.Done()
					cause = context.Cause(ctx)
					return store.CompleteGenerationParams{}, ctx.Err()
				})
		}()
		<-began
		is.NoErr(s.Close())
		select {
		case err := <-returned:
			is.True(errors.Is(err, store.ErrClosed))
			is.True(errors.Is(cause, store.ErrClosed))
		case <-time.After(time.Minute):
			t.Fatal("Work does not return")
		}
	})
}

// A waiting caller wakes when something comes due, and not at its next look. It may have been scheduled for later, or
// come from a process whose clock is ahead, which is the same.
func TestWorkThatComesDueWakes(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			open := func(now func() time.Time) *store.Store {
				s, err := store.Open(t.Context(), store.Options{URL: url, Now: now})
				is.NoErr(err)
				t.Cleanup(func() { s.Close() })
				return s
			}
			sleeper := open(time.Now)
			ahead := open(func() time.Time { return time.Now().Add(20 * time.Millisecond) })
			wakeUps := func(creator *store.Store, after time.Duration) (median time.Duration) {
				took := make([]time.Duration, 5)
				for i := range took {
					woke := make(chan time.Time)
					go func() {
						if err := sleeper.WaitForPending(t.Context()); err != nil {
							t.Error(err)
						}
						woke <- time.Now()
					}()
					time.Sleep(100 * time.Millisecond) // by now it most likely sleeps
					params := testkit.Beat("x")
					if after > 0 {
						params.ScheduledAt = time.Now().Add(after)
					}
					g, err := creator.CreateGeneration(t.Context(), params)
					is.NoErr(err)
					took[i] = (<-woke).Sub(g.ScheduledAt)
					testkit.ClaimOne(t, ahead)
				}
				slices.Sort(took)
				t.Logf("woke %s after something came due", took)
				is.True(took[0] > -time.Millisecond)
				return took[len(took)/2]
			}
			for creator, after := range map[*store.Store]time.Duration{ahead: 0, sleeper: 300 * time.Millisecond} {
				soon(t, 150*time.Millisecond, func() time.Duration { return wakeUps(creator, after) })
			}
		})
	}
}

func TestWaitForPending(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		wait := func() <-chan error {
			returned := make(chan error, 1)
			go func() { returned <- s.WaitForPending(ctx) }()
			return returned
		}
		sleeps := func(returned <-chan error) {
			t.Helper()
			select {
			case err := <-returned:
				t.Fatalf("it returned: %v", err)
			case <-time.After(100 * time.Millisecond):
			}
		}
		wakes := func(returned <-chan error) {
			t.Helper()
			select {
			case err := <-returned:
				is.NoErr(err)
			case <-time.After(time.Minute):
				t.Fatal("it does not wake")
			}
		}
		waiting := wait()
		sleeps(waiting)
		later := testkit.Beat("later")
		later.ScheduledAt = time.Now().Add(3 * time.Second)
		_, err := s.CreateGeneration(ctx, later)
		is.NoErr(err)
		sleeps(waiting)
		wakes(waiting) // by its own look
		testkit.ClaimOne(t, s)

		waiting = wait()
		sleeps(waiting)
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			is.True(errors.Is(tx.WaitForPending(ctx), store.ErrNotFound)) // it does not wait, since that would hold up others
			_, err := tx.CreateGeneration(ctx, testkit.Beat("in a transaction"))
			if err == nil {
				err = tx.WaitForPending(ctx) // which sees it
			}
			sleeps(waiting)
			return err
		}))
		wakes(waiting)
		wakes(wait()) // at once, as long as it is there

		is.NoErr(s.PauseQueue(ctx))
		waiting = wait()
		sleeps(waiting)
		is.NoErr(s.ResumeQueue(ctx))
		wakes(waiting)

		g := testkit.ClaimOne(t, s)
		for name, requeue := range map[string]func() (store.Generation, error){
			"release": func() (store.Generation, error) { return s.ReleaseGeneration(ctx, g.ID, g.Attempt) },
			"retry": func() (store.Generation, error) {
				if _, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusFailed, ""); err != nil {
					return g, err
				}
				return s.RetryGeneration(ctx, g.ID)
			},
			"by hand": func() (store.Generation, error) {
				return s.UpdateGenerationStatus(ctx, g.ID, store.StatusPending, "")
			},
		} {
			waiting := wait()
			sleeps(waiting)
			_, err := requeue()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wakes(waiting)
			g = testkit.ClaimOne(t, s)
		}

		ending, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		is.True(errors.Is(s.WaitForPending(ending), context.DeadlineExceeded))
		waiting = wait()
		sleeps(waiting)
		is.NoErr(s.Close())
		is.True(errors.Is(<-waiting, store.ErrClosed))
		is.True(errors.Is(s.WaitForPending(ctx), store.ErrClosed))
	})
}

// counting counts the statements of each query, and keeps what is said at warn level and above.
type counting struct {
	slog.Handler
	mu      sync.Mutex
	queries map[string]int
	said    []string
}

func newCounting() *counting {
	return &counting{Handler: slog.DiscardHandler, queries: make(map[string]int)}
}

func (c *counting) Enabled(context.Context, slog.Level) bool { return true }
func (c *counting) Handle(_ context.Context, record slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" {
			c.queries[a.Value.String()]++
		}
		return true
	})
	if record.Level >= slog.LevelWarn {
		c.said = append(c.said, record.Message)
	}
	return nil
}

func (c *counting) count(query string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queries[query]
}

func (c *counting) hasSaid(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.said, func(said string) bool { return strings.Contains(said, text) })
}

// Workers that have nothing to do look, and do not write: neither without jobs nor beside jobs for other models.
func TestIdleWorkersOnlyLook(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			log := newCounting()
			s := engine.Open(t, store.Options{Logger: slog.New(log)})
			stop := working(t, s, store.WorkOptions{ModelNames: []string{"rare", "rarer"}, PollInterval: time.Hour}, sing)
			for range 20 {
				testkit.Create(t, s, "for another model")
				time.Sleep(5 * time.Millisecond) // so that not all share one hint
			}
			looks := func() int { return log.count("HasDueGenerationsOfModel") }
			testkit.Eventually(t, "it has looked", func() bool { return looks() > 2 })
			is.Equal(log.count("ClaimGenerations")+log.count("NextPendingPriority"), 0)
			is.True(looks() < 100) // one for each model and hint, and no more
			is.NoErr(stop())
		})
	}
}

// If another worker holds a due job in a transaction that stays open, Work does not ask for it without a pause.
func TestContendedWorkIsNotAskedForWithoutPause(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	log := newCounting()
	s := testkit.Postgres.Open(t, store.Options{Logger: slog.New(log)})
	testkit.Create(t, s, "x")
	var stop func() error
	var asked time.Duration
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
		claimed, err := tx.ClaimGenerations(t.Context(), store.ClaimParams{Worker: "slow", Limit: 1, Lease: time.Minute})
		is.Equal(len(claimed), 1)
		stop = working(t, s, store.WorkOptions{}, sing)
		began := time.Now()
		testkit.Eventually(t, "it has asked again", func() bool {
			asked = time.Since(began)
			return asked > time.Second && log.count("ClaimGenerations") > 2
		})
		return err
	}))
	is.True(log.count("ClaimGenerations") < 10+
		int(asked/(500*time.Millisecond))) // at 0, 50, 150, 350, 750 ms, then each second
	is.NoErr(stop())
}

// stalled is a proxy before a PostgreSQL server that can be cut off: connections then hang, and new ones are refused.
type stalled struct {
	mu    sync.Mutex
	cond  *sync.Cond
	cut   bool
	conns []net.Conn
}

func (p *stalled) set(cut bool) {
	p.mu.Lock()
	p.cut = cut
	p.cond.Broadcast()
	p.mu.Unlock()
	if !cut {
		p.closeAll() // what hung is of no use any more
	}
}

// closeAll closes all connections, as a server does when it is restarted.
func (p *stalled) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}

func (p *stalled) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.cut {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// stallable returns the URL of a database with such a proxy before it.
func stallable(t *testing.T) (string, *stalled) {
	t.Helper()
	is := is.New(t)
	config, err := pgconn.ParseConfig(testkit.Postgres.URL(t))
	is.NoErr(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, listener.Addr(), config.Database), proxied(t,
		listener, config)
}

// proxied is a proxy that passes the listener's connections to the server.
func proxied(t *testing.T, listener net.Listener, config *pgconn.Config) *stalled {
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	p := &stalled{}
	p.cond = sync.NewCond(&p.mu)
	t.Cleanup(func() {
		listener.Close()
		p.set(false)
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			go p.pass(server, client)
			go p.pass(client, server)
		}
	}()
	return p
}

// The database is away for longer than the lease while a handler finishes. The handler's result is not lost.
func TestResultOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, proxy := stallable(t)
	log := newCounting()
	s, err := store.Open(t.Context(), store.Options{URL: url, Logger: slog.New(log), BusyTimeout: time.Second})
	is.NoErr(err)
	defer s.Close()
	started, finish := make(chan struct{}), make(chan struct{})
	stop := working(t, s, store.WorkOptions{Lease: time.Second, RescueInterval: time.Hour},
		func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
			close(started)
			<-finish
			return sing(ctx, g)
		})
	g := testkit.Create(t, s, "x")
	<-started
	proxy.set(true)
	close(finish)
	time.Sleep(2 * time.Second) // for longer than the lease
	testkit.Eventually(t, "it has tried", func() bool { return log.hasSaid("could not complete, and will try again") })
	proxy.set(false)
	g = eventually(t, s, g.ID, store.Generation.IsComplete)
	is.Equal(g.Attempt, int64(1))
	is.True(!log.hasSaid("dropped"))
	is.NoErr(stop())
}

// A database that hangs does not keep Work from returning.
func TestShutdownIsBoundedWhenTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, proxy := stallable(t)
	log := newCounting()
	s, err := store.Open(t.Context(), store.Options{URL: url, Logger: slog.New(log), BusyTimeout: time.Second})
	is.NoErr(err)
	defer s.Close()
	started := make(chan struct{})
	stop := working(t, s, store.WorkOptions{Lease: time.Hour, ShutdownTimeout: 100 * time.Millisecond},
		func(ctx context.Context, _ store.Generation) (store.CompleteGenerationParams, error) {
			close(started)
			<-ctx.Done()
			return store.CompleteGenerationParams{}, ctx.Err()
		})
	testkit.Create(t, s, "x")
	<-started
	proxy.set(true)
	is.NoErr(stop())
	is.True(log.hasSaid("a result is dropped"))
	proxy.set(false)
}
