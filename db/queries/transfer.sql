-- What Transfer reads, writes and compares: all rows of a table, in batches, each a range of the primary key. Both engines
-- have the rows in the same order: a UUID in lower case sorts as text as it does in PostgreSQL.

-- name: RowCounts :one
-- It reads an index of each table from one end to the other: what the counters say is not what is to be relied on here.
SELECT
	(SELECT count(*) FROM prompts) AS prompts,
	(SELECT count(*) FROM generations) AS generations,
	(SELECT count(*) FROM generation_errors) AS generation_errors;

-- name: PromptsBehind :many
SELECT * FROM prompts WHERE id > @id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationsFrom :many
-- From an ID on, not behind it, since the lowest of all UUIDs may be one.
SELECT * FROM generations WHERE id >= @id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationErrorsBehind :many
-- A row comparison, spelled out as in generations.sql.
SELECT * FROM generation_errors
WHERE generation_id >= @generation_id AND (generation_id > @generation_id OR attempt > @attempt)
ORDER BY generation_id, attempt
LIMIT CAST(@row_limit AS BIGINT);

-- name: CopyPrompts :copyfrom
-- With the IDs that they have. The engines' counters of IDs do not all follow: see SkipPromptIDs.
INSERT INTO prompts (id, text, used_count, first_used_at, last_used_at)
VALUES (@id, @text, @used_count, @first_used_at, @last_used_at);

-- name: CopyGenerationErrors :copyfrom
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
VALUES (@generation_id, @attempt, @worker, @error, @failed_at);

-- name: SetQueuePausedAt :exec
UPDATE generation_queue SET paused_at = @paused_at WHERE id = 1;

-- name: LockQueueRow :exec
-- Changes nothing, and holds the one row that every database has until the transaction ends.
UPDATE generation_queue SET id = id WHERE id = 1;
