package maintain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// load is sixteen callers that create, claim, complete, fail, merge metadata and delete, with files. None of their
// calls may fail.
type load struct {
	root    string
	calls   atomic.Int64
	slowest atomic.Int64 // creation, in nanoseconds
}

func (l *load) run(ctx context.Context, t *testing.T, s *store.Store, goesOn func() bool) {
	var group sync.WaitGroup
	for caller := range 16 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 11))
			for goesOn() {
				if err := l.step(ctx, s, caller, random); err != nil {
					t.Error(err)
					return
				}
				l.calls.Add(1)
			}
		})
	}
	group.Wait()
}

func (l *load) step(ctx context.Context, s *store.Store, caller int, random *rand.Rand) error {
	params := testkit.Beat(fmt.Sprint("melancholic ", random.IntN(50)))
	params.FilePath = fmt.Sprintf("%d/%s.wav", caller, uuid.NewString())
	params.Metadata = store.Metadata(fmt.Sprintf(`{"bpm": %d, "genre": "trap"}`, random.IntN(200)))
	began := time.Now()
	g, err := s.CreateGeneration(ctx, params)
	if err != nil {
		return err
	}
	for took := int64(time.Since(began)); ; {
		slowest := l.slowest.Load()
		if took <= slowest || l.slowest.CompareAndSwap(slowest, took) {
			break
		}
	}
	switch random.IntN(6) {
	case 0, 1:
		_, err = s.MergeMetadata(ctx, g.ID, store.Metadata(`{"bpm": 90.5, "key": "Am"}`))
		return orElsewhere(err)
	case 2:
		_, err = s.CancelGeneration(ctx, g.ID)
		return orElsewhere(err)
	}
	claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 2, Lease: time.Minute})
	if err != nil {
		return err
	}
	for _, g := range claimed {
		if random.IntN(4) == 0 {
			_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, ErrorMessage: "no memory"})
			if orElsewhere(err) != nil {
				return err
			}
			continue
		}
		path := filepath.Join(l.root, filepath.FromSlash(g.FilePath))
		if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
			return err
		}
		if _, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt,
			FileSizeBytes: 100}); orElsewhere(err) != nil {
			return err
		}
		if random.IntN(3) == 0 && err == nil { // the generation first, then its file
			if err := s.DeleteGeneration(ctx, g.ID); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// orElsewhere returns nil for an error which says that another caller has come first.
func orElsewhere(err error) error {
	var refused *store.TransitionError
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrLeaseLost) || errors.Is(err,
		store.ErrCancelRequested) || errors.As(err, &refused) {
		return nil
	}
	return err
}

func newLoad(t *testing.T) *load {
	t.Helper()
	l := &load{root: t.TempDir()}
	for caller := range 16 {
		is.New(t).NoErr(os.Mkdir(filepath.Join(l.root, fmt.Sprint(caller)), 0o755))
	}
	return l
}

// untilDone returns a condition that holds for two seconds, or a third of one under -short, and then until done reports
// true. If the machine is too slow for that, it ends after a minute.
func untilDone(done func() bool) (goesOn func() bool) {
	lasts := 2 * time.Second
	if testing.Short() {
		lasts = time.Second / 3
	}
	began := time.Now()
	return func() bool {
		took := time.Since(began)
		return took < lasts || !done() && took < time.Minute
	}
}

func TestCheckBesideCallers(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		l := newLoad(t)
		var checks atomic.Int64
		goesOn := untilDone(func() bool { return checks.Load() > 1 })
		var group sync.WaitGroup
		group.Go(func() { l.run(t.Context(), t, s, goesOn) })
		var orphans []string
		for goesOn() {
			report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: l.root})
			is.NoErr(err)
			for _, f := range report.Findings {
				if f.Kind != store.FindingOrphanFile {
					t.Errorf("%+v", f)
					continue
				}
				orphans = append(orphans, f.ID)
			}
			checks.Add(1)
		}
		group.Wait()
		for _, orphan := range orphans { // the file may go a moment behind its generation
			if _, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(orphan))); err == nil {
				t.Errorf("%s is no orphan", orphan)
			}
		}
		is.Equal(checked(t, s, l.root), []store.Finding{})
		is.True(checks.Load() > 1)
		is.NoErr(s.CheckCounts(t.Context()))
		t.Logf("%d checks beside %d rounds of the callers, the longest creation took %s", checks.Load(), l.calls.Load(),
			time.Duration(l.slowest.Load()))
	})
}

// Things go wrong again and again, and Repair mends them beside callers that change other things.
func TestRepairBesideCallers(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		l := newLoad(t)
		kinds := []store.FindingKind{store.FindingCounter, store.FindingUsedCount, store.FindingIntegrity}
		var mendedAll atomic.Bool
		goesOn := untilDone(mendedAll.Load)
		var group sync.WaitGroup
		group.Go(func() { l.run(ctx, t, s, goesOn) })
		mended := make(map[store.FindingKind]int64)
		for round := 0; goesOn(); round++ {
			if onSQLite(t) {
				testkit.Exec(t, s, "UPDATE generation_counters SET value = value + 3 WHERE name = 'completed'")
			} else {
				testkit.Exec(t, s, "INSERT INTO generation_counters (name, value) VALUES ('completed', 3)")
			}
			testkit.Exec(t, s, "UPDATE prompts SET used_count = 0 WHERE id IN (SELECT id FROM prompts ORDER BY id LIMIT 5)")
			testkit.Exec(t, s, "DELETE FROM generation_metadata WHERE generation_id IN (SELECT id FROM generations ORDER BY id LIMIT 20)")
			if onSQLite(t) {
				testkit.Exec(t, s, "INSERT INTO prompts_search (rowid, text) VALUES ($1, 'nobody')", 1_000_000+round)
			} else {
				testkit.Exec(t, s, "DELETE FROM prompts_search WHERE prompt_id IN (SELECT id FROM prompts ORDER BY id LIMIT 5)")
			}
			report, err := s.Repair(ctx, store.CheckParams{})
			is.NoErr(err)
			for kind, count := range report.Counts {
				mended[kind] += count
			}
			mendedAll.Store(!slices.ContainsFunc(kinds, func(kind store.FindingKind) bool { return mended[kind] == 0 }))
		}
		group.Wait()
		is.True(mendedAll.Load())
		_, err := s.Repair(ctx, store.CheckParams{}) // what callers held locked was left
		is.NoErr(err)
		is.NoErr(s.CheckCounts(ctx))
		is.Equal(checked(t, s, l.root), []store.Finding{})
		t.Logf("%v mended beside %d rounds of the callers, the longest creation took %s", mended, l.calls.Load(),
			time.Duration(l.slowest.Load()))
	})
}

// Several repairs at once mend what is wrong once.
func TestRepairsAtOnce(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		createN := make([]store.CreateGenerationParams, 300)
		for i := range createN {
			createN[i] = testkit.Beat(fmt.Sprint("melancholic ", i%40))
			createN[i].Metadata = store.Metadata(`{"bpm": 140}`)
		}
		_, err := s.CreateGenerations(ctx, createN)
		is.NoErr(err)
		byHand(t, s, "UPDATE generation_counters SET value = value + 3 WHERE name = 'pending'",
			"INSERT INTO generation_counters (name, value) VALUES ('pending', 3)")
		testkit.Exec(t, s, "UPDATE prompts SET used_count = 0")
		testkit.Exec(t, s, "DELETE FROM generation_metadata")
		testkit.Exec(t, s, "UPDATE generation_counters SET value = value WHERE name = 'pending'")
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if _, err := s.Repair(ctx, store.CheckParams{}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		is.Equal(checked(t, s, ""), []store.Finding{})
		p, err := s.GetPromptByText(ctx, "melancholic 0")
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(8)) // 300 generations of 40 prompts
	})
}

// There are more expired leases than one rescue takes, and some attempts are used up.
func TestRepairRescuesAllThatIsStuck(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		params := make([]store.CreateGenerationParams, 230)
		for i := range params {
			params[i] = testkit.Beat("melancholic")
			params[i].MaxAttempts = int64(1 + i%2)
		}
		_, err := s.CreateGenerations(ctx, params)
		is.NoErr(err)
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 230, Lease: time.Second})
		is.NoErr(err)
		is.Equal(len(claimed), 230)
		clock.Advance(time.Hour)
		is.Equal(len(repaired(t, s)), 230)
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(stats.PendingGenerations, int64(115))
		is.Equal(stats.FailedGenerations, int64(115))
		is.Equal(checked(t, s, ""), []store.Finding{})
	})
}

// Metadata may have tens of thousands of keys. What Check and Repair take grows with their number, and not with its
// square: eight times the keys would take 64 times as long then.
func TestCheckAndRepairOfManyKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds")
	}
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			few, many := repairOfKeys(t, engine.Open(t), 5_000), repairOfKeys(t, engine.Open(t), 40_000)
			if many > 32*few {
				t.Errorf("5,000 keys took %s, 40,000 took %s", few, many)
			}
		})
	}
}

// repairOfKeys returns how long Check and Repair take, at best, for one generation with so many keys, of whose entries
// one is missing and one is too many.
func repairOfKeys(t *testing.T, s *store.Store, keys int) (best time.Duration) {
	t.Helper()
	is := is.New(t)
	values := make(map[string]int, keys)
	for i := range keys {
		values["key"+strconv.Itoa(i)] = i
	}
	params := testkit.Beat("many keys")
	var err error
	params.Metadata, err = store.NewMetadata(values)
	is.NoErr(err)
	g, err := s.CreateGeneration(t.Context(), params)
	is.NoErr(err)
	for range 3 {
		testkit.Exec(t, s, "DELETE FROM generation_metadata WHERE name = 'key7'")
		testkit.Exec(t, s, "UPDATE generation_metadata SET name = 'other' WHERE name = 'key8'")
		began := time.Now()
		is.Equal(len(checked(t, s, "")), 2)
		repaired(t, s)
		took := time.Since(began)
		is.Equal(len(checked(t, s, "")), 0)
		testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: map[string]any{"key7": 7, "key8": 8}}, g)
		if best == 0 || took < best {
			best = took
		}
	}
	return best
}
