-- What Prune, Check and Repair read and write. They look at all there is, in pages by keyset: no statement here holds a lock or
-- a snapshot for longer than a page takes, but for the counts and the foreign keys, which only make sense of one moment.

-- name: PrunableGenerations :many
-- Where something ended, by idx_generations_status from the last row seen, so that what is kept is passed over once. What ended
-- before a time was created before it. A row of the Python service may be finished and not say when; then it is as old as it
-- was created.
SELECT id, created_at, prompt_id, file_path FROM generations
WHERE status = @status
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_before
	AND (completed_at IS NULL OR completed_at < @completed_before)
	AND favorite <= CAST(@favorites_too AS BOOLEAN)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: FilePaths :many
-- A page in the order of the primary key, from an ID on, not behind it, since the lowest of all UUIDs may be one. There is no index
-- on file_path, for which each creation would pay.
SELECT id, file_path FROM generations WHERE id >= @from_id ORDER BY id LIMIT CAST(@row_limit AS BIGINT);

-- name: PromptUses :many
-- A page in the order of the primary key, and how many generations use each: one range of idx_generations_prompt_id for each
-- prompt. Both of one moment, so that a use that is being counted is in both numbers, or in none.
SELECT p.id, p.used_count, p.last_used_at,
	(SELECT count(*) FROM generations AS g WHERE g.prompt_id = p.id) AS generations
FROM prompts AS p
WHERE p.id > @after_id
ORDER BY p.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: RaiseUsedCount :execrows
-- Never lower: a count is history, which deleting generations does not change.
UPDATE prompts SET used_count = (SELECT count(*) FROM generations AS g WHERE g.prompt_id = prompts.id)
WHERE prompts.id = @id AND used_count < (SELECT count(*) FROM generations AS u WHERE u.prompt_id = prompts.id);

-- name: GenerationsToCheck :many
-- A page in the order of the primary key, from an ID on.
SELECT g.id, g.status, g.file_path, g.file_size_bytes, g.prompt_id,
	CAST(CASE WHEN p.text <> g.prompt THEN TRUE ELSE FALSE END AS BOOLEAN) AS other_prompt
FROM generations AS g
LEFT JOIN prompts AS p ON p.id = g.prompt_id
WHERE g.id >= @from_id
ORDER BY g.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: GenerationsWithoutPrompt :many
-- There are none, unless somebody has deleted prompts on SQLite with foreign keys switched off, as its shell has them. All entries
-- of idx_generations_prompt_id, and for each a probe of the primary key of prompts; PostgreSQL joins the tables.
SELECT g.id, g.prompt_id FROM generations AS g
WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = g.prompt_id);

-- name: ErrorsWithoutGeneration :many
-- The same, by the primary keys.
SELECT e.generation_id, count(*) AS errors FROM generation_errors AS e
WHERE NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.id = e.generation_id)
GROUP BY e.generation_id;

-- name: ExpiredLeases :many
-- What is processing is as much as there are workers, so idx_generations_status serves this, as RescueGenerations.
SELECT id, attempt, lease_expires_at FROM generations
WHERE status = 'processing' AND lease_expires_at <= @expired_before;
