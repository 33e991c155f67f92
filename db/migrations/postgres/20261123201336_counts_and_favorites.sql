-- Counts that triggers keep, so that they cost the same at any size, and favorites.

-- migrate:up

-- No other transaction may write between the count and the triggers.
LOCK TABLE generations, prompts IN SHARE ROW EXCLUSIVE MODE;

ALTER TABLE generations ADD COLUMN favorite BOOLEAN NOT NULL DEFAULT FALSE;

-- Partial, so that other generations do not pay for it.
CREATE INDEX idx_generations_favorite ON generations (created_at, id) WHERE favorite;

-- For the average time of the last hour, which it serves alone.
DROP INDEX idx_generations_completed_at;
CREATE INDEX idx_generations_completed_at ON generations (completed_at, status, generation_time_seconds)
	WHERE completed_at IS NOT NULL;

-- A count is the sum of its changes. Each statement appends a change, so that no transaction waits for a count. Every
-- 64th change folds the oldest rows into one for each count. A row may be negative, the sum never is. Autovacuum starts
-- early, because each sum reads past the dead rows.
CREATE TABLE generation_counters (
	id BIGINT GENERATED ALWAYS AS IDENTITY,
	name TEXT NOT NULL,
	value BIGINT NOT NULL,
	CONSTRAINT generation_counters_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
INSERT INTO generation_counters (name, value) SELECT status, count(*) FROM generations GROUP BY status;
INSERT INTO generation_counters (name, value) SELECT 'prompts', count(*) FROM prompts;

COMMENT ON COLUMN generations.favorite IS 'Whether a user has marked the generation, to find it again.';
COMMENT ON TABLE generation_counters IS 'GenerationCounter is a change of a count, or the sum of many changes.';
COMMENT ON COLUMN generation_counters.id IS 'The ID of the change. It rises with each.';
COMMENT ON COLUMN generation_counters.name IS 'The name of the count: a status, or prompts.';
COMMENT ON COLUMN generation_counters.value IS 'The change. It may be negative; the sum of all never is.';

CREATE FUNCTION add_to_counter(counter TEXT, change BIGINT) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	appended BIGINT;
BEGIN
	INSERT INTO generation_counters (name, value) VALUES (counter, change) RETURNING id INTO appended;
	IF appended % 64 <> 0 THEN
		RETURN;
	END IF;
	BEGIN
		WITH folded AS (
			DELETE FROM generation_counters
			WHERE id = ANY(ARRAY(SELECT c.id FROM generation_counters AS c ORDER BY c.id LIMIT 1000 FOR UPDATE SKIP LOCKED))
			RETURNING name, value
		)
		INSERT INTO generation_counters (name, value) SELECT name, sum(value) FROM folded GROUP BY name;
	EXCEPTION WHEN serialization_failure THEN
		NULL; -- above READ COMMITTED, if another transaction has folded these rows: the next fold will do the work
	END;
END
$$;

-- The DELETE after it must see what other transactions have appended and folded.
CREATE FUNCTION lock_counters_to_truncate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'TRUNCATE above READ COMMITTED would leave counts that are wrong'
			USING ERRCODE = 'feature_not_supported';
	END IF;
	LOCK TABLE generation_counters IN SHARE ROW EXCLUSIVE MODE;
END
$$;

-- Runs once for each statement, however many rows that changes.
CREATE FUNCTION count_generations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM add_to_counter(status, count(*)) FROM new_rows GROUP BY status;
	ELSIF TG_OP = 'DELETE' THEN
		PERFORM add_to_counter(status, -count(*)) FROM old_rows GROUP BY status;
	ELSIF TG_OP = 'UPDATE' THEN
		PERFORM add_to_counter(status, sum(change))
		FROM (SELECT status, 1 AS change FROM new_rows UNION ALL SELECT status, -1 FROM old_rows) AS changes
		GROUP BY status
		HAVING sum(change) <> 0;
	ELSE
		PERFORM lock_counters_to_truncate();
		DELETE FROM generation_counters WHERE name <> 'prompts';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER generations_count_insert AFTER INSERT ON generations
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_generations();
CREATE TRIGGER generations_count_update AFTER UPDATE ON generations
	REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_generations();
CREATE TRIGGER generations_count_delete AFTER DELETE ON generations
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_generations();
CREATE TRIGGER generations_count_truncate AFTER TRUNCATE ON generations
	FOR EACH STATEMENT EXECUTE FUNCTION count_generations();

CREATE FUNCTION count_prompts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM add_to_counter('prompts', count(*)) FROM new_rows HAVING count(*) > 0;
	ELSIF TG_OP = 'DELETE' THEN
		PERFORM add_to_counter('prompts', -count(*)) FROM old_rows HAVING count(*) > 0;
	ELSE
		PERFORM lock_counters_to_truncate();
		DELETE FROM generation_counters WHERE name = 'prompts';
	END IF;
	RETURN NULL;
END
$$;
-- Of an upsert, new_rows has the rows that were inserted, not those that were updated.
CREATE TRIGGER prompts_count_insert AFTER INSERT ON prompts
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prompts();
CREATE TRIGGER prompts_count_delete AFTER DELETE ON prompts
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prompts();
CREATE TRIGGER prompts_count_truncate AFTER TRUNCATE ON prompts
	FOR EACH STATEMENT EXECUTE FUNCTION count_prompts();

-- migrate:down

DROP TRIGGER generations_count_insert ON generations;
DROP TRIGGER generations_count_update ON generations;
DROP TRIGGER generations_count_delete ON generations;
DROP TRIGGER generations_count_truncate ON generations;
DROP TRIGGER prompts_count_insert ON prompts;
DROP TRIGGER prompts_count_delete ON prompts;
DROP TRIGGER prompts_count_truncate ON prompts;
DROP FUNCTION count_generations;
DROP FUNCTION count_prompts;
DROP FUNCTION add_to_counter;
DROP FUNCTION lock_counters_to_truncate;
DROP TABLE generation_counters;
DROP INDEX idx_generations_favorite;
DROP INDEX idx_generations_completed_at;
CREATE INDEX idx_generations_completed_at ON generations (completed_at) WHERE completed_at IS NOT NULL;
ALTER TABLE generations DROP COLUMN favorite;
