package transfer_test

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

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// betweenAllEngines runs a test for each way between two engines, on migrated, empty databases.
func betweenAllEngines(t *testing.T, test func(t *testing.T, fromURL, toURL string)) {
	t.Helper()
	for _, from := range testkit.Engines {
		for _, to := range testkit.Engines {
			t.Run(from.Name+" to "+to.Name, func(t *testing.T) {
				t.Parallel()
				test(t, from.URL(t), to.URL(t))
			})
		}
	}
}

type contents struct {
	prompts     []store.Prompt
	generations []store.Generation
	errors      []store.GenerationError
	pausedAt    *time.Time
}

// contentsOf reads everything, and metadata as the values that it means.
func contentsOf(t testing.TB, s *store.Store) (c contents, metadata []any) {
	t.Helper()
	ctx := t.Context()
	queries := storagedb.New(s.DB())
	var errs [4]error
	c.prompts, errs[0] = queries.PromptsBehind(ctx, storagedb.PromptsBehindParams{ID: math.MinInt64,
		RowLimit: math.MaxInt32})
	c.generations, errs[1] = queries.GenerationsFrom(ctx, storagedb.GenerationsFromParams{RowLimit: math.MaxInt32})
	c.errors, errs[2] = queries.GenerationErrorsBehind(ctx,
		storagedb.GenerationErrorsBehindParams{RowLimit: math.MaxInt32})
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

// exact returns a JSON value with its numbers as fractions.
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

// wantSame compares two stores value by value, and the rows that the destination's triggers keep.
func wantSame(t testing.TB, fromURL, toURL string) {
	t.Helper()
	is := is.New(t)
	from, to := testkit.OpenURL(t, fromURL), testkit.OpenURL(t, toURL)
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
	is.Equal(testkit.Count(t, to, "SELECT count(*) FROM generation_metadata"),
		testkit.Count(t, from, "SELECT count(*) FROM generation_metadata"))
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
		from := testkit.OpenURL(t, fromURL)
		testkit.FillAllKinds(t, from, 300)
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

		to := testkit.OpenURL(t, toURL)
		next, err := to.TrackPrompt(ctx, "the next")
		is.NoErr(err)
		is.True(next.ID > deleted.ID) // never used twice
		hits, err := to.SearchPrompts(ctx, "quoted", 10)
		is.NoErr(err)
		is.Equal(len(hits), 1)
		is.NoErr(to.DeletePrompt(ctx, next.ID))
		is.NoErr(to.Close())

		// On to an engine of the other kind and back: what is there is the same, and so are the hashes.
		for _, engine := range testkit.Engines {
			backURL := engine.URL(t)
			back, err := store.Transfer(ctx, toURL, backURL, store.TransferOptions{})
			is.NoErr(err)
			is.Equal(back, report)
			wantSame(t, fromURL, backURL)
			again := testkit.OpenURL(t, backURL)
			later, err := again.TrackPrompt(ctx, "later")
			is.NoErr(err)
			is.True(later.ID > next.ID)
		}
	})
}

func TestTransferIntoADatabaseThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, from := range testkit.Engines {
		for _, to := range testkit.EmptyDatabases {
			t.Run(from.Name+" to "+to.Name, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				ctx := t.Context()
				fromURL, toURL := from.URL(t), to.URL(t)
				report, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{}) // of nothing
				is.NoErr(err)
				is.Equal(len(report.Tables), 4)
				is.Equal(report.Tables[1].Rows, int64(0))
				wantSame(t, fromURL, toURL)
				s := testkit.OpenURL(t, toURL)
				first, err := s.TrackPrompt(ctx, "first")
				is.NoErr(err)
				is.Equal(first.ID, int64(1))
			})
		}
	}
}

// Values that only one engine spells so are the same on the other.
func TestTransferOfSpellings(t *testing.T) {
	t.Parallel()
	for i, statements := range [][]string{
		{`UPDATE generations SET metadata = '{"a": {"b":1, "b":2.50e1, "\u0063":[1,1]}, "a2":-0}', favorite = 1`},
		{`UPDATE generations SET metadata = '{"a": {"b":1, "b":2.50e1, "\u0063":[1,1]}, "a2":-0}', generation_time_seconds = '-0', progress_fraction = '-0'`},
	} {
		for _, to := range testkit.Engines {
			t.Run(testkit.Engines[i].Name+" to "+to.Name, func(t *testing.T) {
				is := is.New(t)
				fromURL, toURL := testkit.Engines[i].URL(t), to.URL(t)
				from := testkit.OpenURL(t, fromURL)
				testkit.Create(t, from, "a beat")
				for _, statement := range statements {
					testkit.Exec(t, from, statement)
				}
				_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{})
				is.NoErr(err)
				if i == 0 { // SQLite counts each of two keys
					testkit.Exec(t, from, "UPDATE generations SET metadata = '{\"a\":{\"b\":25,\"c\":[1,1]},\"a2\":0}'")
				}
				wantSame(t, fromURL, toURL)
			})
		}
	}
}

func TestTransferTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		testkit.FillAllKinds(t, testkit.OpenURL(t, fromURL), 130)
		type line struct {
			table     string
			comparing bool
		}
		last := make(map[line]store.TransferProgress)
		var order []line
		_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 20,
			Progress: func(p store.TransferProgress) {
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

// A batch ends when it has some megabytes, so that memory is bounded however long the rows are.
func TestTransferOfLongRows(t *testing.T) {
	if testing.Short() {
		t.Skip("writes much")
	}
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		from := testkit.OpenURL(t, fromURL)
		prompt, err := from.TrackPrompt(t.Context(), "long")
		is.NoErr(err)
		rows := testkit.RowsToCopy(prompt, 40)
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
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		ctx := t.Context()
		testkit.Create(t, testkit.OpenURL(t, fromURL), "a beat")
		to := testkit.OpenURL(t, toURL)
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
		was, _ := contentsOf(t, testkit.OpenURL(t, toURL))
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.True(strings.Contains(err.Error(), "store.Reset"))
		is.True(!strings.Contains(err.Error(), "mine"))
		to = testkit.OpenURL(t, toURL)
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

// interrupted transfers until so many generations are copied, and then ends its context.
func interrupted(t *testing.T, fromURL, toURL string, until int64) {
	t.Helper()
	is := is.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{BatchSize: 20,
		Progress: func(p store.TransferProgress) {
			if p.Table == "generations" && !p.Comparing && p.Done >= until {
				cancel()
			}
		}})
	is.True(errors.Is(err, context.Canceled))
	is.Equal(testkit.Count(t, testkit.OpenURL(t, toURL), "SELECT count(*) FROM generations"), until)
}

func TestTransferGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		testkit.FillAllKinds(t, testkit.OpenURL(t, fromURL), 130)
		interrupted(t, fromURL, toURL, 40)
		interrupted(t, fromURL, toURL, 60)
		first := int64(0)
		report, err := store.Transfer(t.Context(), fromURL, toURL,
			store.TransferOptions{BatchSize: 20, Progress: func(p store.TransferProgress) {
				if p.Table == "generations" && !p.Comparing && first == 0 {
					first = p.Done
				}
			}})
		is.NoErr(err)
		is.True(report.Resumed)
		is.Equal(first, int64(80)) // with those that were there
		wantSame(t, fromURL, toURL)

		anotherURL := testkit.SQLite.URL(t)
		direct, err := store.Transfer(t.Context(), fromURL, anotherURL, store.TransferOptions{})
		is.NoErr(err)
		is.Equal(report.Tables, direct.Tables)
		_, err = store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{}) // it is an ordinary database now
		is.True(errors.Is(err, store.ErrNotEmpty))
	})
}

// A transfer does not go on from an interrupted one if the result would not equal the source.
func TestTransferThatCannotGoOn(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		is := is.New(t)
		ctx := t.Context()
		from := testkit.OpenURL(t, fromURL)
		testkit.FillAllKinds(t, from, 130)
		interrupted(t, fromURL, toURL, 40)

		otherURL := testkit.SQLite.URL(t)
		testkit.Create(t, testkit.OpenURL(t, otherURL), "another source")
		_, err := store.Transfer(ctx, otherURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))

		to := testkit.OpenURL(t, toURL)
		g := testkit.Create(t, to, "somebody uses the destination")
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.NoErr(to.DeletePrompt(ctx, g.PromptID))

		testkit.Exec(t, from, "UPDATE generations SET favorite = NOT favorite WHERE id = '00000000-0000-0000-0000-000000000000'")
		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.True(errors.Is(err, store.ErrNotEmpty))
		is.Equal(testkit.Count(t, to, "SELECT count(*) FROM generations"), int64(40))
		testkit.Exec(t, from, "UPDATE generations SET favorite = NOT favorite WHERE id = '00000000-0000-0000-0000-000000000000'")

		_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
		is.NoErr(err)
		wantSame(t, fromURL, toURL)
	})
}

func TestTransferWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	betweenAllEngines(t, func(t *testing.T, fromURL, toURL string) {
		if testing.Short() && fromURL[:6] == toURL[:6] {
			t.Skip("the ways between different engines are enough for a short run")
		}
		ctx := t.Context()
		from := testkit.OpenURL(t, fromURL)
		testkit.FillAllKinds(t, from, 130)
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
				s := testkit.OpenURL(t, url)
				testkit.Exec(t, s, change.statement)
				is.NoErr(s.Close())
			}})
			is.True(changed)
			mismatch, ok := errors.AsType[*store.TransferMismatchError](err)
			is.True(ok)
			is.Equal(mismatch.Table, change.table)
			is.True(mismatch.Source != mismatch.Destination)
			is.True(strings.Contains(err.Error(), "store.Reset"))
			to := testkit.OpenURL(t, toURL)
			is.True(testkit.Count(t, to, "SELECT count(*) FROM transfer_progress") > 0)
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
				testkit.FillAllKinds(t, testkit.OpenURL(t, fromURL), 130)
			}
			other := false
			_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{BatchSize: 20,
				Progress: func(p store.TransferProgress) {
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
		testkit.FillAllKinds(t, testkit.OpenURL(t, fromURL), 130)
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

// Rows of the Python service that no store accepts are found before anything is written.
func TestTransferOfRowsThatNoStoreHolds(t *testing.T) {
	t.Parallel()
	for _, to := range testkit.EmptyDatabases {
		t.Run(to.Name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			fromURL := testkit.SQLite.URL(t)
			from := testkit.OpenURL(t, fromURL)
			testkit.Exec(t, from, "DROP TRIGGER prompts_check_insert")
			long, err := from.TrackPrompt(ctx, "é")
			is.NoErr(err)
			testkit.Exec(t, from, "UPDATE prompts SET text = $1 WHERE id = $2", strings.Repeat("é", 1000)+"x", long.ID)
			for i, metadata := range []string{`{"a":["\u0000"]}`, `{"a":"\ud800"}`, `{"a":1e1001}`, `{"a":1}`} {
				g := testkit.Create(t, from, fmt.Sprint("beat ", i))
				testkit.Exec(t, from, "UPDATE generations SET metadata = $1 WHERE id = $2", metadata, g.ID)
			}
			bad := testkit.Create(t, from, "not UTF-8")
			testkit.Exec(t, from, "UPDATE generations SET file_path = CAST(x'61ff62' AS TEXT) WHERE id = $1", bad.ID)

			orphan := testkit.Create(t, from, "goes")
			testkit.Exec(t, from, "PRAGMA foreign_keys = OFF")
			testkit.Exec(t, from, "DELETE FROM prompts WHERE id = $1", orphan.PromptID)
			testkit.Exec(t, from, "INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at) VALUES ($1, 3, 'w', 'e', $2)", testkit.NoSuchID, orphan.CreatedAt)

			toURL := to.URL(t)
			_, err = store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			unfit, ok := errors.AsType[*store.UnfitRowsError](err)
			is.True(ok)
			is.Equal(unfit.Total, int64(7))
			is.Equal(unfit.Rows[5], store.UnfitRow{Table: "generations", Key: orphan.ID.String(), Field: "prompt_id",
				Problem: "names no prompt"})
			is.Equal(unfit.Rows[6], store.UnfitRow{Table: "generation_errors", Key: testkit.NoSuchID.String(),
				Field: "generation_id", Problem: "names no generation"})
			is.Equal(unfit.Rows[0], store.UnfitRow{Table: "prompts", Key: fmt.Sprint(long.ID), Field: "text",
				Problem: "is 2001 bytes long; at most 2000 are accepted"})
			for _, row := range unfit.Rows[1:4] {
				is.Equal(row.Field, "metadata")
			}
			is.Equal(unfit.Rows[4], store.UnfitRow{Table: "generations", Key: bad.ID.String(), Field: "file_path",
				Problem: "is not valid UTF-8"})
			is.True(strings.Contains(err.Error(), bad.ID.String()))
			is.True(!strings.Contains(err.Error(), "éé"))
			testkit.WantApplied(t, toURL, 0) // nothing was written, not even a schema
			if path, found := strings.CutPrefix(toURL, "sqlite://"); found {
				_, err := os.Stat(path)
				is.True(os.IsNotExist(err))
			}

			for i := range 200 {
				g := testkit.Create(t, from, fmt.Sprint("more ", i))
				testkit.Exec(t, from, `UPDATE generations SET metadata = '{"a":1e1001}' WHERE id = $1`, g.ID)
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
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	for _, engine := range testkit.Engines {
		url := engine.URL(t)
		testkit.Create(t, testkit.OpenURL(t, url), "a beat")
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
	t.Parallel()
	is := is.New(t)
	fromURL := testkit.Postgres.URL(t)
	from := testkit.OpenURL(t, fromURL)
	testkit.FillAllKinds(t, from, 10)
	testkit.Exec(t, from, "CREATE SCHEMA another")
	toURL := fromURL + "&search_path=another"
	_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{})
	is.NoErr(err)
	wantSame(t, fromURL, toURL)
}

func TestTransferOfBadOptions(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	fromURL := testkit.SQLite.URL(t)
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
	_, err = store.Transfer(ctx, missing, testkit.SQLite.URL(t), store.TransferOptions{})
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
