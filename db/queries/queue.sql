-- name: HasDueGenerations :one
-- Whether a claim would find something: the look before the write. Each priority at which something waits is found by one
-- probe of idx_generations_pending, and its first due generation by another, so that what is scheduled for later is
-- passed over, however much it is. PostgreSQL's ClaimGenerations looks the same way; see there.
WITH RECURSIVE priorities (priority) AS (
	SELECT (
		SELECT first.priority FROM generations AS first
		WHERE first.status = 'pending' AND NOT EXISTS (SELECT 1 FROM generation_queue WHERE paused_at IS NOT NULL)
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
SELECT EXISTS (
	SELECT 1
	FROM priorities
	CROSS JOIN generations AS g
	WHERE g.status = 'pending' AND g.priority = priorities.priority AND g.scheduled_at <= @now
) AS due;

-- name: NextScheduled :many
-- None, or one: when the first of those that are not due yet comes due. As HasDueGenerations, two probes of
-- idx_generations_pending for each priority.
WITH RECURSIVE priorities (priority) AS (
	SELECT (
		SELECT first.priority FROM generations AS first
		WHERE first.status = 'pending'
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
SELECT g.scheduled_at
FROM priorities
CROSS JOIN generations AS g
WHERE g.id = (
	SELECT later.id FROM generations AS later
	WHERE later.status = 'pending' AND later.priority = priorities.priority AND later.scheduled_at > @now
	ORDER BY later.scheduled_at
	LIMIT 1
)
ORDER BY g.scheduled_at
LIMIT 1;

-- name: HasDueGenerationsOfModel :one
-- The look of a worker that can run only some models. Served by idx_generations_status_model_name, for whose sake it asks
-- for the first: by idx_generations_pending it would pass over all that waits for other models, at each look.
SELECT EXISTS (
	SELECT 1
	FROM (
		SELECT g.id FROM generations AS g
		WHERE g.status = 'pending' AND g.model_name = @model_name AND g.scheduled_at <= @now
		ORDER BY g.created_at, g.id
		LIMIT 1
	) AS first
	WHERE NOT EXISTS (SELECT 1 FROM generation_queue WHERE paused_at IS NOT NULL)
) AS due;

-- name: CountGenerationErrors :one
SELECT count(*) FROM generation_errors WHERE generation_id = @generation_id;

-- name: ExtendLease :one
-- Neither this nor ReportProgress changes a column of an index, so that PostgreSQL need not touch any where the page has
-- room for the new row.
UPDATE generations SET lease_expires_at = @lease_expires_at
WHERE id = @id AND status = 'processing' AND lease_expires_at IS NOT NULL AND attempt = @attempt
	AND cancel_requested_at IS NULL
RETURNING *;

-- name: ReportProgress :execrows
-- An empty step leaves the one that is there.
UPDATE generations SET
	progress_step = COALESCE(sqlc.narg('progress_step'), progress_step),
	progress_fraction = @progress_fraction
WHERE id = @id AND status = 'processing' AND lease_expires_at IS NOT NULL AND attempt = @attempt
	AND cancel_requested_at IS NULL;

-- name: ReleaseGeneration :one
-- Back to its old place in the queue, since it has waited already; or, where somebody wants it stopped, to cancelled.
-- max_attempts rises instead of attempt falling: the attempt is the fence, and no two claims may share it.
UPDATE generations SET
	status = CASE WHEN cancel_requested_at IS NULL THEN 'pending' ELSE 'cancelled' END,
	max_attempts = max_attempts + CASE WHEN cancel_requested_at IS NULL THEN 1 ELSE 0 END,
	started_at = CASE WHEN cancel_requested_at IS NULL THEN NULL ELSE started_at END,
	completed_at = CASE WHEN cancel_requested_at IS NULL THEN completed_at ELSE @now END,
	progress_step = CASE WHEN cancel_requested_at IS NULL THEN 'queued' ELSE progress_step END,
	progress_fraction = CASE WHEN cancel_requested_at IS NULL THEN 0 ELSE progress_fraction END,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status = 'processing' AND lease_expires_at IS NOT NULL AND attempt = @attempt
RETURNING *;

-- name: RetryGeneration :one
UPDATE generations SET
	status = 'pending',
	scheduled_at = @now,
	started_at = NULL,
	completed_at = NULL,
	error_message = NULL,
	max_attempts = CASE WHEN max_attempts > attempt THEN max_attempts ELSE attempt + 1 END,
	progress_step = 'queued',
	progress_fraction = 0,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('failed', 'cancelled')
RETURNING *;

-- name: CancelGeneration :one
-- Where a worker holds a claim it is asked to stop; where nobody does there is nobody to ask.
UPDATE generations SET
	status = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN status ELSE 'cancelled' END,
	completed_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN completed_at ELSE @now END,
	cancel_requested_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN COALESCE(cancel_requested_at, @now) END
WHERE id = @id AND status IN ('pending', 'processing')
RETURNING *;

-- name: CancelBatch :execrows
-- As CancelGeneration, for those of a batch that nobody has cancelled yet. Served by idx_generations_batch_id.
UPDATE generations SET
	status = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN status ELSE 'cancelled' END,
	completed_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN completed_at ELSE @now END,
	cancel_requested_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN COALESCE(cancel_requested_at, @now) END
WHERE batch_id = @batch_id AND status IN ('pending', 'processing') AND cancel_requested_at IS NULL;

-- name: BatchStats :one
-- One range of idx_generations_batch_id, which has all that is counted.
SELECT
	count(CASE WHEN status = 'pending' THEN 1 END) AS pending_generations,
	count(CASE WHEN status = 'processing' THEN 1 END) AS processing_generations,
	count(CASE WHEN status = 'completed' THEN 1 END) AS completed_generations,
	count(CASE WHEN status = 'failed' THEN 1 END) AS failed_generations,
	count(CASE WHEN status = 'cancelled' THEN 1 END) AS cancelled_generations,
	count(DISTINCT prompt_id) AS total_prompts
FROM generations
WHERE batch_id = @batch_id;

-- name: QueuePosition :one
-- Counts the entries of idx_generations_pending that stand before this one: of what is due those that come first in
-- claim order; behind all that is due, what is scheduled for later, in the same order. -1: it is finished.
SELECT CAST(CASE
	WHEN me.status = 'processing' THEN 0
	WHEN me.status <> 'pending' THEN -1
	WHEN me.scheduled_at <= @now THEN 1 + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.priority <= me.priority AND g.scheduled_at <= @now
			AND (g.priority < me.priority OR g.scheduled_at < me.scheduled_at OR (g.scheduled_at = me.scheduled_at AND g.id < me.id))
	)
	ELSE 1 + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.scheduled_at <= @now
	) + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.priority <= me.priority AND g.scheduled_at > @now
			AND (g.priority < me.priority OR g.scheduled_at < me.scheduled_at OR (g.scheduled_at = me.scheduled_at AND g.id < me.id))
	)
END AS BIGINT) AS position
FROM generations AS me
WHERE me.id = @id;

-- name: GenerationErrors :many
-- Served by the primary key.
SELECT * FROM generation_errors WHERE generation_id = @generation_id ORDER BY attempt;

-- name: PauseQueue :exec
UPDATE generation_queue SET paused_at = @paused_at WHERE paused_at IS NULL;

-- name: ResumeQueue :exec
UPDATE generation_queue SET paused_at = NULL;

-- name: QueuePausedAt :one
SELECT paused_at FROM generation_queue WHERE id = 1;
