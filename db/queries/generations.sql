-- name: GetGeneration :one
SELECT * FROM generations WHERE id = @id;

-- The lists. Each driver, what leads an index, has a query for newest first and one for oldest first; the other filters
-- are conditions on the rows that the index gives, and an empty one lets all pass: COALESCE(NULL, status) is the status
-- itself, and each favorite is >= FALSE. A condition on the driving column that a parameter switches off would give up the index on both engines.
--
-- A keyset page: the cursor names the last row already seen, or the end of time and the highest ID. The row comparison is
-- spelled out because sqlc takes both parameters of a row value for the first column's type; the engines read it as one
-- range of the index all the same. The other end of the time range is an end of the same index range.

-- name: ListGenerations :many
-- Served by idx_generations_created_at, backwards.
SELECT * FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: NewestGenerations :many
-- ListGenerations without a cursor, a time range and an offset: the page that is asked for most. PostgreSQL plans a list at
-- each call, since it takes the plan for any parameters to be dearer, and conditions that are true of all rows are most of
-- what there is to plan.
SELECT * FROM generations
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: ListOldestGenerations :many
SELECT * FROM generations
WHERE created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatus :many
-- Served by idx_generations_status, backwards.
SELECT * FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByStatus :many
SELECT * FROM generations
WHERE status = @status
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByModel :many
-- Served by idx_generations_model_name, backwards.
SELECT * FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByModel :many
SELECT * FROM generations
WHERE model_name = @model_name
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatusAndModel :many
-- Served by idx_generations_status_model_name, backwards.
-- With the index of one of the two alone, the failures of a common model or the successes of a new one would mean
-- passing over most of the table.
SELECT * FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByStatusAndModel :many
SELECT * FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByBatch :many
-- Served by idx_generations_batch_id, and sorted: a batch is small.
SELECT * FROM generations
WHERE batch_id = @batch_id
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
	AND favorite >= CAST(@favorite AS BOOLEAN)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByBatch :many
SELECT * FROM generations
WHERE batch_id = @batch_id
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
	AND favorite >= CAST(@favorite AS BOOLEAN)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListFavorites :many
-- Served by idx_generations_favorite, backwards.
SELECT * FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestFavorites :many
SELECT * FROM generations
WHERE favorite
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: PendingGenerations :many
-- The order in which they will be claimed. Served by idx_generations_pending, which holds pending rows alone: the
-- status must be a literal for the engines to see that the partial index applies.
SELECT * FROM generations
WHERE status = 'pending'
ORDER BY priority, scheduled_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: StartGeneration :one
-- The status is checked and set in one statement, here and in the two that follow: of two callers who race, one
-- changes no row. Whoever sets a status by hand ends a claim: the lease goes, and with it the fence.
UPDATE generations SET
	status = 'processing',
	started_at = @started_at,
	completed_at = NULL,
	error_message = sqlc.narg('error_message'),
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status = 'pending'
RETURNING *;

-- name: FinishGeneration :one
-- To completed, failed or cancelled.
UPDATE generations SET
	status = @status,
	completed_at = @completed_at,
	error_message = sqlc.narg('error_message'),
	progress_step = COALESCE(sqlc.narg('progress_step'), progress_step),
	progress_fraction = COALESCE(sqlc.narg('progress_fraction'), progress_fraction),
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('pending', 'processing')
RETURNING *;

-- name: RequeueGeneration :one
-- Back to pending, which means to the end of the queue.
UPDATE generations SET
	status = 'pending',
	scheduled_at = @scheduled_at,
	started_at = NULL,
	completed_at = NULL,
	error_message = sqlc.narg('error_message'),
	progress_step = 'queued',
	progress_fraction = 0,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('processing', 'failed', 'cancelled')
RETURNING *;

-- name: DeleteGeneration :execrows
DELETE FROM generations WHERE id = @id;

-- name: SetFavorite :one
UPDATE generations SET favorite = @favorite WHERE id = @id RETURNING *;

-- name: InsertGenerations :copyfrom
-- What a creation gives, by the engine's bulk path: COPY on PostgreSQL, inserts of many rows each on SQLite. Columns that have
-- their defaults cost as much to send and to bind as others.
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, status, created_at, metadata,
	prompt_id, priority, scheduled_at, max_attempts, batch_id
)
VALUES (
	@id, @prompt, @model_name, @model_version, @duration_seconds, @sample_rate, @channels, @file_path, @status, @created_at, @metadata,
	@prompt_id, @priority, @scheduled_at, @max_attempts, @batch_id
);

-- name: CopyGenerations :copyfrom
-- Whole rows, likewise.
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, file_size_bytes, status,
	created_at, completed_at, generation_time_seconds, error_message, metadata, prompt_id, priority, scheduled_at, started_at,
	attempt, max_attempts, worker, lease_expires_at, batch_id, progress_step, progress_fraction, cancel_requested_at, favorite
)
VALUES (
	@id, @prompt, @model_name, @model_version, @duration_seconds, @sample_rate, @channels, @file_path, @file_size_bytes, @status,
	@created_at, @completed_at, @generation_time_seconds, @error_message, @metadata, @prompt_id, @priority, @scheduled_at, @started_at,
	@attempt, @max_attempts, @worker, @lease_expires_at, @batch_id, @progress_step, @progress_fraction, @cancel_requested_at, @favorite
);
