-- name: RowCounts :one
-- Full scan of each table. A transfer relies neither on the counters nor on an index: it reads the rows by the primary
-- keys, so that an index that misses rows shows as a difference. No index has the columns of these conditions, which
-- are true of each row: they keep the engines from counting the entries of an index.
SELECT
	(SELECT count(*) FROM prompts WHERE CAST(first_used_at AS TEXT) <> '') AS prompts,
	(SELECT count(*) FROM generations WHERE length(file_path) >= 0) AS generations,
	(SELECT count(*) FROM generation_errors WHERE length(error) >= 0) AS generation_errors;

-- name: PromptsBehind :many
-- Primary key of prompts.
--
-- A transfer reads, writes and compares whole tables in batches, each a range of the primary key. Both engines return
-- the rows in the same order: a UUID in lower case sorts as text as a uuid does on PostgreSQL.
SELECT * FROM prompts WHERE id > @id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationsFrom :many
-- Primary key of generations. The range includes id: the lowest UUID may be an ID.
SELECT * FROM generations WHERE id >= @id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationErrorsBehind :many
-- Primary key of generation_errors. The row comparison is spelled out, as in ListGenerations.
SELECT * FROM generation_errors
WHERE generation_id >= @generation_id AND (generation_id > @generation_id OR attempt > @attempt)
ORDER BY generation_id, attempt
LIMIT CAST(@row_limit AS BIGINT);

-- name: CopyPrompts :copyfrom
-- No index is read. The rows keep their IDs, which PostgreSQL's sequence does not follow: see SkipPromptIDs.
INSERT INTO prompts (id, text, used_count, first_used_at, last_used_at)
VALUES (@id, @text, @used_count, @first_used_at, @last_used_at);

-- name: CopyGenerationErrors :copyfrom
-- No index is read: a transfer writes whole rows as CopyPrompts does.
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
VALUES (@generation_id, @attempt, @worker, @error, @failed_at);

-- name: SetQueuePausedAt :exec
-- Primary key of generation_queue, which has one row.
UPDATE generation_queue SET paused_at = @paused_at WHERE id = 1;

-- name: LockQueueRow :exec
-- Primary key of generation_queue.
--
-- It changes nothing. It locks the one row that every database has, until the transaction ends.
UPDATE generation_queue SET id = id WHERE id = 1;
