package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
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

var errOnPurpose = errors.New("on purpose")

// outcome is what a caller was told of a write.
type outcome struct {
	id        uuid.UUID
	committed bool // it was told that it succeeded
	unknown   bool // it was told that its context had ended, when it may have been too late
}

// Many callers write at once. Some give up, panic, fail half way, ask for an existing row or hold the writer in
// transactions of their own. Each is told the truth about its own write, as the database shows in the end, and nothing
// of the others' writes.
func TestCallersThatShareCommitsAreToldTheTruth(t *testing.T) {
	t.Parallel()
	const callers = 64
	lasting := 6 * time.Second
	if testing.Short() {
		lasting = time.Second
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		oneStatement := strings.HasSuffix(t.Name(), "postgres")
		until := time.Now().Add(lasting)
		taken := testkit.Create(t, s, "taken").ID
		var mu sync.Mutex
		var outcomes []outcome
		var counts [6]atomic.Int64
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(caller), 7))
				for time.Now().Before(until) {
					told := outcome{id: uuid.New()}
					kind := random.IntN(6)
					counts[kind].Add(1)
					switch params := testkit.Beat(fmt.Sprintf("prompt %d", random.IntN(50))); kind {
					case 0, 1: // it just creates
						params.ID = told.id
						g, err := s.CreateGeneration(t.Context(), params)
						if err != nil || g.ID != told.id {
							t.Errorf("a create that nothing is wrong with: %v", err)
						}
						told.committed = err == nil
					case 2: // its context ends at some time
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(3000))*time.Microsecond)
						params.ID = told.id
						_, err := s.CreateGeneration(ctx, params)
						cancel()
						if err != nil && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("a create whose context ends: %v", err)
						}
						told.committed, told.unknown = err == nil, err != nil
					case 3: // its row is there already, which is found out when its prompt has been counted
						params.ID, params.Prompt = taken, "of nobody"
						if _, err := s.CreateGeneration(t.Context(), params); !errors.Is(err, store.ErrConflict) {
							t.Errorf("a create of what is there: %v", err)
						}
					case 4: // it fails or panics half way
						panics := random.IntN(2) == 0
						err := func() (err error) {
							defer func() {
								if reason := recover(); reason != nil {
									err = reason.(error)
								}
							}()
							return s.Write(t.Context(), func(db storagedb.DBTX) (err error) {
								if oneStatement { // which is over, and committed, once it returns
									err = fmt.Errorf("%s: %w", told.id, errOnPurpose)
									if panics {
										panic(err)
									}
									return err
								}
								_, err = storagedb.New(db).TrackPrompt(t.Context(), storagedb.TrackPromptParams{Text: "of nobody",
									UsedAt: time.Now()})
								if err == nil {
									err = fmt.Errorf("%s: %w", told.id, errOnPurpose)
								}
								if panics {
									panic(err)
								}
								return err
							})
						}()
						if !errors.Is(err, errOnPurpose) || err.Error()[:36] != told.id.String() {
							t.Errorf("it failed on purpose, and was told: %v", err)
						}
					case 5: // a transaction takes its turn, or a worker does its work
						if random.IntN(4) == 0 {
							params.ID = told.id
							err := s.InTx(t.Context(), func(tx *store.Tx) error {
								_, err := tx.CreateGeneration(t.Context(), params)
								return err
							})
							if err != nil {
								t.Errorf("a transaction: %v", err)
							}
							told.committed = err == nil
							break
						}
						g, err := s.CreateGeneration(t.Context(), params)
						if err == nil {
							_, err = s.CompleteGeneration(t.Context(), g.ID,
								store.CompleteGenerationParams{Metadata: store.Metadata(`{"done":true}`)})
						}
						if err == nil {
							_, err = s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{})
						}
						if _, ok := errors.AsType[*store.TransitionError](err); !ok {
							t.Errorf("a generation that is completed twice: %v", err)
						}
					}
					mu.Lock()
					outcomes = append(outcomes, told)
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		for _, told := range outcomes {
			_, err := s.GetGeneration(t.Context(), told.id)
			if there := err == nil; !told.unknown && there != told.committed {
				t.Errorf("%s: told %t, there %t", told.id, told.committed, there)
			}
		}
		_, err := s.GetPromptByText(t.Context(), "of nobody")
		is.True(errors.Is(err, store.ErrNotFound)) // whatever failed was taken back whole
		var uses, generations int64
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT CAST(sum(used_count) AS BIGINT) FROM prompts").Scan(&uses))
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT count(*) FROM generations").Scan(&generations))
		is.Equal(uses, generations)
		is.NoErr(s.CheckCounts(t.Context()))
		for i := range counts {
			is.True(counts[i].Load() > 0)
		}
		t.Logf("%d writes by %d callers", len(outcomes), callers)
	})
}

// Callers that wait for a transaction may give up. Those that wait after them go on.
func TestWaitingWritersMayGiveUp(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.SQLite.Open(t, store.Options{BusyTimeout: time.Minute})
	holding, release := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- s.InTx(context.Background(), func(*store.Tx) error {
			close(holding)
			<-release
			return nil
		})
	}()
	<-holding
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var gaveUp, created atomic.Int64
	for i := range 40 {
		group.Go(func() {
			mine := t.Context()
			if i%2 == 0 {
				mine = ctx
			}
			switch _, err := s.CreateGeneration(mine, testkit.Beat("x")); {
			case err == nil:
				created.Add(1)
			case errors.Is(err, context.Canceled):
				gaveUp.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // most wait by now; one that comes later is told the same
	cancel()
	testkit.Eventually(t, "half of them have given up",
		func() bool { return gaveUp.Load() == 20 }) // while the transaction is still there
	is.Equal(created.Load(), int64(0))
	close(release)
	group.Wait()
	is.NoErr(<-held)
	is.Equal(created.Load(), int64(20))
}

// Many callers share few commits: on SQLite a transaction for many writes, on PostgreSQL a statement.
func TestConcurrentWritersShareCommits(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			const callers, each = 64, 20
			is := is.New(t)
			log := newCounting()
			s := engine.Open(t, store.Options{Logger: slog.New(log)})
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					for range each {
						g, err := s.CreateGeneration(t.Context(), testkit.Beat("x"))
						if err != nil {
							t.Error(err)
							return
						}
						if done, err := s.CompleteGeneration(t.Context(), g.ID,
							store.CompleteGenerationParams{FileSizeBytes: 5}); err != nil || done.ID != g.ID || *done.FileSizeBytes != 5 {
							t.Errorf("complete: %v", err)
						}
					}
				})
			}
			group.Wait()
			commits := log.count("COMMIT")
			if engine.Name == "postgres" {
				commits = log.count("CreateGenerations") + log.count("CompleteGenerations") + log.count("CompleteGeneration")
			}
			t.Logf("%d writes in %d commits", 2*callers*each, commits)
			is.True(commits < 2*callers*each/3)
			is.NoErr(s.CheckCounts(t.Context()))
		})
	}
}

// Workers extend, report and fail at once. Each is told of its own generation, as if it were alone, also if it is too
// late or is to stop.
func TestConcurrentWorkersShareCommits(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			const workers = 64
			is := is.New(t)
			ctx := t.Context()
			clock := testkit.NewClock() // stands still, so that all times are known
			log := newCounting()
			s := engine.Open(t, store.Options{Logger: slog.New(log), Now: clock.Now})
			params := make([]store.CreateGenerationParams, workers)
			for i := range params {
				params[i] = testkit.Beat(fmt.Sprint("beat ", i))
			}
			_, err := s.CreateGenerations(ctx, params)
			is.NoErr(err)
			claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: workers, Lease: time.Minute})
			is.NoErr(err)
			is.Equal(len(claimed), workers)

			atOnce := func(act func(i int, g store.Generation) error) {
				t.Helper()
				var group sync.WaitGroup
				for i, g := range claimed {
					group.Go(func() {
						if err := act(i, g); err != nil {
							t.Errorf("%d: %v", i, err)
						}
					})
				}
				group.Wait()
			}
			same := func(got store.Generation) error {
				stored, err := s.GetGeneration(ctx, got.ID)
				if err == nil && !reflect.DeepEqual(stored, got) {
					err = fmt.Errorf("told %+v, stored %+v", got, stored)
				}
				return err
			}
			want := func(err, wanted error) error {
				if !errors.Is(err, wanted) {
					return fmt.Errorf("%w, and not %v", err, wanted)
				}
				return nil
			}
			for range 5 {
				atOnce(func(i int, g store.Generation) error {
					p, err := s.TrackPrompt(ctx, fmt.Sprint("beat ", i%10))
					if err == nil && (p.Text != fmt.Sprint("beat ", i%10) || p.UsedCount < 2) {
						err = fmt.Errorf("told %+v", p)
					}
					return err
				})
				atOnce(func(i int, g store.Generation) error {
					if i%8 == 7 {
						_, err := s.ExtendLease(ctx, g.ID, g.Attempt+1, time.Hour)
						return want(err, store.ErrLeaseLost)
					}
					lease := time.Duration(i+1) * time.Minute
					extended, err := s.ExtendLease(ctx, g.ID, g.Attempt, lease)
					if err == nil && (!extended.LeaseExpiresAt.Equal(clock.Now().Add(lease)) || extended.ID != g.ID) {
						err = fmt.Errorf("told %+v", extended)
					}
					return errors.Join(err, same(extended))
				})
				atOnce(func(i int, g store.Generation) error {
					progress := store.Progress{Step: fmt.Sprint("step ", i), Fraction: float64(i) / workers}
					if i%8 == 6 {
						progress.Step = "" // still the same
					}
					if err := s.ReportProgress(ctx, g.ID, g.Attempt, progress); err != nil {
						return err
					}
					stored, err := s.GetGeneration(ctx, g.ID)
					if wanted := map[bool]string{true: store.StepQueued,
						false: progress.Step}[i%8 == 6]; err == nil && (stored.ProgressStep != wanted || stored.ProgressFraction != progress.Fraction) {
						err = fmt.Errorf("stored %+v", stored)
					}
					return err
				})
			}
			var uses int64
			is.NoErr(s.DB().QueryRow(ctx, "SELECT CAST(sum(used_count) AS BIGINT) FROM prompts").Scan(&uses))
			is.Equal(uses, int64(6*workers))

			for i, g := range claimed { // some are to stop
				if i%8 == 5 {
					_, err := s.CancelGeneration(ctx, g.ID)
					is.NoErr(err)
				}
			}
			atOnce(func(i int, g store.Generation) error {
				if i%8 != 5 {
					return nil
				}
				_, err := s.ExtendLease(ctx, g.ID, g.Attempt, time.Hour)
				return errors.Join(want(err, store.ErrCancelRequested),
					want(s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{}), store.ErrCancelRequested))
			})
			atOnce(func(i int, g store.Generation) error {
				fail := store.FailGenerationParams{ErrorMessage: fmt.Sprint("error ", i), Attempt: g.Attempt}
				status, due := store.StatusPending, clock.Now().Add(time.Second)
				switch i % 8 {
				case 5:
					status = store.StatusCancelled
				case 4:
					fail.NoRetry, status = true, store.StatusFailed
				case 3:
					fail.RetryAfter, due = time.Hour, clock.Now().Add(time.Hour)
				case 2:
					fail.Attempt = 0 // as if nobody held it
					_, err := s.FailGeneration(ctx, g.ID, fail)
					return want(err, store.ErrLeaseLost)
				}
				failed, err := s.FailGeneration(ctx, g.ID, fail)
				if err != nil {
					return err
				}
				if failed.ID != g.ID || failed.Status != status || *failed.ErrorMessage != fail.ErrorMessage ||
					status == store.StatusPending && failed.ScheduledAt.Sub(due).Abs() > 101*time.Millisecond {
					return fmt.Errorf("told %+v", failed)
				}
				kept, err := s.GenerationErrors(ctx, g.ID)
				if err == nil && (len(kept) != 1 || kept[0].Error != fail.ErrorMessage || kept[0].Attempt != g.Attempt ||
					kept[0].Worker != "w") {
					err = fmt.Errorf("kept %+v", kept)
				}
				return errors.Join(err, same(failed))
			})
			is.NoErr(s.CheckCounts(ctx))
			if engine.Name == "sqlite" {
				return
			}
			for name, alone := range map[string]string{"TrackPrompts": "TrackPrompt", "ExtendLeases": "ExtendLease",
				"ReportProgresses": "ReportProgress"} {
				together, alone := log.count(name), log.count(alone)
				t.Logf("%d writes in %d %s and %d alone", 5*workers, together, name, alone)
				is.True(together+alone < 5*workers*3/4)
			}
			is.True(log.count("FailGenerations") < workers)
		})
	}
}

// Writes of a batch wait for nobody while they hold locks. So they deadlock with no transaction, in whatever order it
// changes generations. A locked generation holds up no caller that wants another one.
func TestBatchesOfWorkersWaitForNobody(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s := testkit.Postgres.Open(t, store.Options{MaxConns: 20})
	const workers = 40
	batch := uuid.New()
	params := make([]store.CreateGenerationParams, workers)
	for i := range params {
		params[i] = testkit.Beat(fmt.Sprint("beat ", i))
		params[i].BatchID, params[i].ID = batch, uuid.New()
	}
	_, err := s.CreateGenerations(ctx, params)
	is.NoErr(err)
	held, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: workers, Lease: time.Hour})
	is.NoErr(err)

	var group sync.WaitGroup
	lasts := 5 * time.Second
	if testing.Short() {
		lasts = time.Second
	}
	until := time.Now().Add(lasts)
	for _, g := range held {
		group.Go(func() {
			for time.Now().Before(until) {
				_, err := s.ExtendLease(ctx, g.ID, g.Attempt, time.Hour)
				if err == nil {
					err = s.ReportProgress(ctx, g.ID, g.Attempt, store.Progress{Step: "mixing", Fraction: 0.5})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	committed := 0
	for ; time.Now().Before(until); committed++ {
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			for _, g := range slices.Backward(held) {
				if _, err := tx.MergeMetadata(ctx, g.ID, store.Metadata(`{"a":1}`)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	group.Wait()
	is.True(committed > 0)

	// A transaction holds the first one. The callers that want it wait, and the others do not.
	locked, release := make(chan struct{}), make(chan struct{})
	group.Go(func() {
		if err := s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.MergeMetadata(ctx, held[0].ID, store.Metadata(`{"a":2}`))
			close(locked)
			<-release
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	<-locked
	for range 4 {
		group.Go(func() {
			if _, err := s.ExtendLease(ctx, held[0].ID, held[0].Attempt, time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	var others sync.WaitGroup
	for _, g := range held[1:] {
		others.Go(func() {
			for range 5 {
				if _, err := s.ExtendLease(ctx, g.ID, g.Attempt, time.Hour); err != nil {
					t.Error(err)
				}
			}
		})
	}
	others.Wait()
	close(release)
	group.Wait()

	// The same beside CancelBatch, which locks many.
	for _, g := range held {
		group.Go(func() {
			for range 3 {
				if _, err := s.ExtendLease(ctx, g.ID, g.Attempt, time.Hour); err != nil && !errors.Is(err,
					store.ErrCancelRequested) {
					t.Error(err)
				}
			}
			if _, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt,
				ErrorMessage: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	_, err = s.CancelBatch(ctx, batch)
	is.NoErr(err)
	group.Wait()
	is.NoErr(s.CheckCounts(ctx))
}

// A caller that leaves early is told that its context has ended, and nothing else.
func TestWhoLeavesABatchReadsNothingOfIt(t *testing.T) {
	t.Parallel()
	s := testkit.Postgres.Open(t)
	var group sync.WaitGroup
	for caller := range 16 {
		group.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(4*time.Millisecond))
				text := fmt.Sprint("beat ", caller%3)
				if p, err := s.TrackPrompt(ctx, text); err == nil && p.Text != text || err != nil && p != (store.Prompt{}) {
					t.Errorf("told %v, %v", p, err)
				}
				cancel()
			}
		})
	}
	group.Wait()
}

// A lone caller does not pay for sharing.
func TestLoneWriterTakesOneStatement(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	log := newCounting()
	s := testkit.Postgres.Open(t, store.Options{Logger: slog.New(log)})
	for i := range 10 {
		g := testkit.Create(t, s, "x")
		_, err := s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{})
		is.NoErr(err)
		is.Equal(log.count("CreateGenerations"), i+1)
		is.Equal(log.count("CompleteGenerations"), i+1)
	}
}

func TestCompleteGenerations(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		none, err := s.CompleteGenerations(ctx, nil)
		is.NoErr(err)
		is.Equal(len(none), 0)
		_, err = s.CompleteGenerations(ctx, []store.Completion{{}}) // the zero ID is one that does not exist
		is.True(errors.Is(err, store.ErrNotFound))
		completions := make([]store.Completion, 50)
		for i := range completions {
			g := testkit.Create(t, s, fmt.Sprint(i))
			completions[i] = store.Completion{ID: g.ID, CompleteGenerationParams: store.CompleteGenerationParams{
				GenerationTimeSeconds: float64(i), FileSizeBytes: int64(i), Metadata: store.Metadata(fmt.Sprintf(`{"n":%d}`, i)),
			}}
		}
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 10, Lease: time.Minute})
		is.NoErr(err)
		for i, g := range claimed {
			is.Equal(completions[i].ID, g.ID)
			completions[i].Attempt = g.Attempt
		}
		completed, err := s.CompleteGenerations(ctx, completions)
		is.NoErr(err)
		for i, g := range completed { // in the order of the completions
			is.Equal(g.ID, completions[i].ID)
			is.Equal(g.Status, store.StatusCompleted)
			is.Equal(*g.GenerationTimeSeconds, float64(i))
			is.Equal(*g.FileSizeBytes, int64(i))
			got, err := s.GetGeneration(ctx, g.ID)
			is.NoErr(err)
			is.Equal(got, g)
			metadata, err := store.DecodeMetadata[map[string]int](g.Metadata)
			is.NoErr(err)
			is.Equal(metadata, map[string]int{"n": i})
		}

		// All or nothing.
		left, right := testkit.Create(t, s, "left"), testkit.Create(t, s, "right")
		held, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
		is.NoErr(err)
		is.Equal(held[0].ID, left.ID)
		var transition *store.TransitionError
		var invalid *store.ValidationError
		for _, c := range []struct {
			completions []store.Completion
			is          func(error) bool
		}{
			{[]store.Completion{{ID: right.ID}, {ID: testkit.NoSuchID}},
				func(err error) bool { return errors.Is(err, store.ErrNotFound) }},
			{[]store.Completion{{ID: right.ID}, {ID: left.ID}},
				func(err error) bool { return errors.Is(err, store.ErrLeaseLost) }},
			{[]store.Completion{{ID: right.ID}, {ID: completed[0].ID}},
				func(err error) bool { return errors.As(err, &transition) }},
			{[]store.Completion{{ID: right.ID}, {ID: right.ID}}, func(err error) bool {
				return errors.As(err, &invalid) &&
					invalid.Field == "id"
			}},
			{[]store.Completion{{ID: right.ID}, {ID: left.ID,
				CompleteGenerationParams: store.CompleteGenerationParams{FileSizeBytes: -1}}}, func(err error) bool { return errors.As(err, &invalid) }},
		} {
			_, err := s.CompleteGenerations(ctx, c.completions)
			if !c.is(err) {
				t.Errorf("%v: %v", c.completions, err)
			}
			g, err := s.GetGeneration(ctx, right.ID)
			is.NoErr(err)
			is.True(g.IsPending())
		}
		is.NoErr(s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.CompleteGenerations(ctx, []store.Completion{{ID: right.ID}, {ID: testkit.NoSuchID}})
			is.True(errors.Is(err, store.ErrNotFound))
			_, err = tx.CompleteGenerations(ctx, []store.Completion{{ID: right.ID}})
			return err
		}))
		is.NoErr(s.CheckCounts(ctx))
	})
}

// If one write spoils a batch, the batch runs again. It waits for the writer no longer than each of its callers would
// have.
func TestBatchesThatAreRunAgainWaitOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	const patience = 300 * time.Millisecond
	s := testkit.SQLite.Open(t, store.Options{BusyTimeout: patience})
	taken := testkit.Create(t, s, "taken").ID
	first, release := make(chan struct{}), make(chan struct{})
	held := make(chan error, 2)
	go func() {
		held <- s.InTx(context.Background(), func(*store.Tx) error {
			close(first)
			<-release
			return nil
		})
	}()
	<-first
	var group sync.WaitGroup
	for i := range 20 { // they queue behind the transaction
		group.Go(func() {
			params := testkit.Beat("x")
			if i == 10 {
				params.ID = taken
			}
			_, err := s.CreateGeneration(t.Context(), params)
			if err != nil && !errors.Is(err, store.ErrBusy) && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
	}
	// Another one waits after them, and keeps the writer until they are done. If the machine is so slow that it comes
	// before them or gives up, the test shows less.
	time.Sleep(50 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		held <- s.InTx(context.Background(), func(*store.Tx) error {
			<-done
			return nil
		})
	}()
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	close(release)
	group.Wait()
	is.True(time.Since(began) < 10*patience) // a wait for each of them would be 20
	close(done)
	for range 2 {
		if err := <-held; err != nil && !errors.Is(err, store.ErrBusy) {
			t.Error(err)
		}
	}
	is.NoErr(s.CheckCounts(t.Context()))
}
