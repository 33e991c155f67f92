-- name: Stats :one
-- Full scan of generation_counters, which is short: one row for each count on SQLite, the changes that are not folded
-- yet on PostgreSQL.
--
-- Triggers keep the counts, so the cost does not grow with the number of generations. All counts are of one moment.
SELECT
	CAST(COALESCE(sum(CASE WHEN name = 'pending' THEN value END), 0) AS BIGINT) AS pending_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'processing' THEN value END), 0) AS BIGINT) AS processing_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'completed' THEN value END), 0) AS BIGINT) AS completed_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'failed' THEN value END), 0) AS BIGINT) AS failed_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'cancelled' THEN value END), 0) AS BIGINT) AS cancelled_generations,
	CAST(COALESCE(sum(CASE WHEN name = 'prompts' THEN value END), 0) AS BIGINT) AS total_prompts
FROM generation_counters;

-- name: CountsAndTruth :many
-- Full scan of generations and prompts, to count them.
--
-- For each counter it returns what the triggers have kept and how many rows there are, both of one moment.
SELECT
	names.name,
	CAST(COALESCE((
		SELECT sum(c.value) FROM generation_counters AS c WHERE c.name = names.name
	), 0) AS BIGINT) AS kept,
	CAST(COALESCE(truth.rows, 0) AS BIGINT) AS there
FROM (
	SELECT 'pending' AS name
	UNION SELECT 'processing'
	UNION SELECT 'completed'
	UNION SELECT 'failed'
	UNION SELECT 'cancelled'
	UNION SELECT 'prompts'
) AS names
LEFT JOIN (
	SELECT status AS name, count(*) AS rows FROM generations GROUP BY status
	UNION ALL
	SELECT 'prompts', count(*) FROM prompts
) AS truth ON truth.name = names.name
ORDER BY names.name;

-- name: OldestPending :many
-- Index: idx_generations_status, its first pending entry. It returns one row, or none if nothing is pending.
SELECT created_at FROM generations WHERE status = 'pending' ORDER BY created_at LIMIT 1;

-- name: AverageGenerationTime :one
-- Index: idx_generations_completed_at (index-only), from since on. It returns 0 if nothing was completed since.
--
-- The cost grows with what ended in that range, not with history. The inner ORDER BY and LIMIT change no result. They
-- keep SQLite on that range: it estimates any range as a quarter of the table, and would rather read all of it.
-- Times are capped at 1e15 seconds, because PostgreSQL cannot add two that are near infinity.
SELECT CAST(COALESCE(avg(recent.generation_time_seconds), 0) AS DOUBLE PRECISION) AS average
FROM (
	SELECT
		CASE WHEN g.generation_time_seconds < 1e15 THEN g.generation_time_seconds ELSE 1e15 END AS generation_time_seconds,
		g.status
	FROM generations AS g
	WHERE g.completed_at >= @since AND g.generation_time_seconds IS NOT NULL
	ORDER BY g.completed_at DESC
	LIMIT 9223372036854775807
) AS recent
WHERE recent.status = 'completed';
