package storagedb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// readsEverything maps each query that must read a whole table to the reason.
var readsEverything = map[string]string{
	"modelUsage":     "an average over all of history",
	"countsAndTruth": "it is there to count",
	"rowCounts":      "it is there to count",

	"generationsWithoutPrompt": "they may be anywhere",
	"errorsWithoutGeneration":  "they may be anywhere",
	"wordsWithoutPrompt":       "they may be anywhere",
	"surplusMetadata":          "they may be anywhere",
	"deleteSurplusMetadata":    "no index has the entries of one generation together",
}

// readsInOrder maps each query that reads an index from one end, until it has enough rows, to what it reads.
var readsInOrder = map[string]string{
	"listPrompts":       "as many entries as it lists and skips",
	"newestGenerations": "as many entries as it lists",
}

// history fills a database of each engine with 40,000 generations, most of them completed, and 5,000 prompts. At that
// size the engines choose the plans that they choose at any larger one. The order is mixed, so that rows that are
// together in one index are not together in another.
var history = map[string][]string{
	"sqlite": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'prompt ' || n, n, '2025-11-07 09:00:22.000000', '2025-11-07 09:00:22.000000'
		FROM (
			WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
			SELECT n FROM numbers
		)`,
		`INSERT INTO generations (
			id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, completed_at,
			prompt_id, scheduled_at, batch_id, favorite, metadata
		)
		SELECT
			printf('%08x-0000-7000-8000-000000000000', (n * 7919) % 1000003),
			'prompt', 'model ' || (n % 3), 16, 32000, 2, 'x.wav',
			CASE WHEN n % 100 < 97 THEN 'completed' WHEN n % 100 < 99 THEN 'failed' ELSE 'pending' END,
			strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds'),
			CASE WHEN n % 100 < 99 THEN strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds') END, 1 + n % 5000,
			strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds'),
			CASE WHEN n % 10 = 0 THEN printf('%08x-0000-7000-8000-000000000000', n / 100) END, n % 50 = 0,
			'{"bpm":' || (60 + n % 120) || ',"genre":"trap"}'
		FROM (
			WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 40000)
			SELECT n FROM numbers
		)`,
		`INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
		SELECT id, 1, 'w', 'e', created_at FROM generations WHERE status <> 'pending'`,
		"ANALYZE",
	},
	"postgres": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'prompt ' || n, n, '2025-11-07', '2025-11-07' FROM generate_series(1, 5000) AS n`,
		`INSERT INTO generations (
			id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, completed_at,
			prompt_id, scheduled_at, batch_id, favorite, metadata
		)
		SELECT
			CAST(lpad(to_hex((n * 7919) % 1000003), 8, '0') || '-0000-7000-8000-000000000000' AS UUID),
			'prompt', 'model ' || (n % 3), 16, 32000, 2, 'x.wav',
			CASE WHEN n % 100 < 97 THEN 'completed' WHEN n % 100 < 99 THEN 'failed' ELSE 'pending' END,
			t, CASE WHEN n % 100 < 99 THEN t END, 1 + n % 5000, t,
			CASE WHEN n % 10 = 0 THEN CAST(lpad(to_hex(n / 100), 8, '0') || '-0000-7000-8000-000000000000' AS UUID) END,
			n % 50 = 0,
			jsonb_build_object('bpm', 60 + n % 120, 'genre', 'trap')
		FROM generate_series(1, 40000) AS n, LATERAL (SELECT TIMESTAMPTZ '2025-11-07' + n * INTERVAL '1 second' AS t) AS times
		ORDER BY (n * 7919) % 1000003`,
		`INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
		SELECT id, 1, 'w', 'e', created_at FROM generations WHERE status <> 'pending'`,
		"VACUUM ANALYZE",
	},
}

// fill runs the statements of history.
func fill(t *testing.T, s *store.Store, engine string) {
	t.Helper()
	for _, statement := range history[engine] {
		if _, err := s.DB().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// scansGrowingTable reports whether a line of a plan reads all of a table that grows, or all of one of its indexes.
func scansGrowingTable(line string, words ...string) bool {
	for _, word := range words {
		for _, table := range []string{
			"generations", "prompts", "generation_errors", "prompts_search", "generation_metadata",
		} {
			if strings.Contains(line+" ", word+table+" ") {
				return true
			}
		}
	}
	return false
}

// parameter maps a PostgreSQL type to a likely value of a parameter.
var parameter = map[string]string{
	"uuid": "'00000001-0000-7000-8000-000000000000'", "timestamp with time zone": "'2025-11-07 11:00:00Z'",
	"text": "'pending'", "bigint": "10", "double precision": "0.5", "boolean": "false", "jsonb": "'{}'",
	"text[]": "'{sound}'", "boolean[]": "'{f}'", "uuid[]": "'{}'", "bigint[]": "'{}'", "double precision[]": "'{}'",
	"jsonb[]": "'{}'", "timestamp with time zone[]": "'{}'",
}

// Each query uses an index if its table grows. The engines' plans show it. SQLite plans without the parameters.
// PostgreSQL plans for likely parameters here. It also has a generic plan, which it takes only if it estimates that to
// be as good.
func TestEveryQueryUsesAnIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("fills tables of some size; make test-all runs it")
	}
	check := func(t *testing.T, name string, plan []string, words ...string) {
		t.Helper()
		reads := false
		for _, line := range plan {
			reads = reads || scansGrowingTable(line, words...)
		}
		short := name[strings.LastIndex(name, ".")+1:]
		_, must := readsEverything[short]
		if _, inOrder := readsInOrder[short]; inOrder {
			reads = slices.ContainsFunc(plan, func(line string) bool {
				return strings.Contains(line, "ORDER BY") || strings.Contains(line, "Sort")
			})
		}
		if reads && !must {
			t.Errorf("%s reads a whole table that grows:\n%s", name, strings.Join(plan, "\n"))
		}
		if must && !reads {
			t.Errorf("%s is no exception any more: remove it from readsEverything", name)
		}
	}
	checkSQLite := func(t *testing.T, s *store.Store) {
		is := is.New(t)
		for name, text := range statements(t, ".", "sqlitedb") {
			rows, err := s.DB().Query(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, parameters(text))...)
			is.NoErr(err)
			var plan []string
			for rows.Next() {
				var id, parent, unused int64
				var detail string
				is.NoErr(rows.Scan(&id, &parent, &unused, &detail))
				for alias, table := range aliases(text) { // SQLite names a table by its alias
					detail = strings.Replace(detail+" ", " "+alias+" ", " "+table+" ", 1)
				}
				// These are a full-text match, and one of a single row.
				if !strings.Contains(detail, "VIRTUAL TABLE INDEX 0:M") &&
					!strings.Contains(detail, "VIRTUAL TABLE INDEX 0:=M") {
					plan = append(plan, detail)
				}
			}
			is.NoErr(rows.Err())
			check(t, name, plan, "SCAN ")
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		s := storetest.Open(t)
		fill(t, s, "sqlite")
		checkSQLite(t, s)
	})
	t.Run("sqlite optimized", func(t *testing.T) {
		s := storetest.Open(t)
		fill(t, s, "sqlite")
		is.New(t).NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
		checkSQLite(t, s)
	})
	t.Run("postgres", func(t *testing.T) {
		is := is.New(t)
		url := storetest.PostgresURL(t)
		s, err := store.Open(t.Context(), store.Options{URL: url})
		is.NoErr(err)
		defer s.Close()
		fill(t, s, "postgres")
		conn, err := pgx.Connect(t.Context(), url)
		is.NoErr(err)
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), "SET plan_cache_mode = force_custom_plan")
		is.NoErr(err)
		number := 0
		for name, text := range statements(t, ".", "pgdb") {
			number++
			statement := fmt.Sprintf("planned_%d", number)
			_, err := conn.Exec(t.Context(), "PREPARE "+statement+" AS "+text)
			is.NoErr(err)
			var types []string
			is.NoErr(conn.QueryRow(t.Context(),
				"SELECT CAST(parameter_types AS TEXT[]) FROM pg_prepared_statements WHERE name = $1", statement).Scan(&types))
			var values []string
			for _, name := range types {
				value, known := parameter[name]
				is.True(known)
				values = append(values, value)
			}
			if len(values) > 0 {
				statement += "(" + strings.Join(values, ", ") + ")"
			}
			rows, err := conn.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE "+statement)
			is.NoErr(err)
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			is.NoErr(err)
			check(t, name, plan, "Seq Scan on ")
		}
	})
}

// aliases returns the tables by their aliases, of texts like "FROM generations AS g" and "JOIN prompts AS p".
func aliases(text string) map[string]string {
	found := make(map[string]string)
	words := strings.Fields(text)
	for i := 0; i+2 < len(words); i++ {
		if strings.EqualFold(words[i+1], "AS") {
			switch table := words[i]; table {
			case "generations", "prompts", "generation_errors", "generation_metadata":
				found[strings.TrimRight(words[i+2], "),;")] = table
			}
		}
	}
	return found
}
