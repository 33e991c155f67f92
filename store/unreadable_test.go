package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// refused are values that the store cannot read, or that SQLite cannot hold.
var refused = map[string][]string{
	"sqlite": {
		"2025-02-30 00:00:00.000000", "2025-13-01 00:00:00.000000", "2025-00-01 00:00:00.000000",
		"2025-01-00 00:00:00.000000", "2025-04-31 00:00:00.000000", "2025-01-39 00:00:00.000000",
		"2023-02-29 00:00:00.000000", "1900-02-29 00:00:00.000000", "2025-01-01 24:00:00.000000",
		"2025-01-01 29:00:00.000000", "0000-01-01 00:00:00.000000", "2025-01-01 00:00:00.000000\x00",
		"2025-01-01 00:00:00.000000\x00tail", "infinity", "2025-01-01T00:00:00.000000", "2025-01-01 00:00:00", "",
	},
	"postgres": {
		"infinity", "-infinity", "0001-01-01 00:00:00+00 BC", "10000-01-01 00:00:00+00", "294276-12-31 00:00:00+00",
	},
}

// accepted are the odd times that stay.
var accepted = []string{
	"0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999", "2024-02-29 23:59:59.999999", "2000-02-29 00:00:00.000001",
	"1582-10-10 00:00:00.000000",
}

var timeColumns = map[string][]string{
	"prompts": {"first_used_at", "last_used_at"},
	"generations": {
		"created_at", "scheduled_at", "started_at", "completed_at", "lease_expires_at", "cancel_requested_at",
	},
	"generation_errors": {"failed_at"},
	"generation_queue":  {"paused_at"},
}

func engineOf(t *testing.T) string {
	if strings.Contains(t.Name(), "/sqlite") {
		return "sqlite"
	}
	return "postgres"
}

// withError returns a store with one generation that has failed once.
func withError(t *testing.T, s *store.Store) store.Generation {
	t.Helper()
	testkit.Create(t, s, "x")
	g := testkit.ClaimOne(t, s)
	params := store.FailGenerationParams{Attempt: g.Attempt, RetryAfter: time.Microsecond}
	_, err := s.FailGeneration(t.Context(), g.ID, params)
	is.New(t).NoErr(err)
	return g
}

// wantRefused fails the test unless the schema refuses the statement, by the constraint of a column.
func wantRefused(t *testing.T, s *store.Store, table, column, statement string) {
	t.Helper()
	_, err := s.DB().Exec(t.Context(), statement)
	if err == nil || !strings.Contains(err.Error(), table+"_"+column+"_check") {
		t.Errorf("%s: got %v, want that the schema refuses %s", statement, err, column)
	}
}

// The schema refuses what the store cannot read, in each column of times, of a new row and of a changed one.
func TestSchemaRefusesWhatTheStoreCannotRead(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		withError(t, s)
		engine := engineOf(t)
		for table, columns := range timeColumns {
			for _, column := range columns {
				for _, value := range accepted {
					if engine == "postgres" {
						value += "+00"
					}
					testkit.Exec(t, s, "UPDATE "+table+" SET "+column+" = '"+value+"'")
				}
				for _, value := range refused[engine] {
					literal := "'" + strings.ReplaceAll(value, "\x00", "' || char(0) || '") + "'"
					wantRefused(t, s, table, column, "UPDATE "+table+" SET "+column+" = "+literal)
				}
				if table == "generation_queue" { // which has one row
					testkit.Exec(t, s, "DELETE FROM generation_queue")
					wantRefused(t, s, table, column,
						"INSERT INTO generation_queue (id, paused_at) VALUES (1, '"+refused[engine][0]+"')")
					continue
				}
				names := columnsOf(t, s, table)
				var values []string
				for _, name := range names {
					switch {
					case name == column:
						values = append(values, "'"+refused[engine][0]+"'")
					case name == "id" && table == "generations":
						values = append(values, "'"+uuid.NewString()+"'")
					case name == "id" && table == "prompts":
						values = append(values, "777")
					case name == "text":
						values = append(values, "'another'")
					case name == "attempt" && table == "generation_errors":
						values = append(values, "777")
					default:
						values = append(values, name)
					}
				}
				wantRefused(t, s, table, column, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+") SELECT "+
					strings.Join(values, ", ")+" FROM "+table)
			}
		}
		is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations"), int64(1))
	})
}

func columnsOf(t *testing.T, s *store.Store, table string) (names []string) {
	t.Helper()
	rows, err := s.DB().Query(t.Context(), "SELECT * FROM "+table)
	is.New(t).NoErr(err)
	defer rows.Close()
	for _, field := range rows.FieldDescriptions() {
		names = append(names, field.Name)
	}
	return names
}

// A new column of times must be checked like the others.
func TestEveryTimeIsChecked(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t)
	rows, err := s.DB().Query(t.Context(), `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND udt_name = 'timestamptz' AND table_name <> 'generation_metadata'`)
	is.NoErr(err)
	defer rows.Close()
	var readable string
	source := "SELECT prosrc FROM pg_proc WHERE proname = 'generation_readable'"
	is.NoErr(s.DB().QueryRow(t.Context(), source).Scan(&readable))
	for rows.Next() {
		var table, column string
		is.NoErr(rows.Scan(&table, &column))
		if !slices.Contains(timeColumns[table], column) {
			t.Errorf("timeColumns lacks %s of %s", column, table)
		}
		if table == "generations" && strings.Count(readable, column) != 2 {
			t.Errorf("generation_readable leaves out %s", column)
		}
	}
	is.NoErr(rows.Err())
}

// A text that is no UUID is refused on SQLite, which has no type for them.
func TestSchemaRefusesTextsThatAreNoUUID(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.SQLite.Open(t)
	g := withError(t, s)
	id := g.ID.String()
	for _, wrong := range []string{
		"", "x", strings.ToUpper("abcdefab-0000-7000-8000-abcdefabcdef"), id + "\x00", id + "\x00x",
		strings.Repeat("-", 36), id[:9] + "-" + id[10:], id[:35], id + "0", "{" + id[1:],
	} {
		literal := "'" + strings.ReplaceAll(wrong, "\x00", "' || char(0) || '") + "'"
		for _, column := range []string{"id", "batch_id"} {
			wantRefused(t, s, "generations", column, "UPDATE generations SET "+column+" = "+literal)
		}
		testkit.Exec(t, s, "PRAGMA foreign_keys = OFF")
		wantRefused(t, s, "generation_errors", "generation_id", "UPDATE generation_errors SET generation_id = "+literal)
		testkit.Exec(t, s, "PRAGMA foreign_keys = ON")
	}
	got, err := s.GetGeneration(t.Context(), g.ID)
	is.NoErr(err)
	is.Equal(got.ID, g.ID)
}

// unchecked runs a statement that the schema would refuse, as somebody can by hand, or as an older schema let it pass.
func unchecked(t *testing.T, s *store.Store, table, statement string, args ...any) {
	t.Helper()
	if engineOf(t) == "postgres" {
		for _, column := range append(timeColumns[table], "created_at") {
			testkit.Exec(t, s, "ALTER TABLE "+table+" DROP CONSTRAINT IF EXISTS "+table+"_"+column+"_check")
		}
		testkit.Exec(t, s, "ALTER TABLE generation_metadata DROP CONSTRAINT IF EXISTS generation_metadata_created_at_check")
	} else {
		testkit.Exec(t, s, "DROP TRIGGER IF EXISTS "+table+"_check_update")
	}
	testkit.Exec(t, s, statement, args...)
}

// noTime is a time that the store cannot read.
func noTime(t *testing.T) string {
	if engineOf(t) == "postgres" {
		return "-infinity"
	}
	return "2025-02-30 00:00:00.000000"
}

// A row that cannot be read keeps its neighbours neither from being claimed nor from being rescued, whichever of its
// columns is to blame. It costs them no attempt.
func TestUnreadableRowCostsItselfAlone(t *testing.T) {
	t.Parallel()
	for _, column := range timeColumns["generations"] {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
				is := is.New(t)
				ctx := t.Context()
				var made []store.Generation
				for range 8 {
					made = append(made, testkit.Create(t, s, "x"))
				}
				wrong := made[0]
				clock.Advance(time.Second)
				unchecked(t, s, "generations", "UPDATE generations SET "+column+" = '"+noTime(t)+"' WHERE id = $1", wrong.ID)
				claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 8, Lease: time.Minute})
				is.NoErr(err)
				is.Equal(len(claimed), 7)
				for _, g := range claimed {
					is.True(g.ID != wrong.ID)
					is.Equal(g.Attempt, int64(1))
				}
				err = s.InTx(ctx, func(tx *store.Tx) error { return tx.WaitForPending(ctx) })
				is.True(errors.Is(err, store.ErrNotFound)) // nothing that can be claimed is due

				clock.Advance(time.Hour)
				unchecked(t, s, "generations", "UPDATE generations SET status = 'processing', worker = 'w', attempt = 1, "+
					"lease_expires_at = scheduled_at WHERE id = $1", wrong.ID)
				rescued, err := s.RescueGenerations(ctx, 100)
				is.NoErr(err)
				is.True(len(rescued) >= 7)
				got, err := s.GetGeneration(ctx, claimed[0].ID)
				is.NoErr(err)
				is.True(got.IsPending())
			})
		})
	}
}

// A worker that finishes a claimed generation that cannot be read gets an error that names it. Workers that finish
// others at the same time do not.
func TestUnreadableRowInABatch(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		for range 30 {
			testkit.Create(t, s, "x")
		}
		claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 30, Lease: time.Minute})
		is.NoErr(err)
		wrong := claimed[3]
		unchecked(t, s, "generations", "UPDATE generations SET created_at = '"+noTime(t)+"' WHERE id = $1", wrong.ID)
		type result struct {
			id  uuid.UUID
			err error
		}
		for _, finish := range []func(g store.Generation) error{
			func(g store.Generation) error { return testkit.Err(s.ExtendLease(ctx, g.ID, g.Attempt, time.Minute)) },
			func(g store.Generation) error {
				if g.ID[15]%2 == 0 {
					return testkit.Err(s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: g.Attempt}))
				}
				return testkit.Err(s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt,
					GenerationTimeSeconds: 1, FileSizeBytes: 1}))
			},
		} {
			results := make(chan result)
			for _, g := range claimed {
				go func() { results <- result{g.ID, finish(g)} }()
			}
			for range claimed {
				r := <-results
				if r.id == wrong.ID {
					wantUnreadable(t, r.err, wrong.ID.String(), "created_at")
				} else {
					is.NoErr(r.err)
				}
			}
		}
	})
}

func wantUnreadable(t *testing.T, err error, key, column string) {
	t.Helper()
	var unreadable *store.UnreadableError
	if !errors.As(err, &unreadable) || unreadable.Key != key || unreadable.Column != column {
		t.Errorf("got %v, want an *UnreadableError for %s of %s", err, column, key)
	}
}

// All lists say which row they cannot read, Check finds it, and a transfer and a backup name it.
func TestListsNameAnUnreadableRow(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			url := engine.URL(t)
			s := testkit.OpenURL(t, url)
			is := is.New(t)
			ctx := t.Context()
			g := withError(t, s)
			id, prompt := g.ID.String(), "1"
			unchecked(t, s, "generations", "UPDATE generations SET scheduled_at = '"+noTime(t)+"'")
			for name, err := range map[string]error{
				"GetGeneration":      testkit.Err(s.GetGeneration(ctx, g.ID)),
				"ListGenerations":    testkit.Err(s.ListGenerations(ctx, store.ListGenerationsParams{})),
				"by words":           testkit.Err(s.ListGenerations(ctx, store.ListGenerationsParams{Search: "x"})),
				"PendingGenerations": testkit.Err(s.PendingGenerations(ctx, 10)),
				"SearchGenerations":  testkit.Err(s.SearchGenerations(ctx, store.SearchParams{Query: "x"})),
			} {
				t.Log(name)
				wantUnreadable(t, err, id, "scheduled_at")
			}
			for _, err := range s.Generations(ctx, store.ListGenerationsParams{}) {
				wantUnreadable(t, err, id, "scheduled_at")
			}
			unchecked(t, s, "generation_errors", "UPDATE generation_errors SET failed_at = '"+noTime(t)+"'")
			wantUnreadable(t, testkit.Err(s.GenerationErrors(ctx, g.ID)), id+"/1", "failed_at")
			unchecked(t, s, "prompts", "UPDATE prompts SET last_used_at = '"+noTime(t)+"'")
			wantUnreadable(t, testkit.Err(s.ListPrompts(ctx, store.ListPromptsParams{})), prompt, "last_used_at")
			wantUnreadable(t, testkit.Err(s.SearchPrompts(ctx, "x", 10)), prompt, "last_used_at")
			unchecked(t, s, "generation_queue", "UPDATE generation_queue SET paused_at = '"+noTime(t)+"'")
			wantUnreadable(t, testkit.Err(s.QueuePausedAt(ctx)), "", "paused_at")

			report, err := s.Check(ctx, store.CheckParams{})
			is.NoErr(err)
			var found []string
			for _, f := range report.Findings {
				if f.Kind == store.FindingUnreadable {
					column, _, _ := strings.Cut(f.Detail, " ")
					found = append(found, f.ID+" "+column)
				}
			}
			slices.Sort(found)
			is.Equal(found, []string{id + " scheduled_at", id + "/1 failed_at", "1 last_used_at", "1 paused_at"})

			err = s.Backup(ctx, filepath.Join(t.TempDir(), "backup.db"))
			if engine.Name == "sqlite" {
				is.NoErr(err) // it is a copy of the file
			} else {
				is.True(errors.As(err, new(*store.UnfitRowsError)))
			}
			_, err = store.Transfer(ctx, url, "sqlite://"+filepath.Join(t.TempDir(), "to.db"), store.TransferOptions{})
			var unfit *store.UnfitRowsError
			is.True(errors.As(err, &unfit))
			is.Equal(unfit.Total, int64(4))
			is.Equal(unfit.Rows, []store.UnfitRow{
				{Table: "prompts", Key: prompt, Field: "last_used_at", Problem: "cannot be read"},
				{Table: "generations", Key: id, Field: "scheduled_at", Problem: "cannot be read"},
				{Table: "generation_errors", Key: id + "/1", Field: "failed_at", Problem: "cannot be read"},
				{Table: "generation_queue", Key: "1", Field: "paused_at", Problem: "cannot be read"},
			})
		})
	}
}

// A replica that has an unreadable row is not passed over: the primary has that row, too.
func TestUnreadableRowOnAReplica(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	// A second database stands in for a replica.
	replicaURL := testkit.Postgres.URL(t)
	replica := testkit.OpenURL(t, replicaURL)
	g := testkit.Create(t, replica, "on the replica")
	unchecked(t, replica, "generations", "UPDATE generations SET scheduled_at = 'infinity'")
	s := testkit.Postgres.Open(t, store.Options{ReplicaURLs: []string{replicaURL}})
	wantUnreadable(t, testkit.Err(s.ListGenerations(ctx, store.ListGenerationsParams{})), g.ID.String(), "scheduled_at")
	testkit.Exec(t, replica, "UPDATE generations SET scheduled_at = created_at")
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{})
	is.NoErr(err)
	is.Equal(len(page.Generations), 1)
}
