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

// readsEverything are the queries that must, and why.
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

// readsInOrder are the queries that read an index from its end, and stop.
var readsInOrder = map[string]string{
	"listPrompts":       "as many entries as it lists and skips",
	"newestGenerations": "as many entries as it lists",
}

// history is a table of a size at which the engines choose as they would at any: 40,000 generations, most of them completed,
// and 5,000 prompts. The order is mixed, so that no index has the rows of another one together.
var history = map[string][]string{
	"sqlite": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'prompt ' || n, n, '2025-11-07 09:00:22.000000', '2025-11-07 09:00:22.000000'
		FROM (WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000) SELECT n FROM numbers)`,
		`INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, completed_at, prompt_id, scheduled_at, batch_id, favorite, metadata)
		SELECT printf('%08x-0000-7000-8000-000000000000', (n * 7919) % 1000003), 'prompt', 'model ' || (n % 3), 16, 32000, 2, 'x.wav',
			CASE WHEN n % 100 < 97 THEN 'completed' WHEN n % 100 < 99 THEN 'failed' ELSE 'pending' END,
			strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds'),
			CASE WHEN n % 100 < 99 THEN strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds') END, 1 + n % 5000,
			strftime('%Y-%m-%d %H:%M:%S.000000', '2025-11-07', n || ' seconds'),
			CASE WHEN n % 10 = 0 THEN printf('%08x-0000-7000-8000-000000000000', n / 100) END, n % 50 = 0,
			'{"bpm":' || (60 + n % 120) || ',"genre":"trap"}'
		FROM (WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 40000) SELECT n FROM numbers)`,
		`INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at) SELECT id, 1, 'w', 'e', created_at FROM generations WHERE status <> 'pending'`,
		"ANALYZE",
	},
	"postgres": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'prompt ' || n, n, '2025-11-07', '2025-11-07' FROM generate_series(1, 5000) AS n`,
		`INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, completed_at, prompt_id, scheduled_at, batch_id, favorite, metadata)
		SELECT CAST(lpad(to_hex((n * 7919) % 1000003), 8, '0') || '-0000-7000-8000-000000000000' AS UUID), 'prompt', 'model ' || (n % 3), 16, 32000, 2, 'x.wav',
			CASE WHEN n % 100 < 97 THEN 'completed' WHEN n % 100 < 99 THEN 'failed' ELSE 'pending' END,
			t, CASE WHEN n % 100 < 99 THEN t END, 1 + n % 5000, t,
			CASE WHEN n % 10 = 0 THEN CAST(lpad(to_hex(n / 100), 8, '0') || '-0000-7000-8000-000000000000' AS UUID) END, n % 50 = 0,
			jsonb_build_object('bpm', 60 + n % 120, 'genre', 'trap')
		FROM generate_series(1, 40000) AS n, LATERAL (SELECT TIMESTAMPTZ '2025-11-07' + n * INTERVAL '1 second' AS t) AS times
		ORDER BY (n * 7919) % 1000003`,
		`INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at) SELECT id, 1, 'w', 'e', created_at FROM generations WHERE status <> 'pending'`,
		"VACUUM ANALYZE",
	},
}

func remember(t *testing.T, s *store.Store, engine string) {
	t.Helper()
	for _, statement := range history[engine] {
		if _, err := s.DB().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// grows tells whether a line of a plan reads all of a table that grows, or of one of its indexes.
func grows(line string, words ...string) bool {
	for _, word := range words {
		for _, table := range []string{"generations", "prompts", "generation_errors", "prompts_search", "generation_metadata"} {
			if strings.Contains(line+" ", word+table+" ") {
				return true
			}
		}
	}
	return false
}

// parameter is a likely value for a parameter of a PostgreSQL type.
var parameter = map[string]string{
	"uuid": "'00000001-0000-7000-8000-000000000000'", "timestamp with time zone": "'2025-11-07 11:00:00Z'", "text": "'pending'",
	"bigint": "10", "double precision": "0.5", "boolean": "false", "jsonb": "'{}'", "text[]": "'{sound}'", "boolean[]": "'{f}'", "uuid[]": "'{}'", "bigint[]": "'{}'",
	"double precision[]": "'{}'", "jsonb[]": "'{}'", "timestamp with time zone[]": "'{}'",
}

// Each query uses an index where the table grows. The engines say so themselves: SQLite in the plan that it makes without a
// look at the parameters, PostgreSQL in the one that it makes for such parameters as a caller has. It also keeps a plan for
// any parameters, and takes that only where it promises to be as good.
func TestEveryQueryUsesAnIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a table of some size; make test runs it")
	}
	check := func(t *testing.T, name string, plan []string, words ...string) {
		t.Helper()
		reads := false
		for _, line := range plan {
			reads = reads || grows(line, words...)
		}
		short := name[strings.LastIndex(name, ".")+1:]
		_, must := readsEverything[short]
		if _, inOrder := readsInOrder[short]; inOrder {
			reads = slices.ContainsFunc(plan, func(line string) bool { return strings.Contains(line, "ORDER BY") || strings.Contains(line, "Sort") })
		}
		if reads && !must {
			t.Errorf("%s reads a whole table that grows:\n%s", name, strings.Join(plan, "\n"))
		}
		if must && !reads {
			t.Errorf("%s need not be an exception any more", name)
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
				if !strings.Contains(detail, "VIRTUAL TABLE INDEX 0:M") && !strings.Contains(detail, "VIRTUAL TABLE INDEX 0:=M") { // a full-text match, of one row
					plan = append(plan, detail)
				}
			}
			is.NoErr(rows.Err())
			check(t, name, plan, "SCAN ")
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		s := storetest.Open(t)
		remember(t, s, "sqlite")
		checkSQLite(t, s)
	})
	t.Run("sqlite optimized", func(t *testing.T) {
		s := storetest.Open(t)
		remember(t, s, "sqlite")
		is.New(t).NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true}))
		checkSQLite(t, s)
	})
	t.Run("postgres", func(t *testing.T) {
		is := is.New(t)
		url := storetest.PostgresURL(t)
		s, err := store.Open(t.Context(), store.Options{URL: url})
		is.NoErr(err)
		defer s.Close()
		remember(t, s, "postgres")
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
			is.NoErr(conn.QueryRow(t.Context(), "SELECT CAST(parameter_types AS TEXT[]) FROM pg_prepared_statements WHERE name = $1", statement).Scan(&types))
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

// aliases reads "FROM generations AS g" and "JOIN prompts AS p".
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
