-- What the Python service planned for its second phase: generations refer to their prompt, the schema refuses
-- what the store refuses, jobs carry what a queue needs, and each list has the index that serves it.
--
-- Constraints are named <table>_<column>_check: the store tells from that name which field was refused.
-- Text needs no word about NUL bytes or invalid UTF-8: PostgreSQL takes neither.

-- migrate:up

-- A prompt that was never tracked gets its row, counted by the generations that use it.
INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
SELECT prompt, count(*), min(created_at), max(created_at)
FROM generations
GROUP BY prompt
ORDER BY min(created_at), prompt
ON CONFLICT (text) DO NOTHING;

ALTER TABLE prompts
	-- A B-tree row holds 2,704 bytes, and the text is in one.
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
	-- NaN is greater than every number here, infinity included.
	ADD CONSTRAINT generations_duration_seconds_check CHECK (duration_seconds > 0 AND duration_seconds < 'Infinity'),
	ADD CONSTRAINT generations_sample_rate_check CHECK (sample_rate >= 1),
	ADD CONSTRAINT generations_channels_check CHECK (channels IN (1, 2)),
	ADD CONSTRAINT generations_file_path_check CHECK (file_path <> '' AND octet_length(file_path) <= 4096),
	ADD CONSTRAINT generations_file_size_bytes_check CHECK (file_size_bytes >= 0),
	ADD CONSTRAINT generations_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
	ADD CONSTRAINT generations_generation_time_seconds_check CHECK (generation_time_seconds >= 0 AND generation_time_seconds < 'Infinity'),
	ADD CONSTRAINT generations_error_message_check CHECK (octet_length(error_message) <= 1048576),
	-- What is given is at most 1 MiB of text; JSONB of it, and what merges leave behind, is at most 16 MiB.
	ADD CONSTRAINT generations_metadata_check CHECK (jsonb_typeof(metadata) = 'object' AND pg_column_size(metadata) <= 16777216),
	ADD CONSTRAINT generations_attempt_check CHECK (attempt >= 0),
	ADD CONSTRAINT generations_max_attempts_check CHECK (max_attempts >= 1),
	ADD CONSTRAINT generations_worker_check CHECK (worker <> '');

DROP INDEX idx_generations_created_at;
DROP INDEX idx_generations_status;
DROP INDEX idx_generations_model_name;
DROP INDEX idx_generations_completed_at;
DROP INDEX idx_prompts_text;

-- Keyset pages, newest first: each is one range of one of these four, read backwards.
CREATE INDEX idx_generations_created_at ON generations (created_at, id);
CREATE INDEX idx_generations_status ON generations (status, created_at, id);
CREATE INDEX idx_generations_model_name ON generations (model_name, created_at, id);
CREATE INDEX idx_generations_status_model_name ON generations (status, model_name, created_at, id);
-- Partial, so that creating a generation does not pay for it.
CREATE INDEX idx_generations_completed_at ON generations (completed_at) WHERE completed_at IS NOT NULL;
-- The queue in claim order. It holds pending rows alone, so its cost does not grow with history. The status leads,
-- although it is the same in every entry: without it SQLite prefers idx_generations_status and sorts all that is pending.
CREATE INDEX idx_generations_pending ON generations (status, priority, scheduled_at, id) WHERE status = 'pending';
-- For the cascade: without it, deleting a prompt would scan all generations.
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id);
-- Most used first.
CREATE INDEX idx_prompts_used_count ON prompts (used_count, last_used_at, id);

COMMENT ON COLUMN generations.prompt_id IS 'The prompt''s row; deleting that deletes this.';
COMMENT ON COLUMN generations.priority IS 'Lower is claimed first.';
COMMENT ON COLUMN generations.scheduled_at IS 'Not to be claimed before; first come first served by it.';
COMMENT ON COLUMN generations.started_at IS 'When it was last set to processing; NULL while it waits.';
COMMENT ON COLUMN generations.attempt IS 'How often it was claimed; the number fences off workers of earlier claims.';
COMMENT ON COLUMN generations.max_attempts IS 'How often it may be claimed.';
COMMENT ON COLUMN generations.worker IS 'Who claimed it last; NULL: nobody.';
COMMENT ON COLUMN generations.lease_expires_at IS 'How long the claim holds; NULL: not under a claim.';

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
