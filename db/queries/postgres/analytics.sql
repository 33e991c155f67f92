-- name: DailyUsage :many
-- Indexes: idx_generations_created_at (index-only) for what was created, idx_generations_completed_at for what ended.
--
-- Each engine cuts the day from a time in its own way.
SELECT
	CAST(events.day AS TEXT) AS day,
	CAST(sum(events.created) AS BIGINT) AS created,
	CAST(sum(events.completed) AS BIGINT) AS completed,
	CAST(sum(events.failed) AS BIGINT) AS failed,
	CAST(sum(events.audio_seconds) AS DOUBLE PRECISION) AS audio_seconds,
	CAST(COALESCE(avg(events.generation_time_seconds), 0) AS DOUBLE PRECISION) AS average_generation_time_seconds
FROM (
	SELECT
		to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, 1 AS created, 0 AS completed, 0 AS failed,
		0.0 AS audio_seconds, NULL AS generation_time_seconds
	FROM generations AS c
	WHERE c.created_at >= @from_time AND c.created_at < @to_time
	UNION ALL
	SELECT to_char(e.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 0,
		CASE WHEN e.status = 'completed' THEN 1 ELSE 0 END,
		CASE WHEN e.status = 'failed' THEN 1 ELSE 0 END,
		CASE WHEN e.status <> 'completed' THEN 0 WHEN e.duration_seconds < 1e15 THEN e.duration_seconds ELSE 1e15 END,
		CASE
			WHEN e.status <> 'completed' THEN NULL
			WHEN e.generation_time_seconds >= 1e15 THEN 1e15
			ELSE e.generation_time_seconds
		END
	FROM generations AS e
	WHERE e.completed_at >= CAST(@from_time AS TIMESTAMPTZ) AND e.completed_at < CAST(@to_time AS TIMESTAMPTZ)
) AS events
GROUP BY events.day
ORDER BY events.day;
