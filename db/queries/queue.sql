-- name: HasDueGenerations :one
-- Index: idx_generations_pending.
--
-- It reports whether a claim would find a generation, so that no worker writes in vain. The recursion finds the
-- priorities of what is pending one by one, each by one probe. A second probe at each priority finds its first due
-- generation, so that those scheduled for later are passed over. PostgreSQL may read what is pending instead of this
-- second probe, if its statistics say that this is cheaper.
--
-- It passes by what no claim takes, because the store could not read it. So it reads one row, and not the index alone.
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
		AND generation_readable(
			g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
			g.cancel_requested_at
		)
) AS due;

-- name: NextScheduled :many
-- Index: idx_generations_pending (index-only), two probes for each priority, as HasDueGenerations.
--
-- It returns when the first generation that is not due yet becomes due, or no row.
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
-- Index: idx_generations_status_model_name.
--
-- It is HasDueGenerations for a worker that can run only some models. The inner query asks for the first row in the
-- order of that index. By idx_generations_pending, each call would read all that waits for other models.
SELECT EXISTS (
	SELECT 1
	FROM (
		SELECT g.id FROM generations AS g
		WHERE g.status = 'pending' AND g.model_name = @model_name AND g.scheduled_at <= @now
			AND generation_readable(
				g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
				g.cancel_requested_at
			)
		ORDER BY g.created_at, g.id
		LIMIT 1
	) AS first
	WHERE NOT EXISTS (SELECT 1 FROM generation_queue WHERE paused_at IS NOT NULL)
) AS due;

-- name: CountGenerationErrors :one
-- Primary key of generation_errors (index-only).
SELECT count(*) FROM generation_errors WHERE generation_id = @generation_id;

-- name: ExtendLease :one
-- Primary key of generations.
--
-- Neither this nor ReportProgress changes a column of an index. PostgreSQL therefore updates no index if the page has
-- room for the new row.
UPDATE generations SET lease_expires_at = @lease_expires_at
WHERE id = @id AND status = 'processing' AND lease_expires_at IS NOT NULL AND attempt = @attempt
	AND cancel_requested_at IS NULL
RETURNING *;

-- name: ReportProgress :execrows
-- Primary key of generations. If progress_step is NULL, the present one stays.
UPDATE generations SET
	progress_step = COALESCE(sqlc.narg('progress_step'), progress_step),
	progress_fraction = @progress_fraction
WHERE id = @id AND status = 'processing' AND lease_expires_at IS NOT NULL AND attempt = @attempt
	AND cancel_requested_at IS NULL;

-- name: ReleaseGeneration :one
-- Primary key of generations.
--
-- The generation goes back to its old place in the queue, because it has waited already. If a caller has asked to
-- cancel it, it becomes cancelled instead. attempt is the fence, and no two claims may share it. So attempt does not
-- fall: max_attempts rises.
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
-- Primary key of generations.
--
-- A failed or cancelled generation becomes pending and due, with at least one attempt left.
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
-- Primary key of generations.
--
-- If a worker holds a claim, the worker is asked to stop. Otherwise the generation becomes cancelled at once.
UPDATE generations SET
	status = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN status ELSE 'cancelled' END,
	completed_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN completed_at ELSE @now END,
	cancel_requested_at = CASE
		WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN COALESCE(cancel_requested_at, @now)
	END
WHERE id = @id AND status IN ('pending', 'processing')
RETURNING *;

-- name: CancelBatch :execrows
-- Index: idx_generations_batch_id.
--
-- It is CancelGeneration for the unfinished generations of a batch that no caller has cancelled yet.
UPDATE generations SET
	status = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN status ELSE 'cancelled' END,
	completed_at = CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN completed_at ELSE @now END,
	cancel_requested_at = CASE
		WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN COALESCE(cancel_requested_at, @now)
	END
WHERE batch_id = @batch_id AND status IN ('pending', 'processing') AND cancel_requested_at IS NULL;

-- name: BatchStats :one
-- Index: idx_generations_batch_id (index-only).
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
-- Primary key of generations. Index for the counts: idx_generations_pending (index-only).
--
-- A due generation comes after those that are due and precede it in claim order. One that is scheduled for later comes
-- after all that are due, and after those of its kind that precede it. The position is 0 if the generation is
-- processing, and -1 if it is finished.
SELECT CAST(CASE
	WHEN me.status = 'processing' THEN 0
	WHEN me.status <> 'pending' THEN -1
	WHEN me.scheduled_at <= @now THEN 1 + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.priority <= me.priority AND g.scheduled_at <= @now
			AND (g.priority < me.priority OR g.scheduled_at < me.scheduled_at
				OR (g.scheduled_at = me.scheduled_at AND g.id < me.id))
	)
	ELSE 1 + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.scheduled_at <= @now
	) + (
		SELECT count(*) FROM generations AS g
		WHERE g.status = 'pending' AND g.priority <= me.priority AND g.scheduled_at > @now
			AND (g.priority < me.priority OR g.scheduled_at < me.scheduled_at
				OR (g.scheduled_at = me.scheduled_at AND g.id < me.id))
	)
END AS BIGINT) AS position
FROM generations AS me
WHERE me.id = @id;

-- name: GenerationErrors :many
-- Primary key of generation_errors.
SELECT * FROM generation_errors WHERE generation_id = @generation_id ORDER BY attempt;

-- name: PauseQueue :exec
-- Full scan of generation_queue, which has one row. If the queue is paused already, the earlier time stays.
UPDATE generation_queue SET paused_at = @paused_at WHERE paused_at IS NULL;

-- name: ResumeQueue :exec
-- Full scan of generation_queue, which has one row.
UPDATE generation_queue SET paused_at = NULL;

-- name: QueuePausedAt :one
-- Primary key of generation_queue, which has one row.
SELECT paused_at FROM generation_queue WHERE id = 1;
