-- name: CreateGenerations :many
-- Index: prompts_text_key, for each different prompt.
--
-- It creates any number of generations and their prompts in one statement: one round trip, one commit. The arrays are
-- unnested in one select list, where they advance together. Prompts are upserted in the order of their text. Two such
-- statements therefore lock the rows that they share in the same order, and cannot deadlock.
--
-- Go slices hold no NULL. A missing model version travels as an empty text, and a missing batch as a UUID of zeros. The
-- store never stores either. The statement returns what the store does not know already: JSONB writes metadata in its
-- own way.
--
-- lock_timeout applies to this statement's transaction. The grouping needs it before the first prompt is written. If it
-- is empty, the connection's stays.
WITH input AS (
	SELECT
		unnest(@ids::UUID[]) AS id,
		unnest(@prompts::TEXT[]) AS prompt,
		unnest(@model_names::TEXT[]) AS model_name,
		unnest(@model_versions::TEXT[]) AS model_version,
		unnest(@durations_seconds::DOUBLE PRECISION[]) AS duration_seconds,
		unnest(@sample_rates::BIGINT[]) AS sample_rate,
		unnest(@channels::BIGINT[]) AS channels,
		unnest(@file_paths::TEXT[]) AS file_path,
		unnest(@metadata::JSONB[]) AS metadata,
		unnest(@priorities::BIGINT[]) AS priority,
		unnest(@scheduled_ats::TIMESTAMPTZ[]) AS scheduled_at,
		unnest(@max_attempts::BIGINT[]) AS max_attempts,
		unnest(@batch_ids::UUID[]) AS batch_id
), used AS (
	INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
	SELECT prompt, count(*), @created_at::TIMESTAMPTZ, @created_at::TIMESTAMPTZ
	FROM input
	CROSS JOIN (
		SELECT set_config('lock_timeout', coalesce(NULLIF(@lock_timeout::TEXT, ''), current_setting('lock_timeout')), true)
	) AS applied
	GROUP BY prompt
	ORDER BY prompt
	ON CONFLICT (text) DO UPDATE SET
		used_count = prompts.used_count + excluded.used_count,
		last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
	RETURNING id, text
)
INSERT INTO generations (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, status, created_at,
	metadata, prompt_id, priority, scheduled_at, max_attempts, batch_id
)
SELECT
	input.id, input.prompt, input.model_name, NULLIF(input.model_version, ''), input.duration_seconds, input.sample_rate,
	input.channels, input.file_path, 'pending', @created_at, input.metadata, used.id, input.priority,
	input.scheduled_at, input.max_attempts, NULLIF(input.batch_id, '00000000-0000-0000-0000-000000000000')
FROM input
JOIN used ON used.text = input.prompt
RETURNING id, prompt_id, metadata;

-- name: CompleteGeneration :one
-- Primary key of generations. || merges the top-level keys, as dict.update does in Python.
UPDATE generations SET
	status = 'completed',
	completed_at = @completed_at,
	generation_time_seconds = @generation_time_seconds,
	file_size_bytes = @file_size_bytes,
	error_message = NULL,
	metadata = metadata || @metadata,
	progress_step = 'completed',
	progress_fraction = 1,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
WHERE id = @id AND status IN ('pending', 'processing')
	AND CASE WHEN status = 'processing' AND lease_expires_at IS NOT NULL THEN attempt ELSE 0 END = CAST(@attempt AS BIGINT)
RETURNING *;

-- name: LockGenerations :exec
-- Primary key of generations, for each ID.
--
-- It waits for all of them, in the order of their IDs, so that two such statements cannot deadlock.
SELECT g.id
FROM (SELECT unnest(@ids::UUID[]) AS id ORDER BY 1) AS input
CROSS JOIN LATERAL (SELECT locked.id FROM generations AS locked WHERE locked.id = input.id FOR UPDATE) AS g;

-- name: CompleteGenerations :many
-- Primary key of generations, for each ID. With a plain join and without statistics, PostgreSQL 15 would read all that
-- is pending or processing.
--
-- It is CompleteGeneration for any number of different generations. It skips those that another transaction has locked.
-- To wait while it holds locks could deadlock with transactions that lock one generation at a time. It also skips those
-- that the store cannot read: the result of all others would be lost with them.
WITH input AS (
	SELECT
		unnest(@ids::UUID[]) AS id,
		unnest(@generation_times_seconds::DOUBLE PRECISION[]) AS generation_time_seconds,
		unnest(@file_sizes_bytes::BIGINT[]) AS file_size_bytes,
		unnest(@metadata::JSONB[]) AS metadata,
		unnest(@attempts::BIGINT[]) AS attempt
), held AS (
	SELECT g.id, input.generation_time_seconds, input.file_size_bytes, input.metadata
	FROM (SELECT * FROM input ORDER BY id) AS input
	CROSS JOIN LATERAL (
		SELECT locked.id
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
)
UPDATE generations SET
	status = 'completed',
	completed_at = CAST(@completed_at AS TIMESTAMPTZ),
	generation_time_seconds = held.generation_time_seconds,
	file_size_bytes = held.file_size_bytes,
	error_message = NULL,
	metadata = generations.metadata || held.metadata,
	progress_step = 'completed',
	progress_fraction = 1,
	lease_expires_at = NULL,
	cancel_requested_at = NULL
FROM held
WHERE generations.id = held.id
RETURNING generations.*;

-- name: MergeMetadata :one
-- Primary key of generations. || merges the top-level keys.
UPDATE generations SET metadata = metadata || @metadata WHERE id = @id RETURNING *;

-- name: TrackPrompts :many
-- Index: prompts_text_key, for each different text.
--
-- It is TrackPrompt for any number of uses. The texts come in order, so that two such statements cannot deadlock.
-- lock_timeout is as in CreateGenerations.
INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
SELECT used.text, count(*), CAST(@used_at AS TIMESTAMPTZ), CAST(@used_at AS TIMESTAMPTZ)
FROM unnest(@texts::TEXT[]) AS used (text)
CROSS JOIN (
	SELECT set_config('lock_timeout', coalesce(NULLIF(@lock_timeout::TEXT, ''), current_setting('lock_timeout')), true)
) AS applied
GROUP BY used.text
ORDER BY used.text
ON CONFLICT (text) DO UPDATE SET
	used_count = prompts.used_count + excluded.used_count,
	last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
RETURNING *;
