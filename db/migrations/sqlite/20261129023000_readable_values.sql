-- The schema refuses what the store cannot read: a time that is none, such as 30 February or hour 25, and a text
-- that is no UUID. The CHECKs of earlier versions look at the form alone.
--
-- Triggers refuse it, because SQLite adds a CHECK only by a new table. That would copy millions of rows, and lose the
-- columns, indexes and triggers that a user has added. An update looks only at what changes, so that a row with two
-- wrong values can be corrected one by one.
--
-- They run after the change, which RAISE takes back. Before it, SQLite would copy the row for them, and a creation
-- would cost more.
--
-- datetime() with a modifier writes a day that does not exist as the next one that does. It gets whole seconds, because
-- it would round the fraction. The index over metadata has no such trigger: its own triggers copy values that were
-- checked, and Repair deletes any other entry.

-- migrate:up

-- Refuses to migrate, and names the values, if there are some that the store cannot read. The error is that of a path
-- of JSON, which is the one function that quotes its argument.
UPDATE generation_queue SET id = id WHERE (
	WITH times (of_table, row_key, column_name, value) AS (
		SELECT 'prompts', id, 'first_used_at', first_used_at FROM prompts
		UNION ALL
		SELECT 'prompts', id, 'last_used_at', last_used_at FROM prompts
		UNION ALL
		SELECT 'generations', id, 'created_at', created_at FROM generations
		UNION ALL
		SELECT 'generations', id, 'scheduled_at', scheduled_at FROM generations
		UNION ALL
		SELECT 'generations', id, 'started_at', started_at FROM generations
		UNION ALL
		SELECT 'generations', id, 'completed_at', completed_at FROM generations
		UNION ALL
		SELECT 'generations', id, 'lease_expires_at', lease_expires_at FROM generations
		UNION ALL
		SELECT 'generations', id, 'cancel_requested_at', cancel_requested_at FROM generations
		UNION ALL
		SELECT 'generation_errors', generation_id || '/' || attempt, 'failed_at', failed_at FROM generation_errors
		UNION ALL
		SELECT 'generation_queue', id, 'paused_at', paused_at FROM generation_queue
	), ids (of_table, row_key, column_name, value) AS (
		SELECT 'generations', id, 'id', id FROM generations
		UNION ALL
		SELECT 'generations', id, 'batch_id', batch_id FROM generations
		UNION ALL
		SELECT 'generation_errors', generation_id || '/' || attempt, 'generation_id', generation_id FROM generation_errors
	), wrong (of_table, row_key, column_name) AS (
		SELECT of_table, row_key, column_name FROM times
		WHERE value IS NOT datetime(substr(value, 1, 19), '+0 days') || substr(value, 20, 7) OR value < '0001'
		UNION ALL
		SELECT of_table, row_key, column_name FROM ids
		WHERE length(replace(value, '-', '') || value) <> 68
			OR value NOT GLOB '????????-????-????-????-????????????' OR value GLOB '*[^-0-9a-f]*'
	)
	SELECT CASE WHEN count(*) > 0 THEN json_extract('{}',
		'nothing was migrated: ' || count(*) || ' values are no time of the years 1 to 9999, or no UUID: '
		|| (
			SELECT group_concat(named.of_table || ' ' || named.row_key || ' ' || named.column_name, '; ')
			FROM (SELECT of_table, row_key, column_name FROM wrong LIMIT 20) AS named
		)
		|| CASE WHEN count(*) > 20 THEN '; and more' ELSE '' END
		|| '. Correct each with UPDATE, or delete its row; a time is UTC, like 2026-01-31 12:00:00.000000'
	) END
	FROM wrong
) IS NOT NULL;

DROP TRIGGER prompts_text_length;
DROP TRIGGER generations_prompt_length;

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

-- migrate:down

DROP TRIGGER prompts_check_insert;
DROP TRIGGER prompts_check_update;
DROP TRIGGER generations_check_insert;
DROP TRIGGER generations_check_update;
DROP TRIGGER generation_errors_check_insert;
DROP TRIGGER generation_errors_check_update;
DROP TRIGGER generation_queue_check_insert;
DROP TRIGGER generation_queue_check_update;

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
