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
-- Full scan of generation_metadata, because such entries may be anywhere. Index for the generation of each:
-- idx_generations_created_at.
SELECT m.generation_id, count(*) AS entries FROM generation_metadata AS m
WHERE NOT EXISTS (
	SELECT 1 FROM generation_metadata_entries AS e
	WHERE e.generation_id = m.generation_id AND e.name = m.name AND e.value = m.value AND e.created_at = m.created_at
)
GROUP BY m.generation_id;

-- name: AddMissingMetadata :exec
-- Primary key of generations, for each ID.
INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
SELECT name, value, created_at, generation_id FROM generation_metadata_entries
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)));

-- name: DeleteSurplusMetadata :exec
-- Full scan of generation_metadata: no index has the entries of one generation together. Index for the generation of
-- each: idx_generations_created_at.
DELETE FROM generation_metadata
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT))) AND NOT EXISTS (
	SELECT 1 FROM generation_metadata_entries AS e
	WHERE e.generation_id = generation_metadata.generation_id AND e.name = generation_metadata.name
		AND e.value = generation_metadata.value AND e.created_at = generation_metadata.created_at
);
