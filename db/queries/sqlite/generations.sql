-- name: PromptID :one
-- The unique index on text has the id, too.
SELECT id FROM prompts WHERE text = @text;

-- name: UsePrompt :exec
-- What TrackPrompt does for a prompt that is there, for several uses at once. A statement without triggers and RETURNING
-- costs SQLite half as much: it keeps no copy of the pages that it changes. PostgreSQL creates prompts and generations in one
-- statement; see its CreateGenerations.
UPDATE prompts SET
	used_count = used_count + CAST(@uses AS INTEGER),
	last_used_at = CASE WHEN @used_at > last_used_at THEN @used_at ELSE last_used_at END
WHERE id = @id;

-- name: CompleteGeneration :one
-- PostgreSQL merges metadata with ||. SQLite's json_patch is RFC 7396, which merges nested objects and takes null for
-- a deletion, and its JSON functions round large integers; so the store merges in Go, under the writer's lock.
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
	AND CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN attempt ELSE 0 END = CAST(@attempt AS INTEGER)
RETURNING *;

-- name: SetMetadata :one
UPDATE generations SET metadata = @metadata WHERE id = @id RETURNING *;

-- name: GetMetadata :one
SELECT metadata FROM generations WHERE id = @id;
