-- What the Python service planned for its second phase. Generations refer to their prompt. The schema refuses what the
-- store refuses. Generations have what a queue needs, and each list has the index that serves it.
--
-- Each CHECK is named <table>_<column>_check: the store reads the refused field out of that name. No CHECK is needed
-- against NUL bytes and invalid UTF-8 in texts: PostgreSQL refuses both.

-- migrate:up

-- A prompt that was never tracked gets a row. Its uses are the generations that have its text.
INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
SELECT prompt, count(*), min(created_at), max(created_at)
FROM generations
GROUP BY prompt
ORDER BY min(created_at), prompt
ON CONFLICT (text) DO NOTHING;

ALTER TABLE prompts
	-- The unique key holds the text, and an entry of a B-tree holds at most 2,704 bytes.
	ADD CONSTRAINT prompts_text_check CHECK (text <> '' AND octet_length(text) <= 2000),
	ADD CONSTRAINT prompts_used_count_check CHECK (used_count >= 0);

ALTER TABLE generations
	ADD COLUMN prompt_id BIGINT,
	ADD COLUMN priority BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN scheduled_at TIMESTAMPTZ,
	ADD COLUMN started_at TIMESTAMPTZ,
	ADD COLUMN attempt BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN max_attempts BIGINT NOT NULL DEFAULT 3,
	ADD COLUMN worker TEXT,
	ADD COLUMN lease_expires_at TIMESTAMPTZ;

UPDATE generations SET
	prompt_id = prompts.id,
	scheduled_at = generations.created_at,
	metadata = CASE
		WHEN generations.metadata IS NULL OR jsonb_typeof(generations.metadata) = 'null' THEN '{}'
		WHEN jsonb_typeof(generations.metadata) = 'object' THEN generations.metadata
		ELSE jsonb_build_object('legacy_raw', CAST(generations.metadata AS TEXT))
	END
FROM prompts
WHERE prompts.text = generations.prompt;

ALTER TABLE generations
	ALTER COLUMN prompt_id SET NOT NULL,
	ALTER COLUMN scheduled_at SET NOT NULL,
	ALTER COLUMN metadata SET DEFAULT '{}',
	ALTER COLUMN metadata SET NOT NULL,
	ADD CONSTRAINT generations_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES prompts (id) ON DELETE CASCADE,
	ADD CONSTRAINT generations_prompt_check CHECK (prompt <> '' AND octet_length(prompt) <= 2000),
	ADD CONSTRAINT generations_model_name_check CHECK (model_name <> '' AND octet_length(model_name) <= 255),
	ADD CONSTRAINT generations_model_version_check CHECK (octet_length(model_version) <= 255),
	-- To PostgreSQL, NaN is greater than infinity.
	ADD CONSTRAINT generations_duration_seconds_check CHECK (duration_seconds > 0 AND duration_seconds < 'Infinity'),
	ADD CONSTRAINT generations_sample_rate_check CHECK (sample_rate >= 1),
	ADD CONSTRAINT generations_channels_check CHECK (channels IN (1, 2)),
	ADD CONSTRAINT generations_file_path_check CHECK (file_path <> '' AND octet_length(file_path) <= 4096),
	ADD CONSTRAINT generations_file_size_bytes_check CHECK (file_size_bytes >= 0),
	ADD CONSTRAINT generations_status_check CHECK (
		status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')
	),
	ADD CONSTRAINT generations_generation_time_seconds_check CHECK (
		generation_time_seconds >= 0 AND generation_time_seconds < 'Infinity'
	),
	ADD CONSTRAINT generations_error_message_check CHECK (octet_length(error_message) <= 1048576),
	-- The store accepts at most 1 MiB of text. As JSONB, and after merges, metadata may have 16 MiB.
	ADD CONSTRAINT generations_metadata_check CHECK (
		jsonb_typeof(metadata) = 'object' AND pg_column_size(metadata) <= 16777216
	),
	ADD CONSTRAINT generations_attempt_check CHECK (attempt >= 0),
	ADD CONSTRAINT generations_max_attempts_check CHECK (max_attempts >= 1),
	ADD CONSTRAINT generations_worker_check CHECK (worker <> '');

DROP INDEX idx_generations_created_at;
DROP INDEX idx_generations_status;
DROP INDEX idx_generations_model_name;
DROP INDEX idx_generations_completed_at;
DROP INDEX idx_prompts_text;

-- Each list is one range of one of these four. A page of the newest is a backward scan.
CREATE INDEX idx_generations_created_at ON generations (created_at, id);
CREATE INDEX idx_generations_status ON generations (status, created_at, id);
CREATE INDEX idx_generations_model_name ON generations (model_name, created_at, id);
CREATE INDEX idx_generations_status_model_name ON generations (status, model_name, created_at, id);
-- Partial, so that a creation does not pay for it.
CREATE INDEX idx_generations_completed_at ON generations (completed_at) WHERE completed_at IS NOT NULL;
-- The queue in claim order. It is partial, so its cost does not grow with history. status leads, although all entries
-- have the same one: otherwise SQLite would prefer idx_generations_status, and sort all that is pending.
CREATE INDEX idx_generations_pending ON generations (status, priority, scheduled_at, id) WHERE status = 'pending';
-- For the foreign key: without it, deleting a prompt would scan all generations.
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id);
-- For the list of prompts, the most used first.
CREATE INDEX idx_prompts_used_count ON prompts (used_count, last_used_at, id);

COMMENT ON COLUMN generations.prompt_id IS 'The ID of the prompt. Deleting the prompt deletes the generation.';
COMMENT ON COLUMN generations.priority IS 'The priority in the queue. The lower one is claimed first.';
COMMENT ON COLUMN generations.scheduled_at IS
	'The time before which the generation is not claimed. Within a priority, the earlier one is claimed first.';
COMMENT ON COLUMN generations.started_at IS
	'The time of the latest change to processing. NULL while the generation is pending.';
COMMENT ON COLUMN generations.attempt IS 'The number of claims so far. Calls under an earlier claim change nothing.';
COMMENT ON COLUMN generations.max_attempts IS 'The number of claims that are allowed, 1 or more.';
COMMENT ON COLUMN generations.worker IS 'The worker that claimed the generation last. NULL if none has.';
COMMENT ON COLUMN generations.lease_expires_at IS 'The time at which the claim expires. NULL if no worker holds one.';

-- migrate:down

DROP INDEX idx_generations_created_at;
DROP INDEX idx_generations_status;
DROP INDEX idx_generations_model_name;
DROP INDEX idx_generations_completed_at;
DROP INDEX idx_generations_pending;
DROP INDEX idx_generations_status_model_name;
DROP INDEX idx_generations_prompt_id;
DROP INDEX idx_prompts_used_count;

ALTER TABLE generations
	DROP CONSTRAINT generations_prompt_id_fkey,
	DROP CONSTRAINT generations_prompt_check,
	DROP CONSTRAINT generations_model_name_check,
	DROP CONSTRAINT generations_model_version_check,
	DROP CONSTRAINT generations_duration_seconds_check,
	DROP CONSTRAINT generations_sample_rate_check,
	DROP CONSTRAINT generations_channels_check,
	DROP CONSTRAINT generations_file_path_check,
	DROP CONSTRAINT generations_file_size_bytes_check,
	DROP CONSTRAINT generations_status_check,
	DROP CONSTRAINT generations_generation_time_seconds_check,
	DROP CONSTRAINT generations_error_message_check,
	DROP CONSTRAINT generations_metadata_check,
	ALTER COLUMN metadata DROP NOT NULL,
	ALTER COLUMN metadata DROP DEFAULT,
	DROP COLUMN prompt_id,
	DROP COLUMN priority,
	DROP COLUMN scheduled_at,
	DROP COLUMN started_at,
	DROP COLUMN attempt,
	DROP COLUMN max_attempts,
	DROP COLUMN worker,
	DROP COLUMN lease_expires_at;

ALTER TABLE prompts
	DROP CONSTRAINT prompts_text_check,
	DROP CONSTRAINT prompts_used_count_check;

CREATE INDEX idx_generations_status ON generations (status);
CREATE INDEX idx_generations_created_at ON generations (created_at);
CREATE INDEX idx_generations_model_name ON generations (model_name);
CREATE INDEX idx_generations_completed_at ON generations (completed_at);
CREATE INDEX idx_prompts_text ON prompts (text);
