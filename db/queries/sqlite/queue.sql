-- name: DueGenerations :many
-- What a claim takes, in claim order. The look is that of PostgreSQL's ClaimGenerations; see there. Nobody else writes
-- in the meantime, so nothing is locked or skipped, and the rows are claimed one by one, which costs no round trips: sqlc
-- takes no WITH before a SQLite UPDATE. The names of the models are a JSON array, an empty one for all.
WITH RECURSIVE priorities (priority) AS (
	SELECT (
		SELECT first.priority FROM generations AS first
		WHERE first.status = 'pending' AND NOT EXISTS (SELECT 1 FROM queue WHERE paused_at IS NOT NULL)
		ORDER BY first.priority
		LIMIT 1
	)
	UNION ALL
	SELECT (
		SELECT next.priority FROM generations AS next
		WHERE next.status = 'pending' AND next.priority > priorities.priority
		ORDER BY next.priority
		LIMIT 1
	)
	FROM priorities
	WHERE priorities.priority IS NOT NULL
)
SELECT due.id
FROM priorities
CROSS JOIN generations AS due
WHERE due.id IN (
	SELECT g.id FROM generations AS g
	WHERE g.status = 'pending' AND g.priority = priorities.priority AND g.scheduled_at <= @now
		AND (CAST(@model_names AS TEXT) = '[]' OR g.model_name IN (SELECT value FROM json_each(CAST(@model_names AS TEXT))))
	ORDER BY g.scheduled_at, g.id
	LIMIT @row_limit
)
ORDER BY due.priority, due.scheduled_at, due.id
LIMIT @row_limit;

-- name: ClaimGeneration :one
UPDATE generations SET
	status = 'processing',
	attempt = attempt + 1,
	worker = @worker,
	started_at = @started_at,
	lease_expires_at = @lease_expires_at,
	error_message = NULL
WHERE id = @id AND status = 'pending'
RETURNING *;

-- name: KeepGenerationError :exec
-- What FailGeneration is about to fail, if it is under the claim: the same condition, before the status changes.
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
SELECT g.id, g.attempt, g.worker, @error, @failed_at FROM generations AS g
WHERE g.id = @id AND g.status = 'processing' AND g.lease_expires_at IS NOT NULL AND g.attempt = @attempt;

-- name: FailGeneration :one
-- As PostgreSQL's, behind KeepGenerationError.
UPDATE generations SET
	status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' WHEN CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN 'failed' ELSE 'pending' END,
	scheduled_at = CASE WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN scheduled_at ELSE @retry_at END,
	started_at = CASE WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN started_at END,
	completed_at = CASE WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN @now END,
	progress_step = CASE WHEN cancel_requested_at IS NOT NULL THEN progress_step WHEN CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN 'failed' ELSE 'queued' END,
	progress_fraction = CASE WHEN cancel_requested_at IS NOT NULL OR CAST(@final AS BOOLEAN) OR attempt >= max_attempts THEN progress_fraction ELSE 0 END,
	error_message = @error_message,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('pending', 'processing')
	AND CASE WHEN lease_expires_at IS NULL THEN 0 ELSE attempt END = CAST(@attempt AS INTEGER)
RETURNING *;

-- name: KeepExpiredLeases :exec
-- What RescueGenerations is about to rescue: the same rows, by the same order and limit, before their status changes.
INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
SELECT g.id, g.attempt, g.worker, @error, @failed_at FROM generations AS g
WHERE g.status = 'processing' AND g.lease_expires_at <= @now
ORDER BY g.lease_expires_at, g.id
LIMIT @row_limit;

-- name: RescueGenerations :many
-- As PostgreSQL's, behind KeepExpiredLeases.
UPDATE generations SET
	status = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' WHEN attempt >= max_attempts THEN 'failed' ELSE 'pending' END,
	started_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN started_at END,
	completed_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN @completed_at END,
	progress_step = CASE WHEN cancel_requested_at IS NOT NULL THEN progress_step WHEN attempt >= max_attempts THEN 'failed' ELSE 'queued' END,
	progress_fraction = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN progress_fraction ELSE 0 END,
	error_message = @error_message,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE generations.id IN (
	SELECT g.id FROM generations AS g
	WHERE g.status = 'processing' AND g.lease_expires_at <= @now
	ORDER BY g.lease_expires_at, g.id
	LIMIT @row_limit
)
RETURNING *;
