package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// A worker process of TestWorkersThatAreKilledLoseNothing: it works until it is killed.
func workUntilKilled(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: url, MaxConns: 4, BusyTimeout: time.Minute})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Work(ctx, store.WorkOptions{Concurrency: 8, Lease: 2 * time.Second, RescueInterval: 500 * time.Millisecond},
		func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
			time.Sleep(10 * time.Millisecond) // so that whoever is killed is killed at work
			return store.CompleteGenerationParams{FileSizeBytes: g.Attempt}, ctx.Err()
		})
}

// countCompletions makes the database itself count each completion that it accepts.
var countCompletions = map[string][]string{
	"sqlite": {
		"CREATE TABLE completions (generation_id TEXT NOT NULL)",
		`CREATE TRIGGER count_completions AFTER UPDATE ON generations WHEN NEW.status = 'completed'
		BEGIN INSERT INTO completions VALUES (NEW.id); END`,
	},
	"postgres": {
		"CREATE TABLE completions (generation_id UUID NOT NULL)",
		`CREATE FUNCTION count_completion() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO completions VALUES (NEW.id); RETURN NULL; END $$`,
		`CREATE TRIGGER count_completions AFTER UPDATE ON generations FOR EACH ROW WHEN (NEW.status = 'completed')
		EXECUTE FUNCTION count_completion()`,
	},
}

// Eight processes work off the queue. Every second one of them is killed without warning and started again. Every job
// must end completed, and its completion be accepted once.
func TestWorkersThatAreKilledLoseNothing(t *testing.T) {
	t.Parallel()
	const processes = 8
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			jobs := 20_000
			if testing.Short() {
				jobs = 1_000
			}
			ctx := t.Context()
			url := engine.URL(t)
			s, err := store.Open(ctx, store.Options{URL: url})
			is.NoErr(err)
			defer s.Close()
			for _, statement := range countCompletions[engine.Name] {
				_, err := s.DB().Exec(ctx, statement)
				is.NoErr(err)
			}
			enqueue := func() {
				params := make([]store.CreateGenerationParams, 1000)
				for i := range params {
					params[i] = testkit.Beat(fmt.Sprintf("prompt %d", i%100))
					params[i].MaxAttempts = 1000 // this is about kills, not about giving up
				}
				_, err := s.CreateGenerations(ctx, params)
				is.NoErr(err)
			}
			for range jobs / 1000 {
				enqueue()
			}

			workers := make([]*exec.Cmd, processes)
			start := func(i int) {
				workers[i] = testkit.InProcess(t, "work", url)
				is.NoErr(workers[i].Start())
				t.Cleanup(func() { workers[i].Process.Kill() }) // where the test ends early
			}
			kill := func(i int) {
				is.NoErr(workers[i].Process.Kill())
				workers[i].Wait()
			}
			for i := range workers {
				start(i)
			}
			kills, takenOver := 0, 0
			deadline := time.Now().Add(5 * time.Minute)
			for began := time.Now(); ; {
				time.Sleep(time.Second)
				stats, err := s.Stats(ctx)
				is.NoErr(err)
				is.NoErr(s.DB().QueryRow(ctx, "SELECT count(*) FROM generations WHERE attempt > 1").Scan(&takenOver))
				done := stats.CompletedGenerations == int64(jobs)
				if done && takenOver > 0 || time.Now().After(deadline) {
					t.Logf("%d jobs by %d processes in %s, %d kills, %+v", jobs, processes, time.Since(began).Round(time.Second),
						kills, stats)
					break
				}
				if done { // a fast machine was through before anybody was killed at work
					enqueue()
					jobs += 1000
					time.Sleep(100 * time.Millisecond)
				}
				victim := rand.IntN(processes)
				kill(victim)
				start(victim)
				kills++
			}
			for i := range workers {
				kill(i)
			}

			stats, err := s.Stats(ctx)
			is.NoErr(err)
			is.Equal(stats, store.Stats{TotalGenerations: int64(jobs), CompletedGenerations: int64(jobs), TotalPrompts: 100})
			var completions, completed int
			is.NoErr(s.DB().QueryRow(ctx, "SELECT count(*), count(DISTINCT generation_id) FROM completions").Scan(&completions,
				&completed))
			is.Equal(completions, jobs) // each accepted once
			is.Equal(completed, jobs)   // none left out
			is.True(kills > 0)
			is.True(takenOver > 0) // from a process that was killed
			t.Logf("%d of them were taken over from a process that was killed", takenOver)
		})
	}
}

// A process of TestSleepingWorkerInAnotherProcessWakes: it waits, claims, and writes when it woke.
func waitAndClaim(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println("ready")
	for {
		if err := s.WaitForPending(ctx); err != nil {
			return err
		}
		woke := time.Now()
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "sleeper", Limit: 1, Lease: time.Minute})
		if err != nil {
			return err
		}
		for _, g := range claimed {
			fmt.Println(g.ID, woke.UnixNano())
		}
	}
}

// sleeper is a process that waits for work, and the times at which it woke for which generation.
func sleeper(t *testing.T, url string) <-chan map[uuid.UUID]time.Time {
	t.Helper()
	is := is.New(t)
	cmd := testkit.InProcess(t, "wait and claim", url)
	cmd.Stderr = nil // it is killed
	output, err := cmd.StdoutPipe()
	is.NoErr(err)
	is.NoErr(cmd.Start())
	lines := bufio.NewScanner(output)
	is.True(lines.Scan()) // ready
	woken := make(chan map[uuid.UUID]time.Time, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			var id string
			var at int64
			if _, err := fmt.Sscan(lines.Text(), &id, &at); err != nil {
				t.Error(err)
				return
			}
			woken <- map[uuid.UUID]time.Time{uuid.MustParse(id): time.Unix(0, at)}
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		reading.Wait()
		cmd.Wait()
	})
	return woken
}

// wakeUp creates a generation and tells how long it took until the sleeper woke.
func wakeUp(t *testing.T, s *store.Store, woken <-chan map[uuid.UUID]time.Time) time.Duration {
	t.Helper()
	g := testkit.Create(t, s, "wake up")
	created := time.Now()
	for {
		select {
		case one := <-woken:
			if at, ok := one[g.ID]; ok {
				return at.Sub(created)
			}
		case <-time.After(time.Minute):
			t.Fatal("the sleeper does not wake")
		}
	}
}

// Without a hint it would wake by its own look, once in a second. How long the hint takes is measured in bench.
func TestSleepingWorkerInAnotherProcessWakes(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			url := engine.URL(t)
			s, err := store.Open(t.Context(), store.Options{URL: url})
			is.NoErr(err)
			defer s.Close()
			woken := sleeper(t, url)
			wakeUp(t, s, woken) // from here on it listens
			soon(t, time.Second/4, func() time.Duration { return medianWakeUp(t, s, woken, 21) })
		})
	}
}

func medianWakeUp(t *testing.T, s *store.Store, woken <-chan map[uuid.UUID]time.Time, times int) time.Duration {
	t.Helper()
	took := make([]time.Duration, times)
	for i := range took {
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		took[i] = wakeUp(t, s, woken)
	}
	slices.Sort(took)
	return took[times/2]
}

// soon measures until a duration is within bounds. On a busy machine that may take several times. Without hints, which
// wake a worker before its next look, all would fail.
func soon(t *testing.T, bound time.Duration, measure func() time.Duration) {
	t.Helper()
	for range 8 {
		took := measure()
		t.Logf("%s in the median", took)
		if took < bound {
			return
		}
	}
	t.Errorf("never within %s", bound)
}

func TestSeveredListenerHeals(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := testkit.Postgres.URL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	listeners := func(then string) (n int) {
		t.Helper()
		is.NoErr(s.DB().QueryRow(t.Context(), "SELECT count("+then+
			") FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'").Scan(&n))
		return n
	}
	waitForListener := func() {
		t.Helper()
		testkit.Eventually(t, "it listens", func() bool { return listeners("*") > 0 })
	}
	woken := sleeper(t, url)
	waitForListener()
	wakeUp(t, s, woken)
	for range 3 {
		is.True(listeners("pg_terminate_backend(pid)") > 0)
		wakeUp(t, s, woken) // at the latest by its own look
		waitForListener()
		soon(t, time.Second/4, func() time.Duration { return medianWakeUp(t, s, woken, 5) }) // by the hint again
	}
}
