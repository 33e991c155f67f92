package maintain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// checked returns what Check finds without the details, which must not be empty and must quote no prompt.
func checked(t testing.TB, s *store.Store, root string) []store.Finding {
	t.Helper()
	report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
	if err != nil {
		t.Fatal(err)
	}
	return withoutDetail(t, report)
}

// repaired does the same for Repair.
func repaired(t testing.TB, s *store.Store) []store.Finding {
	t.Helper()
	report, err := s.Repair(t.Context(), store.CheckParams{})
	if err != nil {
		t.Fatal(err)
	}
	return withoutDetail(t, report)
}

func withoutDetail(t testing.TB, report store.CheckReport) []store.Finding {
	t.Helper()
	is := is.New(t)
	counts := make(map[store.FindingKind]int64)
	findings := []store.Finding{}
	for _, f := range report.Findings {
		if f.Detail == "" || strings.Contains(f.Detail, secretPrompt) {
			t.Errorf("%+v", f)
		}
		counts[f.Kind]++
		f.Detail = ""
		findings = append(findings, f)
	}
	is.Equal(report.Counts, counts)
	is.True(slices.IsSortedFunc(findings, func(a, b store.Finding) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.ID, string(b.Kind)+"\x00"+b.ID)
	}))
	return findings
}

// secretPrompt is a word of all prompts of these tests.
const secretPrompt = "melancholic"

// onSQLite reports whether a test of the conformance suite runs on SQLite.
func onSQLite(t testing.TB) bool { return strings.Contains(t.Name(), "/sqlite") }

// byHand runs a statement of the engine with foreign keys and checks switched off on SQLite.
func byHand(t testing.TB, s *store.Store, sqlite, postgres string, args ...any) {
	t.Helper()
	if !onSQLite(t) {
		testkit.Exec(t, s, postgres, args...)
		return
	}
	for _, pragma := range []string{"PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"} {
		testkit.Exec(t, s, pragma)
	}
	testkit.Exec(t, s, sqlite, args...)
	for _, pragma := range []string{"PRAGMA foreign_keys = ON", "PRAGMA ignore_check_constraints = OFF"} {
		testkit.Exec(t, s, pragma)
	}
}

// damaged is a store with one thing wrong, and with a second generation of another prompt that is in order.
type damaged struct {
	*store.Store
	clock  *testkit.Clock
	g      store.Generation // has metadata, and an error of its first attempt
	prompt string           // the ID of its prompt
}

var damages = map[string]struct {
	only string // the engine that can be damaged so; "": both
	do   func(t *testing.T, s damaged) []store.Finding
}{
	"a counter too high": {do: func(t *testing.T, s damaged) []store.Finding {
		byHand(t, s.Store, "UPDATE generation_counters SET value = value + 5 WHERE name = 'pending'",
			"INSERT INTO generation_counters (name, value) VALUES ('pending', 5)")
		return []store.Finding{{Kind: store.FindingCounter, ID: "pending", Repairable: true}}
	}},
	"a counter too low": {do: func(t *testing.T, s damaged) []store.Finding {
		byHand(t, s.Store, "UPDATE generation_counters SET value = value - 1 WHERE name = 'prompts'",
			"INSERT INTO generation_counters (name, value) VALUES ('prompts', -1)")
		return []store.Finding{{Kind: store.FindingCounter, ID: "prompts", Repairable: true}}
	}},
	"counters that are gone": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "DELETE FROM generation_counters")
		return []store.Finding{{Kind: store.FindingCounter, ID: "pending", Repairable: true},
			{Kind: store.FindingCounter, ID: "prompts", Repairable: true}}
	}},
	"a count of uses too low": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE prompts SET used_count = 0 WHERE id = $1", s.g.PromptID)
		return []store.Finding{{Kind: store.FindingUsedCount, ID: s.prompt, Repairable: true}}
	}},
	"a count of uses that is history": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE prompts SET used_count = 7 WHERE id = $1", s.g.PromptID)
		return nil
	}},
	"a lease that ran out long ago": {do: func(t *testing.T, s damaged) []store.Finding {
		claimed := testkit.ClaimOne(t, s.Store)
		s.clock.Advance(claimed.LeaseExpiresAt.Sub(s.clock.Now()) + time.Minute - time.Microsecond)
		is.New(t).Equal(checked(t, s.Store, ""), []store.Finding{})
		s.clock.Advance(time.Microsecond)
		return []store.Finding{{Kind: store.FindingStuckLease, ID: claimed.ID.String(), Repairable: true}}
	}},
	"processing by hand": {do: func(t *testing.T, s damaged) []store.Finding {
		_, err := s.UpdateGenerationStatus(t.Context(), s.g.ID, store.StatusProcessing, "")
		is.New(t).NoErr(err)
		s.clock.Advance(day)
		return nil
	}},
	"a generation without its prompt": {do: func(t *testing.T, s damaged) []store.Finding {
		if !onSQLite(t) {
			testkit.Exec(t, s.Store, "ALTER TABLE generations DROP CONSTRAINT generations_prompt_id_fkey")
		}
		byHand(t, s.Store, "DELETE FROM prompts WHERE id = $1", "DELETE FROM prompts WHERE id = $1", s.g.PromptID)
		return []store.Finding{{Kind: store.FindingForeignKey, ID: s.g.ID.String()}}
	}},
	"errors without their generation": {do: func(t *testing.T, s damaged) []store.Finding {
		if !onSQLite(t) {
			testkit.Exec(t, s.Store, "ALTER TABLE generation_errors DROP CONSTRAINT generation_errors_generation_id_fkey")
		}
		byHand(t, s.Store, "DELETE FROM generations WHERE id = $1", "DELETE FROM generations WHERE id = $1", s.g.ID)
		return []store.Finding{{Kind: store.FindingForeignKey, ID: s.g.ID.String()}}
	}},
	"words without their prompt": {only: "postgres", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "ALTER TABLE prompts_search DROP CONSTRAINT prompts_search_prompt_id_fkey")
		testkit.Exec(t, s.Store, "INSERT INTO prompts_search (prompt_id, words) VALUES (987654, search_words('nobody'))")
		return []store.Finding{{Kind: store.FindingForeignKey, ID: "987654", Repairable: true}}
	}},
	"a prompt that is another": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE generations SET prompt = 'melancholic, but another' WHERE id = $1", s.g.ID)
		return []store.Finding{{Kind: store.FindingIntegrity, ID: s.g.ID.String()}}
	}},
	"words that are missing": {do: func(t *testing.T, s damaged) []store.Finding {
		byHand(t, s.Store, "INSERT INTO prompts_search (prompts_search, rowid, text) SELECT 'delete', id, text FROM prompts WHERE id = $1",
			"DELETE FROM prompts_search WHERE prompt_id = $1", s.g.PromptID)
		return indexFindings(t, s.prompt)
	}},
	"words that are others": {do: func(t *testing.T, s damaged) []store.Finding {
		byHand(t, s.Store, "INSERT INTO prompts_search (prompts_search, rowid, text) SELECT 'delete', id, text FROM prompts WHERE id = $1",
			"UPDATE prompts_search SET words = search_words('another') WHERE prompt_id = $1", s.g.PromptID)
		if onSQLite(t) {
			testkit.Exec(t, s.Store, "INSERT INTO prompts_search (rowid, text) VALUES ($1, 'another')", s.g.PromptID)
			return indexFindings(t)
		}
		return indexFindings(t, s.prompt)
	}},
	"words of no prompt": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "INSERT INTO prompts_search (rowid, text) VALUES (987654, 'nobody')")
		return indexFindings(t, "987654")
	}},
	"a full-text index that is no index": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE prompts_search_data SET block = x'0102030405' WHERE id > 10")
		return indexFindings(t)
	}},
	"metadata that is missing": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "DELETE FROM generation_metadata WHERE generation_id = $1 AND name = 'bpm'", s.g.ID)
		return []store.Finding{{Kind: store.FindingIntegrity, ID: s.g.ID.String(), Repairable: true}}
	}},
	"metadata of no generation": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, strings.Replace(copyMetadata(t), "generation_id FROM", "$2 FROM", 1), s.g.ID,
			testkit.NoSuchID)
		return []store.Finding{{Kind: store.FindingIntegrity, ID: testkit.NoSuchID.String(), Repairable: true}}
	}},
	"metadata that is another": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE generation_metadata SET name = 'tempo' WHERE generation_id = $1 AND name = 'bpm'",
			s.g.ID)
		return []store.Finding{
			{Kind: store.FindingIntegrity, ID: s.g.ID.String(), Repairable: true}, // misses one
			{Kind: store.FindingIntegrity, ID: s.g.ID.String(), Repairable: true}, // has one too many
		}
	}},
	"a value that the schema refuses": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		byHand(t, s.Store, "UPDATE generations SET channels = 7 WHERE id = $1", "", s.g.ID)
		return []store.Finding{{Kind: store.FindingIntegrity, ID: "database"}}
	}},
	"metadata that is none": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "DROP TRIGGER generations_metadata_before_update")
		testkit.Exec(t, s.Store, "DROP TRIGGER generations_metadata_update")
		byHand(t, s.Store, "UPDATE generations SET metadata = '{\"bpm' WHERE id = $1", "", s.g.ID)
		return []store.Finding{
			{Kind: store.FindingIntegrity, ID: "database"}, {Kind: store.FindingIntegrity,
				ID: "generation_metadata"}, {Kind: store.FindingIntegrity, ID: "generation_metadata"},
			{Kind: store.FindingUnreadable, ID: s.g.ID.String()},
		}
	}},
	"a time that is none": {do: func(t *testing.T, s damaged) []store.Finding {
		if onSQLite(t) {
			testkit.Exec(t, s.Store, "DROP TRIGGER generations_check_update")
		} else {
			testkit.Exec(t, s.Store, "ALTER TABLE generations DROP CONSTRAINT generations_scheduled_at_check")
		}
		byHand(t, s.Store, "UPDATE generations SET scheduled_at = '2025-02-30 00:00:00.000000' WHERE id = $1",
			"UPDATE generations SET scheduled_at = 'infinity' WHERE id = $1", s.g.ID)
		return []store.Finding{{Kind: store.FindingUnreadable, ID: s.g.ID.String()}}
	}},
	"a time of a year that SQLite does not sort": {only: "postgres", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "ALTER TABLE generation_errors DROP CONSTRAINT generation_errors_failed_at_check")
		testkit.Exec(t, s.Store, "UPDATE generation_errors SET failed_at = '10000-01-01 00:00:00+00'")
		return []store.Finding{{Kind: store.FindingUnreadable, ID: s.g.ID.String() + "/1"}}
	}},
	"IDs that are none": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		for _, trigger := range []string{"generations_check_insert", "generation_errors_check_insert"} {
			testkit.Exec(t, s.Store, "DROP TRIGGER "+trigger)
		}
		id := "01890000-0000-7000-8000--0000000000-"
		testkit.Exec(t, s.Store, `INSERT INTO generations
			(id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, scheduled_at,
				prompt_id)
			SELECT $1, prompt, 'm', 1, 1, 1, 'f', 'failed', created_at, created_at, prompt_id FROM generations
			WHERE generations.id = $2`, id, s.g.ID)
		testkit.Exec(t, s.Store,
			"INSERT INTO generation_errors SELECT $1, 1, 'w', 'e', created_at FROM generations LIMIT 1", id)
		testkit.Exec(t, s.Store, "UPDATE prompts SET used_count = 100")
		return []store.Finding{
			{Kind: store.FindingIntegrity, ID: "generation_metadata"}, {Kind: store.FindingIntegrity, ID: "generations"},
			{Kind: store.FindingUnreadable, ID: id}, {Kind: store.FindingUnreadable, ID: id + "/1"},
		}
	}},
	"what no store accepts": {only: "sqlite", do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE generations SET file_path = CAST(x'61ff62' AS TEXT) WHERE id = $1", s.g.ID)
		other := testkit.Create(t, s.Store, "melancholic too")
		testkit.Exec(t, s.Store, `UPDATE generations SET metadata = '{"a":1e1001}' WHERE id = $1`, other.ID)
		findings := []store.Finding{{Kind: store.FindingUnreadable, ID: s.g.ID.String()},
			{Kind: store.FindingUnreadable, ID: other.ID.String()}}
		slices.SortFunc(findings, func(a, b store.Finding) int { return strings.Compare(a.ID, b.ID) })
		return findings
	}},
	"everything that can be mended": {do: func(t *testing.T, s damaged) []store.Finding {
		testkit.Exec(t, s.Store, "UPDATE prompts SET used_count = 0")
		testkit.Exec(t, s.Store, "DELETE FROM generation_counters WHERE name = 'prompts'")
		testkit.Exec(t, s.Store, "DELETE FROM generation_metadata WHERE generation_id = $1", s.g.ID)
		return []store.Finding{
			{Kind: store.FindingCounter, ID: "prompts", Repairable: true},
			{Kind: store.FindingIntegrity, ID: s.g.ID.String(), Repairable: true},
			{Kind: store.FindingUsedCount, ID: s.prompt, Repairable: true},
			{Kind: store.FindingUsedCount, ID: strconv.FormatInt(s.g.PromptID+1, 10), Repairable: true},
		}
	}},
}

// indexFindings returns the findings for a full-text index that is wrong for these prompts. On SQLite one finding is
// about the index as a whole.
func indexFindings(t *testing.T, prompts ...string) (findings []store.Finding) {
	if onSQLite(t) {
		prompts = append(prompts, "prompts_search")
	}
	for _, id := range prompts {
		findings = append(findings, store.Finding{Kind: store.FindingIntegrity, ID: id, Repairable: true})
	}
	return findings
}

// copyMetadata copies the entry of bpm.
func copyMetadata(t *testing.T) string {
	if onSQLite(t) {
		return "INSERT INTO generation_metadata (name, value, created_at, generation_id) SELECT name, value, created_at, generation_id FROM generation_metadata WHERE generation_id = $1 AND name = 'bpm'"
	}
	return "INSERT INTO generation_metadata (name, number, hash, created_at, generation_id) SELECT name, number, hash, created_at, generation_id FROM generation_metadata WHERE generation_id = $1 AND name = 'bpm'"
}

func TestCheckFindsAndRepairMends(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, engine := range testkit.Engines {
				if damage.only != "" && damage.only != engine.Name {
					continue
				}
				t.Run(engine.Name, func(t *testing.T) {
					t.Parallel()
					is := is.New(t)
					ctx := t.Context()
					clock := testkit.NewClock()
					s := engine.Open(t, store.Options{Now: clock.Now})
					params := testkit.Beat("melancholic piano over rain")
					params.Metadata = store.Metadata(`{"bpm": 140, "genre": "lo-fi", "tags": ["sad", 1]}`)
					g, err := s.CreateGeneration(ctx, params)
					is.NoErr(err)
					claimed := testkit.ClaimOne(t, s)
					_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: claimed.Attempt,
						ErrorMessage: "no memory", RetryAfter: time.Second})
					is.NoErr(err)
					clock.Advance(time.Minute)
					testkit.Create(t, s, "melancholic trap")
					is.Equal(checked(t, s, ""), []store.Finding{})

					want := damage.do(t, damaged{s, clock, g, strconv.FormatInt(g.PromptID, 10)})
					mended, left := []store.Finding{}, []store.Finding{}
					for _, f := range want {
						if f.Repairable {
							mended = append(mended, f)
						} else {
							left = append(left, f)
						}
					}
					is.Equal(checked(t, s, ""), append([]store.Finding{}, want...))
					is.Equal(checked(t, s, ""), append([]store.Finding{}, want...)) // it has changed nothing
					is.Equal(repaired(t, s), mended)
					is.Equal(checked(t, s, ""), left)
					is.Equal(repaired(t, s), []store.Finding{})
					if len(left) > 0 {
						return
					}
					is.NoErr(s.CheckCounts(ctx))
					testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: map[string]any{"bpm": 140}}, g)
					testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: map[string]any{"tempo": 140}})
					testkit.WantListed(t, s, store.ListGenerationsParams{Search: "piano rain"}, g)
					testkit.WantListed(t, s, store.ListGenerationsParams{Search: "another"})
					testkit.Create(t, s, "melancholic, once more")
					is.NoErr(s.DeleteGeneration(ctx, g.ID))
					is.Equal(checked(t, s, ""), []store.Finding{})
				})
			}
		})
	}
}

func TestCheckOfAFreshStore(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: t.TempDir()})
		is.NoErr(err)
		is.Equal(report, store.CheckReport{Findings: []store.Finding{}, Counts: map[store.FindingKind]int64{}})
		text, err := json.Marshal(report)
		is.NoErr(err)
		is.Equal(string(text), `{"findings":[],"counts":{}}`)
		is.Equal(repaired(t, s), []store.Finding{})
		text, err = json.Marshal(store.Finding{Kind: store.FindingOrphanFile, ID: "a.wav", Detail: "d", Repairable: true})
		is.NoErr(err)
		is.Equal(string(text), `{"kind":"orphan_file","id":"a.wav","detail":"d","repairable":true}`)
	})
}

func TestCheckInMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite::memory:", Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.FillAllKinds(t, s, 50)
	testkit.Exec(t, s, "UPDATE prompts SET used_count = 1000")
	is.Equal(checked(t, s, ""), []store.Finding{})
	testkit.Exec(t, s, "DELETE FROM generation_metadata")
	testkit.Exec(t, s, "INSERT INTO prompts_search (rowid, text) VALUES (987654, 'nobody')")
	is.True(len(checked(t, s, "")) > 2)
	is.True(len(repaired(t, s)) > 2)
	is.Equal(checked(t, s, ""), []store.Finding{})
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
	is.Equal(checked(t, s, ""), []store.Finding{})
}

// Whatever callers do, Check finds nothing afterwards.
func TestCheckBehindATypicalLife(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		testkit.FillAllKinds(t, s, 200)
		testkit.Exec(t, s, "UPDATE prompts SET used_count = 1000") // which they are copied without
		batch := uuid.New()
		for i := range 120 {
			params := testkit.Beat(fmt.Sprint("melancholic ", i%30))
			params.Metadata = store.Metadata(fmt.Sprintf(`{"bpm": %d, "k%d": [1, {"a": null}], "%s": "%s"}`, i, i%4,
				strings.Repeat("long", 20), strings.Repeat("é", 70+i)))
			params.MaxAttempts = int64(1 + i%2)
			if i%3 == 0 {
				params.BatchID = batch
			}
			_, err := s.CreateGeneration(ctx, params)
			is.NoErr(err)
		}
		for i := range 80 {
			g := testkit.ClaimOne(t, s)
			var err error
			switch i % 5 {
			case 0:
				_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt,
					Metadata: store.Metadata(`{"bpm": 99.5, "key": null}`)})
			case 1:
				_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt, ErrorMessage: "no memory"})
			case 2:
				_, err = s.SetFavorite(ctx, g.ID, true)
			case 3:
				err = s.DeleteGeneration(ctx, g.ID)
			}
			is.NoErr(err)
		}
		clock.Advance(90 * time.Second)
		_, err := s.RescueGenerations(ctx, 5)
		is.NoErr(err)
		_, err = s.CancelBatch(ctx, batch)
		is.NoErr(err)
		_, err = s.RescueGenerations(ctx, 100)
		is.NoErr(err)
		is.Equal(checked(t, s, ""), []store.Finding{})
		clock.Advance(day)
		report, err := s.Prune(ctx, store.PruneParams{OlderThan: time.Hour, KeepFavorites: true, DropUnusedPrompts: true})
		is.NoErr(err)
		is.True(report.Generations > 0)
		_, err = s.RescueGenerations(ctx, 100)
		is.NoErr(err)
		is.Equal(checked(t, s, ""), []store.Finding{})
		is.Equal(repaired(t, s), []store.Finding{})
	})
}

func TestCheckOfAnAdoptedDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	_, url := testkit.PythonFile(t)
	is.NoErr(store.Migrate(ctx, url))
	s := testkit.OpenURL(t, url)
	defer s.Close()
	stuck := checked(t, s, "")
	is.Equal(len(stuck), 6) // what the service had in work
	for _, f := range stuck {
		is.Equal(f, store.Finding{Kind: store.FindingStuckLease, ID: f.ID, Repairable: true})
	}
	is.Equal(repaired(t, s), stuck)
	is.Equal(checked(t, s, ""), []store.Finding{})
	for _, f := range stuck {
		g, err := s.GetGeneration(ctx, uuid.MustParse(f.ID))
		is.NoErr(err)
		is.Equal(g.Status, store.StatusPending)
	}
}

// A report lists so many findings of a kind, and counts all.
func TestCheckBoundsWhatItReports(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		createMany := make([]store.CreateGenerationParams, 1200)
		for i := range createMany {
			createMany[i] = testkit.Beat("melancholic")
			createMany[i].Metadata = store.Metadata(`{"bpm": 140}`)
		}
		_, err := s.CreateGenerations(t.Context(), createMany)
		is.NoErr(err)
		testkit.Exec(t, s, "DELETE FROM generation_metadata")
		testkit.Exec(t, s, "UPDATE prompts SET used_count = 1")
		for _, look := range []func(context.Context, store.CheckParams) (store.CheckReport, error){s.Check, s.Repair} {
			report, err := look(t.Context(), store.CheckParams{})
			is.NoErr(err)
			is.Equal(len(report.Findings), 1001)
			is.Equal(report.Counts, map[store.FindingKind]int64{store.FindingIntegrity: 1200, store.FindingUsedCount: 1})
		}
		is.Equal(checked(t, s, ""), []store.Finding{})
	})
}

func TestCheckOnAClosedStore(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t)
			is.NoErr(s.Close())
			report, err := s.Check(t.Context(), store.CheckParams{})
			is.True(errors.Is(err, store.ErrClosed) && strings.HasPrefix(err.Error(), "store: check: "))
			is.Equal(report.Findings, []store.Finding{})
			_, err = s.Repair(t.Context(), store.CheckParams{})
			is.True(errors.Is(err, store.ErrClosed))
			is.True(errors.Is(s.Optimize(t.Context(), store.OptimizeParams{}), store.ErrClosed))
			is.True(errors.Is(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}), store.ErrClosed))
		})
	}
}

// If a context ends, before the call or in the middle, the call returns its error, and soon.
func TestMaintenanceIsCutOff(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := engine.URL(t)
			testkit.FillMany(t, url, 10_000)
			s := testkit.OpenURL(t, url)
			defer s.Close()
			testkit.Exec(t, s, "UPDATE prompts SET used_count = 1000")
			root := t.TempDir()
			for name, run := range map[string]func(context.Context) error{
				"Check": func(ctx context.Context) error {
					return testkit.Err(s.Check(ctx,
						store.CheckParams{FilesRoot: root}))
				},
				"Repair":   func(ctx context.Context) error { return testkit.Err(s.Repair(ctx, store.CheckParams{})) },
				"Optimize": func(ctx context.Context) error { return s.Optimize(ctx, store.OptimizeParams{Vacuum: true}) },
			} {
				cut := 0
				for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond,
					80 * time.Millisecond} {
					ctx, cancel := context.WithTimeout(t.Context(), after)
					err := run(ctx)
					deadline, _ := ctx.Deadline()
					late := time.Since(deadline)
					cancel()
					if err == nil {
						continue
					}
					cut++
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s after %s: %v", name, after, err)
					}
					if late > 15*time.Second {
						t.Errorf("%s came back %s late", name, late)
					}
				}
				is.True(cut >= 2)
			}
			testkit.Create(t, s, "the store goes on")
			is.NoErr(s.CheckCounts(t.Context()))
			is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
			for _, f := range checked(t, s, "") {
				is.Equal(f.Kind, store.FindingStuckLease)
			}
		})
	}
}
