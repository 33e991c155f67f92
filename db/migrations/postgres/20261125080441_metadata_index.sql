-- An index over metadata, kept by triggers: each top-level key of each generation is an entry. A GIN index would find those
-- that have a value, too, but neither in the order of creation nor by a range of numbers, and would have to read and sort
-- half of history for a page of a common value.
--
-- An entry finds; whether a generation matches is decided by its metadata itself. So an entry need not hold all of a key or
-- value, and what any two equal values have in common is enough: 64 characters of the key, of numbers what a double holds,
-- and a hash of any other value.

-- migrate:up

-- Nobody may write between the entries and the triggers.
LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE;

-- The number that a value is, as what a double holds; NaN, which is no JSON, where it is none. Neither function is STRICT, so
-- that both are inlined where they are called: https://wiki.postgresql.org/wiki/Inlining_of_SQL_functions
CREATE FUNCTION metadata_number(value JSONB) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE
		WHEN jsonb_typeof(value) <> 'number' THEN 'NaN'
		-- As it is rounded: from half a step above the largest double, and to half the smallest.
		WHEN CAST(value AS NUMERIC) >= 1.797693134862315807937e308 THEN 'Infinity'
		WHEN CAST(value AS NUMERIC) <= -1.797693134862315807937e308 THEN '-Infinity'
		WHEN abs(CAST(value AS NUMERIC)) < 2.4703282292062328e-324 THEN 0
		ELSE CAST(value AS DOUBLE PRECISION)
	END
$$;

-- What equal values have in common that are no numbers. Numbers have none: metadata_number says it all, and those that are
-- the same to a double stay together, in the order of creation.
CREATE FUNCTION metadata_hash(value JSONB) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN 0 ELSE jsonb_hash_extended(value, 0) END
$$;

CREATE TABLE generation_metadata (
	name TEXT NOT NULL,
	number DOUBLE PRECISION NOT NULL,
	hash BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	generation_id UUID NOT NULL
);
INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), g.created_at, g.id
FROM generations AS g, jsonb_each(g.metadata) AS e;
-- In the order of creation within each key and value, so that a page of those that have it is one range. All that is to be
-- known of an entry is in it. Two keys that begin alike have one entry, where their values are equal.
CREATE UNIQUE INDEX idx_generation_metadata ON generation_metadata (name, number, hash, created_at, generation_id);

COMMENT ON TABLE generation_metadata IS 'GenerationMetadatum is an entry of the index over metadata.';
COMMENT ON COLUMN generation_metadata.name IS 'The top-level key, or its first 64 characters.';
COMMENT ON COLUMN generation_metadata.number IS 'The value, where it is a number; NaN: it is none.';
COMMENT ON COLUMN generation_metadata.hash IS 'Of the value, where it is no number; equal ones have the same.';
COMMENT ON COLUMN generation_metadata.created_at IS 'The generation''s.';
COMMENT ON COLUMN generation_metadata.generation_id IS 'The generation''s.';

-- Once for each statement, however many rows it creates.
CREATE FUNCTION index_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
		SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), g.created_at, g.id
		FROM new_rows AS g, jsonb_each(g.metadata) AS e;
	ELSE
		TRUNCATE generation_metadata; -- DELETE would leave what the transaction's snapshot does not have
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER generations_metadata_insert AFTER INSERT ON generations
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION index_metadata();
CREATE TRIGGER generations_metadata_truncate AFTER TRUNCATE ON generations
	FOR EACH STATEMENT EXECUTE FUNCTION index_metadata();

-- Entry by entry, so that each is found by the index, whatever the planner thinks of the table. Most updates leave the
-- metadata as it is, and do not come here.
CREATE FUNCTION reindex_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	entry RECORD;
BEGIN
	FOR entry IN SELECT left(e.key, 64) AS name, metadata_number(e.value) AS number, metadata_hash(e.value) AS hash FROM jsonb_each(OLD.metadata) AS e LOOP
		DELETE FROM generation_metadata AS m
		WHERE m.name = entry.name AND m.number = entry.number AND m.hash = entry.hash AND m.created_at = OLD.created_at AND m.generation_id = OLD.id;
	END LOOP;
	IF TG_OP = 'UPDATE' THEN
		INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
		SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), NEW.created_at, NEW.id
		FROM jsonb_each(NEW.metadata) AS e;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER generations_metadata_update AFTER UPDATE ON generations FOR EACH ROW
	WHEN (NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id) EXECUTE FUNCTION reindex_metadata();
CREATE TRIGGER generations_metadata_delete AFTER DELETE ON generations FOR EACH ROW EXECUTE FUNCTION reindex_metadata();

-- migrate:down

DROP TRIGGER generations_metadata_insert ON generations;
DROP TRIGGER generations_metadata_truncate ON generations;
DROP TRIGGER generations_metadata_update ON generations;
DROP TRIGGER generations_metadata_delete ON generations;
DROP FUNCTION index_metadata;
DROP FUNCTION reindex_metadata;
DROP TABLE generation_metadata;
DROP FUNCTION metadata_hash;
DROP FUNCTION metadata_number;
