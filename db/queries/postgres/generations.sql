-- name: CreateGenerations :many
-- Any number of generations and their prompts in one statement: one round trip, one commit. The arrays are unnested in
-- one select list, where they advance together. Prompts are upserted in the order of their text, so that two such
-- statements lock the rows that they share in the same order and cannot deadlock. A missing model
-- version travels as an empty text and a missing batch as a UUID of zeros, which the store never stores: the Go slices
-- hold no NULL. What comes back is what the store does not know already: JSONB writes metadata in its own way.
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
	SELECT prompt, count(*), @created_at::TIMESTAMPTZ, @created_at::TIMESTAMPTZ FROM input GROUP BY prompt ORDER BY prompt
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
-- || merges the top-level keys, as the Python dict.update did.
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
-- Waits for all of them, in the order of their IDs, so that two such statements cannot deadlock.
SELECT g.id
FROM (SELECT unnest(@ids::UUID[]) AS id ORDER BY 1) AS input
CROSS JOIN LATERAL (SELECT locked.id FROM generations AS locked WHERE locked.id = input.id FOR UPDATE) AS g;

-- name: CompleteGenerations :many
-- CompleteGeneration for any number of different generations in one statement, but for those that somebody else has locked: it
-- must not wait while it holds locks, or others would deadlock with it that take one lock each. Each is found by its primary
-- key: with a plain join PostgreSQL 15 reads all that is pending and processing by idx_generations_status where it has no
-- statistics to know better.
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
			AND CASE WHEN locked.status = 'processing' AND locked.lease_expires_at IS NOT NULL THEN locked.attempt ELSE 0 END = input.attempt
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
UPDATE generations SET metadata = metadata || @metadata WHERE id = @id RETURNING *;

-- name: TrackPrompts :many
-- TrackPrompt for any number of uses, in the order of the texts, so that two such statements cannot deadlock.
INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
SELECT used.text, count(*), CAST(@used_at AS TIMESTAMPTZ), CAST(@used_at AS TIMESTAMPTZ)
FROM unnest(@texts::TEXT[]) AS used (text)
GROUP BY used.text
ORDER BY used.text
ON CONFLICT (text) DO UPDATE SET
	used_count = prompts.used_count + excluded.used_count,
	last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
RETURNING *;
