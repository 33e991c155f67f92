-- name: PrunableGenerations :many
-- Index: idx_generations_status, from the last row seen on. Rows that are kept are therefore read once.
--
-- What ended before a time was created before it, so created_before bounds the range. The Python service left finished
-- rows without completed_at. Their age counts from created_at.
--
-- Prune, Check and Repair read all rows, in keyset pages. None of their statements holds a lock or a snapshot for
-- longer than a page takes. Counts and foreign keys are the exception: they must be checked as of one moment.
SELECT id, created_at, prompt_id, file_path FROM generations
WHERE status = @status
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_before
	AND (completed_at IS NULL OR completed_at < @completed_before)
	AND favorite <= CAST(@favorites_too AS BOOLEAN)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: FilePaths :many
-- Primary key of generations, a page from from_id on. The range includes from_id: the lowest UUID may be an ID.
--
-- There is no index on file_path, because each creation would pay for it.
SELECT id, file_path FROM generations WHERE id >= @from_id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: PromptUses :many
-- Primary key of prompts, a page after after_id. Index for each prompt's count: idx_generations_prompt_id (index-only).
--
-- used_count and the count are of one moment. A concurrent use is in both, or in neither.
SELECT p.id, p.used_count, p.last_used_at,
	(SELECT count(*) FROM generations AS g WHERE g.prompt_id = p.id) AS generations
FROM prompts AS p
WHERE p.id > @after_id
ORDER BY p.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: RaiseUsedCount :execrows
-- Primary key of prompts. Index for the count: idx_generations_prompt_id (index-only).
--
-- It never lowers used_count, which includes uses whose generation was deleted.
UPDATE prompts SET used_count = (SELECT count(*) FROM generations AS g WHERE g.prompt_id = prompts.id)
WHERE prompts.id = @id AND used_count < (SELECT count(*) FROM generations AS u WHERE u.prompt_id = prompts.id);

-- name: GenerationsToCheck :many
-- Primary key of generations, a page from from_id on, then the primary key of prompts.
SELECT g.id, g.status, g.file_path, g.file_size_bytes, g.prompt_id,
	CAST(CASE WHEN p.text <> g.prompt THEN TRUE ELSE FALSE END AS BOOLEAN) AS other_prompt
FROM generations AS g
LEFT JOIN prompts AS p ON p.id = g.prompt_id
WHERE g.id >= @from_id
ORDER BY g.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationsWithoutPrompt :many
-- Full scan of generations, because such rows may be anywhere. SQLite scans idx_generations_prompt_id and probes the
-- primary key of prompts for each entry. PostgreSQL joins the tables.
--
-- There are none, unless somebody deleted prompts on SQLite with foreign keys off, as SQLite's shell has them.
SELECT g.id, g.prompt_id FROM generations AS g
WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = g.prompt_id);

-- name: ErrorsWithoutGeneration :many
-- Full scan of generation_errors, because such rows may be anywhere. SQLite scans its primary key and probes that of
-- generations for each entry. PostgreSQL joins the tables.
SELECT e.generation_id, count(*) AS errors FROM generation_errors AS e
WHERE NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.id = e.generation_id)
GROUP BY e.generation_id;

-- name: ExpiredLeases :many
-- Index: idx_generations_status or idx_generations_status_model_name, all that is processing.
--
-- Only as many are processing as workers hold claims. An index on lease_expires_at would have to be kept at each
-- extension of a lease.
SELECT id, attempt, lease_expires_at FROM generations
WHERE status = 'processing' AND lease_expires_at <= @expired_before;
