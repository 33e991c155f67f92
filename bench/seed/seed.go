// Package seed fills a database with a history to measure on. It bypasses the store and uses one statement per table:
// through the store, a million generations would take minutes.
package seed

import (
	"context"
	"fmt"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// Prompts is the number of different prompts in the history. One in a hundred has the word "rare".
const Prompts = 5000

// RareBPM is the bpm in the metadata of one generation, half way through the history. The others have 60 to 179.
const RareBPM = 999

// statements create the history. It is skewed as a service's is: 97 % of the generations are completed, 2 % failed, 1 %
// pending. 1 % are favorites. One of three models has 1 %. Batches have ten. A third is trap, the rest house. There is
// one generation a second until now. Status, model, favorite and metadata are independent of each other.
var statements = map[string][]string{
	"sqlite": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'beat number ' || n
				|| CASE WHEN n %% 100 = 0 THEN ' with a rare sound' ELSE ' at ' || (60 + n %% 120) || ' BPM' END,
			%[1]d / %[2]d, '2025-11-07 09:00:22.000000', '2025-11-07 09:00:22.000000'
		FROM (
			WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %[2]d)
			SELECT n FROM numbers)`,
		`INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path,
			file_size_bytes, status, created_at, completed_at, generation_time_seconds, metadata, prompt_id,
			scheduled_at, attempt, worker, progress_step, batch_id, favorite)
		SELECT printf('%%08x-0000-7000-8000-%%012x', n / 65536, n), p.text,
			CASE WHEN n * 31 %% 100 = 7 THEN 'musicgen-medium'
				WHEN n * 31 %% 2 = 0 THEN 'musicgen-small' ELSE 'musicgen-large' END,
			16, 32000, 2, 'outputs/' || n || '.wav', 1000000,
			CASE WHEN n * 37 %% 100 < 97 THEN 'completed' WHEN n * 37 %% 100 < 99 THEN 'failed' ELSE 'pending' END,
			strftime('%%Y-%%m-%%d %%H:%%M:%%S.000000', 'now', '-' || (%[1]d - n) || ' seconds'),
			CASE WHEN n * 37 %% 100 < 99 THEN
				strftime('%%Y-%%m-%%d %%H:%%M:%%S.000000', 'now', '-' || (%[1]d - n) || ' seconds') END,
			18.5, '{"bpm":' || CASE WHEN n = %[1]d / 2 THEN 999 ELSE 60 + n %% 120 END
				|| ',"genre":"' || CASE WHEN n * 29 %% 3 = 0 THEN 'trap' ELSE 'house' END || '"}',
			p.id, strftime('%%Y-%%m-%%d %%H:%%M:%%S.000000', 'now', '-' || (%[1]d - n) || ' seconds'),
			1, 'w', 'completed', printf('%%08x-0000-7000-8000-000000000000', n / 10), n * 41 %% 100 = 3
		FROM (
			WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %[1]d)
			SELECT n FROM numbers)
		JOIN prompts AS p ON p.id = (SELECT min(id) FROM prompts) + n * 43 %% %[2]d`,
	},
	"postgres": {
		`INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
		SELECT 'beat number ' || n
				|| CASE WHEN n %% 100 = 0 THEN ' with a rare sound' ELSE ' at ' || (60 + n %% 120) || ' BPM' END,
			%[1]d / %[2]d, '2025-11-07', '2025-11-07'
		FROM generate_series(1, %[2]d) AS n`,
		`INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path,
			file_size_bytes, status, created_at, completed_at, generation_time_seconds, metadata, prompt_id,
			scheduled_at, attempt, worker, progress_step, batch_id, favorite)
		SELECT CAST(lpad(to_hex(n / 65536), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS UUID), p.text,
			CASE WHEN n * 31 %% 100 = 7 THEN 'musicgen-medium'
				WHEN n * 31 %% 2 = 0 THEN 'musicgen-small' ELSE 'musicgen-large' END,
			16, 32000, 2, 'outputs/' || n || '.wav', 1000000,
			CASE WHEN n * 37 %% 100 < 97 THEN 'completed' WHEN n * 37 %% 100 < 99 THEN 'failed' ELSE 'pending' END,
			t, CASE WHEN n * 37 %% 100 < 99 THEN t END, 18.5,
			jsonb_build_object('bpm', CASE WHEN n = %[1]d / 2 THEN 999 ELSE 60 + n %% 120 END,
				'genre', CASE WHEN n * 29 %% 3 = 0 THEN 'trap' ELSE 'house' END), p.id, t,
			1, 'w', 'completed', CAST(lpad(to_hex(n / 10), 8, '0') || '-0000-7000-8000-000000000000' AS UUID), n * 41 %% 100 = 3
		FROM generate_series(CAST(1 AS BIGINT), %[1]d) AS n
		CROSS JOIN LATERAL (SELECT now() - (%[1]d - n) * INTERVAL '1 second' AS t) AS times
		JOIN prompts AS p ON p.id = (SELECT min(id) FROM prompts) + n * 43 %% %[2]d`,
	},
}

// Fill fills an empty store with the prompts and the given number of generations. The engine is "sqlite" or "postgres".
// It works in one transaction: if it is interrupted, the store is empty again.
func Fill(ctx context.Context, s *store.Store, engine string, generations int) error {
	err := s.InTx(ctx, func(tx *store.Tx) error {
		create, err := withoutIndexes(ctx, tx, engine)
		if err != nil {
			return err
		}
		for _, statement := range statements[engine] {
			if err := exec(ctx, tx.DB(), fmt.Sprintf(statement, generations, Prompts)); err != nil {
				return err
			}
		}
		return exec(ctx, tx.DB(), create...)
	})
	if err == nil {
		err = exec(ctx, s.DB(), analyze[engine]...)
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// analyze vacuums twice on PostgreSQL, because only the second run marks pages as all-visible, which index-only scans
// need.
var analyze = map[string][]string{"sqlite": {"ANALYZE"}, "postgres": {"VACUUM", "VACUUM ANALYZE"}}

// withoutIndexes drops SQLite's indexes and triggers of generations, and returns the statements that restore them.
// SQLite builds an index of a million rows at once in a tenth of the time that it takes to add them one by one.
func withoutIndexes(ctx context.Context, tx *store.Tx, engine string) (create []string, err error) {
	if engine != "sqlite" {
		return nil, nil
	}
	rows, err := tx.DB().Query(ctx, `SELECT type, name, sql FROM sqlite_schema
		WHERE tbl_name = 'generations' AND type IN ('index', 'trigger') AND sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		drop, create = append(drop, "DROP "+kind+" "+name), append(create, text)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	create = append(create,
		`INSERT INTO generation_metadata (name, value, created_at, generation_id)
			SELECT name, value, created_at, generation_id FROM generation_metadata_entries ORDER BY 1, 2, 3, 4`,
		`UPDATE generation_counters SET value = (SELECT count(*) FROM generations WHERE status = name)
			WHERE name <> 'prompts'`)
	return create, exec(ctx, tx.DB(), drop...)
}

func exec(ctx context.Context, db storagedb.DBTX, statements ...string) error {
	for _, statement := range statements {
		if _, err := db.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
