package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

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

// Many callers write at once, of whom some give up, panic, fail half way, ask for what is there already or hold the writer
// in transactions of their own. Each is told the truth about its own write, as the database shows in the end, and nothing of
// the others'.
func TestCallersThatShareCommitsAreToldTheTruth(t *testing.T) {
	const callers = 64
	lasting := 6 * time.Second
	if testing.Short() {
		lasting = 2 * time.Second
	}
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		oneStatement := strings.HasSuffix(t.Name(), "postgres")
		until := time.Now().Add(lasting)
		taken := create(t, s, "taken").ID
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
					switch params := beat(fmt.Sprintf("prompt %d", random.IntN(50))); kind {
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
								_, err = storagedb.New(db).TrackPrompt(t.Context(), storagedb.TrackPromptParams{Text: "of nobody", UsedAt: time.Now()})
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
							_, err = s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{Metadata: store.Metadata(`{"done":true}`)})
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

// Whoever waits behind a transaction may give up, and those behind go on.
func TestWaitingWritersMayGiveUp(t *testing.T) {
	is := is.New(t)
	s := engines[0].open(t, store.Options{BusyTimeout: time.Minute})
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
			switch _, err := s.CreateGeneration(mine, beat("x")); {
			case err == nil:
				created.Add(1)
			case errors.Is(err, context.Canceled):
				gaveUp.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	cancel()
	for began := time.Now(); gaveUp.Load() < 20 && time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
	}
	is.Equal(gaveUp.Load(), int64(20)) // at once, the transaction is still there
	is.Equal(created.Load(), int64(0))
	close(release)
	group.Wait()
	is.NoErr(<-held)
	is.Equal(created.Load(), int64(20))
}

// As many callers as there are share few commits.
func TestConcurrentWritersShareCommits(t *testing.T) {
	is := is.New(t)
	log := newCounting()
	s := engines[0].open(t, store.Options{Logger: slog.New(log)})
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 20 {
				if _, err := s.CreateGeneration(t.Context(), beat("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	commits := log.count("COMMIT")
	t.Logf("%d creations in %d commits", 64*20, commits)
	is.True(commits < 64*20/4)
	is.NoErr(s.CheckCounts(t.Context()))
}
