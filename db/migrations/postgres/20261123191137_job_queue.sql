-- The database becomes the queue: batches, progress, cancel requests, why attempts failed, and a switch that pauses.

-- migrate:up

ALTER TABLE generations
	ADD COLUMN batch_id UUID,
	ADD COLUMN progress_step TEXT NOT NULL DEFAULT 'queued'
		CONSTRAINT generations_progress_step_check CHECK (progress_step <> '' AND octet_length(progress_step) <= 255),
	ADD COLUMN progress_fraction DOUBLE PRECISION NOT NULL DEFAULT 0
		CONSTRAINT generations_progress_fraction_check CHECK (progress_fraction >= 0 AND progress_fraction <= 1),
	ADD COLUMN cancel_requested_at TIMESTAMPTZ;

UPDATE generations SET progress_step = 'completed', progress_fraction = 1 WHERE status = 'completed';
UPDATE generations SET progress_step = 'failed' WHERE status = 'failed';

-- A batch's counts come from the index alone. Partial, so that a generation without a batch does not pay for it.
CREATE INDEX idx_generations_batch_id ON generations (batch_id, status, prompt_id) WHERE batch_id IS NOT NULL;

CREATE TABLE generation_errors (
	generation_id UUID NOT NULL,
	attempt BIGINT NOT NULL,
	worker TEXT NOT NULL,
	error TEXT NOT NULL,
	failed_at TIMESTAMPTZ NOT NULL,
	-- In this order it serves the list of a generation's errors, and the cascade.
	CONSTRAINT generation_errors_pkey PRIMARY KEY (generation_id, attempt),
	CONSTRAINT generation_errors_generation_id_fkey FOREIGN KEY (generation_id) REFERENCES generations (id) ON DELETE CASCADE,
	CONSTRAINT generation_errors_attempt_check CHECK (attempt >= 1),
	CONSTRAINT generation_errors_worker_check CHECK (worker <> ''),
	CONSTRAINT generation_errors_error_check CHECK (octet_length(error) <= 1048576)
);

CREATE TABLE generation_queue (
	id BIGINT NOT NULL,
	paused_at TIMESTAMPTZ,
	CONSTRAINT generation_queue_pkey PRIMARY KEY (id),
	CONSTRAINT generation_queue_id_check CHECK (id = 1)
);
INSERT INTO generation_queue (id) VALUES (1);

COMMENT ON COLUMN generations.batch_id IS 'What it was asked for together with; NULL: on its own.';
COMMENT ON COLUMN generations.progress_step IS 'What its worker is at: queued, loading_model, ... or any text.';
COMMENT ON COLUMN generations.progress_fraction IS 'How much of the work is done, 0 to 1.';
COMMENT ON COLUMN generations.cancel_requested_at IS 'When its worker was asked to stop; NULL: nobody asked, or it has stopped.';
COMMENT ON TABLE generation_errors IS 'GenerationError is why an attempt failed.';
COMMENT ON COLUMN generation_errors.generation_id IS 'The generation''s; deleting that deletes this.';
COMMENT ON COLUMN generation_errors.attempt IS 'Which claim of the generation it was, from 1.';
COMMENT ON COLUMN generation_errors.worker IS 'Who held the claim.';
COMMENT ON COLUMN generation_errors.error IS 'What the worker said, or that its lease ran out.';
COMMENT ON COLUMN generation_errors.failed_at IS 'When it failed.';
COMMENT ON TABLE generation_queue IS 'GenerationQueue is the switch of the whole queue, in one row.';
COMMENT ON COLUMN generation_queue.id IS 'Always 1.';
COMMENT ON COLUMN generation_queue.paused_at IS 'Since when nothing is claimed; NULL: the queue runs.';

-- migrate:down

DROP TABLE generation_queue;
DROP TABLE generation_errors;
DROP INDEX idx_generations_batch_id;
ALTER TABLE generations
	DROP COLUMN cancel_requested_at,
	DROP COLUMN progress_fraction,
	DROP COLUMN progress_step,
	DROP COLUMN batch_id;
