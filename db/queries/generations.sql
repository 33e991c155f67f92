-- name: GetGeneration :one
SELECT * FROM generations WHERE id = @id;

-- name: ListGenerations :many
-- A keyset page, newest first: @before_created_at and @before_id name the last row already seen, or the end of time and
-- the highest id for the first page. The row comparison is spelled out because sqlc takes both parameters of a row value
-- for the first column's type; the engines read it as one range of the index all the same.
-- Served by idx_generations_created_at, backwards.
SELECT * FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatus :many
-- Served by idx_generations_status, backwards. One query per filter, since a condition that an empty
-- parameter switches off gives up the index on both engines.
SELECT * FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByModel :many
-- Served by idx_generations_model_name, backwards.
SELECT * FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: ListGenerationsByStatusAndModel :many
-- Served by idx_generations_status_model_name, backwards. With the index of one of the two alone, the failures of a
-- common model or the successes of a new one would mean passing over most of the table.
SELECT * FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: PendingGenerations :many
-- The order in which they will be claimed. Served by idx_generations_pending, which holds pending rows alone: the
-- status must be a literal for the engines to see that the partial index applies.
SELECT * FROM generations
WHERE status = 'pending'
ORDER BY priority, scheduled_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountGenerations :one
-- Reads one whole index, on PostgreSQL as many pages as the table has where no index is smaller: it grows with history.
SELECT count(*) FROM generations;

-- name: CountGenerationsByStatus :one
-- Counts one range of idx_generations_status.
SELECT count(*) FROM generations WHERE status = @status;

-- name: StartGeneration :one
-- The status is checked and set in one statement, here and in the two that follow: of two callers who race, one
-- changes no row. Whoever sets a status by hand ends a claim: the lease goes, and with it the fence.
UPDATE generations SET
	status = 'processing',
	started_at = @started_at,
	completed_at = NULL,
	error_message = sqlc.narg('error_message')
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

-- name: Stats :one
-- One statement, so that the numbers belong to one moment. Each count reads its range of an index that begins with the
-- status, so this grows with history, too.
SELECT
	(SELECT count(*) FROM generations WHERE status = 'pending') AS pending_generations,
	(SELECT count(*) FROM generations WHERE status = 'processing') AS processing_generations,
	(SELECT count(*) FROM generations WHERE status = 'completed') AS completed_generations,
	(SELECT count(*) FROM generations WHERE status = 'failed') AS failed_generations,
	(SELECT count(*) FROM generations WHERE status = 'cancelled') AS cancelled_generations,
	(SELECT count(*) FROM prompts) AS total_prompts;
