-- The schema refuses what the store cannot read, and what SQLite cannot hold: infinity, and times before the year 1 or
-- after 9999.
--
-- A constraint reads its table once, under a lock: some tenths of a second for a million rows. To add it as NOT VALID
-- would not shorten the lock, which lasts to the end of the migration's transaction.

-- migrate:up

-- Refuses to migrate, and names the values, if there are some that the store cannot read.
DO $$
DECLARE
	wrong RECORD;
BEGIN
	WITH times (of_table, row_key, column_name, value) AS (
		SELECT 'prompts', CAST(id AS TEXT), 'first_used_at', first_used_at FROM prompts
		UNION ALL SELECT 'prompts', CAST(id AS TEXT), 'last_used_at', last_used_at FROM prompts
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'created_at', created_at FROM generations
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'scheduled_at', scheduled_at FROM generations
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'started_at', started_at FROM generations
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'completed_at', completed_at FROM generations
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'lease_expires_at', lease_expires_at FROM generations
		UNION ALL SELECT 'generations', CAST(id AS TEXT), 'cancel_requested_at', cancel_requested_at FROM generations
		UNION ALL SELECT 'generation_errors', generation_id || '/' || attempt, 'failed_at', failed_at FROM generation_errors
		UNION ALL SELECT 'generation_queue', CAST(id AS TEXT), 'paused_at', paused_at FROM generation_queue
		UNION ALL SELECT 'generation_metadata', CAST(generation_id AS TEXT), 'created_at', created_at FROM generation_metadata
	), numbered AS (
		SELECT of_table || ' ' || row_key || ' ' || column_name AS name, row_number() OVER () AS number FROM times
		WHERE NOT (value >= '0001-01-01 00:00:00+00' AND value < '10000-01-01 00:00:00+00')
	)
	SELECT count(*) AS total, string_agg(name, '; ') FILTER (WHERE number <= 20) AS names INTO wrong FROM numbered;
	IF wrong.total > 0 THEN
		RAISE EXCEPTION 'nothing was migrated: % values are no time of the years 1 to 9999: %', wrong.total, wrong.names
			|| CASE WHEN wrong.total > 20 THEN '; and more' ELSE '' END
			|| '. Correct each with UPDATE, or delete its row'
			USING ERRCODE = 'datetime_field_overflow';
	END IF;
END
$$;

ALTER TABLE prompts
	ADD CONSTRAINT prompts_first_used_at_check CHECK (
		first_used_at >= '0001-01-01 00:00:00+00' AND first_used_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT prompts_last_used_at_check CHECK (
		last_used_at >= '0001-01-01 00:00:00+00' AND last_used_at < '10000-01-01 00:00:00+00'
	);
ALTER TABLE generations
	ADD CONSTRAINT generations_created_at_check CHECK (
		created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT generations_scheduled_at_check CHECK (
		scheduled_at >= '0001-01-01 00:00:00+00' AND scheduled_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT generations_started_at_check CHECK (
		started_at >= '0001-01-01 00:00:00+00' AND started_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT generations_completed_at_check CHECK (
		completed_at >= '0001-01-01 00:00:00+00' AND completed_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT generations_lease_expires_at_check CHECK (
		lease_expires_at >= '0001-01-01 00:00:00+00' AND lease_expires_at < '10000-01-01 00:00:00+00'
	),
	ADD CONSTRAINT generations_cancel_requested_at_check CHECK (
		cancel_requested_at >= '0001-01-01 00:00:00+00' AND cancel_requested_at < '10000-01-01 00:00:00+00'
	);
ALTER TABLE generation_errors
	ADD CONSTRAINT generation_errors_failed_at_check CHECK (
		failed_at >= '0001-01-01 00:00:00+00' AND failed_at < '10000-01-01 00:00:00+00'
	);
ALTER TABLE generation_queue
	ADD CONSTRAINT generation_queue_paused_at_check CHECK (
		paused_at >= '0001-01-01 00:00:00+00' AND paused_at < '10000-01-01 00:00:00+00'
	);
ALTER TABLE generation_metadata
	ADD CONSTRAINT generation_metadata_created_at_check CHECK (
		created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00'
	);

-- Reports whether the store can read a generation. Go has no time for infinity. On SQLite the store brings a function of
-- this name, for which the IDs count, too.
--
-- No row of this schema fails it, unless somebody drops a constraint. It keeps such a row from costing other rows their
-- attempts.
CREATE FUNCTION generation_readable(
	id UUID, batch_id UUID, created_at TIMESTAMPTZ, scheduled_at TIMESTAMPTZ, started_at TIMESTAMPTZ,
	completed_at TIMESTAMPTZ, lease_expires_at TIMESTAMPTZ, cancel_requested_at TIMESTAMPTZ
) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT isfinite(least(created_at, scheduled_at, started_at, completed_at, lease_expires_at, cancel_requested_at))
		AND isfinite(greatest(created_at, scheduled_at, started_at, completed_at, lease_expires_at, cancel_requested_at))
$$;

-- migrate:down

DROP FUNCTION generation_readable;
ALTER TABLE prompts
	DROP CONSTRAINT prompts_first_used_at_check,
	DROP CONSTRAINT prompts_last_used_at_check;
ALTER TABLE generations
	DROP CONSTRAINT generations_created_at_check,
	DROP CONSTRAINT generations_scheduled_at_check,
	DROP CONSTRAINT generations_started_at_check,
	DROP CONSTRAINT generations_completed_at_check,
	DROP CONSTRAINT generations_lease_expires_at_check,
	DROP CONSTRAINT generations_cancel_requested_at_check;
ALTER TABLE generation_errors
	DROP CONSTRAINT generation_errors_failed_at_check;
ALTER TABLE generation_queue
	DROP CONSTRAINT generation_queue_paused_at_check;
ALTER TABLE generation_metadata
	DROP CONSTRAINT generation_metadata_created_at_check;
