package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func openNow(t testing.TB, url string) *store.Store {
	t.Helper()
	return openAt(t, url, time.Now())
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, path := missingURL(t)
	var listed struct {
		Migrations []store.Migration `json:"migrations"`
		Version    string            `json:"version"`
		Pending    int               `json:"pending"`
	}
	dgxstore(t, "migrate", "--status", "--json", "--database", url).decode(t, &listed)
	is.True(!exists(path)) // --status creates nothing
	is.True(listed.Pending > 5)
	is.Equal(listed.Pending, len(listed.Migrations))

	var first, second migrated
	dgxstore(t, "migrate", "--json", "--database", url).decode(t, &first)
	is.Equal(len(first.Applied), listed.Pending)
	newest := first.Applied[len(first.Applied)-1]
	is.Equal(first.Version, newest.Version)
	dgxstore(t, "migrate", "--json", "--database", url).decode(t, &second)
	is.Equal(len(second.Applied), 0)
	is.True(strings.Contains(dgxstore(t, "migrate", "--database", url).stdout, "is at version "+newest.Version))

	r := dgxstore(t, "migrate", "--rollback", "--database", url)
	is.Equal(r.code, exitDeclined)
	is.True(strings.Contains(r.stderr, "--yes"))
	r = dgxstore(t, "migrate", "--rollback", "--yes", "--database", url)
	is.Equal(r.code, exitDone)
	is.True(strings.Contains(r.stdout, "rolled back "+newest.Version+" "+newest.Name))
	r = dgxstore(t, "migrate", "--status", "--database", url)
	is.True(strings.Contains(r.stdout, newest.Version+"  pending  "+newest.Name))

	// If migrations are pending, status reports them, and the other commands fail.
	r = dgxstore(t, "list", "--database", url)
	is.Equal(r.code, exitSchema)
	is.True(strings.Contains(r.stderr, "dgxstore migrate"))
	r = dgxstore(t, "status", "--database", url)
	is.Equal(r.code, exitAttention)
	is.True(strings.Contains(r.stdout, "1 migration pending"))
	is.True(strings.Contains(r.stderr, "dgxstore migrate"))
	var o overview
	dgxstore(t, "status", "--json", "--database", url).decode(t, &o)
	is.Equal(o.PendingMigrations, 1)
	is.Equal(o.Stats, nil)

	r = dgxstore(t, "migrate", "--database", url)
	is.Equal(r.code, exitDone)
	is.Equal(strings.Count(r.stdout, "applied "), 1)
}

// Migrate does not create the directory of an absolute path.
func TestMigrateIntoMissingDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "none")
	url := "sqlite://" + filepath.ToSlash(dir) + "/generations.db"
	r := dgxstore(t, "migrate", "--database", url)
	is.Equal(r.code, exitError)
	is.True(strings.Contains(r.stderr, "directory"))
	is.Equal(dgxstore(t, "migrate", "--json", "--database", url).code, exitError)
	is.True(!exists(dir))
}

func TestMigratePostgres(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.EmptyPostgresURL(t)
	is.Equal(dgxstore(t, "migrate", "--rollback", "--yes", "--database", url).code, exitNotFound)
	is.Equal(dgxstore(t, "migrate", "--database", url).code, exitDone)
	is.Equal(dgxstore(t, "list", "--database", url).code, exitDone)
}

// A database of a newer program is not changed, and the error does not recommend to migrate.
func TestSchemaAhead(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		_, err := openNow(t, url).DB().Exec(t.Context(),
			"INSERT INTO schema_migrations (version) VALUES ('29991231235959')")
		is.NoErr(err)
		for _, name := range []string{"list", "status", "migrate"} {
			r := dgxstore(t, name, "--database", url)
			is.Equal(r.code, exitSchema)
			is.True(strings.Contains(r.stderr, "upgrade the program"))
			is.True(!strings.Contains(r.stderr, "dgxstore migrate"))
		}
		r := dgxstore(t, "migrate", "--status", "--database", url)
		is.True(strings.Contains(r.stdout, "29991231235959  applied  (from a newer program)"))
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		r := dgxstore(t, "status", "--database", url)
		is.Equal(r.code, exitDone)
		is.True(strings.Contains(r.stdout, "up to date"))

		s := openNow(t, url)
		createCompleted(t, s, beat("trap beat"))
		failed := createFailed(t, s, beat("lo-fi piano"), "CUDA out of memory")
		create(t, s, beat("waits"))
		var o overview
		r = dgxstore(t, "status", "--json", "--database", url)
		is.Equal(r.code, exitDone)
		r.decode(t, &o)
		is.Equal(o.Stats.TotalGenerations, int64(3))
		is.Equal(*o.LastDay, lastDay{Created: 3, Completed: 1, Failed: 1})
		is.Equal(o.LastFailed.ID, failed.ID)
		is.Equal(*o.LastFailed.ErrorMessage, "CUDA out of memory")
		is.True(o.LastCompleted.EndedAt != nil)
		is.True(o.SizeBytes > 10000)
		is.True(strings.Contains(url, o.Engine))
		is.True(strings.Contains(o.EngineVersion, "."))
		is.True(!o.Queue.Paused)
		is.Equal(o.Attention, []string{})

		// The queue is paused while a generation is pending.
		is.Equal(dgxstore(t, "pause", "--database", url).code, exitDone)
		r = dgxstore(t, "status", "--database", url)
		is.Equal(r.code, exitAttention)
		is.True(strings.Contains(r.stdout, "paused since "))
		is.True(strings.Contains(r.stderr, "dgxstore resume"))
		is.Equal(dgxstore(t, "resume", "--database", url).code, exitDone)
		is.Equal(dgxstore(t, "status", "--database", url).code, exitDone)

		// One worker was killed two hours ago. Another one works, and needs no attention.
		past := openAt(t, url, time.Now().Add(-2*time.Hour))
		create(t, past, beat("stuck"))
		stuck := claim(t, past, "gpu-7 \x1b[31m", time.Minute)
		claim(t, s, "gpu-8", time.Hour)
		r = dgxstore(t, "status", "--database", url)
		is.Equal(r.code, exitAttention)
		checkHarmless(t, r.stdout)
		is.True(strings.Contains(r.stdout, "2, 1 of them stuck"))
		is.True(strings.Contains(r.stdout, stuck.ID.String()+"  1h59m ago"))
		is.True(strings.Contains(r.stdout, `gpu-7 \x1b[31m`))
		r = dgxstore(t, "status", "--json", "--database", url)
		is.Equal(r.code, exitAttention)
		r.decode(t, &o)
		is.Equal(len(o.StuckLeases), 1)
		is.Equal(o.StuckLeases[0].ID, stuck.ID)
		is.Equal(len(o.Attention), 1)
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		now := time.Now().Truncate(time.Second)
		at := func(age time.Duration) *store.Store { return openAt(t, url, now.Add(-age)) }
		batch := uuid.MustParse("01890000-0000-7000-8000-00000000000b")

		trap := beat("trap beat at 140 BPM")
		trap.Metadata = store.Metadata(`{"bpm": 140, "genre": "trap", "take": "1"}`)
		old := createCompleted(t, at(72*time.Hour), trap)
		large := beat("lo-fi piano")
		large.ModelName, large.BatchID = "musicgen-large", batch
		failed := createFailed(t, at(2*time.Hour), large, "CUDA out of memory")
		nasty := create(t, at(time.Minute), beat(hostile))
		_, err := at(0).SetFavorite(t.Context(), nasty.ID, true)
		is.NoErr(err)

		list := func(args ...string) (ids []uuid.UUID) {
			t.Helper()
			var page store.GenerationPage
			dgxstore(t, append([]string{"list", "--json", "--database", url}, args...)...).decode(t, &page)
			for _, g := range page.Generations {
				ids = append(ids, g.ID)
			}
			return ids
		}
		is.Equal(list(), []uuid.UUID{nasty.ID, failed.ID, old.ID})
		is.Equal(list("--oldest-first"), []uuid.UUID{old.ID, failed.ID, nasty.ID})
		is.Equal(list("--status", "failed"), []uuid.UUID{failed.ID})
		is.Equal(list("--model", "musicgen-large"), []uuid.UUID{failed.ID})
		is.Equal(list("--batch", batch.String()), []uuid.UUID{failed.ID})
		is.Equal(list("--favorite"), []uuid.UUID{nasty.ID})
		is.Equal(list("--since", "24h"), []uuid.UUID{nasty.ID, failed.ID})
		is.Equal(list("--until", "1d"), []uuid.UUID{old.ID})
		is.Equal(list("--since", now.Add(-3*time.Hour).UTC().Format(time.RFC3339), "--until", "1h"), []uuid.UUID{failed.ID})
		is.Equal(list("--since", now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)), nil)
		is.Equal(list("--metadata", "genre=trap", "--metadata", "bpm=140.0"), []uuid.UUID{old.ID})
		is.Equal(list("--metadata", `take="1"`), []uuid.UUID{old.ID})
		is.Equal(list("--metadata", "take=1"), nil) // a number, not the string
		is.Equal(list("--metadata-range", "bpm=135..145"), []uuid.UUID{old.ID})
		is.Equal(list("--metadata-range", "bpm=141.."), nil)
		is.Equal(list("--metadata-range", "bpm=..140"), []uuid.UUID{old.ID})
		is.Equal(list("--prompt", "piano"), []uuid.UUID{failed.ID})

		// Pages.
		var page store.GenerationPage
		dgxstore(t, "list", "--json", "--limit", "2", "--database", url).decode(t, &page)
		is.Equal(list("--after", string(page.Next)), []uuid.UUID{old.ID})
		r := dgxstore(t, "list", "--limit", "2", "--database", url)
		is.True(strings.Contains(r.stdout, "--after "+string(page.Next)))

		// The table.
		r = dgxstore(t, "list", "--database", url)
		is.Equal(r.code, exitDone)
		checkHarmless(t, r.stdout)
		lines := strings.Split(r.stdout, "\n")
		is.True(strings.HasPrefix(lines[0], "ID  "))
		is.True(strings.HasPrefix(lines[1], nasty.ID.String()+"  pending  "))
		is.True(strings.HasSuffix(lines[1], `trap \x1b[31mred\x1b]0;title\x07 \r over \u009b1m \u202e drow`))
		is.True(strings.Contains(lines[2], "  2h0m  "))
		is.True(strings.Contains(lines[3], old.CreatedAt.UTC().Format("2006-01-02 15:04:05Z")))
		is.Equal(dgxstore(t, "list", "--status", "cancelled", "--database", url).stdout, "no generations\n")
		checkHarmless(t, dgxstore(t, "list", "--json", "--database", url).stdout)
		dgxstore(t, "list", "--json", "--favorite", "--database", url).decode(t, &page)
		is.Equal(page.Generations[0].Prompt, hostile) // JSON keeps every character
	})
}

func TestShow(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		params := beat(hostile + "\nsecond line")
		params.Metadata = store.Metadata(`{"note": "a\u001b[31m\u009b b"}`)
		params.MaxAttempts = 1
		create(t, s, params)
		g := claim(t, s, "gpu-7", time.Minute)

		r := dgxstore(t, "show", g.ID.String(), "--database", url)
		is.Equal(r.code, exitDone)
		is.True(strings.Contains(r.stdout, "processing 0%"))
		is.True(strings.Contains(r.stdout, "gpu-7"))

		_, err := s.FailGeneration(t.Context(), g.ID, store.FailGenerationParams{
			Attempt: 1, ErrorMessage: "Traceback:\n\tfile \x1b[31m\u009b\nCUDA out of memory",
		})
		is.NoErr(err)
		r = dgxstore(t, "show", g.ID.String(), "--database", url)
		is.Equal(r.code, exitDone)
		checkHarmless(t, r.stdout)
		for _, part := range []string{
			g.ID.String(), `trap \x1b[31mred`, "\n          second line\n", "failed", "musicgen-small",
			"16.0s, 32000 Hz, stereo", g.FilePath, "1 of 1", "Attempt 1", `"note": "a\u001b[31m\u009b b"`,
			`file \x1b[31m\u009b`, "CUDA out of memory", "s ago",
		} {
			if !strings.Contains(r.stdout, part) {
				t.Errorf("%q is not in %s", part, r.stdout)
			}
		}
		var all details
		dgxstore(t, "show", "--json", g.ID.String(), "--database", url).decode(t, &all)
		is.Equal(all.Generation.Prompt, params.Prompt)
		is.Equal(len(all.Errors), 1)
		is.Equal(all.QueuePosition, nil)

		waiting := create(t, s, beat("waits"))
		dgxstore(t, "show", "--json", waiting.ID.String(), "--database", url).decode(t, &all)
		is.Equal(*all.QueuePosition, int64(1))
		r = dgxstore(t, "show", waiting.ID.String(), "--database", url)
		is.True(strings.Contains(r.stdout, "position 1, priority"))

		r = dgxstore(t, "show", noSuchID, "--database", url)
		is.Equal(r.code, exitNotFound)
		is.Equal(r.stderr, "dgxstore: get generation "+noSuchID+": not found\n")
		is.Equal(dgxstore(t, "show", "--json", noSuchID, "--database", url).code, exitNotFound)
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		piano := createCompleted(t, s, beat("lo-fi piano"))
		createCompleted(t, s, beat("lo-fi piano"))
		create(t, s, beat("piano \x1b[31m and drums"))

		r := dgxstore(t, "search", "lo-fi", "--database", url)
		is.Equal(r.code, exitDone)
		is.True(strings.Contains(r.stdout, "[lo-fi] piano"))
		is.True(strings.Contains(r.stdout, "  2  ")) // uses
		r = dgxstore(t, "search", "piano", "--database", url)
		checkHarmless(t, r.stdout)
		is.Equal(strings.Count(r.stdout, "\n"), 3)

		var prompts struct {
			Prompts []store.PromptHit `json:"prompts"`
		}
		dgxstore(t, "search", "--json", "--database", url, "piano", "--", "-drums").decode(t, &prompts)
		is.Equal(len(prompts.Prompts), 1)
		is.Equal(prompts.Prompts[0].Prompt.UsedCount, int64(2))

		var generations struct {
			Generations []store.GenerationHit `json:"generations"`
		}
		dgxstore(t, "search", "--json", "--generations", "--status", "completed", "--limit", "5", "--database", url,
			"pia*").decode(t, &generations)
		is.Equal(len(generations.Generations), 2)
		r = dgxstore(t, "search", "--generations", "--database", url, "piano")
		is.True(strings.Contains(r.stdout, piano.ID.String()))
		checkHarmless(t, r.stdout)

		r = dgxstore(t, "search", "nothing", "--database", url)
		is.Equal(r.code, exitDone)
		is.Equal(r.stdout, "no matches\n")
		dgxstore(t, "search", "--json", "nothing", "--database", url).decode(t, &prompts)
		is.Equal(len(prompts.Prompts), 0)
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		batch := uuid.New()
		inBatch := beat("trap beat")
		inBatch.BatchID = batch
		create(t, s, inBatch)
		createCompleted(t, s, inBatch)
		createFailed(t, s, beat("lo-fi piano"), "CUDA out of memory")

		var c counts
		dgxstore(t, "stats", "--json", "--database", url).decode(t, &c)
		is.Equal(c.TotalGenerations, int64(3))
		is.Equal(c.TotalPrompts, int64(2))
		is.Equal(c.Queue.Paused, false)
		dgxstore(t, "stats", "--json", "--batch", batch.String(), "--database", url).decode(t, &c)
		is.Equal(c.TotalGenerations, int64(2))
		dgxstore(t, "stats", "--json", "--models", "--database", url).decode(t, &c)
		is.Equal(len(c.Models), 1)
		is.Equal(c.Models[0].FailureRate, 0.5)

		r := dgxstore(t, "stats", "--models", "--database", url)
		is.Equal(r.code, exitDone)
		is.True(strings.Contains(r.stdout, "Total           3\n"))
		is.True(strings.Contains(r.stdout, "50.0%"))
		is.True(strings.Contains(r.stdout, "musicgen-small"))
		is.Equal(dgxstore(t, "stats", "--batch", noSuchID, "--database", url).code, exitNotFound)
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		now := time.Now().UTC()
		for age := range 3 {
			s := openAt(t, url, now.AddDate(0, 0, -age))
			for range age + 1 {
				createCompleted(t, s, beat("trap beat"))
			}
		}
		var usage struct {
			Days []store.DayUsage `json:"days"`
		}
		dgxstore(t, "usage", "--json", "--days", "3", "--database", url).decode(t, &usage)
		is.Equal(len(usage.Days), 3)
		is.Equal(usage.Days[0].Day, now.AddDate(0, 0, -2).Format(time.DateOnly))
		is.Equal(usage.Days[0].Completed, int64(3))
		is.Equal(usage.Days[2].Completed, int64(1))
		r := dgxstore(t, "usage", "--database", url)
		is.Equal(r.code, exitDone)
		is.Equal(strings.Count(r.stdout, "\n"), 15) // a header and 14 days, but no chart without a terminal
		today := strings.Split(r.stdout, "\n")[14]
		is.Equal(strings.Fields(today), []string{now.Format(time.DateOnly), "1", "1", "0", "16.0s", "18.5s"})
	})
}
