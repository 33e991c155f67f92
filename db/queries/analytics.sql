-- name: ModelUsage :many
-- Full scan of generations: an average over all of history needs every row.
--
-- The 95th percentile is nearest-rank: of n times in ascending order, the one at place 95 * n / 100, rounded up. SQLite
-- has no percentile_disc. Times are capped at 1e15 seconds, as in AverageGenerationTime. Durations are capped likewise,
-- and one below 1e-9 seconds counts as 1e-9, because the real-time factor divides by their sum.
SELECT
	g.model_name,
	g.model_version,
	count(*) AS total_generations,
	count(CASE WHEN g.status = 'completed' THEN 1 END) AS completed_generations,
	count(CASE WHEN g.status = 'failed' THEN 1 END) AS failed_generations,
	CAST(COALESCE(avg(
		CASE WHEN g.status = 'completed' THEN g.generation_time_seconds END
	), 0) AS DOUBLE PRECISION) AS average_generation_time_seconds,
	CAST(COALESCE(max(
		CASE WHEN g.place = (g.times * 95 + 99) / 100 THEN g.generation_time_seconds END
	), 0) AS DOUBLE PRECISION) AS p95_generation_time_seconds,
	CAST(COALESCE(
		sum(CASE
			WHEN g.status = 'completed' AND g.generation_time_seconds IS NOT NULL THEN g.generation_time_seconds
		END)
		/ sum(CASE
			WHEN g.status = 'completed' AND g.generation_time_seconds IS NOT NULL THEN g.duration_seconds
		END), 0) AS DOUBLE PRECISION) AS real_time_factor
FROM (
	SELECT
		model_name, model_version, status,
		CASE
			WHEN duration_seconds < 1e-9 THEN 1e-9
			WHEN duration_seconds < 1e15 THEN duration_seconds
			ELSE 1e15
		END AS duration_seconds,
		CASE WHEN generation_time_seconds >= 1e15 THEN 1e15 ELSE generation_time_seconds END AS generation_time_seconds,
		CASE WHEN status = 'completed' AND generation_time_seconds IS NOT NULL THEN row_number() OVER (
			PARTITION BY model_name, model_version, status, generation_time_seconds IS NULL
			ORDER BY generation_time_seconds
		) END AS place,
		count(*) OVER (
			PARTITION BY model_name, model_version, status, generation_time_seconds IS NULL
		) AS times
	FROM generations
) AS g
GROUP BY g.model_name, g.model_version;

-- name: TrendingPrompts :many
-- Index: idx_generations_created_at, from since on, then the primary key of prompts.
--
-- The inner ORDER BY and LIMIT change no result. They keep SQLite on that range: it estimates any range as a quarter
-- of the table, and would rather scan all of another index.
SELECT sqlc.embed(p), uses.uses
FROM (
	SELECT recent.prompt_id, count(*) AS uses, max(recent.created_at) AS last_created_at
	FROM (
		SELECT g.prompt_id, g.created_at FROM generations AS g
		WHERE g.created_at >= @since
		ORDER BY g.created_at DESC
		LIMIT 9223372036854775807
	) AS recent
	GROUP BY recent.prompt_id
	ORDER BY uses DESC, last_created_at DESC, recent.prompt_id DESC
	LIMIT CAST(@row_limit AS BIGINT)
) AS uses
JOIN prompts AS p ON p.id = uses.prompt_id
ORDER BY uses.uses DESC, uses.last_created_at DESC, p.id DESC;
