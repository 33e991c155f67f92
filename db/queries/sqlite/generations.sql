-- name: InsertGeneration :exec
-- PostgreSQL creates prompts and generations in one statement; SQLite has no INSERT inside WITH. In SQLite a statement
-- costs no round trip, so the store tracks the prompt with the shared query and inserts the row with this one. It returns
-- nothing, since the store knows all that it would.
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, status, created_at,
	metadata, prompt_id, priority, scheduled_at, max_attempts, batch_id
)
VALUES (
	@id, @prompt, @model_name, @model_version, @duration_seconds, @sample_rate, @channels, @file_path, 'pending', @created_at,
	@metadata, @prompt_id, @priority, @scheduled_at, @max_attempts, @batch_id
);

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
