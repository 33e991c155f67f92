-- name: Stats :one
-- One statement, so that the numbers belong to one moment. The schema keeps them, so all cost as many rows as there are:
-- one for each on SQLite, on PostgreSQL the changes that have not been folded yet.
SELECT
	CAST(COALESCE(sum(CASE WHEN name = 'pending' THEN value END), 0) AS BIGINT) AS pending_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'processing' THEN value END), 0) AS BIGINT) AS processing_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'completed' THEN value END), 0) AS BIGINT) AS completed_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'failed' THEN value END), 0) AS BIGINT) AS failed_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'cancelled' THEN value END), 0) AS BIGINT) AS cancelled_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'prompts' THEN value END), 0) AS BIGINT) AS total_prompts
FROM generation_counters;

-- name: CountsAndTruth :many
-- What the schema keeps, and what there is, of one moment. It reads all generations and prompts.
SELECT
	names.name,
	CAST(COALESCE((SELECT sum(c.value) FROM generation_counters AS c WHERE c.name = names.name), 0) AS BIGINT) AS kept,
	CAST(COALESCE(truth.rows, 0) AS BIGINT) AS there
FROM (SELECT 'pending' AS name UNION SELECT 'processing' UNION SELECT 'completed' UNION SELECT 'failed' UNION SELECT 'cancelled' UNION SELECT 'prompts') AS names
LEFT JOIN (
	SELECT status AS name, count(*) AS rows FROM generations GROUP BY status
	UNION ALL
	SELECT 'prompts', count(*) FROM prompts
) AS truth ON truth.name = names.name
ORDER BY names.name;

-- name: OldestPending :many
-- None, or one: the first entry of its range of idx_generations_status.
SELECT created_at FROM generations WHERE status = 'pending' ORDER BY created_at LIMIT 1;

-- name: AverageGenerationTime :one
-- One range of idx_generations_completed_at, as long as there are completions in it, whatever is before. The order, and a
-- limit that is none, are for SQLite: it takes any range for a quarter of the table, and would rather read all. What
-- nobody can have measured is cut to 1e15 seconds, since PostgreSQL has no sum of two that are near infinity. 0: none.
SELECT CAST(COALESCE(avg(recent.generation_time_seconds), 0) AS DOUBLE PRECISION) AS average
FROM (
	SELECT CASE WHEN g.generation_time_seconds < 1e15 THEN g.generation_time_seconds ELSE 1e15 END AS generation_time_seconds, g.status
	FROM generations AS g
	WHERE g.completed_at >= @since AND g.generation_time_seconds IS NOT NULL
	ORDER BY g.completed_at DESC
	LIMIT 9223372036854775807
) AS recent
WHERE recent.status = 'completed';
