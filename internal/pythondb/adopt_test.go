package pythondb_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

func TestAdoptTheFileOfThePythonService(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(path string){
		"by Alembic": func(string) {},
		"by init_db": func(path string) { testkit.OnFile(t, path, "DROP TABLE alembic_version") },
		"in WAL":     func(path string) { testkit.OnFile(t, path, "PRAGMA journal_mode = WAL") },
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			path, url := testkit.PythonFile(t)
			prepare(path)
			generations, prompts := testkit.PythonRows(t, path, "generations"), testkit.PythonRows(t, path, "prompts")
			is.Equal(len(generations), 120)

			_, err := store.Open(ctx, store.Options{URL: url})
			is.True(errors.Is(err, store.ErrSchemaOutdated)) // nobody has asked for it
			s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
			is.NoErr(err)
			defer s.Close()
			testkit.WantApplied(t, url, len(testkit.KnownMigrations(t)))
			is.NoErr(s.CheckCounts(ctx))

			// Value by value, by the service's own column names.
			after := testkit.PythonRows(t, path, "generations")
			is.Equal(len(after), len(generations))
			for id, row := range generations {
				want := slices.Clone(row)
				if want[14] == "NULL" {
					want[14] = "{}"
				}
				is.Equal(after[id], want)
			}
			is.Equal(testkit.PythonRows(t, path, "prompts"), prompts) // each was tracked
			is.Equal(testkit.PythonRows(t, path+".before-v2", "generations"), generations)
			is.Equal(testkit.PythonRows(t, path+".before-v2", "prompts"), prompts)
			info, err := os.Stat(path + ".before-v2")
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), os.FileMode(0o600))
			testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2")

			// What the service had in work when it was stopped.
			stats, err := s.Stats(ctx)
			is.NoErr(err)
			is.Equal(stats.ProcessingGenerations, int64(6))
			rescued, err := s.RescueGenerations(ctx, 100)
			is.NoErr(err)
			is.Equal(len(rescued), 6)
			stats, err = s.Stats(ctx)
			is.NoErr(err)
			stats.OldestPendingAgeSeconds, stats.AverageGenerationTimeSeconds = 0, 0
			is.Equal(stats, store.Stats{TotalGenerations: 120, PendingGenerations: 33, CompletedGenerations: 73,
				FailedGenerations: 14, TotalPrompts: int64(len(prompts))})

			is.NoErr(store.Migrate(ctx, url)) // again, without another copy
			is.NoErr(s.Close())
			testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2")
		})
	}
}

const oddRow = `INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, `

func TestAdoptOddRows(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	id := func(n int) string { return fmt.Sprintf("30a36e6c-2456-415d-afcd-e84a4900%04d", n) }
	longPrompt := strings.Repeat("long ", 1000)
	object := `{"big": 12345678901234567890, "exact": 0.1000000000000000055511151231257827, "nested": {"a": [1, null]}, "e": 1e3}`
	raw := []string{`{"broken`, `[1, 2]`, `"text"`, `12`, `true`, `{"a": NaN}`, `{"a": "\u0000"}`, `{"a": "\ud800"}`,
		strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "{'python': 1}", `{"x": 1e9999}`}
	path, url := testkit.PythonDatabase(t)
	db, err := sql.Open("sqlite", path)
	is.NoErr(err)
	insert := func(n int, prompt, status, created string, completed, size, metadata any) string {
		t.Helper()
		_, err := db.Exec(oddRow+`completed_at, file_size_bytes, metadata) VALUES (?, ?, 'musicgen-small', 16, 32000, 2, 'outputs/x.wav', ?, ?, ?, ?, ?)`,
			id(n), prompt, status, created, completed, size, metadata)
		is.NoErr(err)
		return id(n)
	}
	const now, fixed = "2025-11-07 09:00:22.123456", "2025-11-07 09:00:22.000000"
	wantMetadata := make(map[string]any)
	for i, metadata := range []any{nil, "", "  \t\n", "null", " null ", "{}"} {
		wantMetadata[insert(i, "tracked", "completed", now, now, 5, metadata)] = map[string]any{}
	}
	wantMetadata[insert(10, "tracked", "completed", now, now, 5, object)] = testkit.Decode(t, store.Metadata(object))
	wantMetadata[insert(11, "tracked", "completed", now, now, 5,
		`{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}`)] = map[string]any{"a": 3.0, "b": map[string]any{"c": 2.0}}
	wantMetadata[insert(12, "tracked", "completed", now, now, 5, []byte(`{"blob": 1}`))] = map[string]any{"blob": 1.0}
	for i, text := range raw {
		wantMetadata[insert(20+i, "untracked", "completed", now, now, 5, text)] = map[string]any{"legacy_raw": text}
	}
	wantTimes := make(map[string]string)
	for i, written := range []string{"2025-11-07 09:00:22", "2025-11-07T09:00:22", "2025-11-07 09:00:22.0",
		"2025-11-07T09:00:22.000Z", "2025-11-07 10:00:22+01:00", "2025-11-07T03:30:22.000000-0530"} {
		wantTimes[insert(40+i, "untracked", "completed", written, written, 5, nil)] = fixed
	}
	insert(50, "untracked", "failed", now, nil, nil, nil)
	insert(51, "untracked", "cancelled", now, nil, 77, nil)
	insert(52, longPrompt, "pending", now, nil, nil, nil)
	insert(53, "in work", "processing", "2999-01-01 00:00:00.000000", nil, nil, nil) // a clock that was wrong
	wantMetadata[insert(55, "spacious", "pending", now, nil, nil,
		`{"a":`+strings.Repeat(" ", 17<<20)+`1}`)] = map[string]any{"a": 1.0}
	upper := strings.ToUpper(insert(54, "spelled", "pending", now, nil, nil, nil))
	_, err = db.Exec("UPDATE generations SET id = ? WHERE id = ?", upper, id(54))
	is.NoErr(err)
	_, err = db.Exec("INSERT INTO prompts VALUES (7, 'tracked', 500, '2025-11-07 09:00:22', '2025-11-07T09:00:22.25'), (9, 'never used', 3, ?, ?)", now, now)
	is.NoErr(err)
	is.NoErr(db.Close())
	testkit.OnFile(t, path, "CREATE INDEX one_of_our_own ON generations (channels)")
	before := testkit.PythonRows(t, path, "generations")

	is.NoErr(store.Migrate(ctx, url))
	s, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	is.NoErr(s.CheckCounts(ctx))
	after := testkit.PythonRows(t, path, "generations")
	is.Equal(len(after), len(before))
	for key, row := range before {
		got, ok := after[strings.ToLower(key)]
		is.True(ok)
		want := slices.Clone(row)
		want[0] = strings.ToLower(key)
		if at, changed := wantTimes[key]; changed {
			want[10], want[11] = at, at
		}
		var metadata any
		is.NoErr(json.Unmarshal([]byte(got[14]), &metadata))
		if asked, checked := wantMetadata[key]; checked {
			is.Equal(metadata, asked)
		} else {
			is.Equal(got[14], "{}")
		}
		want[14] = got[14]
		is.Equal(got, want)
	}
	is.True(strings.Contains(after[id(10)][14], "12345678901234567890"))
	is.True(strings.Contains(after[id(10)][14], "0.1000000000000000055511151231257827"))

	prompts := testkit.PythonRows(t, path, "prompts")
	is.Equal(prompts["7"], []string{"7", "tracked", "500", fixed, "2025-11-07 09:00:22.250000"})
	is.Equal(prompts["9"][2], "3")
	is.Equal(len(prompts), 7)
	p, err := s.GetPromptByText(ctx, "untracked")
	is.NoErr(err)
	is.Equal(p.UsedCount, int64(len(raw)+len(wantTimes)+2))
	_, err = s.GetPromptByText(ctx, longPrompt)
	is.NoErr(err)
	found, err := s.SearchPrompts(ctx, "untracked", 10)
	is.NoErr(err)
	is.Equal(len(found), 1)
	rescued, err := s.RescueGenerations(ctx, 100)
	is.NoErr(err)
	is.Equal(len(rescued), 1)

	// Back to the first version: a database that the service reads.
	is.NoErr(s.Close())
	for range len(testkit.KnownMigrations(t)) - 1 {
		is.NoErr(store.Rollback(ctx, url))
	}
	is.Equal(len(testkit.PythonRows(t, path, "generations")), len(before))
}

// Rows that cannot be adopted stop the adoption before anything changes. The error says where they are and what to do.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	row := func(column, value string) string {
		return oddRow + column + `) SELECT '30a36e6c-2456-415d-afcd-e84a490eb99a', 'p', 'm', 16, 32000, 2, 'f', 'completed', '2025-11-07 09:00:22', ` + value
	}
	with := func(column, value string) []string {
		return []string{row("error_message", "NULL"), "UPDATE generations SET " + column + " = " + value}
	}
	prompt := func(column, value string) []string {
		return []string{"INSERT INTO prompts VALUES (77, 'p', 1, '2025-11-07 09:00:22', '2025-11-07 09:00:22')",
			"UPDATE prompts SET " + column + " = " + value}
	}
	for name, c := range map[string]struct {
		statements []string
		parts      []string
	}{
		"an ID that is no UUID": {with("id", "'abc-123'"), []string{`"abc-123"`, "id is no UUID"}},
		"an ID in brackets":     {with("id", "'x' || id || 'y'"), []string{"id is no UUID"}},
		"an empty ID":           {with("id", "''"), []string{"rowid 1", "id is no UUID"}},
		"an ID twice": {append(with("id", "lower(id)"),
			strings.Replace(row("error_message", "NULL"), "'30a36e6c-", "'30A36E6C-", 1)), []string{"30A36E6C", "another row"}},
		"an unknown status": {with("status", "'queued'"),
			[]string{"30a36e6c-2456-415d-afcd-e84a490eb99a", `status is "queued"`}},
		"a duration of 0":              {with("duration_seconds", "0"), []string{"duration_seconds is 0", "above 0"}},
		"a negative duration":          {with("duration_seconds", "-1"), []string{"duration_seconds is -1"}},
		"an endless duration":          {with("duration_seconds", "9e999"), []string{"duration_seconds"}},
		"a duration that is text":      {with("duration_seconds", "'long'"), []string{`duration_seconds is "long"`}},
		"6 channels":                   {with("channels", "6"), []string{"channels is 6", "1 (mono) or 2 (stereo)"}},
		"no sample rate":               {with("sample_rate", "0"), []string{"sample_rate is 0"}},
		"a broken sample rate":         {with("sample_rate", "44100.5"), []string{"sample_rate is 44100.5"}},
		"a negative size":              {with("file_size_bytes", "-1"), []string{"file_size_bytes is -1"}},
		"an empty prompt":              {with("prompt", "''"), []string{"prompt is empty"}},
		"a NUL":                        {with("prompt", "'a' || char(0)"), []string{"prompt has a NUL byte"}},
		"no UTF-8":                     {with("prompt", "CAST(x'ff61' AS TEXT)"), []string{"prompt is not valid UTF-8"}},
		"a BLOB":                       {with("model_name", "x'6161'"), []string{"model_name is no text"}},
		"a long model name":            {with("model_name", "printf('%0300d', 1)"), []string{"model_name is 300 bytes long"}},
		"an empty path":                {with("file_path", "''"), []string{"file_path is empty"}},
		"an endless message":           {with("error_message", "printf('%02000000d', 1)"), []string{"error_message"}},
		"an endless time":              {with("generation_time_seconds", "9e999"), []string{"generation_time_seconds"}},
		"a time that cannot be read":   {with("created_at", "'yesterday'"), []string{`created_at is "yesterday"`}},
		"a day that there is not":      {with("created_at", "'2025-02-30 09:00:22.000000'"), []string{"created_at is"}},
		"a time as a number":           {with("created_at", "1762506022"), []string{"created_at is"}},
		"a time that is too exact":     {with("completed_at", "'2025-11-07 09:00:22.1234567'"), []string{"completed_at is"}},
		"a completion that is unclear": {with("completed_at", "''"), []string{"completed_at is"}},
		"metadata with a NUL":          {with("metadata", "'{' || char(0)"), []string{"metadata has a NUL byte"}},
		"metadata that is no text":     {with("metadata", "x'ff'"), []string{"metadata is not valid UTF-8"}},
		"endless metadata":             {with("metadata", "'[' || printf('%017000000d', 1)"), []string{"metadata is over"}},
		"a prompt without text":        {prompt("text", "''"), []string{"prompts rowid 77", "text is empty"}},
		"a negative count":             {prompt("used_count", "-1"), []string{"used_count is -1"}},
		"a prompt's time":              {prompt("last_used_at", "'later'"), []string{"last_used_at is"}},
		"a table that is not theirs": {[]string{"CREATE TABLE users (id INTEGER)"},
			[]string{"table users", "is not the service's", "drop it"}},
		"a view": {[]string{"CREATE VIEW recent AS SELECT * FROM generations"}, []string{"view recent"}},
		"a trigger": {[]string{"CREATE TRIGGER watch AFTER INSERT ON prompts BEGIN SELECT 1; END"},
			[]string{"trigger watch"}},
		"a column that is not theirs": {[]string{"ALTER TABLE generations ADD COLUMN mood TEXT"},
			[]string{"table generations", "mood"}},
		"a table that is missing": {[]string{"DROP TABLE prompts"}, []string{"table prompts"}},
		"no room for prompts":     {prompt("id", "9223372036854775807"), []string{"leaves no ID"}},
		"a table without its key": {[]string{"DROP TABLE prompts",
			"CREATE TABLE prompts (id INTEGER PRIMARY KEY, text TEXT, used_count INTEGER, first_used_at DATETIME, last_used_at DATETIME)"}, []string{"table prompts", "text must be unique"}},
		"another's alembic_version": {[]string{"CREATE TABLE alembic_version (version INTEGER)"},
			[]string{"table alembic_version"}},
		"a later revision": {[]string{"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
			"INSERT INTO alembic_version VALUES ('002')"}, []string{`"002"`}},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			path, url := testkit.PythonDatabase(t, c.statements...)
			before, err := os.ReadFile(path)
			is.NoErr(err)
			err = store.Migrate(ctx, url)
			refused, ok := errors.AsType[*store.AdoptionError](err)
			is.True(ok)
			is.Equal(refused.Total, 1)
			is.Equal(len(refused.Problems), 1)
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %s", err, part)
				}
			}
			is.True(len(err.Error()) < 2000)
			after, err := os.ReadFile(path)
			is.NoErr(err)
			is.Equal(sha256.Sum256(after), sha256.Sum256(before))
			testkit.WantFiles(t, path, "generations.db")
		})
	}
}

// In UTF-16 SQLite would count other bytes of a text than the limits mean.
func TestAdoptRefusesUTF16(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "generations.db")
	testkit.OnFile(t, path, "PRAGMA encoding = 'UTF-16'", testkit.PythonSchema)
	refused, ok := errors.AsType[*store.AdoptionError](store.Migrate(t.Context(), "sqlite://"+path))
	is.True(ok)
	is.Equal(refused.Problems[0].Problem, "is encoded as UTF-16le")
}

// SQLite would take the log that another file of that name has left for the copy's.
func TestAdoptKeepsItsCopyFromLogs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := testkit.PythonFile(t)
	is.NoErr(os.WriteFile(path+".before-v2-wal", []byte("of last year"), 0o600))
	is.NoErr(store.Migrate(t.Context(), url))
	is.Equal(len(testkit.PythonRows(t, path+".before-v2-2", "generations")), 120)
}

// The error names all that is wrong at once, in few words.
func TestAdoptNamesAllRows(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	_, url := testkit.PythonDatabase(t, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
		INSERT INTO generations SELECT 'id ' || i, 'p', 'm', NULL, 16, 32000, 6, 'f', NULL, 'pending', '2025-11-07 09:00:22', NULL, NULL, NULL, NULL FROM n`)
	refused, ok := errors.AsType[*store.AdoptionError](store.Migrate(t.Context(), url))
	is.True(ok)
	is.Equal(refused.Total, 3000)
	is.Equal(len(refused.Problems), 100)
	is.Equal(refused.Problems[1].String(), `generations "id 1" (rowid 1), channels is 6: set it to 1 (mono) or 2 (stereo), or delete the row: DELETE FROM generations WHERE rowid = 1`)
	is.True(strings.Contains(refused.Error(), "and 2990 more"))
}

// An earlier copy is never overwritten.
func TestAdoptKeepsEarlierCopies(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path, url := testkit.PythonFile(t)
	is.NoErr(os.WriteFile(path+".before-v2", []byte("of last year"), 0o600))
	is.NoErr(store.Migrate(ctx, url))
	kept, err := os.ReadFile(path + ".before-v2")
	is.NoErr(err)
	is.Equal(string(kept), "of last year")
	is.Equal(len(testkit.PythonRows(t, path+".before-v2-2", "generations")), 120)
	testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2", "generations.db.before-v2-2")
}

func TestTenProcessesAdoptAtOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := testkit.PythonFile(t)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if err := testkit.InProcess(t, "open and migrate", url).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	is.Equal(len(testkit.PythonRows(t, path, "generations")), 130)
	testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2")
}

// If an adoption is killed at any moment, the old file is intact or the new one is whole. The next start finishes it.
func TestAdoptionThatIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for half a minute")
	}
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	const kills = 50
	made, _ := testkit.PythonDatabase(t, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
		INSERT INTO generations SELECT printf('30a36e6c-2456-415d-afcd-e84a4900%04d', i), 'prompt ' || (i % 50), 'm', NULL, 16, 32000, 2, 'f', NULL,
			'pending', '2025-11-07 09:00:22', NULL, NULL, NULL, '{"bpm": ' || i || '}' FROM n`)
	data, err := os.ReadFile(made)
	is.NoErr(err)
	before := testkit.PythonRows(t, made, "generations")
	want := func(path string) (adopted bool) {
		t.Helper()
		migrations, err := store.MigrationStatus(ctx, "sqlite://"+path) // which recovers what was begun
		is.NoErr(err)
		after := testkit.PythonRows(t, path, "generations")
		is.Equal(len(after), len(before))
		for id, row := range before {
			if got := after[id]; got[14] != row[14] || strings.TrimSuffix(got[10], ".000000") != row[10] {
				t.Fatalf("%v became %v", row, got)
			}
		}
		return migrations[len(migrations)-1].Applied
	}
	took := func() time.Duration { // of one that nobody kills, from its start as a process
		path := filepath.Join(t.TempDir(), "generations.db")
		is.NoErr(os.WriteFile(path, data, 0o600))
		began := time.Now()
		is.NoErr(testkit.InProcess(t, "adopt", "sqlite://"+path).Run())
		return time.Since(began)
	}()
	whole, copies := 0, 0
	for range kills {
		path := filepath.Join(t.TempDir(), "generations.db")
		is.NoErr(os.WriteFile(path, data, 0o600))
		process := testkit.InProcess(t, "adopt", "sqlite://"+path)
		is.NoErr(process.Start())
		time.Sleep(time.Duration(rand.Int64N(int64(took))))
		is.NoErr(process.Process.Kill())
		process.Wait()
		if want(path) {
			whole++
		}
		if _, err := os.Stat(path + ".before-v2"); err == nil {
			copies++
			is.Equal(len(testkit.PythonRows(t, path+".before-v2", "generations")), len(before))
		}
		is.NoErr(store.Migrate(ctx, "sqlite://"+path))
		is.True(want(path))
		testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2")
		s, err := store.Open(ctx, store.Options{URL: "sqlite://" + path})
		is.NoErr(err)
		is.NoErr(s.CheckCounts(ctx))
		is.NoErr(s.Close())
	}
	t.Logf("of %d that were killed %d had kept their copy, and %d were through", kills, copies, whole)
}

func TestAdoptHonoursItsContext(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := testkit.PythonFile(t)
	before, err := os.ReadFile(path)
	is.NoErr(err)
	for _, patience := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := store.Migrate(ctx, url)
		cancel()
		if err == nil {
			return // a fast machine
		}
		is.True(errors.Is(err, context.DeadlineExceeded))
		after, err := os.ReadFile(path)
		is.NoErr(err)
		is.True(string(after) == string(before))
	}
}
