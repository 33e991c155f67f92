-- name: ClaimGenerations :many
-- Index: idx_generations_pending, then the primary key of generations. If it claims only some models, PostgreSQL may
-- take an index that has the model, and sort.
--
-- The recursion finds the priorities of what is pending one by one, each by one probe. What is due at a priority is one
-- range of the index. A plain ORDER BY priority, scheduled_at would read all that is scheduled for later, at each
-- claim.
--
-- The priorities come in order, because each row of the recursion makes the next. The join with LATERAL can only be a
-- loop over them. LIMIT ends the loop, so that no row is locked that is not claimed. SKIP LOCKED lets claimers pass by
-- each other.
--
-- generation_readable leaves out a row that the store cannot read. The claims of all others would be lost with it: they
-- are committed before the store reads them.
--
-- The UPDATE takes an array and not a join. The planner would expect many rows of a join, and read the whole table.
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
), due AS (
	SELECT candidates.id
	FROM priorities
	CROSS JOIN LATERAL (
		SELECT g.id FROM generations AS g
		WHERE g.status = 'pending' AND g.priority = priorities.priority AND g.scheduled_at <= @now
			AND (cardinality(@model_names::TEXT[]) = 0 OR g.model_name = ANY(@model_names::TEXT[]))
			AND generation_readable(
				g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
				g.cancel_requested_at
			)
		ORDER BY g.scheduled_at, g.id
		LIMIT CAST(@row_limit AS BIGINT)
		FOR UPDATE SKIP LOCKED
	) AS candidates
	LIMIT CAST(@row_limit AS BIGINT)
)
UPDATE generations SET
	status = 'processing',
	attempt = attempt + 1,
	worker = @worker,
	started_at = @started_at,
	lease_expires_at = @lease_expires_at,
	error_message = NULL
WHERE generations.id = ANY(ARRAY(SELECT due.id FROM due))
RETURNING *;

-- name: FailGenerations :many
-- Primary key of generations, for each ID.
--
-- It fails any number of different generations, which it finds and locks as CompleteGenerations does. The attempt is
-- the fence: that of the claim, or 0 if no worker holds one. SQLite has no INSERT inside WITH, and needs two
-- statements.
WITH input AS (
	SELECT
		unnest(@ids::UUID[]) AS id,
		unnest(@attempts::BIGINT[]) AS attempt,
		unnest(@finals::BOOLEAN[]) AS final,
		unnest(@retry_ats::TIMESTAMPTZ[]) AS retry_at,
		unnest(@errors::TEXT[]) AS error
), held AS (
	SELECT
		g.id, g.attempt, g.worker, g.cancelled,
		input.final OR g.used_up AS final, input.attempt AS claim, input.retry_at, input.error
	FROM (SELECT * FROM input ORDER BY id) AS input
	CROSS JOIN LATERAL (
		SELECT
			locked.id, locked.attempt, locked.worker,
			locked.cancel_requested_at IS NOT NULL AS cancelled, locked.attempt >= locked.max_attempts AS used_up
		FROM generations AS locked
		WHERE locked.id = input.id AND locked.status IN ('pending', 'processing')
			AND CASE
				WHEN locked.status = 'processing' AND locked.lease_expires_at IS NOT NULL THEN locked.attempt
				ELSE 0
			END = input.attempt
			AND generation_readable(
				locked.id, locked.batch_id, locked.created_at, locked.scheduled_at, locked.started_at,
				locked.completed_at, locked.lease_expires_at, locked.cancel_requested_at
			)
		FOR UPDATE SKIP LOCKED
	) AS g
), kept AS (
	INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
	SELECT held.id, held.attempt, held.worker, held.error, CAST(@now AS TIMESTAMPTZ) FROM held WHERE held.claim > 0
)
UPDATE generations SET
	status = CASE WHEN held.cancelled THEN 'cancelled' WHEN held.final THEN 'failed' ELSE 'pending' END,
	scheduled_at = CASE WHEN held.cancelled OR held.final THEN generations.scheduled_at ELSE held.retry_at END,
	started_at = CASE WHEN held.cancelled OR held.final THEN generations.started_at END,
	completed_at = CASE WHEN held.cancelled OR held.final THEN CAST(@now AS TIMESTAMPTZ) END,
	progress_step = CASE
		WHEN held.cancelled THEN generations.progress_step
		WHEN held.final THEN 'failed'
		ELSE 'queued'
	END,
	progress_fraction = CASE WHEN held.cancelled OR held.final THEN generations.progress_fraction ELSE 0 END,
	error_message = NULLIF(held.error, ''),
	lease_expires_at = NULL,
	cancel_requested_at = NULL
FROM held
WHERE generations.id = held.id
RETURNING generations.*;

-- name: CountErrorsOfGenerations :many
-- Primary key of generation_errors (index-only), for each ID.
--
-- It returns how often each generation has failed. Those that never have are missing.
SELECT generation_id, count(*) AS failures FROM generation_errors
WHERE generation_id = ANY(@ids::UUID[])
GROUP BY generation_id;

-- name: ExtendLeases :many
-- Primary key of generations, for each ID.
--
-- It is ExtendLease for any number of different generations, which it finds and locks as CompleteGenerations does.
WITH input AS (
	SELECT
		unnest(@ids::UUID[]) AS id,
		unnest(@attempts::BIGINT[]) AS attempt,
		unnest(@lease_expires_ats::TIMESTAMPTZ[]) AS lease_expires_at
), held AS (
	SELECT g.id, input.lease_expires_at
	FROM (SELECT * FROM input ORDER BY id) AS input
	CROSS JOIN LATERAL (
		SELECT locked.id
		FROM generations AS locked
		WHERE locked.id = input.id AND locked.status = 'processing' AND locked.lease_expires_at IS NOT NULL
			AND locked.attempt = input.attempt AND locked.cancel_requested_at IS NULL
			AND generation_readable(
				locked.id, locked.batch_id, locked.created_at, locked.scheduled_at, locked.started_at,
				locked.completed_at, locked.lease_expires_at, locked.cancel_requested_at
			)
		FOR UPDATE SKIP LOCKED
	) AS g
)
UPDATE generations SET lease_expires_at = held.lease_expires_at
FROM held
WHERE generations.id = held.id
RETURNING generations.*;

-- name: ReportProgresses :many
-- Primary key of generations, for each ID.
--
-- It is ReportProgress for any number of different generations, which it finds and locks as CompleteGenerations does.
WITH input AS (
	SELECT
		unnest(@ids::UUID[]) AS id,
		unnest(@attempts::BIGINT[]) AS attempt,
		unnest(@progress_steps::TEXT[]) AS progress_step,
		unnest(@progress_fractions::DOUBLE PRECISION[]) AS progress_fraction
), held AS (
	SELECT g.id, input.progress_step, input.progress_fraction
	FROM (SELECT * FROM input ORDER BY id) AS input
	CROSS JOIN LATERAL (
		SELECT locked.id
		FROM generations AS locked
		WHERE locked.id = input.id AND locked.status = 'processing' AND locked.lease_expires_at IS NOT NULL
			AND locked.attempt = input.attempt AND locked.cancel_requested_at IS NULL
		FOR UPDATE SKIP LOCKED
	) AS g
)
UPDATE generations SET
	progress_step = COALESCE(NULLIF(held.progress_step, ''), generations.progress_step),
	progress_fraction = held.progress_fraction
FROM held
WHERE generations.id = held.id
RETURNING generations.id;

-- name: RescueGenerations :many
-- Index: idx_generations_status or idx_generations_status_model_name, all that is processing, then a sort.
--
-- Only as many are processing as workers hold claims. An index on the lease would have to be kept at each extension.
-- With SKIP LOCKED, two callers that rescue at the same time do not wait for each other.
WITH expired AS (
	SELECT g.id, g.attempt, g.worker FROM generations AS g
	WHERE g.status = 'processing' AND g.lease_expires_at <= @now
		AND generation_readable(
			g.id, g.batch_id, g.created_at, g.scheduled_at, g.started_at, g.completed_at, g.lease_expires_at,
			g.cancel_requested_at
		)
	ORDER BY g.lease_expires_at, g.id
	LIMIT CAST(@row_limit AS BIGINT)
	FOR UPDATE SKIP LOCKED
), kept AS (
	INSERT INTO generation_errors (generation_id, attempt, worker, error, failed_at)
	SELECT expired.id, expired.attempt, expired.worker, CAST(@error AS TEXT), CAST(@failed_at AS TIMESTAMPTZ) FROM expired
)
UPDATE generations SET
	status = CASE
		WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
		WHEN attempt >= max_attempts THEN 'failed'
		ELSE 'pending'
	END,
	started_at = CASE WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN started_at END,
	completed_at = CASE
		WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN CAST(@failed_at AS TIMESTAMPTZ)
	END,
	progress_step = CASE
		WHEN cancel_requested_at IS NOT NULL THEN progress_step
		WHEN attempt >= max_attempts THEN 'failed'
		ELSE 'queued'
	END,
	progress_fraction = CASE
		WHEN cancel_requested_at IS NOT NULL OR attempt >= max_attempts THEN progress_fraction
		ELSE 0
	END,
	error_message = CAST(@error AS TEXT),
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE generations.id = ANY(ARRAY(SELECT expired.id FROM expired))
RETURNING *;
