package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
)

// found are the kinds and IDs of what a check finds.
func found(t testing.TB, s *store.Store, params store.CheckParams) []string {
	t.Helper()
	report, err := s.Check(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return kindsAndIDs(report)
}

func kindsAndIDs(report store.CheckReport) []string {
	all := []string{}
	for _, f := range report.Findings {
		all = append(all, string(f.Kind)+" "+f.ID)
	}
	return all
}

// breakages are each of a kind of finding that Repair mends, made by hand. What is found is the kind and the ID.
var breakages = map[string]struct {
	statements map[string][]string // by engine; $id and $prompt stand for those of the generation
	found      map[string]string
}{
	"counter": {
		statements: map[string][]string{
			"sqlite":   {"UPDATE generation_counters SET value = value + 2 WHERE name = 'pending'"},
			"postgres": {"INSERT INTO generation_counters (name, value) VALUES ('pending', -3)"},
		},
		found: map[string]string{"sqlite": "counter pending", "postgres": "counter pending"},
	},
	"counter that is missing": {
		statements: map[string][]string{
			"sqlite":   {"DELETE FROM generation_counters WHERE name = 'prompts'"},
			"postgres": {"DELETE FROM generation_counters WHERE name = 'prompts'"},
		},
		found: map[string]string{"sqlite": "counter prompts", "postgres": "counter prompts"},
	},
	"used count": {
		statements: map[string][]string{
			"sqlite":   {"UPDATE prompts SET used_count = 0 WHERE id = $prompt"},
			"postgres": {"UPDATE prompts SET used_count = 0 WHERE id = $prompt"},
		},
		found: map[string]string{"sqlite": "used_count $prompt", "postgres": "used_count $prompt"},
	},
	"missing metadata": {
		statements: map[string][]string{
			"sqlite":   {"DELETE FROM generation_metadata WHERE name = 'genre'"},
			"postgres": {"DELETE FROM generation_metadata WHERE name = 'genre'"},
		},
		found: map[string]string{"sqlite": "integrity $id", "postgres": "integrity $id"},
	},
	"surplus metadata": {
		statements: map[string][]string{
			"sqlite":   {"INSERT INTO generation_metadata (name, value, created_at, generation_id) SELECT 'bpm', 1.0, created_at, id FROM generations"},
			"postgres": {"INSERT INTO generation_metadata (name, number, hash, created_at, generation_id) SELECT 'bpm', 1, 0, created_at, id FROM generations"},
		},
		found: map[string]string{"sqlite": "integrity $id", "postgres": "integrity $id"},
	},
	"words that are missing": {
		statements: map[string][]string{
			"sqlite":   {"INSERT INTO prompts_search (prompts_search, rowid, text) SELECT 'delete', id, text FROM prompts"},
			"postgres": {"DELETE FROM prompts_search"},
		},
		found: map[string]string{"sqlite": "integrity $prompt, integrity prompts_search", "postgres": "integrity $prompt"},
	},
	"words of another text": {
		statements: map[string][]string{
			"sqlite": {
				"INSERT INTO prompts_search (prompts_search, rowid, text) SELECT 'delete', id, text FROM prompts",
				"INSERT INTO prompts_search (rowid, text) SELECT id, 'quite another' FROM prompts",
			},
			"postgres": {"UPDATE prompts_search SET words = 'other'"},
		},
		found: map[string]string{"sqlite": "integrity prompts_search", "postgres": "integrity $prompt"},
	},
}

func TestRepairMendsWhatCheckFinds(t *testing.T) {
	for name, broken := range breakages {
		t.Run(name, func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, s *store.Store) {
				is := is.New(t)
				engine := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
				params := beat("a secret prompt")
				params.Metadata = store.Metadata(`{"bpm": 140, "genre": "trap", "tags": [1, "x"]}`)
				g, err := s.CreateGeneration(t.Context(), params)
				is.NoErr(err)
				is.Equal(found(t, s, store.CheckParams{}), []string{})
				quoted := strings.NewReplacer("$id", g.ID.String(), "$prompt", strconv.FormatInt(g.PromptID, 10))
				for _, statement := range broken.statements[engine] {
					_, err := s.DB().Exec(t.Context(), quoted.Replace(statement))
					is.NoErr(err)
				}
				want := strings.Split(quoted.Replace(broken.found[engine]), ", ")
				before, err := s.Check(t.Context(), store.CheckParams{})
				is.NoErr(err)
				is.Equal(kindsAndIDs(before), want)
				for _, f := range before.Findings {
					is.True(f.Repairable)
					is.True(!strings.Contains(f.Detail, "secret"))
					is.True(before.Counts[f.Kind] > 0)
				}
				mended, err := s.Repair(t.Context(), store.CheckParams{})
				is.NoErr(err)
				is.Equal(mended, before)
				is.Equal(found(t, s, store.CheckParams{}), []string{})
				again, err := s.Repair(t.Context(), store.CheckParams{})
				is.NoErr(err)
				is.Equal(len(again.Findings), 0)
				hits, err := s.SearchPrompts(t.Context(), "secret", 10)
				is.NoErr(err)
				is.Equal(len(hits), 1)
				page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Metadata: map[string]any{"genre": "trap"}})
				is.NoErr(err)
				is.Equal(len(page.Generations), 1)
			})
		})
	}
}

func TestRepairRescuesStuckLeases(t *testing.T) {
	onEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testClock) {
		is := is.New(t)
		create(t, s, "stuck")
		g := claimOne(t, s)
		byHand := create(t, s, "by hand")
		_, err := s.UpdateGenerationStatus(t.Context(), byHand.ID, store.StatusProcessing, "")
		is.NoErr(err)
		clock.Advance(time.Minute + 30*time.Second) // its lease was a minute: it ran out just now
		is.Equal(found(t, s, store.CheckParams{}), []string{})
		clock.Advance(time.Minute)
		is.Equal(found(t, s, store.CheckParams{}), []string{"stuck_lease " + g.ID.String()})
		mended, err := s.Repair(t.Context(), store.CheckParams{})
		is.NoErr(err)
		is.Equal(kindsAndIDs(mended), []string{"stuck_lease " + g.ID.String()})
		is.Equal(found(t, s, store.CheckParams{}), []string{})
		g, err = s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.True(g.IsPending())
	})
}

// What only people can mend is found, and left.
func TestCheckFindsWhatRepairLeaves(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			s := engine.open(t)
			g := create(t, s, "a secret prompt")
			other := create(t, s, "other")
			statements := []string{"UPDATE generations SET prompt = 'hidden' WHERE id = '" + other.ID.String() + "'"}
			if engine.name == "sqlite" {
				statements = append(statements, "PRAGMA foreign_keys = OFF", "UPDATE generations SET prompt_id = 999 WHERE id = '"+g.ID.String()+"'", "PRAGMA foreign_keys = ON")
			} else {
				statements = append(statements, "ALTER TABLE generations DISABLE TRIGGER ALL", "UPDATE generations SET prompt_id = 999 WHERE id = '"+g.ID.String()+"'", "ALTER TABLE generations ENABLE TRIGGER ALL")
			}
			for _, statement := range statements {
				_, err := s.DB().Exec(ctx, statement)
				is.NoErr(err)
			}
			want := []string{"foreign_key " + g.ID.String(), "integrity " + other.ID.String()}
			report, err := s.Check(ctx, store.CheckParams{})
			is.NoErr(err)
			is.Equal(kindsAndIDs(report), want)
			for _, f := range report.Findings {
				is.True(!f.Repairable && !strings.Contains(f.Detail, "secret") && !strings.Contains(f.Detail, "hidden"))
			}
			mended, err := s.Repair(ctx, store.CheckParams{})
			is.NoErr(err)
			is.Equal(len(mended.Findings), 0)
			is.Equal(found(t, s, store.CheckParams{}), want)
		})
	}
}

func TestCheckLooksAtFiles(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		root, outside := t.TempDir(), t.TempDir()
		long := time.Now().Add(-time.Hour)
		write := func(path string, size int, written time.Time) {
			is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
			is.NoErr(os.WriteFile(path, make([]byte, size), 0o644))
			is.NoErr(os.Chtimes(path, written, written))
		}
		completed := func(path string, size int64) store.Generation {
			params := beat("a")
			params.FilePath = path
			g, err := s.CreateGeneration(t.Context(), params)
			is.NoErr(err)
			g, err = s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{FileSizeBytes: size})
			is.NoErr(err)
			return g
		}
		write(filepath.Join(root, "2026", "right.wav"), 5, long)
		completed("2026/right.wav", 5)
		completed("./2026/../2026/right.wav", 5)
		write(filepath.Join(root, "absolute.wav"), 6, long)
		completed(filepath.Join(root, "absolute.wav"), 6)
		write(filepath.Join(outside, "outside.wav"), 7, long)
		completed(filepath.Join(outside, "outside.wav"), 7)
		waits := beat("a")
		waits.FilePath = "waits.wav"
		_, err := s.CreateGeneration(t.Context(), waits)
		is.NoErr(err)
		write(filepath.Join(root, "waits.wav"), 1, long)
		write(filepath.Join(root, "being written.wav"), 1, time.Now().Add(time.Hour))
		is.NoErr(os.Symlink("2026", filepath.Join(root, "latest")))
		write(filepath.Join(root, "2026", "behind a link.wav"), 3, long)
		completed("latest/behind a link.wav", 3)
		is.Equal(found(t, s, store.CheckParams{FilesRoot: root}), []string{})

		missing, wrong := completed("missing.wav", 5), completed("2026/right.wav", 4)
		leadsOut := completed("../"+filepath.Base(outside)+"/outside.wav", 7)
		is.NoErr(os.Symlink(filepath.Join(outside, "outside.wav"), filepath.Join(root, "link.wav")))
		throughLink := completed("link.wav", 7)
		folder := completed("2026", 0)
		write(filepath.Join(root, "2026", "orphan.wav"), 1, long)
		write(filepath.Join(root, "orphan just now.wav"), 1, time.Now().Add(-time.Millisecond))
		is.NoErr(os.Symlink(outside, filepath.Join(root, "elsewhere"))) // not followed
		report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
		is.NoErr(err)
		want := map[string]bool{
			"missing_file " + missing.ID.String():     true,
			"missing_file " + throughLink.ID.String(): true,
			"missing_file " + folder.ID.String():      true,
			"file_size " + wrong.ID.String():          true,
			"file_path " + leadsOut.ID.String():       true,
			"orphan_file 2026/orphan.wav":             true,
			"orphan_file orphan just now.wav":         true,
		}
		got := make(map[string]bool)
		for _, f := range report.Findings {
			got[string(f.Kind)+" "+f.ID] = true
			is.True(!f.Repairable)
		}
		is.Equal(got, want)
		mended, err := s.Repair(t.Context(), store.CheckParams{FilesRoot: root})
		is.NoErr(err)
		is.Equal(len(mended.Findings), 0)
		_, err = os.Stat(filepath.Join(root, "2026", "orphan.wav"))
		is.NoErr(err)

		for _, none := range []string{filepath.Join(root, "nowhere"), filepath.Join(root, "absolute.wav")} {
			for _, look := range []func() error{
				func() error { _, err := s.Check(t.Context(), store.CheckParams{FilesRoot: none}); return err },
				func() error { _, err := s.Repair(t.Context(), store.CheckParams{FilesRoot: none}); return err },
			} {
				var refused *store.ValidationError
				is.True(errors.As(look(), &refused))
				is.Equal(refused.Field, "files_root")
			}
		}
	})
}

// The database may be where the audio is.
func TestCheckTakesTheDatabaseForNoOrphan(t *testing.T) {
	is := is.New(t)
	url := engines[0].url(t)
	s := openAt(t, url)
	defer s.Close()
	create(t, s, "a")
	path := strings.TrimPrefix(url, "sqlite://")
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		is.NoErr(os.Chtimes(file, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)))
	}
	is.Equal(found(t, s, store.CheckParams{FilesRoot: filepath.Dir(path)}), []string{})
}

func TestCheckKeepsAThousandOfAKindAndCountsAll(t *testing.T) {
	is := is.New(t)
	s := engines[0].open(t)
	root := t.TempDir()
	for i := range 1200 {
		path := filepath.Join(root, fmt.Sprintf("%04d.wav", i))
		is.NoErr(os.WriteFile(path, nil, 0o644))
		is.NoErr(os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)))
	}
	report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
	is.NoErr(err)
	is.Equal(len(report.Findings), 1000)
	is.Equal(report.Counts, map[store.FindingKind]int64{store.FindingOrphanFile: 1200})
}

func TestCheckFindsABrokenFile(t *testing.T) {
	is := is.New(t)
	url := engines[0].url(t)
	s := openAt(t, url)
	params := make([]store.CreateGenerationParams, 5000)
	for i := range params {
		params[i] = beat(fmt.Sprint("prompt ", i))
		params[i].Metadata = store.Metadata(`{"bpm": 140, "genre": "trap"}`)
	}
	_, err := s.CreateGenerations(t.Context(), params)
	is.NoErr(err)
	is.Equal(found(t, s, store.CheckParams{}), []string{})
	is.NoErr(s.Close())
	path := strings.TrimPrefix(url, "sqlite://")
	data, err := os.ReadFile(path)
	is.NoErr(err)
	middle := len(data) / 2 / 4096 * 4096
	for i := range 5 * 4096 {
		data[middle+i] = 0xa5
	}
	is.NoErr(os.WriteFile(path, data, 0o600))
	s = openAt(t, url)
	defer s.Close()
	report, err := s.Check(t.Context(), store.CheckParams{})
	is.NoErr(err)
	is.True(report.Counts[store.FindingIntegrity] > 0)
	is.Equal(report.Findings[0].Kind, store.FindingIntegrity)
}

// Sixteen callers do all that there is to do, with files, while one checks again and again, and one repairs: nothing is found that is not so.
func TestCheckFindsNothingBesideCallers(t *testing.T) {
	lasting := 4 * time.Second
	if testing.Short() {
		lasting = time.Second
	}
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		root := t.TempDir()
		until := time.Now().Add(lasting)
		var group sync.WaitGroup
		for caller := range 16 {
			group.Go(func() {
				for i := 0; time.Now().Before(until); i++ {
					params := beat(fmt.Sprintf("prompt %d", i%20))
					params.FilePath = fmt.Sprintf("%d-%d.wav", caller, i)
					params.Metadata = store.Metadata(fmt.Sprintf(`{"bpm": %d, "genre": "trap"}`, i))
					g, err := s.CreateGeneration(ctx, params)
					if err == nil && i%3 == 0 { // before there is a file, which would be an orphan until it is removed
						if err = s.DeleteGeneration(ctx, g.ID); err == nil {
							continue
						}
					}
					if err == nil {
						err = os.WriteFile(filepath.Join(root, params.FilePath), make([]byte, i), 0o644)
					}
					if err == nil {
						_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{FileSizeBytes: int64(i), Metadata: store.Metadata(`{"bpm": 1, "key": "a"}`)})
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		defer group.Wait() // where the test ends early
		checks := 0
		for time.Now().Before(until) {
			report, err := s.Check(ctx, store.CheckParams{FilesRoot: root})
			is.NoErr(err)
			is.Equal(report.Findings, []store.Finding{})
			mended, err := s.Repair(ctx, store.CheckParams{})
			is.NoErr(err)
			is.Equal(len(mended.Findings), 0)
			checks++
		}
		group.Wait()
		t.Logf("%d checks", checks)
		is.Equal(found(t, s, store.CheckParams{FilesRoot: root}), []string{})
	})
}

// Counters and uses that are wrong are mended while others count: nothing of theirs is lost.
func TestRepairBesideCallers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		hot := create(t, s, "hot")
		stop := make(chan struct{})
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := s.CreateGeneration(ctx, beat("hot")); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		breakCounter := "UPDATE generation_counters SET value = value + 7 WHERE name = 'pending'"
		if strings.HasSuffix(t.Name(), "postgres") {
			breakCounter = "INSERT INTO generation_counters (name, value) VALUES ('pending', 7)"
		}
		for range 5 {
			_, err := s.DB().Exec(ctx, breakCounter)
			is.NoErr(err)
			_, err = s.DB().Exec(ctx, "UPDATE prompts SET used_count = 1 WHERE id = $1", hot.PromptID)
			is.NoErr(err)
			var both sync.WaitGroup
			for range 2 { // two who repair at once
				both.Go(func() {
					if _, err := s.Repair(ctx, store.CheckParams{}); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			is.Equal(found(t, s, store.CheckParams{}), []string{})
		}
		close(stop)
		group.Wait()
		is.NoErr(s.CheckCounts(ctx))
		p, err := s.GetPrompt(ctx, hot.PromptID)
		is.NoErr(err)
		stats, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(p.UsedCount, stats.TotalGenerations)
	})
}
