-- name: GetGeneration :one
-- Primary key of generations.
SELECT * FROM generations WHERE id = @id;

-- name: ListGenerations :many
-- Index: idx_generations_created_at (backward scan).
--
-- The queries that list generations have one shape. Each is led by one index, and has a twin for the opposite order.
-- The filter that leads the index is a condition that no parameter switches off: neither engine could use the index
-- then. The other filters are conditions on the rows that the index returns. An empty one lets all rows pass:
-- COALESCE(NULL, status) is the status itself, and every favorite is >= FALSE.
--
-- A page is a keyset page. The cursor is the last row of the previous page, or the end of time and the highest ID. The
-- row comparison is spelled out, because sqlc gives both parameters of a row value the type of the first column. The
-- engines still read one range of the index, and created_from is its other end.
SELECT * FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: NewestGenerations :many
-- Index: idx_generations_created_at (backward scan).
--
-- It is ListGenerations without a cursor, a time range and an offset, for the page that is asked for most. PostgreSQL
-- plans a list at each call, because it estimates the generic plan to cost more. Conditions that hold for all rows
-- would take most of that planning.
SELECT * FROM generations
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: ListOldestGenerations :many
-- Index: idx_generations_created_at.
SELECT * FROM generations
WHERE created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatus :many
-- Index: idx_generations_status (backward scan).
SELECT * FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByStatus :many
-- Index: idx_generations_status.
SELECT * FROM generations
WHERE status = @status
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByModel :many
-- Index: idx_generations_model_name (backward scan).
SELECT * FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByModel :many
-- Index: idx_generations_model_name.
SELECT * FROM generations
WHERE model_name = @model_name
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatusAndModel :many
-- Index: idx_generations_status_model_name (backward scan).
--
-- With an index on only one of the two, the failures of a common model would mean reading most of the table.
SELECT * FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestGenerationsByStatusAndModel :many
-- Index: idx_generations_status_model_name.
SELECT * FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByBatch :many
-- Index: idx_generations_batch_id, then a sort: a batch is small.
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
-- Index: idx_generations_batch_id, then a sort: a batch is small.
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
-- Index: idx_generations_favorite (backward scan).
SELECT * FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @created_from
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListOldestFavorites :many
-- Index: idx_generations_favorite.
SELECT * FROM generations
WHERE favorite
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
	AND created_at < @created_to
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
	AND model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), model_name)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: PendingGenerations :many
-- Index: idx_generations_pending.
--
-- The rows come in the order in which they will be claimed. The status is a literal, so that the engines see that the
-- partial index applies.
SELECT * FROM generations
WHERE status = 'pending'
ORDER BY priority, scheduled_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: StartGeneration :one
-- Primary key of generations.
--
-- This statement and the next two check the status and set it at once: of two callers who race, one changes no row.
-- They set a status by hand, which ends a claim. With the lease gone, calls under the claim change nothing.
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
-- Primary key of generations.
--
-- The status becomes completed, failed or cancelled. If progress_step or progress_fraction is NULL, the present one
-- stays.
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
-- Primary key of generations.
--
-- The generation becomes pending again. The store passes the present time as scheduled_at, so it goes to the end of the
-- queue.
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
-- Primary key of generations. The foreign key deletes the errors, by the primary key of generation_errors.
DELETE FROM generations WHERE id = @id;

-- name: SetFavorite :one
-- Primary key of generations.
UPDATE generations SET favorite = @favorite WHERE id = @id RETURNING *;

-- name: InsertGenerations :copyfrom
-- No index is read: the rows go in by COPY on PostgreSQL, and by INSERTs of many rows each on SQLite.
--
-- It names only the columns that a creation sets. Sending and binding a default costs as much as any other value.
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, status, created_at,
	metadata, prompt_id, priority, scheduled_at, max_attempts, batch_id
)
VALUES (
	@id, @prompt, @model_name, @model_version, @duration_seconds, @sample_rate, @channels, @file_path, @status,
	@created_at, @metadata, @prompt_id, @priority, @scheduled_at, @max_attempts, @batch_id
);

-- name: CopyGenerations :copyfrom
-- No index is read: a transfer writes whole generations as InsertGenerations does.
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, file_size_bytes, status,
	created_at, completed_at, generation_time_seconds, error_message, metadata, prompt_id, priority, scheduled_at,
	started_at, attempt, max_attempts, worker, lease_expires_at, batch_id, progress_step, progress_fraction,
	cancel_requested_at, favorite
)
VALUES (
	@id, @prompt, @model_name, @model_version, @duration_seconds, @sample_rate, @channels, @file_path, @file_size_bytes,
	@status, @created_at, @completed_at, @generation_time_seconds, @error_message, @metadata, @prompt_id, @priority,
	@scheduled_at, @started_at, @attempt, @max_attempts, @worker, @lease_expires_at, @batch_id, @progress_step,
	@progress_fraction, @cancel_requested_at, @favorite
);
