-- The database becomes the queue: batches, progress, cancel requests, errors of attempts, and a switch that pauses.

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

-- For the counts of a batch, which it serves alone. Partial, so that a generation without a batch does not pay for it.
CREATE INDEX idx_generations_batch_id ON generations (batch_id, status, prompt_id) WHERE batch_id IS NOT NULL;

CREATE TABLE generation_errors (
	generation_id UUID NOT NULL,
	attempt BIGINT NOT NULL,
	worker TEXT NOT NULL,
	error TEXT NOT NULL,
	failed_at TIMESTAMPTZ NOT NULL,
	-- In this order it serves the errors of a generation, and the foreign key.
	CONSTRAINT generation_errors_pkey PRIMARY KEY (generation_id, attempt),
	CONSTRAINT generation_errors_generation_id_fkey
		FOREIGN KEY (generation_id) REFERENCES generations (id) ON DELETE CASCADE,
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

COMMENT ON COLUMN generations.batch_id IS
	'The batch with which the generation was created. NULL if it was created on its own.';
COMMENT ON COLUMN generations.progress_step IS
	'What the worker is doing: queued, loading_model or any other text, 1 to 255 bytes.';
COMMENT ON COLUMN generations.progress_fraction IS 'The part of the work that is done, from 0 to 1.';
COMMENT ON COLUMN generations.cancel_requested_at IS
	'The time at which the worker was asked to stop. NULL if it was not asked, or has stopped.';
COMMENT ON TABLE generation_errors IS 'GenerationError is the error of one failed attempt.';
COMMENT ON COLUMN generation_errors.generation_id IS
	'The ID of the generation. Deleting the generation deletes its errors.';
COMMENT ON COLUMN generation_errors.attempt IS 'The number of the claim, from 1.';
COMMENT ON COLUMN generation_errors.worker IS 'The worker that held the claim.';
COMMENT ON COLUMN generation_errors.error IS 'What the worker reported, or that its lease expired. At most 1 MiB.';
COMMENT ON COLUMN generation_errors.failed_at IS 'The time of the failure.';
COMMENT ON TABLE generation_queue IS 'GenerationQueue is the switch that pauses the whole queue. It is one row.';
COMMENT ON COLUMN generation_queue.id IS 'Always 1.';
COMMENT ON COLUMN generation_queue.paused_at IS 'The time from which nothing is claimed. NULL if the queue runs.';

-- migrate:down

DROP TABLE generation_queue;
DROP TABLE generation_errors;
DROP INDEX idx_generations_batch_id;
ALTER TABLE generations
	DROP COLUMN cancel_requested_at,
	DROP COLUMN progress_fraction,
	DROP COLUMN progress_step,
	DROP COLUMN batch_id;
