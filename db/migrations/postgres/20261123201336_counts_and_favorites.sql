-- Counts that cost the same at any size, kept by the schema itself, and favorites.

-- migrate:up

-- Nobody may write between the count and the triggers.
LOCK TABLE generations, prompts IN SHARE ROW EXCLUSIVE MODE;

ALTER TABLE generations ADD COLUMN favorite BOOLEAN NOT NULL DEFAULT FALSE;

-- Partial, so that what is no favorite does not pay for it.
CREATE INDEX idx_generations_favorite ON generations (created_at, id) WHERE favorite;

-- The average of the last hour comes from the index alone.
DROP INDEX idx_generations_completed_at;
CREATE INDEX idx_generations_completed_at ON generations (completed_at, status, generation_time_seconds) WHERE completed_at IS NOT NULL;

-- A count is the sum of its changes. Each statement appends what it has changed, so that nobody ever waits for a count, in
-- whatever transaction, and every so often one folds what is there into a row for each count. A row may be below zero;
-- the sum never is. What was folded must go soon, or the sums would read past it.
CREATE TABLE generation_counters (
	id BIGINT GENERATED ALWAYS AS IDENTITY,
	name TEXT NOT NULL,
	value BIGINT NOT NULL,
	CONSTRAINT generation_counters_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
INSERT INTO generation_counters (name, value) SELECT status, count(*) FROM generations GROUP BY status;
INSERT INTO generation_counters (name, value) SELECT 'prompts', count(*) FROM prompts;

COMMENT ON COLUMN generations.favorite IS 'Whether somebody wants to find it again.';
COMMENT ON TABLE generation_counters IS 'GenerationCounter is a change of a count, or the sum of many.';
COMMENT ON COLUMN generation_counters.id IS 'Rises with each change.';
COMMENT ON COLUMN generation_counters.name IS 'A status, or prompts.';
COMMENT ON COLUMN generation_counters.value IS 'By how much; may be below zero, unlike the sum.';

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
		NULL; -- above READ COMMITTED, where others have folded meanwhile: the next one will
	END;
END
$$;

-- What others have appended and folded meanwhile must be seen, to be deleted.
CREATE FUNCTION lock_counters_to_truncate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'TRUNCATE above READ COMMITTED would leave counts that are wrong' USING ERRCODE = 'feature_not_supported';
	END IF;
	LOCK TABLE generation_counters IN SHARE ROW EXCLUSIVE MODE;
END
$$;

-- Once for each statement, however many rows it changes.
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
-- Of an upsert, what was inserted is in new_rows of this one, and what was updated is not.
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
