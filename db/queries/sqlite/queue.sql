-- name: NextPendingPriority :many
-- Index: idx_generations_pending (index-only), one probe.
--
-- It returns the lowest priority from from_priority on at which a generation is pending, or no row. A claim goes from
-- priority to priority with it, as the recursion of PostgreSQL's ClaimGenerations does. A statement of SQLite costs no
-- round trip. One statement for all priorities would visit all of them before its first row.
SELECT priority FROM generations WHERE status = 'pending' AND priority >= @from_priority ORDER BY priority LIMIT 1;

-- name: DueGenerations :many
-- Index: idx_generations_pending.
--
-- It returns what a claim takes at one priority. SQLite has one writer, so nothing is locked or skipped. The names of
-- the models are a JSON array, and an empty one means all models. generation_readable is a function of the store: a row
-- that it cannot read costs no other row its claim.
SELECT g.* FROM generations AS g
WHERE g.status = 'pending' AND g.priority = @priority AND g.scheduled_at <= @now
	AND (CAST(@model_names AS TEXT) = '[]' OR g.model_name IN (SELECT value FROM json_each(CAST(@model_names AS TEXT))))
	AND generation_readable(
		g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
		g.cancel_requested_at
	)
ORDER BY g.scheduled_at, g.id
LIMIT @row_limit;

-- name: ClaimDue :exec
-- Primary key of generations, for each ID.
--
-- It claims what DueGenerations has found. The IDs are a JSON array. SQLite keeps a copy of each page that a statement
-- with triggers changes. One statement for each generation would therefore cost twice as much. It returns nothing,
-- because the store knows what the rows become.
UPDATE generations SET
	status = 'processing',
	attempt = attempt + 1,
	worker = @worker,
	started_at = @started_at,
	lease_expires_at = @lease_expires_at,
	error_message = NULL
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)));

-- name: KeepGenerationError :exec
-- Primary key of generations.
--
-- It keeps the error of a generation that FailGeneration is about to fail under a claim. It has the same condition, and
-- runs before the status changes.
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
SELECT g.id, g.attempt, g.worker, @error, @failed_at FROM generations AS g
WHERE g.id = @id AND g.status = 'processing' AND g.lease_expires_at IS NOT NULL AND g.attempt = @attempt;

-- name: FailGeneration :one
-- Primary key of generations. It runs after KeepGenerationError. PostgreSQL has FailGenerations for both.
UPDATE generations SET
	status = CASE
		WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
		WHEN CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN 'failed'
		ELSE 'pending'
	END,
	scheduled_at = CASE
		WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN scheduled_at
		ELSE @retry_at
	END,
	started_at = CASE
		WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN started_at
	END,
	completed_at = CASE
		WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN @now
	END,
	progress_step = CASE
		WHEN cancel_requested_at IS NOT NULL THEN progress_step
		WHEN CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN 'failed'
		ELSE 'queued'
	END,
	progress_fraction = CASE
		WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN progress_fraction
		ELSE 0
	END,
	error_message = @error_message,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('pending', 'processing')
	AND CASE
		WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN attempt
		ELSE 0
	END = CAST(@attempt AS INTEGER)
RETURNING *;

-- name: KeepExpiredLeases :exec
-- Index: idx_generations_status, all that is processing, then a sort.
--
-- It keeps an error for each generation that RescueGenerations is about to rescue. It takes the same rows, by the same
-- order and limit, and runs before their status changes.
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
SELECT g.id, g.attempt, g.worker, @error, @failed_at FROM generations AS g
WHERE g.status = 'processing' AND g.lease_expires_at <= @now
	AND generation_readable(
		g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
		g.cancel_requested_at
	)
ORDER BY g.lease_expires_at, g.id
LIMIT @row_limit;

-- name: RescueGenerations :many
-- Index: idx_generations_status, all that is processing, then a sort. It runs after KeepExpiredLeases.
UPDATE generations SET
	status = CASE
		WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
		WHEN attempt >= max_attempts THEN 'failed'
		ELSE 'pending'
	END,
	started_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN started_at END,
	completed_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN @completed_at END,
	progress_step = CASE
		WHEN cancel_requested_at IS NOT NULL THEN progress_step
		WHEN attempt >= max_attempts THEN 'failed'
		ELSE 'queued'
	END,
	progress_fraction = CASE
		WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN progress_fraction
		ELSE 0
	END,
	error_message = @error_message,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE generations.id IN (
	SELECT g.id FROM generations AS g
	WHERE g.status = 'processing' AND g.lease_expires_at <= @now
		AND generation_readable(
			g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
			g.cancel_requested_at
		)
	ORDER BY g.lease_expires_at, g.id
	LIMIT @row_limit
)
RETURNING *;
