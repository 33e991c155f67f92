-- name: LastPromptID :one
-- The highest that the sequence has given out, or that was written past it. 0: none.
SELECT CAST(GREATEST(
	COALESCE(pg_sequence_last_value(CAST(pg_get_serial_sequence('prompts', 'id') AS REGCLASS)), 0),
	COALESCE((SELECT max(p.id) FROM prompts AS p), 0)
) AS BIGINT) AS last_id;

-- name: SkipPromptIDs :exec
-- The sequence does not follow IDs that are written. It begins at 1, and takes nothing below.
SELECT setval(CAST(pg_get_serial_sequence('prompts', 'id') AS REGCLASS), CAST(@last_id AS BIGINT)) WHERE CAST(@last_id AS BIGINT) >= 1;
