-- The database becomes the queue: batches, progress, cancel requests, errors of attempts, and a switch that pauses.
--
-- No table is replaced: each column has its own CHECK, and can be dropped with it.

-- migrate:up

ALTER TABLE generations ADD COLUMN batch_id TEXT
	CONSTRAINT generations_batch_id_check CHECK (
		batch_id GLOB '????????-????-????-????-????????????' AND batch_id NOT GLOB '*[^-0-9a-f]*'
	);
ALTER TABLE generations ADD COLUMN progress_step TEXT NOT NULL DEFAULT 'queued'
	CONSTRAINT generations_progress_step_check CHECK (
		progress_step <> '' AND instr(progress_step, char(0)) = 0 AND length(CAST(progress_step AS BLOB)) <= 255
	);
ALTER TABLE generations ADD COLUMN progress_fraction REAL NOT NULL DEFAULT 0
	CONSTRAINT generations_progress_fraction_check CHECK (progress_fraction >= 0 AND progress_fraction <= 1);
ALTER TABLE generations ADD COLUMN cancel_requested_at TEXT
	CONSTRAINT generations_cancel_requested_at_check CHECK (
		cancel_requested_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	);

UPDATE generations SET progress_step = 'completed', progress_fraction = 1 WHERE status = 'completed';
UPDATE generations SET progress_step = 'failed' WHERE status = 'failed';

-- For the counts of a batch, which it serves alone. Partial, so that a generation without a batch does not pay for it.
CREATE INDEX idx_generations_batch_id ON generations (batch_id, status, prompt_id) WHERE batch_id IS NOT NULL;

CREATE TABLE generation_errors (
	generation_id TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	worker TEXT NOT NULL,
	error TEXT NOT NULL,
	failed_at TEXT NOT NULL,
	-- In this order it serves the errors of a generation, and the foreign key.
	CONSTRAINT generation_errors_pkey PRIMARY KEY (generation_id, attempt),
	CONSTRAINT generation_errors_generation_id_fkey
		FOREIGN KEY (generation_id) REFERENCES generations (id) ON DELETE CASCADE,
	CONSTRAINT generation_errors_attempt_check CHECK (attempt >= 1),
	CONSTRAINT generation_errors_worker_check CHECK (worker <> '' AND instr(worker, char(0)) = 0),
	CONSTRAINT generation_errors_error_check CHECK (instr(error, char(0)) = 0 AND length(CAST(error AS BLOB)) <= 1048576),
	CONSTRAINT generation_errors_failed_at_check CHECK (
		failed_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	)
) STRICT;

CREATE TABLE generation_queue (
	id INTEGER NOT NULL,
	paused_at TEXT,
	CONSTRAINT generation_queue_pkey PRIMARY KEY (id),
	CONSTRAINT generation_queue_id_check CHECK (id = 1),
	CONSTRAINT generation_queue_paused_at_check CHECK (
		paused_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	)
) STRICT;
INSERT INTO generation_queue (id) VALUES (1);

-- migrate:down

DROP TABLE generation_queue;
DROP TABLE generation_errors;
DROP INDEX idx_generations_batch_id;
ALTER TABLE generations DROP COLUMN cancel_requested_at;
ALTER TABLE generations DROP COLUMN progress_fraction;
ALTER TABLE generations DROP COLUMN progress_step;
ALTER TABLE generations DROP COLUMN batch_id;
