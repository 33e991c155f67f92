-- name: PruneGenerations :many
-- Index: idx_generations_status, up to created_before. The IDs are a filter on it.
--
-- The statements of this file do what PostgreSQL's of the same name do. SQLite has one writer, so they neither lock nor
-- skip anything. IDs are a JSON array. The statements that check and rebuild the full-text index are in
-- internal/sqlite/maintain.go, because sqlc does not know the tables that FTS5 makes.
DELETE FROM generations
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)))
	AND status = @status AND favorite <= CAST(@favorites_too AS BOOLEAN)
	AND created_at < @created_before AND (completed_at IS NULL OR completed_at < @completed_before)
RETURNING file_path;

-- name: DropUnusedPrompts :execrows
-- Primary key of prompts, for each ID. Index for its generations: idx_generations_prompt_id (index-only).
DELETE FROM prompts
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT))) AND last_used_at < @used_before
	AND NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.prompt_id = prompts.id);

-- name: SetCounter :exec
-- Primary key of generation_counters.
INSERT INTO generation_counters (name, value) VALUES (@name, @value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: MetadataToCheck :many
-- Primary key of generations, a page from from_id on. Primary key of generation_metadata for each entry.
--
-- missing reports whether an entry of the metadata is missing in generation_metadata.
SELECT g.id, CAST(EXISTS (
	SELECT 1 FROM generation_metadata_entries AS e
	WHERE e.generation_id = g.id AND NOT EXISTS (
		SELECT 1 FROM generation_metadata AS m
		WHERE m.name = e.name AND m.value = e.value AND m.created_at = e.created_at AND m.generation_id = e.generation_id
	)
) AS BOOLEAN) AS missing
FROM generations AS g
WHERE g.id >= @from_id
ORDER BY g.id
LIMIT @row_limit;

-- name: SurplusMetadata :many
-- Full scan of generation_metadata, because such entries may be anywhere, and of the metadata of all generations. The
-- entries are sorted in a temporary file. To look each up in its generation's metadata would read that once for each of
-- its keys: a generation with 80,000 keys took over 100 seconds.
SELECT surplus.generation_id, count(*) AS entries FROM (
	SELECT m.generation_id, m.name, m.value, m.created_at FROM generation_metadata AS m
	EXCEPT
	SELECT e.generation_id, e.name, e.value, e.created_at FROM generation_metadata_entries AS e
) AS surplus
GROUP BY surplus.generation_id;

-- name: AddMissingMetadata :exec
-- Primary key of generations, for each ID.
INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
SELECT name, value, created_at, generation_id FROM generation_metadata_entries
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)));

-- name: DeleteSurplusMetadata :exec
-- Full scan of generation_metadata: no index has the entries of one generation together. Primary key of generations,
-- for each ID, to read the entries that are right. SQLite reads them once.
DELETE FROM generation_metadata
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)))
	AND (name, value, created_at, generation_id) NOT IN (
		SELECT e.name, e.value, e.created_at, e.generation_id FROM generation_metadata_entries AS e
		WHERE e.generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)))
	);
