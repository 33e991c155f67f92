package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// The ways in which a user's function does not return.
const (
	panics = "panics"
	exits  = "exits"
	blocks = "blocks"
)

var misbehaviors = []string{panics, exits, blocks}

// trap is a user's function that misbehaves once, when it is set.
type trap struct {
	set     atomic.Bool
	sprung  atomic.Bool
	kind    string
	release chan struct{}
}

func newTrap(t *testing.T, kind string) *trap {
	trap := &trap{kind: kind, release: make(chan struct{})}
	t.Cleanup(func() { close(trap.release) })
	return trap
}

func (t *trap) spring() {
	if !t.set.CompareAndSwap(true, false) {
		return
	}
	t.sprung.Store(true)
	switch t.kind {
	case panics:
		panic(errOops)
	case exits:
		runtime.Goexit()
	case blocks:
		<-t.release
	}
}

// trapLog is a logger that springs a trap at a statement.
type trapLog struct {
	slog.Handler
	*trap
	query string // any if empty
}

func (l trapLog) Enabled(context.Context, slog.Level) bool { return true }
func (l trapLog) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" && (l.query == "" || l.query == a.Value.String()) {
			l.spring()
		}
		return true
	})
	return nil
}

// told is what a call that a trap may have caught told its caller.
type told struct {
	err      error
	panicked any
	ended    bool
}

// start runs a call in so many goroutines, and returns what each is told.
func start(callers int, call func() error) <-chan told {
	results := make(chan told, callers)
	for range callers {
		go func() {
			got := told{ended: true}
			defer func() {
				if got.panicked = recover(); got.panicked != nil {
					got.ended = false
				}
				results <- got
			}()
			got.err = call()
			got.ended = false
		}()
	}
	return results
}

// wantCaught fails the test unless exactly one of the callers was caught by the trap, and nothing is wrong with the
// others and with the store.
func wantCaught(t *testing.T, s *store.Store, trap *trap, callers int, results <-chan told) {
	t.Helper()
	is := is.New(t)
	caught := 0
	if trap.kind == blocks {
		caught++ // and is not heard of
	}
	waiting := time.After(time.Minute)
	for range callers - caught {
		select {
		case got := <-results:
			switch {
			case got.panicked == errOops || got.ended:
				caught++
			case got != told{}:
				t.Errorf("a caller that had nothing to do with it was told %+v", got)
			}
		case <-waiting:
			t.Fatal("a caller that had nothing to do with it hangs")
		}
	}
	is.True(trap.sprung.Load())
	is.Equal(caught, 1)
	testkit.Create(t, s, "after")
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error { return testkit.Err(tx.TrackPrompt(t.Context(), "after")) }))
	is.NoErr(s.CheckCounts(t.Context()))
}

// closes fails the test if Close does not return.
func closes(t *testing.T, s *store.Store) {
	t.Helper()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		is.New(t).NoErr(err)
	case <-time.After(30 * time.Second):
		t.Fatal("Close does not return")
	}
}

// A logger that panics, ends its goroutine or blocks hurts one caller, whose statement it was. What all have written is
// stored, and nobody else hears of it.
func TestLoggerHurtsItsCallerAlone(t *testing.T) {
	t.Parallel()
	const callers = 16
	for _, c := range []struct {
		engine testkit.Engine
		query  string
	}{
		{testkit.SQLite, "BEGIN"}, {testkit.SQLite, "COPY"}, {testkit.SQLite, "COMMIT"},
		{testkit.SQLite, "GetGeneration"}, {testkit.Postgres, "CreateGenerations"}, {testkit.Postgres, "GetGeneration"},
	} {
		for _, kind := range misbehaviors {
			t.Run(fmt.Sprintf("%s/%s/%s", c.engine.Name, kind, c.query), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				trap := newTrap(t, kind)
				s := c.engine.Open(t, store.Options{Logger: slog.New(trapLog{slog.DiscardHandler, trap, c.query}), MaxConns: 1})
				first := testkit.Create(t, s, "first")
				trap.set.Store(true)
				if c.query == "GetGeneration" {
					wantCaught(t, s, trap, callers, start(callers, func() error {
						return testkit.Err(s.GetGeneration(t.Context(), first.ID))
					}))
					closes(t, s)
					return
				}
				wantCaught(t, s, trap, callers, start(callers, func() error {
					return testkit.Err(s.CreateGeneration(t.Context(), testkit.Beat("together")))
				}))
				// That of the caught one is stored, too.
				is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations WHERE prompt = 'together'"), int64(callers))
				closes(t, s)
			})
		}
	}
}

// The same in a transaction and in statements of the user's own.
func TestLoggerHurtsOneTransaction(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		for _, kind := range misbehaviors {
			t.Run(engine.Name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				trap := newTrap(t, kind)
				s := engine.Open(t, store.Options{Logger: slog.New(trapLog{slog.DiscardHandler, trap, ""}), MaxConns: 1})
				for name, call := range map[string]func() error{
					"InTx": func() error {
						return s.InTx(t.Context(), func(tx *store.Tx) error {
							return testkit.Err(tx.CreateGeneration(t.Context(), testkit.Beat("InTx")))
						})
					},
					"CreateGenerations": func() error {
						return testkit.Err(s.CreateGenerations(t.Context(),
							[]store.CreateGenerationParams{testkit.Beat("two"), testkit.Beat("two")}))
					},
					"Exec": func() error { return testkit.Err(s.DB().Exec(t.Context(), "SELECT 1")) },
					"QueryRow": func() error {
						return s.DB().QueryRow(t.Context(), "SELECT 1").Scan(new(int64))
					},
					"Query": func() error {
						rows, err := s.DB().Query(t.Context(), "SELECT 1")
						if err == nil {
							rows.Close()
						}
						return err
					},
				} {
					trap.set.Store(true)
					trap.sprung.Store(false)
					got := start(1, call)
					if kind == blocks {
						testkit.Eventually(t, name+" has called the logger", trap.sprung.Load)
						testkit.Create(t, s, "meanwhile")
						continue
					}
					if got := <-got; got.panicked != errOops && !got.ended {
						t.Errorf("%s: %+v", name, got)
					}
					testkit.Create(t, s, "after "+name)
				}
				is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations WHERE prompt IN ('InTx', 'two')"), int64(3))
				closes(t, s)
			})
		}
	}
}

// The clock of Options.Now is asked in its caller's goroutine, before the call waits or others wait for it.
func TestClockHurtsItsCallerAlone(t *testing.T) {
	t.Parallel()
	const callers = 16
	for _, engine := range testkit.Engines {
		for _, kind := range misbehaviors {
			t.Run(engine.Name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				trap := newTrap(t, kind)
				s := engine.Open(t, store.Options{MaxConns: 1, Now: func() time.Time { trap.spring(); return time.Now() }})
				g := testkit.Create(t, s, "first")
				for name, call := range map[string]func() error{
					"CreateGeneration": func() error {
						return testkit.Err(s.CreateGeneration(t.Context(), testkit.Beat("together")))
					},
					"RetryGeneration": func() error {
						_, err := s.RetryGeneration(t.Context(), g.ID)
						if _, ok := errors.AsType[*store.TransitionError](err); ok { // it is pending
							return nil
						}
						return err
					},
					"Stats": func() error { return testkit.Err(s.Stats(t.Context())) },
					"InTx": func() error {
						return s.InTx(t.Context(), func(tx *store.Tx) error { return testkit.Err(tx.Stats(t.Context())) })
					},
				} {
					if kind == blocks && name == "InTx" {
						continue // its function blocks, while it holds the only connection
					}
					trap.set.Store(true)
					trap.sprung.Store(false)
					wantCaught(t, s, trap, callers, start(callers, call))
				}
				is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations WHERE prompt = 'together'"), int64(callers-1))
				closes(t, s)
			})
		}
	}
}

// Work is its own caller: a logger or a clock that misbehaves there costs no job and does not end the process.
func TestLoggerAndClockDoNotHurtWork(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		for _, kind := range misbehaviors {
			t.Run(engine.Name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				if kind != panics && testing.Short() {
					t.Skip("it waits for a logger that does not return")
				}
				is := is.New(t)
				var working atomic.Bool
				var misbehave sync.Map // what Work's goroutines meet each time, and not once
				release := make(chan struct{})
				defer close(release)
				spring := func() {
					if !working.Load() {
						return
					}
					misbehave.Store(kind, true)
					switch kind {
					case panics:
						panic(errOops)
					case exits:
						runtime.Goexit()
					case blocks:
						<-release
					}
				}
				s := engine.Open(t, store.Options{
					Logger: slog.New(always{slog.DiscardHandler, spring}),
					Now:    func() time.Time { spring(); return time.Now() },
				})
				const jobs = 3
				for range jobs {
					testkit.Create(t, s, "job")
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				var done atomic.Int32
				working.Store(true)
				is.NoErr(s.Work(ctx, store.WorkOptions{}, func(
					context.Context, store.Generation,
				) (store.CompleteGenerationParams, error) {
					if done.Add(1) == jobs {
						stop()
					}
					return store.CompleteGenerationParams{}, nil
				}))
				working.Store(false)
				_, misbehaved := misbehave.Load(kind)
				is.True(misbehaved)
				completed, err := s.CountGenerations(t.Context(), store.StatusCompleted)
				is.NoErr(err)
				is.Equal(completed, int64(jobs))
				closes(t, s)
			})
		}
	}
}

// always is a logger that calls a function each time.
type always struct {
	slog.Handler
	call func()
}

func (always) Enabled(context.Context, slog.Level) bool { return true }
func (a always) Handle(context.Context, slog.Record) error {
	a.call()
	return nil
}

// The function of a transaction and the body of a walk may panic, or end their goroutines. They leave nothing behind.
func TestBodiesHurtTheirCallerAlone(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		for range 3 {
			testkit.Create(t, s, "x")
		}
		for _, kind := range []string{panics, exits} {
			trap := newTrap(t, kind)
			for name, call := range map[string]func() error{
				"InTx": func() error {
					return s.InTx(t.Context(), func(tx *store.Tx) error {
						_, err := tx.CreateGeneration(t.Context(), testkit.Beat("gone"))
						trap.spring()
						return err
					})
				},
				"Generations": func() error {
					for _, err := range s.Generations(t.Context(), store.ListGenerationsParams{Limit: 1}) {
						trap.spring()
						if err != nil {
							return err
						}
					}
					return nil
				},
				"Generations in InTx": func() error {
					return s.InTx(t.Context(), func(tx *store.Tx) error {
						for _, err := range tx.Generations(t.Context(), store.ListGenerationsParams{Limit: 1}) {
							trap.spring()
							if err != nil {
								return err
							}
						}
						return nil
					})
				},
			} {
				trap.set.Store(true)
				if got := <-start(1, call); got.panicked != errOops && !got.ended {
					t.Errorf("%s: %+v", name, got)
				}
				testkit.Create(t, s, "after")
			}
		}
		is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations WHERE prompt = 'gone'"), int64(0))
		closes(t, s)
	}, store.Options{MaxConns: 1})
}
