package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// betweenAllEngines runs a test for each way between two engines, on migrated, empty databases.
func betweenAllEngines(t *testing.T, test func(t *testing.T, fromURL, toURL string)) {
	t.Helper()
	for _, from := range engines {
		for _, to := range engines {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				t.Parallel()
				test(t, from.url(t), to.url(t))
			})
		}
	}
}

func openURL(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func execSQL(t testing.TB, s *store.Store, statement string, args ...any) {
	t.Helper()
	if _, err := s.DB().Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t testing.TB, s *store.Store, query string) (n int64) {
	t.Helper()
	if err := s.DB().QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// allKinds fills a store with rows that have everything which a row can have, and n plain ones.
func allKinds(t testing.TB, s *store.Store, n int) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	queries := storagedb.New(s.DB())
	at := time.Date(2026, 11, 23, 9, 0, 22, 123456000, time.UTC)
	early, late := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	prompts := []storagedb.CopyPromptsParams{
		{ID: -3, Text: "negative", FirstUsedAt: early, LastUsedAt: late},
		{ID: 7, Text: "日本の琴, \U0001F3B5 \"quoted\" \\ \ttab\nline", UsedCount: math.MaxInt64, FirstUsedAt: at, LastUsedAt: at},
		{ID: 1000, Text: strings.Repeat("é", store.MaxPromptBytes/2), UsedCount: 1, FirstUsedAt: at, LastUsedAt: at.Add(time.Microsecond)},
	}
	_, err := queries.CopyPrompts(ctx, prompts)
	must(err)

	rows := rowsToCopy(store.Prompt{ID: 7, Text: prompts[1].Text}, 20)
	rows[0].ID = uuid.Nil
	rows[1].ID = uuid.Max
	full := &rows[2]
	full.ModelVersion, full.FileSizeBytes, full.Status, full.CompletedAt = new(""), new(int64(math.MaxInt64)), store.StatusCompleted, &late
	full.GenerationTimeSeconds, full.ErrorMessage, full.Priority, full.StartedAt = new(0.1+0.2), new("it's\r\nok"), math.MinInt64, &early
	full.Attempt, full.MaxAttempts, full.Worker, full.LeaseExpiresAt, full.BatchID = 2, 5, new("wörker"), &at, &uuid.UUID{15: 1}
	full.ProgressStep, full.ProgressFraction, full.CancelRequestedAt, full.Favorite = "mixing", 1.0/3, &at, true
	rows[3].DurationSeconds, rows[3].GenerationTimeSeconds = math.SmallestNonzeroFloat64, new(0.0)
	rows[4].DurationSeconds, rows[4].Priority = math.MaxFloat64, math.MaxInt64
	for i, status := range storagedb.Statuses() {
		rows[5+i].Status = status
	}
	for i, metadata := range []string{
		``, `{"big":12345678901234567890123,"exp":1.50e3,"tiny":1e-1000,"huge":-1E1000,"zero":-0.0,"float":3.140}`,
		`{"":{"z":[1,"two",null,true,{"b":1,"a":[]}],"a":"\ud83c\udfb5 \u0001\"\\\/"}}`, `{"long":"` + strings.Repeat("x", 1<<17) + `"}`,
		`{"日本":"語","A":1,"a":2}`,
	} {
		rows[10+i].Metadata = store.Metadata(metadata)
	}
	rows = append(rows, rowsToCopy(store.Prompt{ID: 1000, Text: prompts[2].Text}, n)...)
	_, err = queries.CopyGenerations(ctx, rows)
	must(err)
	_, err = queries.CopyGenerationErrors(ctx, []storagedb.CopyGenerationErrorsParams{
		{GenerationID: uuid.Nil, Attempt: 1, Worker: "w", Error: "", FailedAt: at},
		{GenerationID: uuid.Nil, Attempt: 2, Worker: "w", Error: "no GPU \U0001F525", FailedAt: early},
		{GenerationID: uuid.Max, Attempt: math.MaxInt64, Worker: "w", Error: strings.Repeat("e", 1<<16), FailedAt: late},
		{GenerationID: full.ID, Attempt: 1, Worker: "wörker", Error: "e", FailedAt: at},
	})
	must(err)
}

type contents struct {
	prompts     []store.Prompt
	generations []store.Generation
	errors      []store.GenerationError
	pausedAt    *time.Time
}

// contentsOf reads everything, with metadata as what it means.
func contentsOf(t testing.TB, s *store.Store) (c contents, metadata []any) {
	t.Helper()
	ctx := t.Context()
	queries := storagedb.New(s.DB())
	var errs [4]error
	c.prompts, errs[0] = queries.PromptsBehind(ctx, storagedb.PromptsBehindParams{ID: math.MinInt64, RowLimit: math.MaxInt32})
	c.generations, errs[1] = queries.GenerationsFrom(ctx, storagedb.GenerationsFromParams{RowLimit: math.MaxInt32})
	c.errors, errs[2] = queries.GenerationErrorsBehind(ctx, storagedb.GenerationErrorsBehindParams{RowLimit: math.MaxInt32})
	c.pausedAt, errs[3] = queries.QueuePausedAt(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for i := range c.generations {
		decoder := json.NewDecoder(strings.NewReader(c.generations[i].Metadata.String()))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		metadata = append(metadata, exact(t, value))
		c.generations[i].Metadata = nil
	}
	return c, metadata
}

// exact is a JSON value whose numbers are fractions.
func exact(t testing.TB, value any) any {
	switch value := value.(type) {
	case json.Number:
		number, ok := new(big.Rat).SetString(value.String())
		if !ok {
			t.Fatal(value)
		}
		return number.String()
	case []any:
		for i := range value {
			value[i] = exact(t, value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = exact(t, value[key])
		}
	}
	return value
}

// wantSame compares two stores value by value, and what a destination's triggers keep with its rows.
func wantSame(t testing.TB, fromURL, toURL string) {
	t.Helper()
	is := is.New(t)
	from, to := openURL(t, fromURL), openURL(t, toURL)
	defer from.Close()
	defer to.Close()
	want, wantMetadata := contentsOf(t, from)
	got, gotMetadata := contentsOf(t, to)
	is.Equal(len(got.prompts), len(want.prompts))
	for i := range want.prompts {
		is.Equal(got.prompts[i], want.prompts[i])
	}
	is.Equal(len(got.generations), len(want.generations))
	for i := range want.generations {
		is.Equal(got.generations[i], want.generations[i])
		is.Equal(gotMetadata[i], wantMetadata[i])
	}
	is.Equal(got.errors, want.errors)
	is.Equal(got.pausedAt, want.pausedAt)
	is.NoErr(to.CheckCounts(t.Context()))
	is.Equal(count(t, to, "SELECT count(*) FROM generation_metadata"), count(t, from, "SELECT count(*) FROM generation_metadata"))
	wantNoProgressTable(t, to)
}

func wantNoProgressTable(t testing.TB, s *store.Store) {
	t.Helper()
	var n int64
	is.New(t).True(s.DB().QueryRow(t.Context(), "SELECT count(*) FROM transfer_progress").Scan(&n) != nil)
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		ctx := t.Context()
		from := openURL(t, fromURL)
		allKinds(t, from, 300)
		deleted, err := from.TrackPrompt(ctx, "deleted")
		is.NoErr(err)
		is.NoErr(from.DeletePrompt(ctx, deleted.ID))
		is.NoErr(from.PauseQueue(ctx))
		is.NoErr(from.Close())

		report, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{BatchSize: 70})
		is.NoErr(err)
		is.Equal(report.Resumed, false)
		rows := map[string]int64{}
		for _, table := range report.Tables {
			rows[table.Name] = table.Rows
			is.Equal(len(table.SHA256), 64)
		}
		is.Equal(rows, map[string]int64{"prompts": 3, "generations": 320, "generation_errors": 4, "generation_queue": 1})
		wantSame(t, fromURL, toURL)

		to := openURL(t, toURL)
		next, err := to.TrackPrompt(ctx, "the next")
		is.NoErr(err)
		is.True(next.ID > deleted.ID) // never used twice
		hits, err := to.SearchPrompts(ctx, "quoted", 10)
		is.NoErr(err)
		is.Equal(len(hits), 1)
		is.NoErr(to.DeletePrompt(ctx, next.ID))
		is.NoErr(to.Close())

		// On to an engine of the other kind and back: what is there is the same, and so are the hashes.
		for _, engine := range engines {
			backURL := engine.url(t)
			back, err := store.Transfer(ctx, toURL, backURL, store.TransferOptions{})
			is.NoErr(err)
			is.Equal(back, report)
			wantSame(t, fromURL, backURL)
			again := openURL(t, backURL)
			later, err := again.TrackPrompt(ctx, "later")
			is.NoErr(err)
			is.True(later.ID > next.ID)
		}
	})
}

func TestTransferIntoADatabaseThatIsNotThere(t *testing.T) {
	for _, from := range engines {
		for _, to := range emptyDatabases {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				ctx := t.Context()
				fromURL, toURL := from.url(t), to.url(t)
				report, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{}) // of nothing
				is.NoErr(err)
				is.Equal(len(report.Tables), 4)
				is.Equal(report.Tables[1].Rows, int64(0))
				wantSame(t, fromURL, toURL)
				s := openURL(t, toURL)
				first, err := s.TrackPrompt(ctx, "first")
				is.NoErr(err)
				is.Equal(first.ID, int64(1))
			})
		}
	}
}

// What SQLite alone has, and what PostgreSQL alone has, is the same on the other.
func TestTransferOfSpellings(t *testing.T) {
	t.Parallel()
	for i, statements := range [][]string{
		{`UPDATE generations SET metadata = '{"a": {"b":1, "b":2.50e1, "\u0063":[1,1]}, "a2":-0}', favorite = 1`},
		{`UPDATE generations SET metadata = '{"a": {"b":1, "b":2.50e1, "\u0063":[1,1]}, "a2":-0}', generation_time_seconds = '-0', progress_fraction = '-0'`},
	} {
		for _, to := range engines {
			t.Run(engines[i].name+" to "+to.name, func(t *testing.T) {
				is := is.New(t)
				fromURL, toURL := engines[i].url(t), to.url(t)
				from := openURL(t, fromURL)
				create(t, from, "a beat")
				for _, statement := range statements {
					execSQL(t, from, statement)
				}
				_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{})
				is.NoErr(err)
				if i == 0 { // SQLite counts each of two keys
					execSQL(t, from, "UPDATE generations SET metadata = '{\"a\":{\"b\":25,\"c\":[1,1]},\"a2\":0}'")
				}
				wantSame(t, fromURL, toURL)
			})
		}
	}
}

func TestTransferTellsHowFarItIs(t *testing.T) {
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		allKinds(t, openURL(t, fromURL), 130)
		type line struct {
			table     string
			comparing bool
		}
		last := make(map[line]store.TransferProgress)
		var order []line
		_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 20, Progress: func(p store.TransferProgress) {
			key := line{p.Table, p.Comparing}
			before, found := last[key]
			is.True(p.Done > before.Done)
			is.True(p.Done-before.Done <= 20)
			is.True(p.Done <= p.Total)
			is.True(!found || p.Total == before.Total)
			if len(order) == 0 || order[len(order)-1] != key {
				order = append(order, key)
			}
			last[key] = p
		}})
		is.NoErr(err)
		for _, p := range last {
			is.Equal(p.Done, p.Total)
		}
		is.Equal(last[line{"generations", false}].Total, int64(150))
		is.Equal(last[line{"generations", true}].Total, int64(300))
		tables := []string{"prompts", "generations", "generation_errors", "generation_queue"}
		var want []line
		for _, comparing := range []bool{true, false, true} {
			for _, table := range tables {
				want = append(want, line{table, comparing})
			}
		}
		is.Equal(order, want)
	})
}

// A batch ends where it has some megabytes, so that memory is bounded however long the rows are.
func TestTransferOfLongRows(t *testing.T) {
	if testing.Short() {
		t.Skip("writes much")
	}
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		from := openURL(t, fromURL)
		prompt, err := from.TrackPrompt(t.Context(), "long")
		is.NoErr(err)
		rows := rowsToCopy(prompt, 40)
		for i := range rows {
			rows[i].Metadata = store.Metadata(`{"long":"` + strings.Repeat("x", 1<<20-1000) + `"}`)
		}
		_, err = storagedb.New(from.DB()).CopyGenerations(t.Context(), rows)
		is.NoErr(err)
		done := int64(0)
		_, err = store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{Progress: func(p store.TransferProgress) {
			if p.Table == "generations" && !p.Comparing {
				is.True(p.Done-done <= 5)
				done = p.Done
			}
		}})
		is.NoErr(err)
		is.Equal(done, int64(40))
		wantSame(t, fromURL, toURL)
	})
}

func TestTransferIntoADatabaseWithRows(t *testing.T) {
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		ctx := t.Context()
		create(t, openURL(t, fromURL), "a beat")
		to := openURL(t, toURL)
		_, err := to.TrackPrompt(ctx, "mine")
		is.NoErr(err)
		is.NoErr(to.PauseQueue(ctx))
		is.NoErr(to.Close())
		// At an older version, too: its schema stays as it is.
		is.NoErr(store.Rollback(ctx, toURL))
		before, err := store.MigrationStatus(ctx, toURL)
		is.NoErr(err)
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		after, err := store.MigrationStatus(ctx, toURL)
		is.NoErr(err)
		is.Equal(after, before)

		is.NoErr(store.Migrate(ctx, toURL))
		was, _ := contentsOf(t, openURL(t, toURL))
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.True(strings.Contains(err.Error(), "store.Reset"))
		is.True(!strings.Contains(err.Error(), "mine"))
		to = openURL(t, toURL)
		now, _ := contentsOf(t, to)
		is.Equal(now, was)
		wantNoProgressTable(t, to)
		is.NoErr(to.Close())

		is.NoErr(store.Reset(ctx, toURL))
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.NoErr(err)
		wantSame(t, fromURL, toURL)
	})
}

// interrupted transfers until so many generations are there, and then ends its context.
func interrupted(t *testing.T, fromURL, toURL string, until int64) {
	t.Helper()
	is := is.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{BatchSize: 20, Progress: func(p store.TransferProgress) {
		if p.Table == "generations" && !p.Comparing && p.Done >= until {
			cancel()
		}
	}})
	is.True(errors.Is(err, context.Canceled))
	is.Equal(count(t, openURL(t, toURL), "SELECT count(*) FROM generations"), until)
}

func TestTransferGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		allKinds(t, openURL(t, fromURL), 130)
		interrupted(t, fromURL, toURL, 40)
		interrupted(t, fromURL, toURL, 60)
		first := int64(0)
		report, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 20, Progress: func(p store.TransferProgress) {
			if p.Table == "generations" && !p.Comparing && first == 0 {
				first = p.Done
			}
		}})
		is.NoErr(err)
		is.True(report.Resumed)
		is.Equal(first, int64(80)) // with those that were there
		wantSame(t, fromURL, toURL)

		anotherURL := engines[0].url(t)
		direct, err := store.Transfer(t.Context(), fromURL, anotherURL, store.TransferOptions{})
		is.NoErr(err)
		is.Equal(report.Tables, direct.Tables)
		_, err = store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{}) // it is an ordinary database now
		is.True(errors.Is(err, store.ErrNotEmpty))
	})
}

// What an interrupted transfer has left is not gone on with where it would not become what the source is.
func TestTransferThatCannotGoOn(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		ctx := t.Context()
		from := openURL(t, fromURL)
		allKinds(t, from, 130)
		interrupted(t, fromURL, toURL, 40)

		otherURL := engines[0].url(t)
		create(t, openURL(t, otherURL), "another source")
		_, err := store.Transfer(ctx, otherURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))

		to := openURL(t, toURL)
		g := create(t, to, "somebody uses the destination")
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.NoErr(to.DeletePrompt(ctx, g.PromptID))

		execSQL(t, from, "UPDATE generations SET favorite = NOT favorite WHERE id = '00000000-0000-0000-0000-000000000000'")
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.Equal(count(t, to, "SELECT count(*) FROM generations"), int64(40))
		execSQL(t, from, "UPDATE generations SET favorite = NOT favorite WHERE id = '00000000-0000-0000-0000-000000000000'")

		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.NoErr(err)
		wantSame(t, fromURL, toURL)
	})
}

func TestTransferWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		ctx := t.Context()
		from := openURL(t, fromURL)
		allKinds(t, from, 130)
		for _, change := range []struct {
			table     string
			inSource  bool
			statement string
		}{
			{"prompts", true, "UPDATE prompts SET used_count = 5 WHERE id = 7"},
			{"generations", true, "UPDATE generations SET progress_fraction = 0.25 WHERE id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
			{"generations", false, `UPDATE generations SET metadata = '{"bpm":140.0000000000000000001}' WHERE id = '00000000-0000-0000-0000-000000000000'`},
			{"generation_errors", false, "DELETE FROM generation_errors WHERE attempt = 2"},
			{"generation_queue", false, "UPDATE generation_queue SET paused_at = '2026-01-01 00:00:00.000001'"},
		} {
			is := is.New(t)
			changed := false
			_, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{Progress: func(p store.TransferProgress) {
				if changed || p.Comparing != change.inSource || change.inSource != (p.Table == "generation_queue") && change.inSource || !change.inSource && p.Table != "generation_queue" {
					return
				}
				changed = true
				url := toURL
				if change.inSource {
					url = fromURL
				}
				s := openURL(t, url)
				execSQL(t, s, change.statement)
				is.NoErr(s.Close())
			}})
			is.True(changed)
			mismatch, ok := errors.AsType[*store.TransferMismatchError](err)
			is.True(ok)
			is.Equal(mismatch.Table, change.table)
			is.True(mismatch.Source != mismatch.Destination)
			is.True(strings.Contains(err.Error(), "store.Reset"))
			to := openURL(t, toURL)
			is.True(count(t, to, "SELECT count(*) FROM transfer_progress") > 0)
			is.NoErr(to.Close())
			_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			is.True(err != nil) // it does not mend that
			is.NoErr(store.Reset(ctx, toURL))
		}
		is := is.New(t)
		_, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.NoErr(err)
		wantSame(t, fromURL, toURL)
	})
}

func TestTransfersIntoTheSameDestination(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		for _, until := range []int64{20, 150} {
			is := is.New(t)
			if until == 20 {
				allKinds(t, openURL(t, fromURL), 130)
			}
			other := false
			_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 20, Progress: func(p store.TransferProgress) {
				if p.Table != "generations" || p.Comparing || p.Done < until || other {
					return
				}
				other = true
				report, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 15})
				is.NoErr(err)
				is.True(report.Resumed)
			}})
			is.True(other)
			is.True(errors.Is(err, store.ErrBusy))
			wantSame(t, fromURL, toURL)
			is.NoErr(store.Reset(t.Context(), toURL))
		}
	})
}

func TestTransferAtTheSameTime(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		allKinds(t, openURL(t, fromURL), 130)
		const transfers = 4
		ended := make(chan error, transfers)
		for range transfers {
			go func() {
				_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 10})
				ended <- err
			}()
		}
		through := 0
		for range transfers {
			err := <-ended
			if err == nil {
				through++
			} else if !errors.Is(err, store.ErrBusy) && !errors.Is(err, store.ErrNotEmpty) { // the others have ended already
				t.Error(err)
			}
		}
		is.Equal(through, 1)
		wantSame(t, fromURL, toURL)
	})
}

// Rows of the Python service that no store takes are found before anything is written.
func TestTransferOfRowsThatNoStoreHolds(t *testing.T) {
	t.Parallel()
	for _, to := range emptyDatabases {
		t.Run(to.name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			fromURL := engines[0].url(t)
			from := openURL(t, fromURL)
			execSQL(t, from, "DROP TRIGGER prompts_text_length")
			long, err := from.TrackPrompt(ctx, "é")
			is.NoErr(err)
			execSQL(t, from, "UPDATE prompts SET text = $1 WHERE id = $2", strings.Repeat("é", 1000)+"x", long.ID)
			for i, metadata := range []string{`{"a":["\u0000"]}`, `{"a":"\ud800"}`, `{"a":1e1001}`, `{"a":1}`} {
				g := create(t, from, fmt.Sprint("beat ", i))
				execSQL(t, from, "UPDATE generations SET metadata = $1 WHERE id = $2", metadata, g.ID)
			}
			bad := create(t, from, "not UTF-8")
			execSQL(t, from, "UPDATE generations SET file_path = CAST(x'61ff62' AS TEXT) WHERE id = $1", bad.ID)

			orphan := create(t, from, "goes")
			execSQL(t, from, "PRAGMA foreign_keys = OFF")
			execSQL(t, from, "DELETE FROM prompts WHERE id = $1", orphan.PromptID)
			execSQL(t, from, "INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at) VALUES ($1, 3, 'w', 'e', $2)", noSuchID, orphan.CreatedAt)

			toURL := to.url(t)
			_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			unfit, ok := errors.AsType[*store.UnfitRowsError](err)
			is.True(ok)
			is.Equal(unfit.Total, int64(7))
			is.Equal(unfit.Rows[5], store.UnfitRow{Table: "generations", Key: orphan.ID.String(), Field: "prompt_id", Problem: "names no prompt"})
			is.Equal(unfit.Rows[6], store.UnfitRow{Table: "generation_errors", Key: noSuchID.String(), Field: "generation_id", Problem: "names no generation"})
			is.Equal(unfit.Rows[0], store.UnfitRow{Table: "prompts", Key: fmt.Sprint(long.ID), Field: "text", Problem: "is 2001 bytes long; at most 2000 are accepted"})
			for _, row := range unfit.Rows[1:4] {
				is.Equal(row.Field, "metadata")
			}
			is.Equal(unfit.Rows[4], store.UnfitRow{Table: "generations", Key: bad.ID.String(), Field: "file_path", Problem: "is not valid UTF-8"})
			is.True(strings.Contains(err.Error(), bad.ID.String()))
			is.True(!strings.Contains(err.Error(), "éé"))
			wantApplied(t, toURL, 0) // nothing was written, not even a schema
			if path, found := strings.CutPrefix(toURL, "sqlite://"); found {
				_, err := os.Stat(path)
				is.True(os.IsNotExist(err))
			}

			for i := range 200 {
				g := create(t, from, fmt.Sprint("more ", i))
				execSQL(t, from, `UPDATE generations SET metadata = '{"a":1e1001}' WHERE id = $1`, g.ID)
			}
			_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			unfit, ok = errors.AsType[*store.UnfitRowsError](err)
			is.True(ok)
			is.Equal(unfit.Total, int64(207))
			is.Equal(len(unfit.Rows), 100)
			is.True(strings.Contains(err.Error(), "and 197 more"))
		})
	}
}

func TestTransferIntoTheSameDatabase(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	for _, engine := range engines {
		url := engine.url(t)
		create(t, openURL(t, url), "a beat")
		others := []string{url}
		if path, found := strings.CutPrefix(url, "sqlite://"); found {
			link := filepath.Join(t.TempDir(), "link.db")
			is.NoErr(os.Symlink(path, link))
			hard := filepath.Join(filepath.Dir(path), "hard.db")
			is.NoErr(os.Link(path, hard))
			others = append(others, "sqlite://"+link, "sqlite://"+hard)
		} else {
			others = append(others, url+"&application_name=another")
		}
		for _, other := range others {
			_, err := store.Transfer(ctx, url, other, store.TransferOptions{})
			refused, ok := errors.AsType[*store.ValidationError](err)
			is.True(ok)
			is.Equal(refused.Field, "to_url")
		}
	}
}

// Two schemas of a PostgreSQL database are two stores.
func TestTransferIntoAnotherSchema(t *testing.T) {
	is := is.New(t)
	fromURL := engines[1].url(t)
	from := openURL(t, fromURL)
	allKinds(t, from, 10)
	execSQL(t, from, "CREATE SCHEMA another")
	toURL := fromURL + "&search_path=another"
	_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{})
	is.NoErr(err)
	wantSame(t, fromURL, toURL)
}

func TestTransferOfBadOptions(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	fromURL := engines[0].url(t)
	missing := "sqlite://" + filepath.Join(t.TempDir(), "missing.db")
	wantField := func(err error, field string) {
		t.Helper()
		refused, ok := errors.AsType[*store.ValidationError](err)
		is.True(ok)
		is.Equal(refused.Field, field)
	}
	for _, size := range []int{-1, 1_000_001} {
		_, err := store.Transfer(ctx, fromURL, missing, store.TransferOptions{BatchSize: size})
		wantField(err, "batch_size")
	}
	_, err := store.Transfer(ctx, fromURL, "sqlite::memory:", store.TransferOptions{})
	wantField(err, "to_url")
	_, err = store.Transfer(ctx, missing, engines[0].url(t), store.TransferOptions{})
	is.True(errors.Is(err, store.ErrSchemaOutdated))
	_, err = store.Transfer(ctx, "mysql://user:secret@host/x", fromURL, store.TransferOptions{})
	is.True(err != nil)
	_, err = store.Transfer(ctx, fromURL, "mysql://user:secret@host/x", store.TransferOptions{})
	is.True(err != nil)
	is.True(!strings.Contains(err.Error(), "secret"))

	is.NoErr(store.Rollback(ctx, fromURL))
	_, err = store.Transfer(ctx, fromURL, missing, store.TransferOptions{})
	is.True(errors.Is(err, store.ErrSchemaOutdated))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = store.Transfer(ended, fromURL, missing, store.TransferOptions{})
	is.True(errors.Is(err, context.Canceled))
	_, err = os.Stat(strings.TrimPrefix(missing, "sqlite://"))
	is.True(os.IsNotExist(err))
}
