-- name: LastPromptID :one
-- Primary key of prompts, its last entry.
--
-- It returns the highest ID that the sequence has given out or that was written past it, or 0 if there is none.
SELECT CAST(GREATEST(
	COALESCE(pg_sequence_last_value(CAST(pg_get_serial_sequence('prompts', 'id') AS REGCLASS)), 0),
	COALESCE((SELECT max(p.id) FROM prompts AS p), 0)
) AS BIGINT) AS last_id;

-- name: SkipPromptIDs :exec
-- No index is read. The sequence does not follow IDs that are written. It begins at 1 and takes no lower value, so a
-- last_id below 1 changes nothing.
SELECT setval(CAST(pg_get_serial_sequence('prompts', 'id') AS REGCLASS), CAST(@last_id AS BIGINT))
WHERE CAST(@last_id AS BIGINT) >= 1;
