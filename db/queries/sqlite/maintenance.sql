-- As PostgreSQL's; see there. Nobody else writes meanwhile, so nothing is locked or skipped. IDs are a JSON array. What asks the
-- full-text index for what it keeps for itself is in store/maintenance_sqlite.go: sqlc does not know those tables.

-- name: PruneGenerations :many
DELETE FROM generations
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT))) AND status = @status AND favorite <= CAST(@favorites_too AS BOOLEAN)
	AND created_at < @created_before AND (completed_at IS NULL OR completed_at < @completed_before)
RETURNING file_path;

-- name: DropUnusedPrompts :execrows
DELETE FROM prompts
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT))) AND last_used_at < @used_before
	AND NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.prompt_id = prompts.id);

-- name: SetCounter :exec
INSERT INTO generation_counters (name, value) VALUES (@name, @value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: MetadataToCheck :many
-- A page of generations from an ID on, and whether an entry of their metadata is missing in generation_metadata: a probe for each.
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
SELECT m.generation_id, count(*) AS entries FROM generation_metadata AS m
WHERE NOT EXISTS (
	SELECT 1 FROM generation_metadata_entries AS e
	WHERE e.generation_id = m.generation_id AND e.name = m.name AND e.value = m.value AND e.created_at = m.created_at
)
GROUP BY m.generation_id;

-- name: AddMissingMetadata :exec
INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
SELECT name, value, created_at, generation_id FROM generation_metadata_entries
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)));

-- name: DeleteSurplusMetadata :exec
DELETE FROM generation_metadata
WHERE generation_id IN (SELECT value FROM json_each(CAST(@ids AS TEXT))) AND NOT EXISTS (
	SELECT 1 FROM generation_metadata_entries AS e
	WHERE e.generation_id = generation_metadata.generation_id AND e.name = generation_metadata.name
		AND e.value = generation_metadata.value AND e.created_at = generation_metadata.created_at
);
