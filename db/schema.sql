CREATE TABLE IF NOT EXISTS "schema_migrations" (version varchar(128) primary key);
CREATE TABLE IF NOT EXISTS "prompts" (
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
CREATE TABLE IF NOT EXISTS "generations" (
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
	lease_expires_at TEXT, batch_id TEXT
	CONSTRAINT generations_batch_id_check CHECK (
		batch_id GLOB '????????-????-????-????-????????????' AND batch_id NOT GLOB '*[^-0-9a-f]*'
	), progress_step TEXT NOT NULL DEFAULT 'queued'
	CONSTRAINT generations_progress_step_check CHECK (
		progress_step <> '' AND instr(progress_step, char(0)) = 0 AND length(CAST(progress_step AS BLOB)) <= 255
	), progress_fraction REAL NOT NULL DEFAULT 0
	CONSTRAINT generations_progress_fraction_check CHECK (progress_fraction >= 0 AND progress_fraction <= 1), cancel_requested_at TEXT
	CONSTRAINT generations_cancel_requested_at_check CHECK (
		cancel_requested_at GLOB
			'[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'
	), favorite INTEGER NOT NULL DEFAULT 0
	CONSTRAINT generations_favorite_check CHECK (favorite IN (0, 1)),
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
CREATE INDEX idx_generations_created_at ON generations (created_at, id);
CREATE INDEX idx_generations_status ON generations (status, created_at, id);
CREATE INDEX idx_generations_model_name ON generations (model_name, created_at, id);
CREATE INDEX idx_generations_status_model_name ON generations (status, model_name, created_at, id);
CREATE INDEX idx_generations_pending ON generations (status, priority, scheduled_at, id) WHERE status = 'pending';
CREATE INDEX idx_prompts_used_count ON prompts (used_count, last_used_at, id);
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
CREATE INDEX idx_generations_favorite ON generations (created_at, id) WHERE favorite;
CREATE INDEX idx_generations_completed_at ON generations (completed_at, status, generation_time_seconds)
	WHERE completed_at IS NOT NULL;
CREATE TABLE generation_counters (
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	CONSTRAINT generation_counters_pkey PRIMARY KEY (name),
	CONSTRAINT generation_counters_value_check CHECK (value >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER generations_count_insert AFTER INSERT ON generations
BEGIN
	UPDATE generation_counters SET value = value + 1 WHERE name = NEW.status;
END;
CREATE TRIGGER generations_count_update AFTER UPDATE OF status ON generations
WHEN NEW.status <> OLD.status
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = OLD.status;
	UPDATE generation_counters SET value = value + 1 WHERE name = NEW.status;
END;
CREATE TRIGGER generations_count_delete AFTER DELETE ON generations
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = OLD.status;
END;
CREATE TRIGGER prompts_count_insert AFTER INSERT ON prompts
BEGIN
	UPDATE generation_counters SET value = value + 1 WHERE name = 'prompts';
END;
CREATE TRIGGER prompts_count_delete AFTER DELETE ON prompts
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = 'prompts';
END;
CREATE VIRTUAL TABLE prompts_search USING fts5 (
	text, content = 'prompts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
)
/* prompts_search(text) */;
CREATE TABLE IF NOT EXISTS 'prompts_search_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE IF NOT EXISTS 'prompts_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS 'prompts_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE IF NOT EXISTS 'prompts_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE TRIGGER prompts_search_insert AFTER INSERT ON prompts
BEGIN
	INSERT INTO prompts_search (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TRIGGER prompts_search_update AFTER UPDATE OF id, text ON prompts
BEGIN
	INSERT INTO prompts_search (prompts_search, rowid, text) VALUES ('delete', OLD.id, OLD.text);
	INSERT INTO prompts_search (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TRIGGER prompts_search_delete AFTER DELETE ON prompts
BEGIN
	INSERT INTO prompts_search (prompts_search, rowid, text) VALUES ('delete', OLD.id, OLD.text);
END;
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id, created_at, id);
CREATE TABLE generation_metadata (
	name TEXT NOT NULL,
	value ANY NOT NULL,
	created_at TEXT NOT NULL,
	generation_id TEXT NOT NULL,
	CONSTRAINT generation_metadata_pkey PRIMARY KEY (name, value, created_at, generation_id)
) STRICT, WITHOUT ROWID;
CREATE VIEW generation_metadata_entries AS
SELECT
	g.id AS generation_id,
	g.created_at AS created_at,
	CAST(substr(e.key, 1, 64) AS TEXT) AS name, -- the cast lets the deletions below use the whole primary key
	CASE e.type
		WHEN 'integer' THEN CAST(e.value AS REAL)
		WHEN 'real' THEN CAST(e.value AS REAL)
		WHEN 'text' THEN substr(e.value, 1, 64)
		ELSE CAST(e.type || CASE WHEN e.type IN ('array', 'object') THEN COALESCE((
			SELECT substr(group_concat(leaves.leaf, ' '), 1, 64)
			FROM (
				SELECT CASE
					WHEN t.type IN ('integer', 'real') THEN CAST(CAST(t.atom AS REAL) AS INTEGER)
					WHEN t.type = 'text' THEN t.atom
					ELSE t.type
				END AS leaf
				FROM json_tree(e.value) AS t
				ORDER BY leaf
			) AS leaves
		), '') ELSE '' END AS BLOB)
	END AS value
FROM generations AS g, json_each(g.metadata) AS e
/* generation_metadata_entries(generation_id,created_at,name,value) */;
CREATE TRIGGER generations_metadata_insert AFTER INSERT ON generations
WHEN NEW.metadata <> '{}'
BEGIN
	INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
	SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = NEW.id;
END;
CREATE TRIGGER generations_metadata_before_update BEFORE UPDATE OF id, created_at, metadata ON generations
WHEN NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id
BEGIN
	DELETE FROM generation_metadata WHERE (name, value, created_at, generation_id) IN (
		SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = OLD.id
	);
END;
CREATE TRIGGER generations_metadata_update AFTER UPDATE OF id, created_at, metadata ON generations
WHEN NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id
BEGIN
	INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
	SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = NEW.id;
END;
CREATE TRIGGER generations_metadata_delete BEFORE DELETE ON generations
BEGIN
	DELETE FROM generation_metadata WHERE (name, value, created_at, generation_id) IN (
		SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = OLD.id
	);
END;
CREATE TRIGGER prompts_check_insert AFTER INSERT ON prompts
BEGIN
	SELECT CASE
		WHEN length(CAST(NEW.text AS BLOB)) > 2000
			THEN RAISE(ABORT, 'prompts_text_check: a prompt is at most 2000 bytes')
		WHEN NEW.first_used_at IS NOT datetime(substr(NEW.first_used_at, 1, 19), '+0 days')
				|| substr(NEW.first_used_at, 20, 7)
			OR NEW.first_used_at < '0001'
			THEN RAISE(ABORT, 'prompts_first_used_at_check: is no time of the years 1 to 9999')
		WHEN NEW.last_used_at <> NEW.first_used_at AND (
			NEW.last_used_at IS NOT datetime(substr(NEW.last_used_at, 1, 19), '+0 days')
				|| substr(NEW.last_used_at, 20, 7)
			OR NEW.last_used_at < '0001'
		)
			THEN RAISE(ABORT, 'prompts_last_used_at_check: is no time of the years 1 to 9999')
	END;
END;
CREATE TRIGGER prompts_check_update AFTER UPDATE OF first_used_at, last_used_at ON prompts
BEGIN
	SELECT CASE
		WHEN NEW.first_used_at IS NOT OLD.first_used_at AND (
			NEW.first_used_at IS NOT datetime(substr(NEW.first_used_at, 1, 19), '+0 days')
				|| substr(NEW.first_used_at, 20, 7)
			OR NEW.first_used_at < '0001'
		)
			THEN RAISE(ABORT, 'prompts_first_used_at_check: is no time of the years 1 to 9999')
		WHEN NEW.last_used_at IS NOT OLD.last_used_at AND (
			NEW.last_used_at IS NOT datetime(substr(NEW.last_used_at, 1, 19), '+0 days')
				|| substr(NEW.last_used_at, 20, 7)
			OR NEW.last_used_at < '0001'
		)
			THEN RAISE(ABORT, 'prompts_last_used_at_check: is no time of the years 1 to 9999')
	END;
END;
CREATE TRIGGER generations_check_insert AFTER INSERT ON generations
BEGIN
	SELECT CASE
		WHEN length(CAST(NEW.prompt AS BLOB)) > 2000
			THEN RAISE(ABORT, 'generations_prompt_check: a prompt is at most 2000 bytes')
		WHEN length(replace(NEW.id, '-', '') || NEW.id) <> 68
			THEN RAISE(ABORT, 'generations_id_check: is no UUID in lower case')
		WHEN NEW.created_at IS NOT datetime(substr(NEW.created_at, 1, 19), '+0 days')
				|| substr(NEW.created_at, 20, 7)
			OR NEW.created_at < '0001'
			THEN RAISE(ABORT, 'generations_created_at_check: is no time of the years 1 to 9999')
		WHEN NEW.scheduled_at <> NEW.created_at AND (
			NEW.scheduled_at IS NOT datetime(substr(NEW.scheduled_at, 1, 19), '+0 days')
				|| substr(NEW.scheduled_at, 20, 7)
			OR NEW.scheduled_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_scheduled_at_check: is no time of the years 1 to 9999')
		WHEN NEW.started_at IS NOT NULL AND (
			NEW.started_at IS NOT datetime(substr(NEW.started_at, 1, 19), '+0 days')
				|| substr(NEW.started_at, 20, 7)
			OR NEW.started_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_started_at_check: is no time of the years 1 to 9999')
		WHEN NEW.completed_at IS NOT NULL AND (
			NEW.completed_at IS NOT datetime(substr(NEW.completed_at, 1, 19), '+0 days')
				|| substr(NEW.completed_at, 20, 7)
			OR NEW.completed_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_completed_at_check: is no time of the years 1 to 9999')
		WHEN NEW.lease_expires_at IS NOT NULL AND (
			NEW.lease_expires_at IS NOT datetime(substr(NEW.lease_expires_at, 1, 19), '+0 days')
				|| substr(NEW.lease_expires_at, 20, 7)
			OR NEW.lease_expires_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_lease_expires_at_check: is no time of the years 1 to 9999')
		WHEN NEW.cancel_requested_at IS NOT NULL AND (
			NEW.cancel_requested_at IS NOT datetime(substr(NEW.cancel_requested_at, 1, 19), '+0 days')
				|| substr(NEW.cancel_requested_at, 20, 7)
			OR NEW.cancel_requested_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_cancel_requested_at_check: is no time of the years 1 to 9999')
		WHEN NEW.batch_id IS NOT NULL AND (
			length(replace(NEW.batch_id, '-', '') || NEW.batch_id) <> 68
		)
			THEN RAISE(ABORT, 'generations_batch_id_check: is no UUID in lower case')
	END;
END;
CREATE TRIGGER generations_check_update AFTER UPDATE OF
	id, created_at, scheduled_at, started_at, completed_at, lease_expires_at, cancel_requested_at, batch_id
ON generations
BEGIN
	SELECT CASE
		WHEN NEW.id IS NOT OLD.id AND (
			length(replace(NEW.id, '-', '') || NEW.id) <> 68
		)
			THEN RAISE(ABORT, 'generations_id_check: is no UUID in lower case')
		WHEN NEW.created_at IS NOT OLD.created_at AND (
			NEW.created_at IS NOT datetime(substr(NEW.created_at, 1, 19), '+0 days')
				|| substr(NEW.created_at, 20, 7)
			OR NEW.created_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_created_at_check: is no time of the years 1 to 9999')
		WHEN NEW.scheduled_at IS NOT OLD.scheduled_at AND (
			NEW.scheduled_at IS NOT datetime(substr(NEW.scheduled_at, 1, 19), '+0 days')
				|| substr(NEW.scheduled_at, 20, 7)
			OR NEW.scheduled_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_scheduled_at_check: is no time of the years 1 to 9999')
		WHEN NEW.started_at IS NOT OLD.started_at AND (
			NEW.started_at IS NOT datetime(substr(NEW.started_at, 1, 19), '+0 days')
				|| substr(NEW.started_at, 20, 7)
			OR NEW.started_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_started_at_check: is no time of the years 1 to 9999')
		WHEN NEW.completed_at IS NOT OLD.completed_at AND (
			NEW.completed_at IS NOT datetime(substr(NEW.completed_at, 1, 19), '+0 days')
				|| substr(NEW.completed_at, 20, 7)
			OR NEW.completed_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_completed_at_check: is no time of the years 1 to 9999')
		WHEN NEW.lease_expires_at IS NOT OLD.lease_expires_at AND (
			NEW.lease_expires_at IS NOT datetime(substr(NEW.lease_expires_at, 1, 19), '+0 days')
				|| substr(NEW.lease_expires_at, 20, 7)
			OR NEW.lease_expires_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_lease_expires_at_check: is no time of the years 1 to 9999')
		WHEN NEW.cancel_requested_at IS NOT OLD.cancel_requested_at AND (
			NEW.cancel_requested_at IS NOT datetime(substr(NEW.cancel_requested_at, 1, 19), '+0 days')
				|| substr(NEW.cancel_requested_at, 20, 7)
			OR NEW.cancel_requested_at < '0001'
		)
			THEN RAISE(ABORT, 'generations_cancel_requested_at_check: is no time of the years 1 to 9999')
		WHEN NEW.batch_id IS NOT OLD.batch_id AND (
			length(replace(NEW.batch_id, '-', '') || NEW.batch_id) <> 68
		)
			THEN RAISE(ABORT, 'generations_batch_id_check: is no UUID in lower case')
	END;
END;
CREATE TRIGGER generation_errors_check_insert AFTER INSERT ON generation_errors
BEGIN
	SELECT CASE
		WHEN length(replace(NEW.generation_id, '-', '') || NEW.generation_id) <> 68
			OR NEW.generation_id NOT GLOB '????????-????-????-????-????????????' OR NEW.generation_id GLOB '*[^-0-9a-f]*'
			THEN RAISE(ABORT, 'generation_errors_generation_id_check: is no UUID in lower case')
		WHEN NEW.failed_at IS NOT datetime(substr(NEW.failed_at, 1, 19), '+0 days')
				|| substr(NEW.failed_at, 20, 7)
			OR NEW.failed_at < '0001'
			THEN RAISE(ABORT, 'generation_errors_failed_at_check: is no time of the years 1 to 9999')
	END;
END;
CREATE TRIGGER generation_errors_check_update AFTER UPDATE OF generation_id, failed_at ON generation_errors
BEGIN
	SELECT CASE
		WHEN NEW.generation_id IS NOT OLD.generation_id AND (
			length(replace(NEW.generation_id, '-', '') || NEW.generation_id) <> 68
			OR NEW.generation_id NOT GLOB '????????-????-????-????-????????????' OR NEW.generation_id GLOB '*[^-0-9a-f]*'
		)
			THEN RAISE(ABORT, 'generation_errors_generation_id_check: is no UUID in lower case')
		WHEN NEW.failed_at IS NOT OLD.failed_at AND (
			NEW.failed_at IS NOT datetime(substr(NEW.failed_at, 1, 19), '+0 days')
				|| substr(NEW.failed_at, 20, 7)
			OR NEW.failed_at < '0001'
		)
			THEN RAISE(ABORT, 'generation_errors_failed_at_check: is no time of the years 1 to 9999')
	END;
END;
CREATE TRIGGER generation_queue_check_insert AFTER INSERT ON generation_queue
BEGIN
	SELECT CASE
		WHEN NEW.paused_at IS NOT NULL AND (
			NEW.paused_at IS NOT datetime(substr(NEW.paused_at, 1, 19), '+0 days')
				|| substr(NEW.paused_at, 20, 7)
			OR NEW.paused_at < '0001'
		)
			THEN RAISE(ABORT, 'generation_queue_paused_at_check: is no time of the years 1 to 9999')
	END;
END;
CREATE TRIGGER generation_queue_check_update AFTER UPDATE OF paused_at ON generation_queue
BEGIN
	SELECT CASE
		WHEN NEW.paused_at IS NOT OLD.paused_at AND (
			NEW.paused_at IS NOT datetime(substr(NEW.paused_at, 1, 19), '+0 days')
				|| substr(NEW.paused_at, 20, 7)
			OR NEW.paused_at < '0001'
		)
			THEN RAISE(ABORT, 'generation_queue_paused_at_check: is no time of the years 1 to 9999')
	END;
END;
-- Dbmate schema migrations
INSERT INTO "schema_migrations" (version) VALUES
  ('20251107000001'),
  ('20261123000001'),
  ('20261123191137'),
  ('20261123201336'),
  ('20261123204639'),
  ('20261125080441'),
  ('20261125125500'),
  ('20261129023000');
