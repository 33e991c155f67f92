-- name: NextPendingPriority :many
-- None, or one: the lowest priority from this one on at which something waits, by one probe of idx_generations_pending. A
-- claim goes from priority to priority with it, as PostgreSQL's recursion does; see there. In SQLite a statement costs no
-- round trip, and one statement for all priorities would visit all of them before it gave its first row.
SELECT priority FROM generations WHERE status = 'pending' AND priority >= @from_priority ORDER BY priority LIMIT 1;

-- name: DueGenerations :many
-- What a claim takes at one priority: one range of idx_generations_pending. Nobody else writes in the meantime, so
-- nothing is locked or skipped. The names of the models are a JSON array, an empty one for all.
SELECT g.* FROM generations AS g
WHERE g.status = 'pending' AND g.priority = @priority AND g.scheduled_at <= @now
	AND (CAST(@model_names AS TEXT) = '[]' OR g.model_name IN (SELECT value FROM json_each(CAST(@model_names AS TEXT))))
ORDER BY g.scheduled_at, g.id
LIMIT @row_limit;

-- name: ClaimDue :exec
-- Those that DueGenerations has found, a JSON array of their IDs, in one statement: SQLite keeps a copy of each page that a
-- statement with triggers changes, so that one for each would cost twice as much. The store knows what the rows become.
UPDATE generations SET
	status = 'processing',
	attempt = attempt + 1,
	worker = @worker,
	started_at = @started_at,
	lease_expires_at = @lease_expires_at,
	error_message = NULL
WHERE id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)));

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
	AND CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN attempt ELSE 0 END = CAST(@attempt AS INTEGER)
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
