-- What the Python service planned for its second phase. Generations refer to their prompt. The schema refuses what the
-- store refuses. Generations have what a queue needs, and each list has the index that serves it.
--
-- SQLite changes a table's constraints only by a new table. prompts comes first on the way up and last on the way down,
-- so that no table refers to one that is dropped. With foreign keys on, DROP TABLE would delete the rows that refer to
-- it. Nothing here relies on foreign keys being off.
--
-- STRICT makes SQLite enforce the declared types. Without it, a REAL column takes any text.
--
-- Each CHECK is named <table>_<column>_check: the store reads the refused field out of that name. If a CHECK refuses a
-- row, the migration changes nothing.
--
-- Times are text in UTC and of fixed width, so that they sort. The store's clock writes them, SQL never does.

-- migrate:up

CREATE TABLE prompts_new (
	-- With AUTOINCREMENT no ID is used twice, as on PostgreSQL. A stale ID finds nothing, not another prompt.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	text TEXT NOT NULL,
	used_count INTEGER NOT NULL,
	first_used_at TEXT NOT NULL,
	last_used_at TEXT NOT NULL,
	CONSTRAINT prompts_text_key UNIQUE (text),
	-- It sets no limit: prompts of the Python service may be longer than the 2,000 bytes that the store accepts. A trigger
	-- below limits new prompts.
	CONSTRAINT prompts_text_check CHECK (text <> '' AND instr(text, char(0)) = 0),
	CONSTRAINT prompts_used_count_check CHECK (used_count >= 0),
	CONSTRAINT prompts_first_used_at_check CHECK (
		first_used_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	),
	CONSTRAINT prompts_last_used_at_check CHECK (
		last_used_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	)
) STRICT;

-- The expressions write times like "2025-11-07 09:00:22" with six digits of fraction. They leave longer ones, such as
-- times with a zone, to the CHECK, which refuses them. They are repeated, because SQL defines no functions in SQLite.
INSERT INTO prompts_new (id, text, used_count, first_used_at, last_used_at)
SELECT
	id,
	text,
	used_count,
	CASE
		WHEN length(first_used_at) <= 26 THEN substr(
			replace(first_used_at, 'T', ' ') || CASE WHEN instr(first_used_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE first_used_at
	END,
	CASE
		WHEN length(last_used_at) <= 26 THEN substr(
			replace(last_used_at, 'T', ' ') || CASE WHEN instr(last_used_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE last_used_at
	END
FROM prompts;

-- A prompt that was never tracked gets a row. Its uses are the generations that have its text.
INSERT INTO prompts_new (text, used_count, first_used_at, last_used_at)
SELECT
	prompt,
	count(*),
	min(CASE
		WHEN length(created_at) <= 26 THEN substr(
			replace(created_at, 'T', ' ') || CASE WHEN instr(created_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE created_at
	END),
	max(CASE
		WHEN length(created_at) <= 26 THEN substr(
			replace(created_at, 'T', ' ') || CASE WHEN instr(created_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE created_at
	END)
FROM generations
WHERE prompt NOT IN (SELECT text FROM prompts)
GROUP BY prompt
ORDER BY 3, prompt;

DROP TABLE prompts;
ALTER TABLE prompts_new RENAME TO prompts;

CREATE TABLE generations_new (
	id TEXT NOT NULL,
	prompt TEXT NOT NULL,
	model_name TEXT NOT NULL,
	model_version TEXT,
	duration_seconds REAL NOT NULL,
	sample_rate INTEGER NOT NULL,
	channels INTEGER NOT NULL,
	file_path TEXT NOT NULL,
	file_size_bytes INTEGER,
	status TEXT NOT NULL,
	created_at TEXT NOT NULL,
	completed_at TEXT,
	generation_time_seconds REAL,
	error_message TEXT,
	metadata TEXT NOT NULL DEFAULT '{}',
	prompt_id INTEGER NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0,
	scheduled_at TEXT NOT NULL,
	started_at TEXT,
	attempt INTEGER NOT NULL DEFAULT 0,
	max_attempts INTEGER NOT NULL DEFAULT 3,
	worker TEXT,
	lease_expires_at TEXT,
	CONSTRAINT generations_pkey PRIMARY KEY (id),
	CONSTRAINT generations_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES prompts (id) ON DELETE CASCADE,
	CONSTRAINT generations_id_check CHECK (id GLOB '????????-????-????-????-????????????' AND id NOT GLOB '*[^-0-9a-f]*'),
	CONSTRAINT generations_prompt_check CHECK (prompt <> '' AND instr(prompt, char(0)) = 0),
	CONSTRAINT generations_model_name_check CHECK (
		model_name <> '' AND instr(model_name, char(0)) = 0 AND length(CAST(model_name AS BLOB)) <= 255
	),
	CONSTRAINT generations_model_version_check CHECK (
		instr(model_version, char(0)) = 0 AND length(CAST(model_version AS BLOB)) <= 255
	),
	-- 1e999 is infinity. SQLite stores NaN as NULL, which NOT NULL refuses.
	CONSTRAINT generations_duration_seconds_check CHECK (duration_seconds > 0 AND duration_seconds < 1e999),
	CONSTRAINT generations_sample_rate_check CHECK (sample_rate >= 1),
	CONSTRAINT generations_channels_check CHECK (channels IN (1, 2)),
	CONSTRAINT generations_file_path_check CHECK (
		file_path <> '' AND instr(file_path, char(0)) = 0 AND length(CAST(file_path AS BLOB)) <= 4096
	),
	CONSTRAINT generations_file_size_bytes_check CHECK (file_size_bytes >= 0),
	CONSTRAINT generations_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
	CONSTRAINT generations_created_at_check CHECK (
		created_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	),
	CONSTRAINT generations_completed_at_check CHECK (
		completed_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	),
	CONSTRAINT generations_generation_time_seconds_check CHECK (
		generation_time_seconds >= 0 AND generation_time_seconds < 1e999
	),
	CONSTRAINT generations_error_message_check CHECK (
		instr(error_message, char(0)) = 0 AND length(CAST(error_message AS BLOB)) <= 1048576
	),
	-- CASE, because json_type raises an error of its own if the text is not JSON. The store accepts at most 1 MiB. After
	-- merges, metadata may have 16 MiB.
	CONSTRAINT generations_metadata_check CHECK (
		CASE
			WHEN json_valid(metadata)
				THEN json_type(metadata) = 'object' AND length(CAST(metadata AS BLOB)) <= 16777216
			ELSE FALSE
		END
	),
	CONSTRAINT generations_scheduled_at_check CHECK (
		scheduled_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	),
	CONSTRAINT generations_started_at_check CHECK (
		started_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	),
	CONSTRAINT generations_attempt_check CHECK (attempt >= 0),
	CONSTRAINT generations_max_attempts_check CHECK (max_attempts >= 1),
	CONSTRAINT generations_worker_check CHECK (worker <> '' AND instr(worker, char(0)) = 0),
	CONSTRAINT generations_lease_expires_at_check CHECK (
		lease_expires_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	)
) STRICT;

INSERT INTO generations_new (
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, file_size_bytes, status,
	created_at, completed_at, generation_time_seconds, error_message, metadata, prompt_id, scheduled_at
)
SELECT
	g.id, g.prompt, g.model_name, g.model_version, g.duration_seconds, g.sample_rate, g.channels, g.file_path,
	g.file_size_bytes, g.status,
	CASE
		WHEN length(g.created_at) <= 26 THEN substr(
			replace(g.created_at, 'T', ' ') || CASE WHEN instr(g.created_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE g.created_at
	END,
	CASE
		WHEN length(g.completed_at) <= 26 THEN substr(
			replace(g.completed_at, 'T', ' ') || CASE WHEN instr(g.completed_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE g.completed_at
	END,
	g.generation_time_seconds,
	g.error_message,
	-- The Python service reads NULL and broken JSON as an empty dict. Anything but an object is kept verbatim, under
	-- legacy_raw.
	CASE
		WHEN g.metadata IS NULL OR trim(g.metadata, ' ' || char(9, 10, 13)) IN ('', 'null') THEN '{}'
		WHEN json_valid(g.metadata) THEN CASE
			WHEN json_type(g.metadata) = 'object' THEN g.metadata
			ELSE json_object('legacy_raw', g.metadata)
		END
		ELSE json_object('legacy_raw', g.metadata)
	END,
	p.id,
	CASE
		WHEN length(g.created_at) <= 26 THEN substr(
			replace(g.created_at, 'T', ' ') || CASE WHEN instr(g.created_at, '.') = 0 THEN '.' ELSE '' END || '000000',
			1, 26
		)
		ELSE g.created_at
	END
FROM generations AS g
JOIN prompts AS p ON p.text = g.prompt;

DROP TABLE generations;
ALTER TABLE generations_new RENAME TO generations;

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

CREATE TRIGGER prompts_text_length BEFORE INSERT ON prompts
WHEN length(CAST(NEW.text AS BLOB)) > 2000
BEGIN
	SELECT RAISE(ABORT, 'prompts_text_check: a prompt is at most 2000 bytes');
END;
CREATE TRIGGER generations_prompt_length BEFORE INSERT ON generations
WHEN length(CAST(NEW.prompt AS BLOB)) > 2000
BEGIN
	SELECT RAISE(ABORT, 'generations_prompt_check: a prompt is at most 2000 bytes');
END;

-- migrate:down

CREATE TABLE generations_old (
	id VARCHAR NOT NULL,
	prompt TEXT NOT NULL,
	model_name VARCHAR NOT NULL,
	model_version VARCHAR,
	duration_seconds FLOAT NOT NULL,
	sample_rate INTEGER NOT NULL,
	channels INTEGER NOT NULL,
	file_path VARCHAR NOT NULL,
	file_size_bytes INTEGER,
	status VARCHAR NOT NULL,
	created_at DATETIME NOT NULL,
	completed_at DATETIME,
	generation_time_seconds FLOAT,
	error_message TEXT,
	metadata TEXT,
	PRIMARY KEY (id)
);
INSERT INTO generations_old
SELECT
	id, prompt, model_name, model_version, duration_seconds, sample_rate, channels, file_path, file_size_bytes, status,
	created_at, completed_at, generation_time_seconds, error_message, metadata
FROM generations;
DROP TABLE generations;
ALTER TABLE generations_old RENAME TO generations;
CREATE INDEX idx_generations_status ON generations (status);
CREATE INDEX idx_generations_created_at ON generations (created_at);
CREATE INDEX idx_generations_model_name ON generations (model_name);
CREATE INDEX idx_generations_completed_at ON generations (completed_at);

CREATE TABLE prompts_old (
	id INTEGER NOT NULL,
	text TEXT NOT NULL,
	used_count INTEGER NOT NULL,
	first_used_at DATETIME NOT NULL,
	last_used_at DATETIME NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (text)
);
INSERT INTO prompts_old SELECT id, text, used_count, first_used_at, last_used_at FROM prompts;
DROP TABLE prompts;
ALTER TABLE prompts_old RENAME TO prompts;
CREATE INDEX idx_prompts_text ON prompts (text);
