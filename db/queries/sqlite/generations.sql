-- name: PromptID :one
-- Index: prompts_text_key (index-only). An index of SQLite also has the rowid, which is the ID.
SELECT id FROM prompts WHERE text = @text;

-- name: UsePrompt :exec
-- Primary key of prompts.
--
-- It is TrackPrompt for a prompt that exists, and for several uses at once. A statement without triggers and RETURNING
-- costs SQLite half as much, because SQLite keeps no copy of the pages that it changes. PostgreSQL creates prompts and
-- generations in one statement: CreateGenerations.
UPDATE prompts SET
	used_count = used_count + CAST(@uses AS INTEGER),
	last_used_at = CASE WHEN @used_at > last_used_at THEN @used_at ELSE last_used_at END
WHERE id = @id;

-- name: CompleteGeneration :one
-- Primary key of generations.
--
-- The store merges the metadata in Go, under the writer's lock. SQLite's json_patch is RFC 7396, which also merges
-- nested objects and takes null for a deletion. Its JSON functions round large integers. PostgreSQL merges with ||.
UPDATE generations SET
	status = 'completed',
	completed_at = @completed_at,
	generation_time_seconds = @generation_time_seconds,
	file_size_bytes = @file_size_bytes,
	error_message = NULL,
	metadata = @metadata,
	progress_step = 'completed',
	progress_fraction = 1,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('pending', 'processing')
	AND CASE
		WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN attempt
		ELSE 0
	END = CAST(@attempt AS INTEGER)
RETURNING *;

-- name: SetMetadata :one
-- Primary key of generations.
UPDATE generations SET metadata = @metadata WHERE id = @id RETURNING *;

-- name: GetMetadata :one
-- Primary key of generations.
SELECT metadata FROM generations WHERE id = @id;
